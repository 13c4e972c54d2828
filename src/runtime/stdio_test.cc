// A process per request (openfaas.md section 16), in real sandboxes; the functions are shell lines and scripts.
#include <sys/stat.h>

#include "base/json.h"
#include "runtime/sandbox_fixture.h"
#include "runtime/stdio_request.h"

namespace mayfly::runtime {
namespace {

TEST(StdioSettings, DurationsAreGosOrSeconds) {
  EXPECT_EQ(go_duration_us("30", 0), 30'000'000);
  EXPECT_EQ(go_duration_us("1m30s", 0), 90'000'000);
  EXPECT_EQ(go_duration_us("500ms", 0), 500'000);
  EXPECT_EQ(go_duration_us("1h", 0), 3'600'000'000);
  EXPECT_EQ(go_duration_us("soon", 7), 7);
  EXPECT_EQ(go_duration_us("", 7), 7);
}

TEST(StdioRequest, HeadersBecomeVariablesInGosSpelling) {
  StdioRequest request = stdio_request(R"({"method":"PUT","path":"/a b","requestURI":"/x?q=1&r","host":"h:8080","headers":{"x-custom-id":["one","two"],"Content-Type":["t"],"Host":["h"]}})");
  EXPECT_EQ(request_environment(request, 5, {}), (std::vector<std::string>{"Http_ContentLength=5", "Http_Content_Length=5", "Http_Content_Type=t", "Http_Host=h:8080",
                                                                           "Http_Method=PUT",
                                                                           "Http_Path=/a b", "Http_Query=q=1&r", "Http_X_Custom_Id=one"}));
  EXPECT_TRUE(request_environment(request, 5, {.cgi_headers = false}).empty());
  EXPECT_EQ(marshalled(request, "hi"), R"({"header":{"X-Custom-Id":["one","two"],"Content-Type":["t"],"Host":["h"]},"body":{"raw":"aGk="}})");
}

io::Task<void> call_into(Instance& instance, std::string http, std::shared_ptr<std::optional<Reply>> into, io::Deadline deadline) {
  *into = co_await instance.call({.request_id = "first", .http = std::move(http), .deadline = deadline});
}

class Stdio : public InSandbox {
 protected:
  std::shared_ptr<functions::Runnable> with(std::map<std::string, std::string> environment, const std::string& runtime = "classic-watchdog") {
    auto runnable = function("");
    runnable->function.runtime = runtime;
    runnable->function.environment = std::move(environment);
    runnable->function.instance_concurrency = 4;
    return runnable;
  }
  std::shared_ptr<functions::Runnable> with_script(const std::string& text, std::map<std::string, std::string> environment = {}, const std::string& runtime = "classic-watchdog") {
    environment["fprocess"] = "./fn a  b";
    auto runnable = with(std::move(environment), runtime);
    std::string path = runnable->code_path + "/fn";
    sys::write_file(path, "#!/bin/sh\n" + text + "\n");
    ::chmod(path.c_str(), 0755);
    return runnable;
  }
  static std::string describe(const std::string& method, const std::string& path = "/", json::object headers = {}) {
    return to_text(json::object{{"method", method}, {"path", path}, {"requestURI", path + "?q=1"}, {"host", "h"}, {"headers", std::move(headers)}});
  }
  Reply ask(Instance& instance, const std::string& method, const std::string& payload = "", const std::string& path = "/", json::object headers = {}) {
    return call(instance, payload, 20 * kMicrosPerSecond, describe(method, path, std::move(headers)));
  }
  static int status_of(const Reply& reply) { return static_cast<int>(int_or(parse_json(reply.http).value(), "status")); }
  static std::string field_of(const Reply& reply, std::string_view name) {
    const json::value answer = parse_json(reply.http).value();
    return string_or(*find(answer, "headers"), name);
  }
};

TEST_F(Stdio, EachRequestIsAProcessWithBodyOnStdinAndReplyOnStdout) {
  auto instance = started(with({{"fprocess", "cat"}}));
  Reply reply = ask(*instance, "POST", "hello", "/", {{"Content-Type", json::array{"text/plain"}}});
  EXPECT_EQ(reply.body, "hello");
  EXPECT_EQ(status_of(reply), 200);
  EXPECT_EQ(field_of(reply, "Content-Type"), "text/plain");
  EXPECT_NE(field_of(reply, "X-Duration-Seconds"), "");
  std::string large(3 << 20, 'x');
  EXPECT_EQ(ask(*instance, "POST", large).body, large);
  stop(std::move(instance));
  std::string log = printed();
  EXPECT_NE(log.find(" Forking fprocess.\n"), log.npos) << log;
  EXPECT_NE(log.find(" Wrote 5 Bytes - Duration: 0.0"), log.npos) << log;
}

TEST_F(Stdio, TheRequestIsInTheEnvironmentAndWordsAreSplitAtSpaces) {
  auto instance = started(with_script("echo $# $1 $2 $Http_Method $Http_Path $Http_Query $Http_X_Custom $MINE", {{"MINE", "yes"}}));
  EXPECT_EQ(ask(*instance, "PATCH", "", "/p", {{"X-Custom", json::array{"c"}}}).body, "2 a b PATCH /p q=1 c yes\n");
  stop(std::move(instance));
}

TEST_F(Stdio, AFailureIs500WithItsStatusAndItsOutput) {
  auto instance = started(with_script("echo partly; echo complaint >&2; exit 3"));
  Reply reply = ask(*instance, "POST");
  EXPECT_EQ(status_of(reply), 500);
  EXPECT_EQ(reply.body, "exit status 3\npartly\ncomplaint\n");
  EXPECT_EQ(status_of(ask(*instance, "POST")), 500) << "the next request is served by another process";
  stop(std::move(instance));
  instance = started(with({{"fprocess", "/no/such/program"}}));
  EXPECT_EQ(status_of(ask(*instance, "POST")), 500);
  stop(std::move(instance));
}

TEST_F(Stdio, ErrorsGoToTheLogWhenTheyAreNotCombined) {
  auto instance = started(with_script("echo answer; echo complaint >&2", {{"combine_output", "false"}, {"content_type", "text/css"}}));
  Reply reply = ask(*instance, "GET");
  EXPECT_EQ(reply.body, "answer\n");
  EXPECT_EQ(field_of(reply, "Content-Type"), "text/css");
  stop(std::move(instance));
  EXPECT_NE(printed().find("stderr: complaint"), std::string::npos);
}

TEST_F(Stdio, WhatRunsTooLongIsKilled) {
  auto instance = started(with_script("sleep 60 & sleep 60", {{"exec_timeout", "200ms"}}));
  Reply reply = ask(*instance, "POST");
  EXPECT_EQ(status_of(reply), 408);
  EXPECT_EQ(reply.body, "Killed process.\n");
  EXPECT_TRUE(instance->alive());
  stop(std::move(instance));
}

TEST_F(Stdio, MoreOutputThanAReplyHoldsIs500AndEndsNobodyElse) {
  auto runnable = with_script("read what; [ \"$what\" = much ] && exec head -c 40000000 /dev/zero; echo little");
  runnable->function.memory_mb = 512;
  auto instance = started(runnable);
  Reply reply = ask(*instance, "POST", "much\n");
  EXPECT_EQ(status_of(reply), 500);
  EXPECT_EQ(reply.body, "the output is larger than 34598912 bytes\n");
  EXPECT_EQ(ask(*instance, "POST", "\n").body, "little\n");
  stop(std::move(instance));
}

TEST_F(Stdio, UnusualVerbsAreRefusedAndHealthIsAnswered) {
  auto instance = started(with({{"fprocess", "cat"}}));
  EXPECT_EQ(status_of(ask(*instance, "OPTIONS")), 405);
  Reply health = ask(*instance, "GET", "", "/_/health");
  EXPECT_EQ(status_of(health), 200);
  EXPECT_EQ(health.body, "OK");
  EXPECT_EQ(status_of(ask(*instance, "POST", "", "/_/health")), 405);
  stop(std::move(instance));
}

TEST_F(Stdio, BeyondMaxInflightIs429) {
  auto instance = started(with_script("while [ ! -e /tmp/go ]; do sleep 0.01; done; echo done", {{"max_inflight", "1"}}));
  auto first = std::make_shared<std::optional<Reply>>();
  on_shard([&] { group_.spawn(call_into(*instance, describe("POST"), first, io::Deadline::after_us(shard_, 20 * kMicrosPerSecond))); });
  Reply second = ask(*instance, "POST");
  EXPECT_EQ(status_of(second), 429);
  stop(std::move(instance));
  wait<void>([this] { return group_.drain(); }, Drain::yes);
}

TEST_F(Stdio, OfWatchdogSerializesOrStreams) {
  auto instance = started(with_script("cat; exit 1", {{"mode", "serializing"}}, "of-watchdog"));
  Reply failed = ask(*instance, "POST", "x");
  EXPECT_EQ(status_of(failed), 500);
  EXPECT_EQ(failed.body, "exit status 1\n");
  stop(std::move(instance));
  instance = started(with_script("cat; exit 1", {}, "of-watchdog"));  // streaming is its default
  Reply streamed = ask(*instance, "POST", "x");
  EXPECT_EQ(status_of(streamed), 200);
  EXPECT_EQ(streamed.body, "x");
  EXPECT_EQ(field_of(streamed, "Content-Type"), "application/octet-stream");
  stop(std::move(instance));
  EXPECT_NE(printed().find("POST / - 200 OK - ContentLength: 1B ("), std::string::npos) << printed();
}

TEST_F(Stdio, OfWatchdogsHttpModeStartsTheServerOnce) {
  auto runnable = with({{"mode", "http"}, {"upstream_url", "http://127.0.0.1:5000"}, {"fprocess", "python3 server.py"}}, "of-watchdog");
  sys::write_file(runnable->code_path + "/server.py",
                  "import http.server, os\nclass H(http.server.BaseHTTPRequestHandler):\n    def log_message(self, *a): pass\n    def do_GET(self):\n        data = str(os.getpid()).encode()\n"
                  "        self.send_response(200)\n        self.send_header('Content-Length', str(len(data)))\n        self.end_headers()\n        self.wfile.write(data)\n"
                  "http.server.HTTPServer(('127.0.0.1', 5000), H).serve_forever()\n");
  auto instance = started(runnable);
  Reply first = ask(*instance, "GET");
  EXPECT_EQ(status_of(first), 200);
  EXPECT_EQ(ask(*instance, "GET").body, first.body);
  EXPECT_NE(first.http.find("X-Duration-Seconds"), std::string::npos);
  stop(std::move(instance));
}

TEST_F(Stdio, WithoutAProcessThereIsNothingToStart) {
  auto failed = start(with({}));
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find("fprocess is not set"), std::string::npos);
}

}  // namespace
}  // namespace mayfly::runtime
