#include "http/server.h"

#include "base/encoding.h"
#include "http/live_server.h"

namespace mayfly::http {
namespace {

Response text(int status, std::string body) { return Response{.status = status, .body = std::move(body)}; }

// Says what it understood, one fact per line; "/read" also reads the body, "/ignore" does not.
io::Task<Response> report(Request request) {
  std::string body = fmt::format("{} host={} path={} query={}", request.method, request.host, request.raw_path, request.raw_query);
  if (request.raw_path == "/ignore") co_return text(200, "ignored");
  auto read = co_await request.body->read_all(1 << 20);
  if (!read) co_return text(read.error() == BodyError::too_large ? 413 : 400, "bad body");
  co_return text(200, body + " body=" + *read);
}

std::string body_of(const std::string& response) {
  size_t head = response.find("\r\n\r\n");
  return head == std::string::npos ? "" : response.substr(head + 4);
}
std::string status_of(const std::string& response) { return response.substr(0, std::min<size_t>(12, response.size())); }

TEST(HttpServer, AnswersARequestAndKeepsTheConnection) {
  LiveServer live(report);
  Wire wire(live.port());
  for (int i = 0; i < 3; ++i) {
    wire.send("GET /a/b?x=1 HTTP/1.1\r\nHost: mayfly.test\r\n\r\n");
    std::string response = wire.read_response();
    EXPECT_TRUE(response.starts_with("HTTP/1.1 200 OK\r\n")) << response;
    EXPECT_NE(response.find("\r\nServer: mayfly\r\n"), std::string::npos);
    EXPECT_NE(response.find("\r\nDate: "), std::string::npos);
    EXPECT_EQ(response.find("Connection:"), std::string::npos);
    EXPECT_EQ(body_of(response), "GET host=mayfly.test path=/a/b query=x=1 body=");
  }
  wire.end();
  EXPECT_EQ(wire.read_rest(), "");
  live.stop();
  EXPECT_EQ(live.server().requests(), 3u);
  EXPECT_EQ(live.server().connections(), 0u);
}

TEST(HttpServer, ServesPipelinedRequestsInOrderWhateverTheirBodies) {
  LiveServer live(report);
  std::string all = live.talk(
      "POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
      "POST /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1;ext=1\r\nf\r\n0\r\nTrailer: t\r\n\r\n"
      "POST /ignore HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nGET"
      "GET /4 HTTP/1.1\r\nHost: h\r\n\r\n");
  std::vector<std::string> wanted{"POST host=h path=/1 query= body=abc", "POST host=h path=/2 query= body=def", "ignored", "GET host=h path=/4 query= body="};
  size_t at = 0;
  for (const std::string& part : wanted) {
    at = all.find(part, at);
    ASSERT_NE(at, std::string::npos) << part << " not in order in\n" << all;
    at += part.size();
  }
}

TEST(HttpServer, UnderstandsARequestThatArrivesByteByByte) {
  LiveServer live(report);
  Wire wire(live.port());
  for (char c : std::string("POST /slow HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")) ASSERT_TRUE(wire.send({&c, 1}));
  EXPECT_EQ(body_of(wire.read_response()), "POST host=h path=/slow query= body=hello");
}

io::Task<Response> report_trailers(Request request) {
  auto read = co_await request.body->read_all(1 << 20);
  std::string all = read.value_or("broken");
  for (const auto& [name, value] : request.body->trailers()) all += fmt::format(" {}={}", name, value);
  co_return text(200, all);
}

TEST(HttpServer, GivesTheTrailersOfAChunkedBodyAfterItsEnd) {
  LiveServer live(report_trailers);
  Wire wire(live.port());
  wire.send("POST /1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nError-Type: Oops\r\nnonsense\r\nError-Body:  e30= \r\n\r\n");
  EXPECT_EQ(body_of(wire.read_response()), "ab Error-Type=Oops Error-Body=e30=");
  wire.send("POST /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nc\r\n0\r\n\r\n");
  EXPECT_EQ(body_of(wire.read_response()), "c");
}

// Answers when the client of the first request has gone; the second one's "/gone" waits for that.
struct LongPoll {
  std::unique_ptr<LiveServer> live;
  std::unique_ptr<io::Signal> gone;
  io::Task<Response> answer(Request request) {
    if (request.raw_path == "/poll") {
      while (!request.body->client_gone()) co_await io::sleep_us(live->shard(), 100);
      gone->set();
    }
    co_await gone->wait();
    if (request.raw_path == "/gone") EXPECT_FALSE(request.body->client_gone());
    co_return text(200, "gone");
  }
};

TEST(HttpServer, AHandlerCanAskWhetherItsClientHasGone) {
  LongPoll poll;
  poll.live = std::make_unique<LiveServer>([&poll](Request request) { return poll.answer(std::move(request)); });
  poll.gone = std::make_unique<io::Signal>(poll.live->shard());
  Wire asks(poll.live->port());
  asks.send("GET /gone HTTP/1.1\r\nHost: h\r\n\r\n");
  {
    Wire leaves(poll.live->port());
    leaves.send("GET /poll HTTP/1.1\r\nHost: h\r\n\r\n");
  }
  EXPECT_EQ(body_of(asks.read_response()), "gone");
  poll.live->stop();
  poll.gone.reset();
}

struct Refused {
  const char* why;
  std::string request;
  const char* status;
};
class Malformed : public testing::TestWithParam<Refused> {};

TEST_P(Malformed, IsRefusedAndTheConnectionCloses) {
  LiveServer live(report, {.start_line_bytes = 1000, .header_bytes = 1000, .header_count = 20, .body_bytes = 1000});
  // A request smuggled behind the malformed one must not be answered.
  std::string response = live.talk(GetParam().request + "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(status_of(response), std::string("HTTP/1.1 ") + GetParam().status) << response;
  EXPECT_NE(response.find("\r\nConnection: close\r\n"), std::string::npos) << response;
  EXPECT_EQ(response.find("smuggled"), std::string::npos) << response;
  EXPECT_NE(body_of(response), "");
}

const std::string kHost = "Host: h\r\n";
INSTANTIATE_TEST_SUITE_P(
    HttpServer, Malformed,
    testing::Values(
        Refused{"both lengths", "POST / HTTP/1.1\r\n" + kHost + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "400"},
        Refused{"both lengths, other order", "POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", "400"},
        Refused{"two lengths", "POST / HTTP/1.1\r\n" + kHost + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", "400"},
        Refused{"the same length twice", "POST / HTTP/1.1\r\n" + kHost + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "400"},
        Refused{"a list of lengths", "POST / HTTP/1.1\r\n" + kHost + "Content-Length: 3, 3\r\n\r\nabc", "400"},
        Refused{"negative length", "POST / HTTP/1.1\r\n" + kHost + "Content-Length: -1\r\n\r\n", "400"},
        Refused{"signed length", "POST / HTTP/1.1\r\n" + kHost + "Content-Length: +3\r\n\r\nabc", "400"},
        Refused{"hexadecimal length", "POST / HTTP/1.1\r\n" + kHost + "Content-Length: 0x3\r\n\r\nabc", "400"},
        Refused{"length beyond 64 bits", "POST / HTTP/1.1\r\n" + kHost + "Content-Length: 99999999999999999999\r\n\r\n", "400"},
        Refused{"empty length", "POST / HTTP/1.1\r\n" + kHost + "Content-Length: \r\n\r\n", "400"},
        Refused{"declared body too large", "POST / HTTP/1.1\r\n" + kHost + "Content-Length: 1001\r\n\r\n", "413"},
        Refused{"unknown coding", "POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: gzip\r\n\r\n", "501"},
        Refused{"known coding after another", "POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: gzip, chunked\r\n\r\n", "501"},
        Refused{"coding after chunked", "POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked, gzip\r\n\r\n", "400"},
        Refused{"chunked twice", "POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "400"},
        Refused{"disguised chunked", "POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: xchunked\r\n\r\n", "501"},
        Refused{"chunked in HTTP/1.0", "POST / HTTP/1.0\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n", "400"},
        Refused{"bad chunk size", "POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "400"},
        Refused{"chunk longer than its size", "POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", "400"},
        Refused{"chunk ended by LF", "POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n", "400"},
        Refused{"chunk size overflow", "POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n10000000000000002\r\nab\r\n0\r\n\r\n", "400"},
        Refused{"line ended by LF", "GET / HTTP/1.1\nHost: h\n\n", "400"},
        Refused{"lone CR in a value", "GET / HTTP/1.1\r\n" + kHost + "X: a\rY: b\r\n\r\n", "400"},
        Refused{"folded field", "GET / HTTP/1.1\r\n" + kHost + "X: a\r\n b\r\n\r\n", "400"},
        Refused{"space before the colon", "POST / HTTP/1.1\r\n" + kHost + "Content-Length : 3\r\n\r\nabc", "400"},
        Refused{"field without name", "GET / HTTP/1.1\r\n" + kHost + ": x\r\n\r\n", "400"},
        Refused{"field without colon", "GET / HTTP/1.1\r\n" + kHost + "nonsense\r\n\r\n", "400"},
        Refused{"NUL in a value", "GET / HTTP/1.1\r\nHost: h\r\nX: a" + std::string(1, '\0') + "b\r\n\r\n", "400"},
        Refused{"no Host", "GET / HTTP/1.1\r\n\r\n", "400"},
        Refused{"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
        Refused{"Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400"},
        Refused{"URL with a user", "GET http://me@h/ HTTP/1.1\r\n" + kHost + "\r\n", "400"},
        Refused{"URL of another kind", "GET ftp://h/ HTTP/1.1\r\n" + kHost + "\r\n", "400"},
        Refused{"target without slash", "GET abc HTTP/1.1\r\n" + kHost + "\r\n", "400"},
        Refused{"fragment", "GET /a#b HTTP/1.1\r\n" + kHost + "\r\n", "400"},
        Refused{"space in the target", "GET /a b HTTP/1.1\r\n" + kHost + "\r\n", "400"},
        Refused{"CONNECT", "CONNECT h:443 HTTP/1.1\r\n" + kHost + "\r\n", "405"},
        Refused{"unknown method", "BREW / HTTP/1.1\r\n" + kHost + "\r\n", "501"},
        Refused{"lower-case method", "get / HTTP/1.1\r\n" + kHost + "\r\n", "501"},
        Refused{"method of punctuation", "G(T / HTTP/1.1\r\n" + kHost + "\r\n", "400"},
        Refused{"TLS to a plain port", std::string("\x16\x03\x01\x02\r\n\x01\r\n\r\n"), "400"},
        Refused{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400"},
        Refused{"HTTP/3", "GET / HTTP/3.0\r\n" + kHost + "\r\n", "505"},
        Refused{"HTTP/0.9", "GET /\r\n\r\n", "505"},
        Refused{"many empty lines", "\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n" + kHost + "\r\n", "400"},
        Refused{"long target", "GET /" + std::string(2000, 'a') + " HTTP/1.1\r\n" + kHost + "\r\n", "414"},
        Refused{"endless target", "GET /" + std::string(100'000, 'a'), "414"},
        Refused{"large field", "GET / HTTP/1.1\r\n" + kHost + "X: " + std::string(2000, 'a') + "\r\n\r\n", "431"},
        Refused{"endless field", "GET / HTTP/1.1\r\n" + kHost + "X: " + std::string(100'000, 'a'), "431"},
        Refused{"many fields", "GET / HTTP/1.1\r\n" + kHost + [] { std::string all; for (int i = 0; i < 30; ++i) all += "A: b\r\n"; return all; }() + "\r\n", "431"},
        Refused{"unknown expectation", "POST / HTTP/1.1\r\n" + kHost + "Expect: tea\r\nContent-Length: 1\r\n\r\n", "417"}),
    [](const auto& info) {
      std::string name;
      for (char c : std::string_view(info.param.why)) name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
      return name;
    });

TEST(HttpServer, TakesTheHostFromAnAbsoluteTargetAndLeavesEncodedSlashesAlone) {
  LiveServer live(report);
  auto ask = [&](std::string_view line) { return body_of(live.talk(std::string(line) + " HTTP/1.1\r\nHost: other\r\n\r\n")); };
  EXPECT_EQ(ask("GET http://oss.test:8080/b%2Fc?x=%2F"), "GET host=oss.test:8080 path=/b%2Fc query=x=%2F body=");
  EXPECT_EQ(ask("GET http://oss.test"), "GET host=oss.test path=/ query= body=");
  EXPECT_EQ(ask("GET HTTPS://oss.test?a"), "GET host=oss.test path=/ query=a body=");
  EXPECT_EQ(ask("OPTIONS *"), "OPTIONS host=other path=/ query= body=");
  EXPECT_EQ(ask("GET /a//b/../c"), "GET host=other path=/a//b/../c query= body=");
  EXPECT_EQ(ask("GET /?"), "GET host=other path=/ query= body=");
}

TEST(HttpServer, SpeaksHttp10) {
  LiveServer live(report);
  Wire wire(live.port());
  wire.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_NE(wire.read_response().find("\r\nConnection: keep-alive\r\n"), std::string::npos);
  wire.send("GET / HTTP/1.0\r\n\r\n");
  std::string last = wire.read_rest();
  EXPECT_NE(last.find("\r\nConnection: close\r\n"), std::string::npos);
  EXPECT_EQ(body_of(last), "GET host= path=/ query= body=");
}

TEST(HttpServer, ClosesWhenTheClientAsksForIt) {
  LiveServer live(report);
  Wire wire(live.port());
  wire.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_NE(wire.read_rest().find("\r\nConnection: close\r\n"), std::string::npos);
}

TEST(HttpServer, TreatsAnUpgradeItDoesNotKnowAsAPlainRequest) {
  LiveServer live(report);
  EXPECT_EQ(body_of(live.talk("POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi")), "POST host=h path=/ query= body=hi");
}

TEST(HttpServer, SendsContinueOnlyWhenTheBodyIsRead) {
  LiveServer live(report);
  Wire reads(live.port());
  reads.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(reads.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  reads.send("hi");
  EXPECT_EQ(body_of(reads.read_response()), "POST host=h path=/ query= body=hi");

  Wire ignores(live.port());
  ignores.send("POST /ignore HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  ignores.end();
  std::string response = ignores.read_rest();
  EXPECT_TRUE(response.starts_with("HTTP/1.1 200")) << response;
  EXPECT_NE(response.find("\r\nConnection: close\r\n"), std::string::npos);
}

TEST(HttpServer, SwallowsASmallUnreadBodyAndClosesAfterALargeOne) {
  LiveServer live(report, {.discard_bytes = 1000});
  Wire wire(live.port());
  wire.send("POST /ignore HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" + std::string(1000, 'x'));
  EXPECT_EQ(body_of(wire.read_response()), "ignored");
  wire.send("POST /ignore HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" + std::string(200'000, 'x'));
  wire.end();
  std::string last = wire.read_rest();  // not lost to a reset, although the body was never read
  EXPECT_EQ(body_of(last), "ignored");
  EXPECT_NE(last.find("\r\nConnection: close\r\n"), std::string::npos);
}

io::Task<Response> shapes(Request request) {
  if (request.raw_path == "/204") co_return text(204, "");
  if (request.raw_path == "/304") co_return text(304, "");
  if (request.raw_path == "/known") co_return Response{.head_length = 12345};
  if (request.raw_path == "/throws") throw std::runtime_error("the disk is on fire");
  if (request.raw_path == "/zero") co_return text(0, "");
  if (request.raw_path == "/inject") {
    Response response = text(200, "x");
    response.headers.add("X-Name", "a\r\nSet-Cookie: stolen=1\nmore");
    response.headers.add("Bad\r\nName", "b");
    response.headers.add("Content-Length", "999");
    response.headers.add("Transfer-Encoding", "chunked");
    response.headers.add("Server", "AliyunOSS");
    co_return response;
  }
  co_return text(200, "hello");
}

TEST(HttpServer, SendsNoBodyWhereNoneBelongs) {
  LiveServer live(shapes);
  Wire wire(live.port());
  wire.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_NE(wire.read_until("\r\n\r\n").find("\r\nContent-Length: 5\r\n"), std::string::npos);
  wire.send("HEAD /known HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_NE(wire.read_until("\r\n\r\n").find("\r\nContent-Length: 12345\r\n"), std::string::npos);
  for (const char* path : {"/204", "/304"}) {
    wire.send(fmt::format("GET {} HTTP/1.1\r\nHost: h\r\n\r\n", path));
    std::string head = wire.read_until("\r\n\r\n");
    EXPECT_EQ(head.find("Content-Length"), std::string::npos) << head;
    EXPECT_EQ(head.find("Transfer-Encoding"), std::string::npos) << head;
  }
  wire.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(body_of(wire.read_response()), "hello");
}

TEST(HttpServer, LetsNoHandlerInjectFieldsOrFraming) {
  LiveServer live(shapes);
  std::string response = live.talk("GET /inject HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_NE(response.find("\r\nX-Name: a  Set-Cookie: stolen=1 more\r\n"), std::string::npos) << response;
  EXPECT_EQ(response.find("Name: b"), std::string::npos) << response;
  EXPECT_NE(response.find("\r\nContent-Length: 1\r\n"), std::string::npos) << response;
  EXPECT_EQ(response.find("999"), std::string::npos) << response;
  EXPECT_EQ(response.find("chunked"), std::string::npos) << response;
  EXPECT_NE(response.find("\r\nServer: AliyunOSS\r\n"), std::string::npos) << response;
  EXPECT_EQ(response.find("Server: mayfly"), std::string::npos) << response;
}

TEST(HttpServer, AnswersFaultsOfTheHandlerWith500WithoutSayingWhich) {
  LiveServer live(shapes);
  for (const char* path : {"/throws", "/zero"}) {
    std::string response = live.talk(fmt::format("GET {} HTTP/1.1\r\nHost: h\r\n\r\n", path));
    EXPECT_EQ(status_of(response), "HTTP/1.1 500");
    EXPECT_EQ(response.find("fire"), std::string::npos);
  }
}

io::Task<Response> echo(Request request) { co_return Response{.stream = std::move(request.body)}; }

TEST(HttpServer, StreamsBodiesBothWaysAtOnce) {
  LiveServer live(echo);
  Wire sized(live.port());
  std::string large(3 << 20, '\0');
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 2654435761u >> 13);
  std::thread sender([&] { sized.send(fmt::format("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", large.size()) + large); });
  std::string head = sized.read_until("\r\n\r\n");
  EXPECT_NE(head.find(fmt::format("\r\nContent-Length: {}\r\n", large.size())), std::string::npos) << head;
  EXPECT_TRUE(sized.read_bytes(large.size()) == large);
  sender.join();

  Wire chunked(live.port());
  chunked.send("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_NE(chunked.read_until("\r\n\r\n").find("\r\nTransfer-Encoding: chunked\r\n"), std::string::npos);
  chunked.send("5\r\nhello\r\n");
  EXPECT_EQ(chunked.read_until("hello\r\n"), "5\r\nhello\r\n");  // each piece leaves as it comes
  chunked.send("1\r\n!\r\n0\r\n\r\n");
  EXPECT_EQ(chunked.read_until("0\r\n\r\n"), "1\r\n!\r\n0\r\n\r\n");
  chunked.send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nz");
  EXPECT_EQ(body_of(chunked.read_response()), "z");

  std::string old = live.talk("PUT / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_EQ(body_of(old), "abc");
}

class Numbers final : public Body {
 public:
  Numbers(int count, std::optional<uint64_t> declared) : count_(count), declared_(declared) {}
  io::Task<std::expected<std::optional<std::string>, BodyError>> next() override {
    if (next_ == count_) co_return std::nullopt;
    co_return std::to_string(next_++);
  }
  std::optional<uint64_t> declared_size() const override { return declared_; }

 private:
  int next_ = 0, count_;
  std::optional<uint64_t> declared_;
};
io::Task<Response> numbers(Request request) {
  std::optional<uint64_t> declared;
  if (!request.raw_query.empty()) declared = std::stoull(request.raw_query);
  co_return Response{.stream = std::make_unique<Numbers>(10, declared)};
}

TEST(HttpServer, EndsTheConnectionWhenAStreamIsNotAsLongAsDeclared) {
  LiveServer live(numbers);
  EXPECT_EQ(body_of(live.talk("GET /?10 HTTP/1.1\r\nHost: h\r\n\r\n")), "0123456789");
  std::string next = "GET /?10 HTTP/1.1\r\nHost: h\r\n\r\n";
  EXPECT_EQ(body_of(live.talk("GET /?11 HTTP/1.1\r\nHost: h\r\n\r\n" + next)), "0123456789");
  EXPECT_EQ(body_of(live.talk("GET /?9 HTTP/1.1\r\nHost: h\r\n\r\n" + next)), "012345678");
  EXPECT_EQ(body_of(live.talk("GET / HTTP/1.0\r\n\r\n")), "0123456789");
  EXPECT_TRUE(body_of(live.talk("GET / HTTP/1.1\r\nHost: h\r\n\r\n")).ends_with("1\r\n9\r\n0\r\n\r\n"));
}

class Broken final : public Body {
 public:
  io::Task<std::expected<std::optional<std::string>, BodyError>> next() override {
    if (std::exchange(begun_, true)) throw std::runtime_error("the disk is gone");
    co_return "some";
  }
  std::optional<uint64_t> declared_size() const override { return std::nullopt; }

 private:
  bool begun_ = false;
};
io::Task<Response> breaks(Request request) { co_return Response{.stream = std::make_unique<Broken>()}; }

TEST(HttpServer, SurvivesAStreamThatThrowsAndLeavesItsAnswerVisiblyUnfinished) {
  LiveServer live(breaks);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(body_of(live.talk("GET / HTTP/1.1\r\nHost: h\r\n\r\n")), "4\r\nsome\r\n");
  live.stop();
  EXPECT_EQ(live.server().connections(), 0u);
}

TEST(HttpServer, TakesTextOfAnyLanguageInTargetsAndValues) {
  LiveServer live(report);
  EXPECT_EQ(body_of(live.talk("GET /照片?k=猫 HTTP/1.1\r\nHost: h\r\nX-Meta: 蜉蝣\r\n\r\n")), "GET host=h path=/照片 query=k=猫 body=");
}

// Keeps the body of the first request and reads it during the second.
struct Keeper {
  std::unique_ptr<Body> kept;
  io::Task<Response> handle(Request request) {
    if (!kept) {
      kept = std::move(request.body);
      co_return text(200, "kept");
    }
    auto late = co_await kept->next();
    kept.reset();
    co_return text(200, !late && late.error() == BodyError::disconnected ? "gone" : "alive");
  }
};

TEST(HttpServer, CutsABodyThatOutlivesItsRequest) {
  Keeper keeper;
  LiveServer live([&keeper](Request request) { return keeper.handle(std::move(request)); });
  Wire wire(live.port());
  wire.send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_EQ(body_of(wire.read_response()), "kept");
  wire.send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\ndef");
  EXPECT_EQ(body_of(wire.read_response()), "gone");
}

TEST(HttpServer, RefusesAChunkedBodyBeyondTheLimit) {
  LiveServer live(report, {.body_bytes = 10});
  EXPECT_EQ(status_of(live.talk("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n")), "HTTP/1.1 413");
  EXPECT_EQ(status_of(live.talk("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n")), "HTTP/1.1 200");
}

TEST(HttpServer, TellsConnectionsBeyondTheLimitToComeBack) {
  LiveServer live(report, {.connections = 1});
  Wire first(live.port());
  first.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  first.read_response();
  EXPECT_EQ(status_of(live.talk("GET / HTTP/1.1\r\nHost: h\r\n\r\n")), "HTTP/1.1 503");
  first.end();
  EXPECT_EQ(first.read_rest(), "");
}

}  // namespace
}  // namespace mayfly::http
