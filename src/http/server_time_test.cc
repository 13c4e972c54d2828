// What the server does about time: slow clients, idle connections, drains, doors. On a simulated clock.
#include <gtest/gtest.h>

#include "http/body_pipe.h"
#include "http/memory_stream.h"
#include "http/server.h"
#include "io/group.h"
#include "io/sim_loop.h"

namespace mayfly::http {
namespace {

constexpr int64_t kSecond = kMicrosPerSecond;

io::Task<std::string> read_to_end(io::Stream& stream) {
  std::string all;
  char buffer[4096];
  while (true) {
    auto got = co_await stream.read_some(buffer, io::Deadline::never());
    if (!got || *got == 0) co_return all;
    all.append(buffer, *got);
  }
}
io::Task<std::string> read_some(io::Stream& stream) {
  char buffer[4096];
  auto got = co_await stream.read_some(buffer, io::Deadline::never());
  co_return got ? std::string(buffer, *got) : "";
}
io::Task<void> write(io::Stream& stream, std::string bytes) { (void)co_await stream.write_all(bytes, io::Deadline::never()); }


// "/wait" answers after 30 s, "/read" reads the body, anything else answers at once.
io::Task<Response> play(io::Loop& loop, Request request) {
  if (request.raw_path == "/wait") co_await io::sleep_us(loop, 30 * kSecond);
  if (request.raw_path == "/door") co_return Response{.body = "door=" + request.door};
  if (request.raw_path == "/large") co_return Response{.body = std::string(1 << 20, 'x')};
  if (request.raw_path == "/read") {
    auto body = co_await request.body->read_all(1000);
    if (!body) co_return Response{.status = body.error() == BodyError::timed_out ? 408 : 400};
  }
  co_return Response{.body = "done"};
}

// Pieces without end, counted.
class Endless final : public Body {
 public:
  explicit Endless(size_t& produced) : produced_(produced) {}
  io::Task<std::expected<std::optional<std::string>, BodyError>> next() override {
    ++produced_;
    co_return std::string(10'000, 'x');
  }
  std::optional<uint64_t> declared_size() const override { return std::nullopt; }

 private:
  size_t& produced_;
};

struct Playground {
  io::SimLoop loop;
  ServerLimits limits{.header_timeout_us = 20 * kSecond, .idle_timeout_us = 75 * kSecond, .body_timeout_us = 60 * kSecond};
  std::unique_ptr<HttpServer> server = make_http_server(loop, [this](Request request) { return play(loop, std::move(request)); }, limits);
  MemoryListener* listener = open("");

