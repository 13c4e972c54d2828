// Requests and answers that stream at the same time, clients that go, and tunnels: over real sockets.

#include <future>

#include "http/body_pipe.h"
#include "http/client.h"
#include "http/hop.h"
#include "http/live_server.h"
#include "http/tunnel.h"

namespace mayfly::http {
namespace {

// Answers each piece of the request as it comes, in capitals.
class Shouting final : public Body {
 public:
  explicit Shouting(std::unique_ptr<Body> body) : body_(std::move(body)) {}
  io::Task<std::expected<std::optional<std::string>, BodyError>> next() override {
    auto piece = co_await body_->next();
    if (piece && *piece)
      for (char& c : **piece) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    co_return piece;
  }
  std::optional<uint64_t> declared_size() const override { return std::nullopt; }

 private:
  std::unique_ptr<Body> body_;
};

io::Task<Response> shout(Request request) { co_return Response{.stream = std::make_unique<Shouting>(std::move(request.body))}; }

TEST(HttpStreaming, AClientMaySendAndReadAtTheSameTime) {
  LiveServer server(shout);
  Wire wire(server.port());
  wire.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_NE(wire.read_until("\r\n\r\n").find("200 OK"), std::string::npos);
  for (std::string_view word : {"one", "two", "three"}) {
    wire.send(fmt::format("{:x}\r\n{}\r\n", word.size(), word));
    std::string upper(word);
    for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    std::string expected = fmt::format("{:x}\r\n{}\r\n", word.size(), upper);
    EXPECT_EQ(wire.read_bytes(expected.size()), expected);
  }
  wire.send("0\r\n\r\n");
  EXPECT_EQ(wire.read_bytes(5), "0\r\n\r\n");
  wire.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
  EXPECT_NE(wire.read_rest().find("2\r\nOK\r\n0\r\n\r\n"), std::string::npos);
}

// A function that streams: it sends a piece and falls silent, until the test ends its answer or it is told that nobody reads.
class Silent {
 public:
  explicit Silent(std::optional<uint64_t> declared = {}, ServerLimits limits = {})
      : declared_(declared), server_([this](Request request) { return begin(std::move(request)); }, limits) {}
  // The client has read the piece.
  std::unique_ptr<Wire> ask(std::string_view request) {
    auto wire = std::make_unique<Wire>(server_.port());
    wire->send(request);
    std::string got = wire->read_until("data: 1\n\n");
    EXPECT_TRUE(got.ends_with("data: 1\n\n")) << got;
    if (got.contains("chunked")) wire->read_bytes(2);  // a socket that is closed with bytes unread resets
    return wire;
  }
  bool is_abandoned_within(std::chrono::seconds patience) { return told_.wait_for(patience) == std::future_status::ready; }
  void end() {
    server_.shard().post([this] { pipe_->end(); });
  }
  void die() {
    server_.shard().post([this] { pipe_->fail(BodyError::disconnected); });
  }
  LiveServer& server() { return server_; }

 private:
  io::Task<Response> begin(Request) {
    pipe_ = BodyPipe::make(server_.shard(), declared_);
    pipe_->push("data: 1\n\n");
    pipe_->on_abandoned([this] { abandoned_.set_value(); });
    co_return Response{.stream = pipe_->reader()};
  }

