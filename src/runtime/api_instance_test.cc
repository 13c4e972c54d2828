// Programs that ask for their calls, in real sandboxes: each writes its part of the contract by hand, in Python or bash.
#include "base/json.h"
#include "runtime/sandbox_fixture.h"

namespace mayfly::runtime {
namespace {

// What the Python programs below begin with. ask() is one request on a connection of its own.
constexpr std::string_view kAsk = R"(#!/usr/bin/python3
import http.client, json, os, signal, sys, threading
from time import sleep as pause
API = os.environ.get("AWS_LAMBDA_RUNTIME_API") or os.environ.get("FC_RUNTIME_API") or os.environ["SCF_RUNTIME_API"] + ":" + os.environ["SCF_RUNTIME_API_PORT"]
ROOT = "/2018-06-01" if "AWS_LAMBDA_RUNTIME_API" in os.environ else "/2020-11-11" if "FC_RUNTIME_API" in os.environ else ""
def ask(method, path, body=None, headers={}, **more):
    connection = http.client.HTTPConnection(API)
    connection.request(method, ROOT + "/runtime/" + path, body, headers, **more)
    answer = connection.getresponse()
    return answer, answer.read().decode()
def take():
    answer, event = ask("GET", "invocation/next")
    if answer.status != 200: sys.exit("next: %d %s" % (answer.status, event))
    return answer.headers.get("lambda-runtime-aws-request-id") or answer.headers.get("x-fc-request-id"), event, answer.headers
def give(id, body, headers={}, **more):
    return ask("POST", ("invocation/" + id + "/response") if ROOT else "invocation/response", body, headers, **more)[0].status
)";

class ApiInstances : public InSandbox {
 protected:
  // A function of `runtime` whose program is the given text.
  std::shared_ptr<functions::Runnable> program(std::string runtime, const std::string& text, std::string file = "bootstrap") {
    auto runnable = function("");
    std::string path = runnable->code_path + "/" + file;
    sys::write_file(path, text);
    std::filesystem::permissions(path, std::filesystem::perms(0755));
    runnable->function.runtime = std::move(runtime);
    runnable->function.handler = "index.handler";
    runnable->function.initialization_timeout_s = 5;
    return runnable;
  }
  std::shared_ptr<functions::Runnable> python(std::string runtime, const std::string& text) { return program(std::move(runtime), std::string(kAsk) + text); }
  std::string failure(std::shared_ptr<functions::Runnable> runnable) {
    auto instance = start(std::move(runnable));
    if (instance) {
      stop(std::move(*instance));
      return "it started";
    }
    const auto& error = instance.error();
    return fmt::format("{} {}{}", static_cast<int>(error.code), error.message, error.hint.empty() ? "" : ": " + error.hint);
  }
};

TEST_F(ApiInstances, ALambdaProgramAsksForItsCallsOneByOne) {
  auto instance = started(python("provided.al2023", R"(
calls = 0
while True:
    id, event, headers = take()
    calls += 1
    print("call", calls, flush=True)
    give(id, json.dumps([calls, event, os.getcwd(), {name: value for name, value in headers.items() if name.startswith("Lambda-")}]))
)"));
  EXPECT_GT(instance->phases().sandbox_us, 0);
  EXPECT_GT(instance->phases().init_us, 0);
  Reply reply = call(*instance, R"({"a":1})");
  EXPECT_EQ(reply.kind, Reply::Kind::ok);
  auto said = parse_json(reply.body);
  ASSERT_TRUE(said) << reply.body;
  auto& list = said->get_array();
  EXPECT_EQ(to_text(list[0]), "1");
  EXPECT_EQ(to_text(list[1]), R"("{\"a\":1}")");
  EXPECT_EQ(to_text(list[2]), R"("/var/task")");
  EXPECT_EQ(string_or(list[3], "Lambda-Runtime-Aws-Request-Id"), "request-1");
  EXPECT_EQ(string_or(list[3], "Lambda-Runtime-Invoked-Function-Arn"), "arn:aws:lambda:cn-hangzhou:1234567890:function:detect-1");
  EXPECT_TRUE(string_or(list[3], "Lambda-Runtime-Trace-Id").starts_with("Root=1-"));
  int64_t left_ms = std::stoll(string_or(list[3], "Lambda-Runtime-Deadline-Ms")) - SystemClock().wall_us() / 1000;
  EXPECT_GT(left_ms, 0);
  EXPECT_LE(left_ms, 20'000);
  EXPECT_TRUE(call(*instance, "x").body.starts_with("[2, \"x\""));
  EXPECT_GT(reply.memory_bytes, 0);
  stop(std::move(instance));
  EXPECT_EQ(printed(), "call 1\ncall 2\n");
}

TEST_F(ApiInstances, ALambdaProgramFindsTheEnvironmentOfItsVendor) {
  auto runnable = python("go1.x", "id, event, headers = take()\ngive(id, json.dumps(dict(os.environ)))\npause(60)\n");
  std::filesystem::rename(runnable->code_path + "/bootstrap", runnable->code_path + "/index.handler");
  runnable->function.environment = {{"TZ", "Asia/Shanghai"}, {"_HANDLER", "forged"}, {"COLOUR", "red"}};
  auto instance = started(runnable);
  auto seen = parse_json(call(*instance, "{}").body).value();
  EXPECT_EQ(string_or(seen, "_HANDLER"), "index.handler");
  EXPECT_EQ(string_or(seen, "TZ"), "Asia/Shanghai");
  EXPECT_EQ(string_or(seen, "COLOUR"), "red");
  EXPECT_EQ(string_or(seen, "LAMBDA_TASK_ROOT"), "/var/task");
  EXPECT_EQ(string_or(seen, "LAMBDA_RUNTIME_DIR"), "/var/runtime");
  EXPECT_EQ(string_or(seen, "AWS_LAMBDA_FUNCTION_VERSION"), "$LATEST");
  EXPECT_EQ(string_or(seen, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), "128");
  EXPECT_EQ(string_or(seen, "AWS_LAMBDA_LOG_GROUP_NAME"), "/aws/lambda/detect-1");
  EXPECT_EQ(string_or(seen, "AWS_EXECUTION_ENV"), "AWS_Lambda_go1.x");
  EXPECT_EQ(string_or(seen, "AWS_REGION"), "cn-hangzhou");
  EXPECT_EQ(string_or(seen, "AWS_ACCESS_KEY_ID"), "STS.key");
  EXPECT_EQ(string_or(seen, "AWS_SESSION_TOKEN"), "token");
  stop(std::move(instance));
}

TEST_F(ApiInstances, AnErrorIsTheProgramsOwnAndADeathTellsItsStatus) {
  auto instance = started(python("provided", R"(
id, event, headers = take()
ask("POST", "invocation/" + id + "/error", json.dumps({"errorMessage": "no such face", "errorType": "NotFound", "stackTrace": []}))
id, event, headers = take()
sys.exit(3)
)"));
  Reply error = call(*instance, "{}");
  EXPECT_EQ(error.kind, Reply::Kind::handled_error);
  EXPECT_EQ(error.body, R"({"errorMessage": "no such face", "errorType": "NotFound", "stackTrace": []})");
  Reply death = call(*instance, "{}");
  EXPECT_EQ(death.kind, Reply::Kind::died);
  EXPECT_EQ(WEXITSTATUS(death.exit_status), 3);
  EXPECT_EQ(death.body, R"({"errorMessage":"RequestId: request-2 Error: Runtime exited with error: exit status 3","errorType":"Runtime.ExitError"})");
  EXPECT_FALSE(instance->alive());
  EXPECT_EQ(call(*instance, "{}").kind, Reply::Kind::not_started);
  stop(std::move(instance));
}

TEST_F(ApiInstances, ACallThatTheProgramHasNotAskedForIsNotStarted) {
  auto instance = started(python("provided", R"(
id, event, headers = take()
give(id, "1")
pause(0.2)
sys.exit(1)
)"));
  EXPECT_EQ(call(*instance, "{}").body, "1");
  EXPECT_EQ(call(*instance, "{}").kind, Reply::Kind::not_started);
  stop(std::move(instance));
}

TEST_F(ApiInstances, ATimeoutEndsTheProgram) {
  auto instance = started(python("provided", "take()\npause(600)\n"));
  Reply reply = call(*instance, "{}", 200'000);
  EXPECT_EQ(reply.kind, Reply::Kind::timed_out);
  EXPECT_NE(reply.body.find("request-1 Task timed out after 5.00 seconds"), std::string::npos) << reply.body;
  EXPECT_FALSE(instance->alive());
  stop(std::move(instance));
}

TEST_F(ApiInstances, AStartThatFailsSaysWhy) {
  EXPECT_EQ(failure(python("provided", R"(ask("POST", "init/error", json.dumps({"errorMessage": "no model", "errorType": "Init"}));pause(60))")),
            fmt::format(R"({} {{"errorMessage": "no model", "errorType": "Init"}})", static_cast<int>(StartError::initializer)));
  EXPECT_NE(failure(python("provided", "sys.exit(7)\n")).find("Runtime exited with error: exit status 7"), std::string::npos);
  auto silent = python("CustomRuntime", "pause(60)\n");
  silent->function.initialization_timeout_s = 1;
  EXPECT_EQ(failure(silent), fmt::format("{} the program has not posted /runtime/init/ready within 1 s", static_cast<int>(StartError::timed_out)));
  auto without = function("");
  without->function.runtime = "provided";
  EXPECT_NE(failure(without).find("Couldn't find valid bootstrap(s): [/var/task/bootstrap]"), std::string::npos);
  without->function.runtime = "CustomRuntime";
  EXPECT_NE(failure(without).find("bootstrap not found"), std::string::npos);
  without->function.runtime = "go1";
  EXPECT_NE(failure(without).find("/code/index.handler /code/bootstrap"), std::string::npos);
  auto plain = program("provided", "#!/bin/sh\n");
  std::filesystem::permissions(plain->code_path + "/bootstrap", std::filesystem::perms(0644));
  EXPECT_NE(failure(plain).find("/var/task/bootstrap is not executable"), std::string::npos);
}

TEST_F(ApiInstances, AProgramThatUsesTooMuchMemoryIsSaidToHave) {
  auto instance = started(python("provided", "take()\nwhole = b'x' * (1 << 30)\npause(60)\n"));
  EXPECT_EQ(call(*instance, "{}").kind, Reply::Kind::out_of_memory);
  stop(std::move(instance));
}

struct Opened {
  std::promise<Opening> opening;
};
io::Task<std::string> read_rest(std::unique_ptr<http::Body> body) {
  auto all = co_await body->read_all(1 << 20);
  body.reset();
  co_return all ? *all : "broken";
}

TEST_F(ApiInstances, AStreamedReplyReachesItsCallerPieceByPiece) {
  auto instance = started(python("provided", R"(
while True:
    id, event, headers = take()
    def pieces():
        yield b'{"statusCode": 201, "headers": {"X-A": "1"}, "cookies": ["c=1"]}' + b"\0" * 8 + b"one,"
        if event == "wait": pause(600)
        yield b"two"
    give(id, pieces(), {"Lambda-Runtime-Function-Response-Mode": "streaming", "Content-Type": "application/vnd.awslambda.http-integration-response"}, encode_chunked=True)
)"));
  for (bool live : {true, false}) {
    Opened opened;
    auto streams = std::make_shared<Streams>();
    streams->body = http::make_body("go");
    if (live) streams->opened = [&](Opening opening) { opened.opening.set_value(std::move(opening)); };
    Reply reply = wait<Reply>([&] {
      return instance->call({.request_id = "r", .http = R"({"method":"GET","path":"/"})", .deadline = io::Deadline::after_us(shard_, 20 * kMicrosPerSecond), .streams = streams});
    });
    EXPECT_EQ(reply.kind, Reply::Kind::ok);
    std::string head = R"({"status":201,"headers":{"X-A":["1"],"Set-Cookie":["c=1"]}})";
    if (live) {
      Opening opening = opened.opening.get_future().get();
      EXPECT_EQ(opening.http, head);
      EXPECT_EQ(wait<std::string>([&] { return read_rest(std::move(opening.body)); }), "one,two");
    }
    EXPECT_EQ(reply.body, live ? "" : "one,two");
    EXPECT_EQ(reply.http, live ? "" : head);
  }
  stop(std::move(instance));
}

TEST_F(ApiInstances, AProgramThatEndsWhileItStreamsHasDied) {
  auto instance = started(python("provided", R"(
id, event, headers = take()
def pieces():
    yield b"one"
    os._exit(4)
give(id, pieces(), {"Lambda-Runtime-Function-Response-Mode": "streaming"}, encode_chunked=True)
)"));
  Reply reply = call(*instance, "{}");
  EXPECT_EQ(reply.kind, Reply::Kind::died);
  EXPECT_EQ(WEXITSTATUS(reply.exit_status), 4);
  stop(std::move(instance));
}

TEST_F(ApiInstances, ABashBootstrapOfScfServesEventsUntilOneFails) {
  auto runnable = program("CustomRuntime", R"(#!/bin/sh
set -euo pipefail
API=http://$SCF_RUNTIME_API:$SCF_RUNTIME_API_PORT
curl -d " " -X POST -s $API/runtime/init/ready
HEADERS=/tmp/headers
while true; do
  EVENT_DATA=$(curl -sS -LD "$HEADERS" -X GET -s $API/runtime/invocation/next)
  grep -q ^request_id: $HEADERS; grep -q ^memory_limit_in_mb: $HEADERS; grep -q ^time_limit_in_ms: $HEADERS
  RESPONSE=$(./module "$_HANDLER" <<< "$EVENT_DATA")
  curl -X POST -s $API/runtime/invocation/response -d "$RESPONSE"
done
)");
  std::string module = runnable->code_path + "/module";
  sys::write_file(module, "#!/bin/bash\nread -r line; [ \"$line\" != fail ] || exit 9; echo \"$1 $PWD $line\"; echo\n");
  std::filesystem::permissions(module, std::filesystem::perms(0755));
  auto instance = started(runnable);
  EXPECT_EQ(call(*instance, "a&b=c\n").body, "index.handler /var/user a&b=c");
  EXPECT_EQ(call(*instance, "two").body, "index.handler /var/user two");
  Reply death = call(*instance, "fail");
  EXPECT_EQ(death.kind, Reply::Kind::died);
  EXPECT_EQ(death.body, R"({"errorCode":-1,"errorMessage":"Process exited (exit status 9) before it answered","errorType":"ContainerStateExited","statusCode":405})");
  stop(std::move(instance));
}

TEST_F(ApiInstances, FcHooksComeAsCallsAndSeveralCallsRunAtOnce) {
  auto runnable = python("go1", R"(
lock, first = threading.Lock(), []
def serve(id, event, headers):
    kind = headers["x-fc-function-type"]
    if kind != "0":
        print("hook", kind, flush=True)
        return give(id, b"")
    with lock:
        first.append(id)
        mine = len(first) == 1
    while mine and len(first) < 2: pause(0.001)
    give(id, headers["x-fc-access-key-id"] + " " + headers["x-fc-function-timeout"] + " " + event)
while True:
    threading.Thread(target=serve, args=take()).start()
)");
  runnable->function.instance_concurrency = 2;
  runnable->function.initializer = "init";
  runnable->function.vendor["instanceLifecycleConfig"] = json::object{{"preStop", {{"handler", "stop"}}}, {"preFreeze", {{"handler", "freeze"}}}};
  auto instance = started(runnable);
  EXPECT_GT(instance->phases().init_us, 0);
  EXPECT_EQ(printed(), hooked("Initialize", "hook 1\n"));
  // The first answers only once the second has come.
  std::promise<Reply> first;
  std::thread other([&] { first.set_value(call(*instance, "one")); });
  std::string bodies = call(*instance, "two").body + "," + first.get_future().get().body;
  other.join();
  EXPECT_TRUE(bodies == "STS.key 5 one,STS.key 5 two" || bodies == "STS.key 5 two,STS.key 5 one") << bodies;
  // Nothing happens until the program has asked for its next call.
  for (int tries = 0; tries < 500 && printed().find("hook 3") == std::string::npos; ++tries) {
    wait<void>([&] { return instance->freeze(); });
    wait<void>([&] { return io::sleep_us(shard_, 10'000); });
  }
  stop(std::move(instance));
  EXPECT_EQ(printed(), hooked("Initialize", "hook 1\n") + hooked("PreFreeze", "hook 3\n") + hooked("PreStop", "hook 2\n"));
}

TEST_F(ApiInstances, AnEndIsAskedForBeforeItIsForced) {
  auto instance = started(python("provided", R"(
def leave(number, frame):
    print("leaving", flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, leave)
take()
)"));
  stop(std::move(instance));
  EXPECT_EQ(printed(), "leaving\n");
}

class ApiInstancesWithoutSandbox : public ApiInstances {
  void before() override { options_.unsafe_no_sandbox = true; }
};
TEST_F(ApiInstancesWithoutSandbox, EachHasAPortOfItsOwnOnTheMachine) {
  auto runnable = python("provided", "while True:\n    id, event, headers = take()\n    give(id, json.dumps([API, os.environ['LAMBDA_TASK_ROOT'], os.getcwd()]))\n");
  auto one = started(runnable), two = started(runnable);
  auto first = parse_json(call(*one, "{}").body).value(), second = parse_json(call(*two, "{}").body).value();
  EXPECT_NE(to_text(first.at(0)), to_text(second.at(0)));
  EXPECT_EQ(view(first.at(1).as_string()), runnable->code_path);
  EXPECT_EQ(view(first.at(2).as_string()), runnable->code_path);
  stop(std::move(one));
  stop(std::move(two));
}

TEST_F(ApiInstances, TheApiIsReachedFromInsideOnly) {
  auto instance = started(python("provided", "id, event, headers = take()\ngive(id, API)\nwhile True: take()\n"));
  EXPECT_EQ(call(*instance, "{}").body, "127.0.0.1:9001");
  Reply reply = wait<Reply>([this]() -> io::Task<Reply> {
    auto stream = co_await shard_.connect("127.0.0.1", 9001, io::Deadline::after_us(shard_, kMicrosPerSecond));
    co_return Reply{.body = stream ? "reached" : "not reached"};
  });
  EXPECT_EQ(reply.body, "not reached");
  stop(std::move(instance));
}

}  // namespace
}  // namespace mayfly::runtime
