// Functions that serve a port, in real sandboxes: the bootstrap scripts are unmodified servers of Python's standard library.
#include <sys/stat.h>

#include "base/json.h"
#include "http/body_pipe.h"
#include "runtime/http_contract.h"
#include "runtime/http_factory.h"
#include "runtime/sandbox_fixture.h"

namespace mayfly::runtime {
namespace {

// A threading server; `reply` is the body of do(self) that answers every method, with body, say(status, headers, bytes) and os at hand.
std::string server(const std::string& reply, const std::string& setup = "", int port = 9000) {
  return "#!/usr/bin/python3\n"
         "import http.server, json, os, sys, threading, time\n"
         "class Handler(http.server.BaseHTTPRequestHandler):\n"
         "    protocol_version = 'HTTP/1.1'\n"
         "    connections = 0\n"
         "    def setup(self):\n        Handler.connections += 1\n        super().setup()\n"
         "    def log_message(self, *arguments): pass\n"
         "    def say(self, status, headers, data):\n"
         "        self.send_response(status)\n"
         "        for name, value in headers.items(): self.send_header(name, value)\n"
         "        self.send_header('Content-Length', str(len(data)))\n"
         "        self.end_headers()\n"
         "        self.wfile.write(data)\n"
         "    def do(self):\n"
         "        if self.headers.get('Transfer-Encoding') == 'chunked':\n"
         "            body = b''\n"
         "            while True:\n"
         "                size = int(self.rfile.readline(), 16)\n"
         "                body += self.rfile.read(size)\n"
         "                self.rfile.readline()\n"
         "                if size == 0: break\n"
         "        else:\n            body = self.rfile.read(int(self.headers.get('Content-Length') or 0))\n" +
         reply +
         "\n    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = do\n" + setup + "\nhttp.server.ThreadingHTTPServer.daemon_threads = True\n" +
         fmt::format("http.server.ThreadingHTTPServer(('0.0.0.0', {}), Handler).serve_forever()\n", port);
}
const std::string kEcho = "        self.say(200, {}, body)";

io::Task<void> call_one(io::Shard& shard, Instance& instance, Reply& reply) {
  reply = co_await instance.call({.request_id = "r", .payload = "together", .deadline = io::Deadline::after_us(shard, 20 * kMicrosPerSecond)});
}
io::Task<void> together(io::Shard& shard, Instance& instance, std::vector<Reply>& replies) {
  io::TaskGroup group(shard);
  for (Reply& reply : replies) group.spawn(call_one(shard, instance, reply));
  co_await group.drain();
}

class HttpExecutor : public InSandbox {
 protected:
  std::shared_ptr<functions::Runnable> with_bootstrap(const std::string& text, const std::string& name = "bootstrap") {
    auto runnable = function("");
    runnable->function.runtime = "custom";
    std::string path = runnable->code_path + "/" + name;
    sys::write_file(path, text);
    ::chmod(path.c_str(), 0755);
    return runnable;
  }
  static std::string describe(const std::string& method, const std::string& path, json::object headers = {}, const std::string& query = "") {
    return to_text(json::object{{"method", method}, {"path", path}, {"requestURI", "/2016-08-15/proxy/photos/f" + path + (query.empty() ? "" : "?" + query)},
                                {"clientIP", "10.1.2.3"},
                                {"host", "faces.example.com"}, {"scheme", "http"},
                                {"basePath", "/2016-08-15/proxy/photos/f"}, {"queries", json::object()}, {"headers", std::move(headers)}});
  }
  std::string failure_of(std::shared_ptr<functions::Runnable> runnable) {
    auto instance = start(std::move(runnable));
    return instance ? "started" : instance.error().message;
  }
};

TEST_F(HttpExecutor, AnEventIsPostedToInvokeWithTheContextInHeaders) {
  auto runnable = with_bootstrap(server("        self.say(200, {}, json.dumps([self.command, self.path, body.decode(), {k.lower(): v for k, v in self.headers.items() if k.lower().startswith('x-fc')}]).encode())"));
  auto instance = started(runnable);
  Reply reply = call(*instance, "event");
  EXPECT_EQ(reply.kind, Reply::Kind::ok);
  auto seen = parse_json(reply.body).value().as_array();
  EXPECT_EQ(seen[0].as_string(), "POST");
  EXPECT_EQ(seen[1].as_string(), "/invoke");
  EXPECT_EQ(seen[2].as_string(), "event");
  const auto& fields = seen[3];
  for (const auto& [name, value] : std::map<std::string, std::string>{{"x-fc-request-id", "request-1"},
                                                                      {"x-fc-access-key-id", "STS.key"}, {"x-fc-access-key-secret", "secret"},
                                                                      {"x-fc-security-token", "token"},
                                                                      {"x-fc-function-name", runnable->function.name}, {"x-fc-function-handler", "index.handler"},
                                                                      {"x-fc-function-memory", "128"}, {"x-fc-function-timeout", "5"}, {"x-fc-service-name", "photos"},
                                                                      {"x-fc-region", "cn-hangzhou"}, {"x-fc-account-id", "1234567890"}, {"x-fc-qualifier", "LATEST"},
                                                                      {"x-fc-control-path", "/invoke"}, {"x-fc-retry-count", "0"}, {"x-fc-initialization-timeout", "3"}})
    EXPECT_EQ(string_or(fields, name, "absent"), value) << name;
  EXPECT_GT(instance->phases().sandbox_us, 0);
  EXPECT_GT(instance->phases().runtime_us, 0);
  stop(std::move(instance));
}

TEST_F(HttpExecutor, AnHttpFunctionGetsTheRequestAsItCame) {
  auto runnable = with_bootstrap(server("        self.say(201, {'X-One': 'a'}, json.dumps([self.command, self.path, body.decode(), self.headers['Host'], self.headers['X-Custom'], self.headers['X-Forwarded-For'], "
                                        "self.headers['x-fc-control-path'], self.headers['x-fc-base-path']]).encode())"));
  auto instance = started(runnable);
  json::object headers{{"Host", {"faces.example.com"}}, {"X-Custom", {"yes"}}, {"Connection", {"close"}}};
  Reply reply = call(*instance, "body", 20 * kMicrosPerSecond, describe("PUT", "/a%2Fb/", std::move(headers), "q=1%202&q=3"));
  EXPECT_EQ(reply.body, R"(["PUT", "/a%2Fb/?q=1%202&q=3", "body", "faces.example.com", "yes", "10.1.2.3", "/http-invoke", "/2016-08-15/proxy/photos/f"])");
  auto answer = parse_json(reply.http).value();
  EXPECT_EQ(int_or(answer, "status"), 201);
  EXPECT_EQ(to_text(*find(*find(answer, "headers"), "X-One")), R"(["a"])");
  stop(std::move(instance));
}

TEST_F(HttpExecutor, ConnectionsAreKeptAndCallsRunAtOnce) {
  auto runnable = with_bootstrap(server("        barrier.wait() if body == b'together' else None\n        self.say(200, {}, str(Handler.connections).encode())", "barrier = threading.Barrier(3)"));
  runnable->function.instance_concurrency = 3;
  auto instance = started(runnable);
  std::string first = call(*instance, "").body;
  for (int i = 0; i < 5; ++i) EXPECT_EQ(call(*instance, "").body, first);
  std::vector<Reply> replies(3);
  wait<void>([&] { return together(shard_, *instance, replies); });
  for (const Reply& reply : replies) EXPECT_EQ(reply.kind, Reply::Kind::ok) << reply.body;
  stop(std::move(instance));
}

TEST_F(HttpExecutor, AnErrorOfTheFunctionIsHandledAndAnInternalOneEndsTheInstance) {
  auto instance = started(with_bootstrap(server("        status, own, data = json.loads(body)\n        self.say(status, {'x-fc-status': own} if own else {}, data.encode())")));
  Reply handled = call(*instance, R"([404, "", "{\"errorMessage\":\"no face\"}"])");
  EXPECT_EQ(handled.kind, Reply::Kind::handled_error);
  EXPECT_EQ(handled.body, R"({"errorMessage":"no face"})");
  EXPECT_EQ(call(*instance, R"([200, "404", "plain words"])").body, R"({"errorMessage":"plain words","errorType":"FunctionError"})");
  EXPECT_TRUE(instance->alive());
  Reply failed = call(*instance, R"([500, "", "broken"])");
  EXPECT_EQ(failed.kind, Reply::Kind::failed);
  EXPECT_EQ(failed.body, R"({"errorMessage":"broken","errorType":"FunctionError"})");
  EXPECT_FALSE(instance->alive());
  EXPECT_EQ(call(*instance, "").kind, Reply::Kind::not_started);
  stop(std::move(instance));
}

TEST_F(HttpExecutor, StatusesOfAWebServerAreItsOwn) {
  auto instance = started(with_bootstrap(server("        self.say(int(self.path[1:]), {}, b'x')")));
  for (int status : {404, 500, 302}) {
    Reply reply = call(*instance, "", 20 * kMicrosPerSecond, describe("GET", "/" + std::to_string(status)));
    EXPECT_EQ(reply.kind, Reply::Kind::ok);
    EXPECT_EQ(int_or(parse_json(reply.http).value(), "status"), status);
  }
  EXPECT_TRUE(instance->alive());
  stop(std::move(instance));
}

TEST_F(HttpExecutor, TheInitializerRunsOnceBeforeTheFirstCall) {
  auto runnable = with_bootstrap(server("        seen.append(self.path)\n        self.say(200, {}, json.dumps(seen).encode())", "seen = []"));
  runnable->function.initializer = "index.initializer";
  auto instance = started(runnable);
  EXPECT_EQ(call(*instance, "").body, R"(["/initialize", "/invoke"])");
  EXPECT_GT(instance->phases().init_us, 0);
  stop(std::move(instance));
  runnable = with_bootstrap(server("        self.say(404, {}, b'{\"errorMessage\":\"no model\"}')"));
  runnable->function.initializer = "index.initializer";
  EXPECT_EQ(failure_of(runnable), R"({"errorMessage":"no model"})");
}

TEST_F(HttpExecutor, PreStopIsCalledBeforeTheEnd) {
  auto runnable = with_bootstrap(server("        print(self.command, self.path, *[self.headers['x-fc-' + each] for each in ('access-key-id', 'access-key-secret', 'security-token')], flush=True)\n        self.say(200, {}, b'')"));
  runnable->function.vendor["instanceLifecycleConfig"] = json::object{{"preStop", {{"handler", "index.stop"}, {"timeout", 5}}}};
  auto instance = started(runnable);
  credentials_.access_key_id = "STS.second";
  call(*instance, "");
  stop(std::move(instance));
  EXPECT_NE(printed().find(hooked("PreStop", "GET /pre-stop STS.second secret token\n")), std::string::npos) << printed();
}

TEST_F(HttpExecutor, EverythingInsideStandsStillWhileItIsFrozen) {
  // The server is a child of the bootstrap, in a session of its own.
  auto runnable = with_bootstrap("#!/bin/sh\nsetsid python3 /code/server.py\n");
  sys::write_file(runnable->code_path + "/server.py", server(R"(
        if self.path.startswith('/pre-'): print(self.command, self.path, flush=True)
        self.say(200, {}, str(count).encode()))", R"(
import threading
from time import sleep as pause
count = 0
def work():
    global count
    while True:
        count += 1
        pause(0.001)
threading.Thread(target=work, daemon=True).start())"));
  runnable->function.vendor["instanceLifecycleConfig"] = json::object{{"preFreeze", {{"handler", "index.freeze"}, {"timeout", 5}}}};
  auto instance = started(runnable);
  EXPECT_TRUE(counts_on(*instance));
  EXPECT_LT(counted_while_frozen(*instance), 100);
  EXPECT_EQ(printed(), hooked("PreFreeze", "GET /pre-freeze\n"));
  stop(std::move(instance));
}

TEST_F(HttpExecutor, AServerThatListensElsewhereIsToldSo) {
  auto runnable = with_bootstrap(server(kEcho, "print('hello from the server', flush=True)", 3000));
  runnable->function.initialization_timeout_s = -9;  // with the allowance: one second
  std::string failure = failure_of(runnable);
  EXPECT_NE(failure.find("nothing listens on port 9000"), failure.npos) << failure;
  EXPECT_NE(failure.find("but on 3000; "), failure.npos) << failure;
  EXPECT_NE(failure.find("FC custom runtimes must listen on 0.0.0.0:9000"), failure.npos);
  EXPECT_NE(failure.find("hello from the server"), failure.npos);
}

TEST_F(HttpExecutor, AProgramThatEndsBeforeItListensSaysHow) {
  std::string failure = failure_of(with_bootstrap("#!/bin/sh\necho no such module >&2\nexit 3\n"));
  EXPECT_NE(failure.find("ended with status 3 before anything listened on port 9000"), failure.npos) << failure;
  EXPECT_NE(failure.find("no such module"), failure.npos);
  auto absent = function("");
  absent->function.runtime = "custom";
  EXPECT_NE(failure_of(absent).find("no file \\\"bootstrap\\\""), failure.npos);
  auto plain = with_bootstrap("#!/bin/sh\n");
  ::chmod((plain->code_path + "/bootstrap").c_str(), 0644);
  EXPECT_NE(failure_of(plain).find("chmod 755 bootstrap"), failure.npos);
}

TEST_F(HttpExecutor, PortAndCommandAreAsConfigured) {
  auto runnable = with_bootstrap(server("        self.say(200, {}, json.dumps([os.environ[n] for n in ('FC_SERVER_PORT', 'PORT', 'MINE', 'ALIBABA_CLOUD_ACCESS_KEY_ID')] + sys.argv[1:]).encode())", "", 8080), "app.py");
  runnable->function.vendor["customRuntimeConfig"] = json::object{{"command", {"python3", "app.py"}}, {"args", {"-v"}}};
  runnable->function.vendor["caPort"] = 8080;  // the platform's own port, in this sandbox the function's
  runnable->function.environment["MINE"] = "yes";
  auto instance = started(runnable);
  EXPECT_EQ(call(*instance, "").body, R"(["8080", "8080", "yes", "STS.key", "-v"])");
  stop(std::move(instance));
}

TEST_F(HttpExecutor, AnImageAloneIsNotRun) {
  auto runnable = function("");
  runnable->function.runtime = "custom-container";
  runnable->function.vendor["customContainerConfig"] = json::object{{"image", "registry/app:1"}};
  auto failure = start(runnable);
  ASSERT_FALSE(failure);
  EXPECT_EQ(failure.error().code, StartError::unsupported);
  runnable = with_bootstrap(server(kEcho), "server.py");
  runnable->function.runtime = "custom-container";
  runnable->function.vendor["customContainerConfig"] = json::object{{"image", "registry/app:1"}, {"command", R"(["python3"])"}, {"args", R"(["server.py"])"}};
  auto instance = started(runnable);
  EXPECT_EQ(call(*instance, "in the code folder").body, "in the code folder");
  stop(std::move(instance));
}

TEST_F(HttpExecutor, DeathTimeoutAndSilenceAreEachTold) {
  auto runnable = with_bootstrap(server("        if body == b'die': os._exit(7)\n        if body == b'hang': time.sleep(60)\n        if body == b'close':\n            self.close_connection = True\n            return\n" + kEcho));
  auto instance = started(runnable);
  Reply silent = call(*instance, "close");
  EXPECT_EQ(silent.kind, Reply::Kind::failed);
  EXPECT_NE(silent.body.find("closed the connection without an answer"), silent.body.npos);
  stop(std::move(instance));
  instance = started(runnable);
  Reply dead = call(*instance, "die");
  EXPECT_EQ(dead.kind, Reply::Kind::died);
  EXPECT_EQ(WEXITSTATUS(dead.exit_status), 7);
  EXPECT_EQ(call(*instance, "x").kind, Reply::Kind::not_started);
  stop(std::move(instance));
  instance = started(runnable);
  EXPECT_EQ(call(*instance, "hang", 200'000).kind, Reply::Kind::timed_out);
  EXPECT_FALSE(instance->alive());
  stop(std::move(instance));
}

TEST_F(HttpExecutor, WhatIsPrintedBelongsToTheCall) {
  auto instance = started(with_bootstrap(server("        print('working on', body.decode(), flush=True)\n" + kEcho)));
  call(*instance, "it");
  stop(std::move(instance));
  bool found = false;
  on_shard([&] {
    for (const auto& piece : printed_) found = found || (piece.text == "working on it\n" && piece.request == "request-1");
  });
  EXPECT_TRUE(found);
}

}  // namespace
}  // namespace mayfly::runtime