  std::optional<uint64_t> declared_;
  std::promise<void> abandoned_;
  std::future<void> told_ = abandoned_.get_future();
  std::shared_ptr<BodyPipe> pipe_;
  LiveServer server_;
};

constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
constexpr std::string_view kOldRequest = "GET / HTTP/1.0\r\n\r\n";
// By chunks, by Content-Length, by the connection's end.
struct Framed {
  std::string_view request;
  std::optional<uint64_t> declared;
};
const Framed kFramings[] = {{kRequest, {}}, {kRequest, 1000}, {kOldRequest, {}}};

TEST(HttpStreaming, AClientThatGoesEndsTheAnswersStreamThoughItIsSilent) {
  for (const auto& [request, declared] : kFramings) {
    Silent function(declared, {.half_closed_us = 20'000});
    function.ask(request).reset();
    EXPECT_TRUE(function.is_abandoned_within(std::chrono::seconds(5))) << request << declared.value_or(0);
    function.die();
  }
}

TEST(HttpStreaming, AClientWhoseConnectionBreaksIsNotWaitedFor) {
  for (const auto& [request, declared] : kFramings) {
    Silent function(declared, {.half_closed_us = 60 * kMicrosPerSecond});
    auto wire = function.ask(request);
    linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(wire->fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    wire.reset();
    EXPECT_TRUE(function.is_abandoned_within(std::chrono::seconds(5))) << request << declared.value_or(0);
    function.die();
  }
}

// How a connection with nothing left to read has ended: 0, or the error of a broken one.
int end_of(Wire& wire) {
  char byte;
  ssize_t got = ::recv(wire.fd(), &byte, 1, 0);
  EXPECT_LE(got, 0);
  return got < 0 ? errno : 0;
}

TEST(HttpStreaming, HalfAnAnswerIsNotEndedLikeAWholeOne) {
  Silent whole;
  auto reads_all = whole.ask(kOldRequest);
  whole.end();
  EXPECT_EQ(end_of(*reads_all), 0);
  Silent half;
  auto reads_half = half.ask(kOldRequest);
  half.die();
  EXPECT_EQ(end_of(*reads_half), ECONNRESET);
}

TEST(HttpStreaming, AnAnswerThatADrainCutsOffIsNotEndedLikeAWholeOne) {
  Silent function;
  auto wire = function.ask(kOldRequest);
  function.server().stop(20'000);
  EXPECT_EQ(end_of(*wire), ECONNRESET);
}

TEST(HttpStreaming, WhatIsPipelinedBehindAStreamedAnswerIsServedNext) {
  LiveServer server(shout);
  std::string request = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n";
  std::string got = server.talk(request + "a" + request + "b");
  EXPECT_LT(got.find("\r\nA\r\n"), got.find("\r\nB\r\n"));
  EXPECT_NE(got.find("\r\nB\r\n"), std::string::npos);
}

// The handler answers at once and leaves a task that still reads the request's body.
struct Leftover {
  std::unique_ptr<io::TaskGroup> tasks;
  std::string read;
  bool ended = false;
};
io::Task<void> read_on(Leftover* leftover, std::unique_ptr<Body> body) {
  while (true) {
    auto piece = co_await body->next();
    if (!piece || !*piece) break;
    leftover->read += **piece;
  }
  leftover->ended = true;
}
io::Task<Response> answer_early(Leftover* leftover, Request request) {
  leftover->tasks->spawn(read_on(leftover, std::move(request.body)));
  co_return Response{.status = 202, .body = "early"};
}

TEST(HttpStreaming, ABodyThatIsStillReadWhenTheAnswerHasLeftBreaksNothing) {
  Leftover leftover;
  {
    LiveServer server([&leftover](Request request) { return answer_early(&leftover, std::move(request)); });
    leftover.tasks = std::make_unique<io::TaskGroup>(server.shard());
    Wire wire(server.port());
    wire.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello");
    EXPECT_NE(wire.read_response().find("early"), std::string::npos);
    wire.send("world");
    wire.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    EXPECT_NE(wire.read_response().find("early"), std::string::npos) << "the connection is kept";
    wire.end();
    EXPECT_EQ(wire.read_rest(), "");
    server.stop();
  }
  EXPECT_TRUE(leftover.ended);
  EXPECT_TRUE(leftover.read.starts_with("hello"));
}

// A server of raw bytes that answers an upgrade and then repeats what it hears, with "!" behind.
io::Task<void> play_tunnel(io::Listener& listener) {
  auto stream = co_await listener.accept();
  std::string head;
  std::vector<char> buffer(4096);
  while (!head.contains("\r\n\r\n")) {
    auto got = co_await stream->read_some(buffer, io::Deadline::never());
    if (!got || *got == 0) co_return;
    head.append(buffer.data(), *got);
  }
  EXPECT_NE(head.find("Connection: Upgrade\r\n"), std::string::npos);
  EXPECT_NE(head.find("Upgrade: shout\r\n"), std::string::npos);
  (void)co_await stream->write_all("HTTP/1.1 101 Switching Protocols\r\nUpgrade: shout\r\nConnection: Upgrade\r\n\r\nfirst ", io::Deadline::never());
  while (true) {
    auto got = co_await stream->read_some(buffer, io::Deadline::never());
    if (!got || *got == 0) break;
    (void)co_await stream->write_all(std::string(buffer.data(), *got) + "!", io::Deadline::never());
  }
  (void)co_await stream->write_all("bye", io::Deadline::never());
  stream->close();
}

io::Task<Response> pass_upgrade(HttpClient* client, io::Loop* loop, Request request) {
  ClientRequest onward{.target = request.raw_path, .upgrade = true};
  onward.headers.add("Upgrade", request.headers.get("Upgrade"));
  auto answer = co_await client->send(std::move(onward), io::Deadline::after_us(*loop, 10 * kMicrosPerSecond));
  if (!answer) co_return Response{.status = 502};
  Response response{.status = answer->status, .headers = std::move(answer->headers), .tunnel = std::move(answer->tunnel)};
  co_return response;
}

TEST(HttpStreaming, AnUpgradeBecomesATunnelBothWays) {
  HttpClient* client = nullptr;
  io::Loop* loop = nullptr;
  LiveServer server([&client, &loop](Request request) { return pass_upgrade(client, loop, std::move(request)); });
  auto listener = server.shard().listen("127.0.0.1", 0);
  auto owned = make_http_client(server.shard(), "127.0.0.1", listener->port());
  client = owned.get();
  loop = &server.shard();
  io::TaskGroup tasks(server.shard());
  server.shard().post([&] { tasks.spawn(play_tunnel(*listener)); });
  Wire wire(server.port());
  wire.send("GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\nearly");
  std::string head = wire.read_until("\r\n\r\n");
  EXPECT_TRUE(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n")) << head;
  EXPECT_NE(head.find("Connection: Upgrade\r\n"), std::string::npos);
  EXPECT_EQ(head.find("Content-Length"), std::string::npos);
  EXPECT_EQ(wire.read_bytes(12), "first early!");
  wire.send("more");
  EXPECT_EQ(wire.read_bytes(5), "more!");
  wire.end();
  EXPECT_EQ(wire.read_rest(), "bye") << "the far side has its last word";
  server.stop();
}

TEST(HttpStreaming, ATunnelThroughWhichNothingPassesIsClosed) {
  ServerLimits limits;
  limits.tunnel_idle_us = 20'000;
  HttpClient* client = nullptr;
  io::Loop* loop = nullptr;
  LiveServer server([&client, &loop](Request request) { return pass_upgrade(client, loop, std::move(request)); }, limits);
  auto listener = server.shard().listen("127.0.0.1", 0);
  auto owned = make_http_client(server.shard(), "127.0.0.1", listener->port());
  client = owned.get();
  loop = &server.shard();
  io::TaskGroup tasks(server.shard());
  server.shard().post([&] { tasks.spawn(play_tunnel(*listener)); });
  Wire wire(server.port());
  wire.send("GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n");
  EXPECT_NE(wire.read_until("first ").find("101"), std::string::npos);
  EXPECT_EQ(wire.read_rest(), "");
  server.stop();
}

// The request's body goes up in a task of its own: more of it than sockets hold, echoed by a server that answers as it reads.
io::Task<void> echo_through(io::Shard& shard, uint16_t port, size_t pieces, size_t& came) {
  auto client = make_http_client(shard, "127.0.0.1", port);
  io::TaskGroup uploads(shard);
  auto pipe = BodyPipe::make(shard);
  ClientRequest request{.method = "POST", .stream = pipe->reader(), .uploads = &uploads};
  std::string piece(64 << 10, 'x');
  {
    auto answer = co_await client->send(std::move(request), io::Deadline::after_us(shard, 60 * kMicrosPerSecond));
    EXPECT_TRUE(answer);
    if (!answer) co_return;
    for (size_t i = 0; i < pieces; ++i) {
      pipe->push(piece);
      auto back = co_await answer->body->next();
      EXPECT_TRUE(back && *back);
      if (!back || !*back) co_return;
      came += (*back)->size();
    }
    pipe->end();
    while (true) {
      auto back = co_await answer->body->next();
      EXPECT_TRUE(back);
      if (!back || !*back) break;
      came += (*back)->size();
    }
  }
  co_await uploads.drain();
  shard.stop();
}

TEST(HttpStreaming, TheClientUploadsWhileItReads) {
  LiveServer server(shout);
  io::Shard shard(1);
  io::TaskGroup tasks(shard);
  size_t came = 0;
  shard.post([&] { tasks.spawn(echo_through(shard, server.port(), 100, came)); });
  shard.run();
  EXPECT_EQ(came, 100u * (64 << 10));
}

// A handler whose work is done on another shard's loop: body and answer hop.
io::Task<Response> shout_there(io::Loop* here, io::Loop* there, Request request) {
  auto body = hop_body(*there, *here, std::move(request.body));
  co_return Response{.stream = hop_body(*here, *there, std::make_unique<Shouting>(std::move(body)))};
}

TEST(HttpStreaming, BodiesHopBetweenShards) {
  io::Shard other(1);
  std::thread thread([&other] { other.run(); });
  {
    io::Loop* loop = nullptr;
    LiveServer server([&](Request request) { return shout_there(loop, &other, std::move(request)); });
    loop = &server.shard();
    std::string body(300'000, 'z');
    std::string got = server.talk(fmt::format("POST / HTTP/1.0\r\nContent-Length: {}\r\n\r\n{}", body.size(), body));
    EXPECT_EQ(got.substr(got.find("\r\n\r\n") + 4), std::string(300'000, 'Z'));
    std::promise<void> cleared;  // what was left there has gone, and has told the server's shard while that exists
    other.post([&cleared] { cleared.set_value(); });
    cleared.get_future().wait();
  }
  other.post([&other] { other.stop(); });
  thread.join();
}

}  // namespace
}  // namespace mayfly::http
