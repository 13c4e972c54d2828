// Bodies and tunnels through functions that serve a port, in real sandboxes.
#include <sys/stat.h>

#include "base/json.h"
#include "http/body_pipe.h"
#include "runtime/sandbox_fixture.h"

namespace mayfly::runtime {
namespace {

// What a call that streams brought, as its caller sees it.
struct Received {
  std::string http, body;
  bool opened = false, whole = false;
  std::vector<std::string> pieces;
  std::string tunnel_heard;
};

// Reads the body as it comes; after `stop_after` pieces it lets go (0: never).
io::Task<void> read_body(std::unique_ptr<http::Body> body, Received& received, size_t stop_after) {
  while (true) {
    auto piece = co_await body->next();
    received.whole = piece && !*piece;
    if (!piece || !*piece) break;
    received.body += **piece;
    received.pieces.push_back(std::move(**piece));
    if (stop_after != 0 && received.pieces.size() >= stop_after) break;
  }
}

io::Task<void> use_tunnel(std::unique_ptr<io::Stream> tunnel, Received& received) {
  (void)co_await tunnel->write_all("hello", io::Deadline::never());
  char buffer[64];
  auto got = co_await tunnel->read_some(buffer, io::Deadline::never());
  if (got) received.tunnel_heard.assign(buffer, *got);
}

struct Asked {
  std::string method = "GET", path = "/";
  json::object headers{};
  std::unique_ptr<http::Body> body{};
  int64_t timeout_us = 20 * kMicrosPerSecond;
  size_t stop_after = 0;
};

io::Task<Reply> stream_call(io::Shard& shard, Instance& instance, Asked asked, Received& received) {
  io::TaskGroup readers(shard);
  auto streams = std::make_shared<Streams>();
  streams->body = std::move(asked.body);
  streams->opened = [&](Opening opening) {
    received.opened = true;
    received.http = opening.http;
    if (opening.tunnel) readers.spawn(use_tunnel(std::move(opening.tunnel), received));
    if (opening.body) readers.spawn(read_body(std::move(opening.body), received, asked.stop_after));
  };
  std::string http = to_text(json::object{{"method", asked.method}, {"path", asked.path}, {"requestURI", asked.path},
                                       {"clientIP", "10.0.0.1"}, {"host", "h"}, {"headers", asked.headers}});
  Reply reply = co_await instance.call({.request_id = "r", .http = http, .deadline = io::Deadline::after_us(shard, asked.timeout_us), .streams = streams});
  streams.reset();
  co_await readers.drain();
  co_return reply;
}

// Chunked answers, one piece per line of the script.
const char* const kServer = R"(#!/usr/bin/python3
import base64, hashlib, http.server, os, socket, sys, threading, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def log_message(self, *arguments): pass
    def head(self, **fields):
        self.send_response(200)
        self.send_header('Transfer-Encoding', 'chunked')
        for name, value in fields.items(): self.send_header(name, value)
        self.end_headers()
    def piece(self, data):
        self.wfile.write(b'%x\r\n%s\r\n' % (len(data), data))
    def pieces_of_the_request(self):
        while True:
            size = int(self.rfile.readline(), 16)
            data = self.rfile.read(size)
            self.rfile.readline()
            if size == 0: return
            yield data
    def do_GET(self):
        if self.path == '/events':
            self.head(**{'Content-Type': 'text/event-stream'})
            for i in range(3):
                self.piece(b'data: %d\n\n' % i)
            self.piece(b'')
        elif self.path == '/endless':
            self.head()
            self.piece(b'first')
            try:
                self.rfile.read(1)   # until the platform lets go
            finally:
                print('let go', flush=True)
        elif self.path == '/die':
            self.head()
            self.piece(b'half')
            os._exit(3)
        elif self.path == '/sized':
            self.send_response(200)
            self.send_header('Content-Length', str(300000))
            self.end_headers()
            for i in range(3): self.wfile.write(b'z' * 100000)
        elif self.path == '/slow':
            self.head()
            self.piece(b'x')
            threading.Event().wait(60)
        elif self.headers.get('Upgrade') == 'shout':
            self.send_response(101)
            self.send_header('Upgrade', 'shout')
            self.send_header('Connection', 'Upgrade')
            self.end_headers()
            self.connection.sendall(self.connection.recv(100).upper())
            self.close_connection = True
    def do_POST(self):
        self.head()
        for data in self.pieces_of_the_request():
            self.piece(b'%d ' % len(data))
        self.piece(b'')
http.server.ThreadingHTTPServer.daemon_threads = True
http.server.ThreadingHTTPServer(('0.0.0.0', 9000), Handler).serve_forever()
)";

class HttpStreams : public InSandbox {
 protected:
  std::unique_ptr<Instance> server() {
    auto runnable = function("");
    runnable->function.runtime = "custom";
    runnable->function.instance_concurrency = 10;
    std::string path = runnable->code_path + "/bootstrap";
    sys::write_file(path, kServer);
    ::chmod(path.c_str(), 0755);
    return started(runnable);
  }
  Reply ask(Instance& instance, Asked asked) {
    auto shared = std::make_shared<Asked>(std::move(asked));
    return wait<Reply>([&, shared] { return stream_call(shard_, instance, std::move(*shared), received_); });
  }
  Received received_;
};

TEST_F(HttpStreams, AnAnswerIsPassedOnFromItsFirstPiece) {
  auto instance = server();
  Reply reply = ask(*instance, {.path = "/events"});
  EXPECT_EQ(reply.kind, Reply::Kind::ok);
  EXPECT_EQ(reply.body, "");
  EXPECT_TRUE(received_.whole);
  EXPECT_EQ(received_.body, "data: 0\n\ndata: 1\n\ndata: 2\n\n");
  EXPECT_NE(received_.http.find("text/event-stream"), std::string::npos);
  EXPECT_GT(reply.reply_us, 0);
  stop(std::move(instance));
}

TEST_F(HttpStreams, ASizeThatIsKnownStaysKnown) {
  auto instance = server();
  Reply reply = ask(*instance, {.path = "/sized"});
  EXPECT_EQ(received_.body.size() + reply.body.size(), 300'000u);
  stop(std::move(instance));
}

TEST_F(HttpStreams, ACallerThatLetsGoEndsTheCallAndNotTheInstance) {
  auto instance = server();
  Reply reply = ask(*instance, {.path = "/endless", .stop_after = 1});
  EXPECT_EQ(reply.kind, Reply::Kind::ok);
  EXPECT_EQ(received_.body, "first");
  EXPECT_TRUE(instance->alive());
  EXPECT_EQ(ask(*instance, {.path = "/events"}).kind, Reply::Kind::ok);
  stop(std::move(instance));
}

TEST_F(HttpStreams, AServerThatDiesAfterItsFirstPieceBreaksTheBody) {
  auto instance = server();
  Reply reply = ask(*instance, {.path = "/die"});
  EXPECT_EQ(reply.kind, Reply::Kind::died);
  EXPECT_EQ(received_.body, "half");
  EXPECT_FALSE(received_.whole);
  stop(std::move(instance));
}

TEST_F(HttpStreams, ABodyThatIsNotOverInTimeIsCutOff) {
  auto instance = server();
  Reply reply = ask(*instance, {.path = "/slow", .timeout_us = 300'000});
  EXPECT_EQ(reply.kind, Reply::Kind::timed_out);
  EXPECT_TRUE(received_.opened);
  EXPECT_FALSE(received_.whole);
  stop(std::move(instance));
}

io::Task<void> feed(std::shared_ptr<http::BodyPipe> pipe, int pieces) {
  for (int i = 0; i < pieces && co_await pipe->room(); ++i) pipe->push(std::string(1000 + static_cast<size_t>(i), 'x'));
  pipe->end();
}

TEST_F(HttpStreams, ARequestsBodyGoesUpAsItComesWhileTheAnswerComesDown) {
  auto instance = server();
  std::shared_ptr<http::BodyPipe> pipe;
  on_shard([&] {
    pipe = http::BodyPipe::make(shard_);
    group_.spawn(feed(pipe, 2000));
  });
  Reply reply = ask(*instance, {.method = "POST", .body = pipe->reader()});
  EXPECT_EQ(reply.kind, Reply::Kind::ok);
  EXPECT_TRUE(received_.whole);
  EXPECT_TRUE(received_.body.starts_with("1000 1001 1002 ")) << received_.body.substr(0, 50);
  EXPECT_TRUE(received_.body.ends_with("2998 2999 "));
  on_shard([&] { pipe.reset(); });
  stop(std::move(instance));
}

TEST_F(HttpStreams, AnUpgradeBecomesATunnelIntoTheSandbox) {
  auto instance = server();
  Reply reply = ask(*instance, {.headers = {{"Upgrade", json::array{"shout"}}}});
  EXPECT_EQ(reply.kind, Reply::Kind::ok);
  EXPECT_EQ(received_.tunnel_heard, "HELLO");
  EXPECT_NE(received_.http.find("101"), std::string::npos);
  stop(std::move(instance));
}

}  // namespace
}  // namespace mayfly::runtime