  ~Playground() { loop.wait(server->drain(io::Deadline::after_us(loop, kSecond))); }
  MemoryListener* open(std::string door) {
    auto made = std::make_unique<MemoryListener>(loop);
    MemoryListener* kept = made.get();
    server->serve(std::move(made), "http", std::move(door));
    return kept;
  }
};

TEST(HttpServerTime, CutsAClientThatNeverFinishesItsHead) {
  Playground play;
  auto client = play.listener->connect();
  int64_t start = play.loop.now_us();
  play.loop.wait(write(*client, "GET / HTT"));
  play.loop.run_for(19 * kSecond);
  play.loop.wait(write(*client, "P/1.1\r\nX: "));  // a byte now and then does not help
  std::string answer = play.loop.wait(read_some(*client));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 408")) << answer;
  EXPECT_EQ(play.loop.now_us() - start, 20 * kSecond);
}

TEST(HttpServerTime, ClosesASilentNewConnectionSoonerThanAKeptOne) {
  Playground play;
  int64_t start = play.loop.now_us();
  auto silent = play.listener->connect();
  EXPECT_EQ(play.loop.wait(read_to_end(*silent)), "");
  EXPECT_EQ(play.loop.now_us() - start, 20 * kSecond);

  auto kept = play.listener->connect();
  play.loop.wait(write(*kept, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_TRUE(play.loop.wait(read_some(*kept)).ends_with("done"));
  start = play.loop.now_us();
  EXPECT_EQ(play.loop.wait(read_to_end(*kept)), "");
  EXPECT_EQ(play.loop.now_us() - start, 75 * kSecond);
}

TEST(HttpServerTime, LetsTheHandlerKnowThatTheBodyStopped) {
  Playground play;
  auto client = play.listener->connect();
  int64_t start = play.loop.now_us();
  play.loop.wait(write(*client, "PUT /read HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nab"));
  std::string answer = play.loop.wait(read_some(*client));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 408")) << answer;
  EXPECT_NE(answer.find("\r\nConnection: close\r\n"), std::string::npos);
  EXPECT_EQ(play.loop.now_us() - start, 60 * kSecond);
}

TEST(HttpServerTime, CutsAClientThatStopsReading) {
  Playground play;
  auto client = play.listener->connect(100'000);
  play.loop.wait(write(*client, "GET /large HTTP/1.1\r\nHost: h\r\n\r\n"));
  play.loop.run_for(59 * kSecond);
  EXPECT_EQ(play.server->connections(), 1u);
  play.loop.run_for(2 * kSecond);
  EXPECT_EQ(play.server->connections(), 0u);
}

io::Task<Response> endless(size_t& produced) { co_return Response{.stream = std::make_unique<Endless>(produced)}; }

TEST(HttpServerTime, PullsNoMoreFromAStreamThanTheClientTakes) {
  io::SimLoop loop;
  size_t produced = 0;
  auto server = make_http_server(loop, [&](Request) { return endless(produced); }, {});
  auto listener = std::make_unique<MemoryListener>(loop);
  auto client = listener->connect(50'000);
  server->serve(std::move(listener), "http", "");
  loop.wait(write(*client, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  loop.run_for(10 * kSecond);
  EXPECT_EQ(produced, 5u);  // four fill the connection, the fifth waits
  char buffer[20'000];
  for (size_t got = 0; got < 20'000;) got += *loop.wait(client->read_some({buffer, 20'000 - got}, io::Deadline::never()));
  loop.run_for(10 * kSecond);
  EXPECT_EQ(produced, 7u);
  client->close();
  loop.wait(server->drain(io::Deadline::after_us(loop, kSecond)));
  EXPECT_EQ(produced, 7u);
}

io::Task<Response> answer_from(BodyPipe& pipe) { co_return Response{.stream = pipe.reader()}; }

TEST(HttpServerTime, AClientThatEndedItsSideAndReadsSlowlyIsNotTakenForOneThatLeft) {
  for (std::optional<uint64_t> declared : {std::optional<uint64_t>(), std::optional<uint64_t>(20'000)}) {
    io::SimLoop loop;
    auto pipe = BodyPipe::make(loop, declared);
    auto server = make_http_server(loop, [&](Request) { return answer_from(*pipe); }, {});
    auto listener = std::make_unique<MemoryListener>(loop);
    auto client = listener->connect(5'000);
    server->serve(std::move(listener), "http", "");
    pipe->push(std::string(10'000, 'a'));
    pipe->push(std::string(9'997, 'b') + "end");
    pipe->end();
    loop.wait(write(*client, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    client->shutdown_write();
    loop.run_for(20 * kSecond);
    EXPECT_NE(loop.wait(read_to_end(*client)).find("bbbend"), std::string::npos);
    loop.wait(server->drain(io::Deadline::after_us(loop, kSecond)));
  }
}

TEST(HttpServerTime, DrainEndsAnAnswerThatIsSilentThoughItsClientsBytesAreNotLookedAt) {
  io::SimLoop loop;
  auto pipe = BodyPipe::make(loop);
  auto server = make_http_server(loop, [&](Request) { return answer_from(*pipe); }, {});
  auto listener = std::make_unique<MemoryListener>(loop);
  auto client = listener->connect();
  server->serve(std::move(listener), "http", "");
  const std::string request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  loop.wait(write(*client, request + request));
  loop.run_for(kSecond);
  int64_t start = loop.now_us();
  loop.wait(server->drain(io::Deadline::after_us(loop, 5 * kSecond)));
  EXPECT_EQ(loop.now_us() - start, 5 * kSecond);
}

TEST(HttpServerTime, TakesNoMoreOfABodyThanTheHandlerReads) {
  Playground play;
  auto client = play.listener->connect(10'000);
  io::TaskGroup writing(play.loop);
  writing.spawn(write(*client, "PUT /wait HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + std::string(100'000, 'x')));
  play.loop.run_for(10 * kSecond);
  EXPECT_EQ(writing.running(), 1u);  // still blocked: the handler does not read
  EXPECT_TRUE(play.loop.wait(read_some(*client)).ends_with("done"));
  play.loop.wait(writing.drain());  // then the rest is swallowed
}

TEST(HttpServerTime, DrainLetsRequestsFinishAndClosesIdleConnectionsAtOnce) {
  Playground play;
  auto idle = play.listener->connect();
  play.loop.wait(write(*idle, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  play.loop.wait(read_some(*idle));
  auto busy = play.listener->connect();
  play.loop.wait(write(*busy, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"));
  play.loop.run_for(kSecond);
  EXPECT_EQ(play.server->connections(), 2u);

  io::TaskGroup group(play.loop);
  group.spawn(play.server->drain(io::Deadline::after_us(play.loop, 60 * kSecond)));
  play.loop.run_for(kSecond);
  EXPECT_EQ(play.server->connections(), 1u);
  EXPECT_EQ(play.loop.wait(read_to_end(*idle)), "");
  std::string answer = play.loop.wait(read_to_end(*busy));
  EXPECT_TRUE(answer.ends_with("done")) << answer;
  EXPECT_NE(answer.find("\r\nConnection: close\r\n"), std::string::npos) << answer;
  busy->close();
  play.loop.wait(group.drain());
  EXPECT_EQ(play.server->connections(), 0u);
}

TEST(HttpServerTime, DrainCutsWhatIsLeftAtItsDeadline) {
  Playground play;
  auto busy = play.listener->connect();
  play.loop.wait(write(*busy, "PUT /read HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n"));
  play.loop.run_for(kSecond);
  int64_t start = play.loop.now_us();
  play.loop.wait(play.server->drain(io::Deadline::after_us(play.loop, 5 * kSecond)));
  EXPECT_EQ(play.loop.now_us() - start, 5 * kSecond);
}

TEST(HttpServerTime, ADoorNamesItsFunctionAndClosesAlone) {
  Playground play;
  MemoryListener* door = play.open("svc/fn");
  auto through_door = door->connect();
  play.loop.wait(write(*through_door, "GET /door HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_TRUE(play.loop.wait(read_some(*through_door)).ends_with("door=svc/fn"));
  auto front = play.listener->connect();
  play.loop.wait(write(*front, "GET /door HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_TRUE(play.loop.wait(read_some(*front)).ends_with("door="));

  play.server->close_door("svc/fn");
  play.loop.run_for(1);
  auto still = play.listener->connect();
  play.loop.wait(write(*still, "GET /door HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_TRUE(play.loop.wait(read_some(*still)).ends_with("door="));
}

TEST(HttpServerTime, AFunctionsDoorCannotUseUpTheConnectionsOfOthers) {
  Playground ground;
  ground.limits.door_connections = 2;
  auto server = make_http_server(ground.loop, [&ground](Request request) { return play(ground.loop, std::move(request)); }, ground.limits);
  auto made = std::make_unique<MemoryListener>(ground.loop), plain = std::make_unique<MemoryListener>(ground.loop);
  MemoryListener *door = made.get(), *open = plain.get();
  server->serve(std::move(made), "http", "f#1");
  server->serve(std::move(plain), "http", "");
  const std::string request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  auto answer = [&](io::Stream& stream) {
    ground.loop.wait(write(stream, request));
    return ground.loop.wait(read_some(stream)).substr(0, 12);
  };
  auto one = door->connect(), two = door->connect();
  EXPECT_EQ(answer(*one), "HTTP/1.1 200");
  EXPECT_EQ(answer(*two), "HTTP/1.1 200");
  auto three = door->connect();
  EXPECT_EQ(ground.loop.wait(read_some(*three)).substr(0, 12), "HTTP/1.1 503");
  auto other = open->connect();
  EXPECT_EQ(answer(*other), "HTTP/1.1 200");
  one->close();
  ground.loop.run_for(5 * kSecond);
  auto four = door->connect();
  EXPECT_EQ(answer(*four), "HTTP/1.1 200") << "a seat was given back";
  ground.loop.wait(server->drain(io::Deadline::after_us(ground.loop, kSecond)));
}

}  // namespace
}  // namespace mayfly::http
