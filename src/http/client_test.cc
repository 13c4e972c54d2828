#include "http/client.h"

#include <gtest/gtest.h>

#include "http/server.h"
#include "io/group.h"

namespace mayfly::http {
namespace {

using Result = std::expected<std::string, ClientError>;  // "status body"

// A shard with a client on it; the test's coroutine runs to its end on the calling thread.
class ClientTest : public testing::Test {
 protected:
  io::Shard shard{0};
  io::TaskGroup tasks{shard};

  io::Deadline soon(int64_t us = 10 * kMicrosPerSecond) { return io::Deadline::after_us(shard, us); }
  void run(io::Task<void> test) {
    shard.post([this, &test] { tasks.spawn(run_and_stop(shard, std::move(test))); });
    shard.run();
  }
  static io::Task<void> run_and_stop(io::Shard& shard, io::Task<void> test) {
    co_await test;
    shard.stop();
  }
};

io::Task<Result> ask(HttpClient& client, ClientRequest request, io::Deadline deadline) {
  auto response = co_await client.send(std::move(request), deadline);
  if (!response) co_return std::unexpected(response.error());
  auto body = co_await response->body->read_all(8 << 20);
  if (!body) co_return fmt::format("{} broken {}", response->status, static_cast<int>(body.error()));
  co_return fmt::format("{} {}", response->status, *body);
}

// A server of raw bytes: each connection plays one script: for every entry wait for a head, then say it; then close.
struct Script {
  io::Shard& shard;
  std::unique_ptr<io::Listener> listener = shard.listen("127.0.0.1", 0);
  std::vector<std::vector<std::string>> connections{};
  std::vector<std::string> heads{};

  io::Task<void> play() {
    for (const auto& answers : connections) {
      auto stream = co_await listener->accept();
      for (const std::string& answer : answers) {
        std::string head;
        char c;
        while (!head.ends_with("\r\n\r\n")) {
          auto got = co_await stream->read_some({&c, 1}, io::Deadline::never());
          if (!got || *got == 0) break;
          head += c;
        }
        heads.push_back(head);
        (void)co_await stream->write_all(answer, io::Deadline::never());
      }
      stream->close();
    }
    listener->close();
  }
};

io::Task<Response> serve(Request request) {
  if (request.raw_path == "/echo") co_return Response{.stream = std::move(request.body)};
  co_return Response{.status = 201, .body = fmt::format("{} {} {}", request.method, request.raw_path, request.host)};
}

io::Task<void> talk_to_server(io::Shard& shard, io::Deadline deadline) {
  auto server = make_http_server(shard, serve, {});
  auto listener = shard.listen("127.0.0.1", 0);
  uint16_t port = listener->port();
  server->serve(std::move(listener), "http", "");
  auto client = make_http_client(shard, "127.0.0.1", port);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(co_await ask(*client, {.target = "/a?b"}, deadline), fmt::format("201 GET /a 127.0.0.1:{}", port));
  EXPECT_EQ(co_await ask(*client, {.method = "HEAD"}, deadline), "201 ");
  EXPECT_EQ(server->connections(), 1u);  // one connection carried them all
  EXPECT_EQ(co_await ask(*client, {.method = "PUT", .target = "/echo", .body = "small"}, deadline), "200 small");
  std::string large(100'000, 'y');  // echoed while it is still being sent: must fit the sockets' buffers
  EXPECT_EQ(co_await ask(*client, {.method = "PUT", .target = "/echo", .body = large}, deadline), "200 " + large);
  EXPECT_EQ(co_await ask(*client, {.method = "PUT", .target = "/echo", .stream = make_body("streamed")}, deadline), "200 streamed");
  EXPECT_EQ(co_await ask(*client, {.method = "POST"}, deadline), fmt::format("201 POST / 127.0.0.1:{}", port));
  client.reset();
  co_await server->drain(deadline);
}

TEST_F(ClientTest, TalksToTheServerOverOneConnection) { run(talk_to_server(shard, soon())); }

io::Task<void> play_reconnect(io::Shard& shard, io::TaskGroup& tasks, io::Deadline deadline) {
  std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
  Script script{.shard = shard, .connections = {{ok + "1."}, {ok + "2.", ok + "3"}, {ok + "4."}}};
  auto client = make_http_client(shard, "127.0.0.1", script.listener->port());
  tasks.spawn(script.play());
  EXPECT_EQ(co_await ask(*client, {.body = "x"}, deadline), "200 1.");
  EXPECT_EQ(co_await ask(*client, {}, deadline), "200 2.");  // the kept connection was closed: once more on a new one
  EXPECT_EQ(co_await ask(*client, {}, deadline), "200 broken 2");  // part of an answer has come: not repeated
  EXPECT_EQ(co_await ask(*client, {}, deadline), "200 4.");
  EXPECT_EQ(co_await ask(*client, {}, deadline), Result(std::unexpect, ClientError::connect_failed));
  EXPECT_EQ(script.heads.size(), 4u);
}

TEST_F(ClientTest, ReconnectsOnceWhenAKeptConnectionWasClosedBeforeAnyAnswer) { run(play_reconnect(shard, tasks, soon())); }

io::Task<void> play_a_post_that_may_have_begun(io::Shard& shard, io::TaskGroup& tasks, io::Deadline deadline) {
  Script script{.shard = shard, .connections = {{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1", ""}, {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2"}}};
  auto client = make_http_client([&](io::Deadline by) { return shard.connect("127.0.0.1", script.listener->port(), by); }, "function");
  tasks.spawn(script.play());
  EXPECT_EQ(co_await ask(*client, {.method = "POST"}, deadline), "200 1");
  EXPECT_EQ(co_await ask(*client, {.method = "POST"}, deadline), Result(std::unexpect, ClientError::disconnected));  // it was read, and not answered
  EXPECT_EQ(co_await ask(*client, {.method = "POST"}, deadline), "200 2");
  EXPECT_EQ(script.heads.size(), 3u);
  EXPECT_NE(script.heads[0].find("Host: function\r\n"), std::string::npos);
}

TEST_F(ClientTest, APostThatMayHaveBegunIsNotSentTwice) { run(play_a_post_that_may_have_begun(shard, tasks, soon())); }

io::Task<void> play_framings(io::Shard& shard, io::TaskGroup& tasks, io::Deadline deadline) {
  struct Case {
    std::string answer;
    Result wanted;
  };
  auto error = [](ClientError code) { return Result(std::unexpect, code); };
  std::vector<Case> cases{
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", "204 "},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "200 abc"},
      {"HTTP/1.0 200 OK\r\n\r\nuntil the end", "200 until the end"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", "200 broken 2"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n", "200 broken 3"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", error(ClientError::malformed)},
      {"SSH-2.0-OpenSSH\r\n\r\n", error(ClientError::malformed)},
      {"HTTP/1.1 200 OK\r\nX: y", error(ClientError::disconnected)},
      {"", error(ClientError::disconnected)},
  };
  for (const Case& one : cases) {
    Script script{.shard = shard, .connections = {{one.answer}}};
    auto client = make_http_client(shard, "127.0.0.1", script.listener->port());
    io::TaskGroup playing(shard);
    playing.spawn(script.play());
    EXPECT_EQ(co_await ask(*client, {}, deadline), one.wanted) << one.answer;
    co_await playing.drain();
  }
}

TEST_F(ClientTest, UnderstandsEveryFramingAndRefusesTheRest) { run(play_framings(shard, tasks, soon())); }

io::Task<void> play_silence(io::Shard& shard, io::Deadline deadline) {
  auto silent = shard.listen("127.0.0.1", 0);  // the kernel accepts, nobody answers
  auto client = make_http_client(shard, "127.0.0.1", silent->port());
  EXPECT_EQ(co_await ask(*client, {}, deadline), Result(std::unexpect, ClientError::timed_out));
}

TEST_F(ClientTest, GivesUpAtTheDeadline) { run(play_silence(shard, soon(5'000))); }

io::Task<void> play_injection(io::Shard& shard, io::TaskGroup& tasks, io::Deadline deadline) {
  Script script{.shard = shard, .connections = {{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"}}};
  auto client = make_http_client(shard, "127.0.0.1", script.listener->port());
  tasks.spawn(script.play());
  ClientRequest request{};
  request.headers.add("Host", "oss.test");
  request.headers.add("X", "a\r\nY: b");
  request.headers.add("Content-Length", "7");
  EXPECT_EQ(co_await ask(*client, std::move(request), deadline), "200 ");
  EXPECT_EQ(co_await ask(*client, {.target = "/a HTTP/1.1\r\nX: y"}, deadline), Result(std::unexpect, ClientError::malformed));
  EXPECT_EQ(script.heads, std::vector<std::string>{"GET / HTTP/1.1\r\nHost: oss.test\r\nX: a  Y: b\r\n\r\n"});
}

TEST_F(ClientTest, SendsNoFieldThatHidesAnotherAndNoFramingButItsOwn) { run(play_injection(shard, tasks, soon())); }

}  // namespace
}  // namespace mayfly::http
