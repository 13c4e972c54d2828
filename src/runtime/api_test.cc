// The runtime API without a sandbox: its words as pure functions, and the conversation with a program whose part the test plays over HTTP.
#include <fcntl.h>
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/json.h"
#include "http/client.h"
#include "runtime/api_http.h"
#include "runtime/api_plan.h"
#include "runtime/api_server.h"
#include "sys/fault.h"
#include "sys/process.h"

namespace mayfly::runtime {
namespace {

StartContext context_of(std::string runtime) {
  auto runnable = std::make_shared<functions::Runnable>();
  runnable->function.service = "photos";
  runnable->function.name = "detect";
  runnable->function.handler = "main";
  runnable->function.runtime = std::move(runtime);
  runnable->function.timeout_s = 7;
  runnable->function.memory_mb = 256;
  return {.runnable = runnable, .account = "1234", .region = "cn-hangzhou"};
}
std::string fields(const http::Headers& headers) {
  std::string out;
  for (const auto& [name, value] : headers) out += name + "=" + value + "\n";
  return out;
}
constexpr const char* kHttpCall =
    R"({"method":"POST","path":"/a%20b","requestURI":"/a%20b?q=1&q=2","clientIP":"10.0.0.1","host":"h.example:80","queries":{"q":["1","2"]},"headers":{"x-one":["v"],"User-Agent":["ua"],"Cookie":["c=1"]}})";

TEST(ApiWords, TheHeadOfAnFcCallHasAllThatTheSdkReads) {
  auto context = context_of("go1");
  Call call{.request_id = "id-1", .http = kHttpCall, .retry_count = 2, .credentials = {"key", "secret", "token", 0}};
  auto head = call_head(Contract::fc, context, call, CallType::pre_stop, 1'700'000'000'123);
  std::string params = head.get("x-fc-http-params");
  head.remove("x-fc-http-params");
  EXPECT_EQ(fields(head),
            "Content-Type=application/octet-stream\nx-fc-request-id=id-1\nx-fc-function-deadline=1700000000123\nx-fc-access-key-id=key\nx-fc-access-key-secret=secret\n"
            "x-fc-security-token=token\nx-fc-function-type=2\nx-fc-function-name=detect\nx-fc-function-handler=main\nx-fc-function-memory=256\nx-fc-function-timeout=7\n"
            "x-fc-service-name=photos\nx-fc-service-logproject=\nx-fc-service-logstore=\nx-fc-qualifier=LATEST\nx-fc-version-id=\nx-fc-region=cn-hangzhou\nx-fc-account-id=1234\n"
            "x-fc-retry-count=2\n");
  EXPECT_EQ(base64_decode(params),
            R"({"path":"/a b","method":"POST","requestURI":"/a%20b?q=1&q=2","clientIP":"10.0.0.1","host":"h.example:80","queriesMap":{"q":["1","2"]},"headersMap":{"X-One":["v"],"User-Agent":["ua"],"Cookie":["c=1"]}})");
}

TEST(ApiWords, WhereLogsAndTracesGoIsToldWhenTheServiceSaysSo) {
  auto context = context_of("go1");
  auto runnable = std::make_shared<functions::Runnable>(*context.runnable);
  runnable->service.vendor["logConfig"] = json::object{{"project", "shop"}, {"logstore", "calls"}};
  runnable->service.vendor["tracingConfig"] = json::object{{"type", "Jaeger"}, {"params", {{"endpoint", "http://traces.example/api"}}}};
  context.runnable = runnable;
  auto head = call_head(Contract::fc, context, {.request_id = "0f8fad5b-d9cb-469f-a165-70867728950e"}, CallType::handle, 0);
  EXPECT_EQ(head.get("x-fc-service-logproject") + " " + head.get("x-fc-service-logstore"), "shop calls");
  EXPECT_EQ(head.get("x-fc-tracing-jaeger-endpoint"), "http://traces.example/api");
  EXPECT_EQ(head.get("x-fc-tracing-opentracing-span-context"), "0f8fad5bd9cb469fa16570867728950e:a16570867728950e:0:1");
  EXPECT_EQ(head.get("x-fc-tracing-opentracing-span-baggages"), "e30=");
}

TEST(ApiWords, AnFcProgramFindsItsKeysInItsEnvironment) {
  auto context = context_of("go1");
  context.credentials = {"key", "secret", "token", 0};
  auto found = api_environment(context, {}, Contract::fc, {.instance_id = "c-1", .port = 9001}, 0);
  EXPECT_EQ(found["ALIBABA_CLOUD_ACCESS_KEY_ID"] + " " + found["ALIBABA_CLOUD_ACCESS_KEY_SECRET"] + " " + found["ALIBABA_CLOUD_SECURITY_TOKEN"], "key secret token");
  auto runnable = std::make_shared<functions::Runnable>(*context.runnable);
  runnable->function.environment = {{"ALIBABA_CLOUD_ACCESS_KEY_ID", "its own"}};
  context.runnable = runnable;
  EXPECT_EQ(api_environment(context, {}, Contract::fc, {.instance_id = "c-1", .port = 9001}, 0)["ALIBABA_CLOUD_ACCESS_KEY_ID"], "its own");
}

TEST(ApiWords, TheHeadOfALambdaAndOfAnScfCall) {
  auto context = context_of("provided");
  Call call{.request_id = "0f8fad5b-d9cb-469f-a165-70867728950e"};
  EXPECT_EQ(fields(call_head(Contract::lambda, context, call, CallType::handle, 1'700'000'000'123)),
            "Content-Type=application/json\nLambda-Runtime-Aws-Request-Id=0f8fad5b-d9cb-469f-a165-70867728950e\nLambda-Runtime-Deadline-Ms=1700000000123\n"
            "Lambda-Runtime-Invoked-Function-Arn=arn:aws:lambda:cn-hangzhou:1234:function:detect\n"
            "Lambda-Runtime-Trace-Id=Root=1-6553f100-0f8fad5bd9cb469fa1657086;Sampled=0\n");
  EXPECT_EQ(fields(call_head(Contract::scf, context, call, CallType::handle, 0)),
            "Content-Type=application/json\nrequest_id=0f8fad5b-d9cb-469f-a165-70867728950e\nmemory_limit_in_mb=256\ntime_limit_in_ms=7000\n");
}

TEST(ApiWords, AnFcAnswerIsAStatusAndListsOfHeaders) {
  EXPECT_EQ(fc_http_answer(base64_encode(R"({"status":404,"headersMap":{"X-A":["1","2"],"X-B":"3","X-C":[4,null]}})")), R"({"status":404,"headers":{"X-A":["1","2"],"X-B":["3"]}})");
  EXPECT_EQ(fc_http_answer(base64_encode(R"({"status":0,"headersMap":null})")), R"({"status":200,"headers":{}})");
  for (const char* wrong : {R"({"status":99})", R"({"status":1000})", "[]", "{", ""}) EXPECT_FALSE(fc_http_answer(base64_encode(wrong))) << wrong;
  EXPECT_FALSE(fc_http_answer("{}"));
}

TEST(ApiWords, AnHttpCallIsAnEventForLambdaAndScf) {
  auto context = context_of("provided");
  Call call{.request_id = "r", .payload = "p=1", .http = kHttpCall};
  auto lambda = parse_json(http_event(Contract::lambda, context, call, 0)).value();
  EXPECT_EQ(string_or(lambda, "rawPath"), "/a%20b");
  EXPECT_EQ(string_or(lambda, "rawQueryString"), "q=1&q=2");
  EXPECT_EQ(to_text(*find(lambda, "queryStringParameters")), R"({"q":"1,2"})");
  EXPECT_EQ(to_text(*find(lambda, "headers")), R"({"x-one":"v","user-agent":"ua"})");
  EXPECT_EQ(to_text(*find(lambda, "cookies")), R"(["c=1"])");
  EXPECT_EQ(to_text(*find(*find(lambda, "requestContext"), "http")), R"({"method":"POST","path":"/a%20b","protocol":"HTTP/1.1","sourceIp":"10.0.0.1","userAgent":"ua"})");
  EXPECT_EQ(string_or(lambda, "body"), "p=1");
  auto scf = parse_json(http_event(Contract::scf, context, call, 0)).value();
  EXPECT_EQ(string_or(scf, "httpMethod"), "POST");
  EXPECT_EQ(to_text(*find(scf, "queryString")), R"({"q":"1,2"})");
  EXPECT_EQ(string_or(scf, "body"), "p=1");
  EXPECT_FALSE(find(scf, "isBase64Encoded"));
  call.payload = "\xff";
  for (Contract contract : {Contract::lambda, Contract::scf}) {
    auto event = parse_json(http_event(contract, context, call, 0)).value();
    EXPECT_EQ(string_or(event, "body"), "/w==");
    EXPECT_TRUE(bool_or(event, "isBase64Encoded"));
  }
}

TEST(ApiWords, AResultIsAResponseWhenItSaysSoAndElseABody) {
  struct Case {
    const char *result, *http, *body;
  };
  for (const Case& each : {Case{R"({"statusCode":302,"headers":{"Location":"/x","N":1},"cookies":["a=1"],"body":"aGk=","isBase64Encoded":true})",
                                R"({"status":302,"headers":{"Location":["/x"],"N":["1"],"Set-Cookie":["a=1"]}})", "hi"},
                           Case{R"({"statusCode":200,"headers":{"A":"1"},"multiValueHeaders":{"A":["1","2"]}})", R"({"status":200,"headers":{"A":["1","2"]}})", ""},
                           Case{R"({"statusCode":200,"body":{"a":1}})", R"({"status":200,"headers":{}})", R"({"a":1})"},
                           Case{R"({"faces":3})", R"({"status":200,"headers":{"Content-Type":["application/json"]}})", R"({"faces":3})"},
                           Case{R"("text")", R"({"status":200,"headers":{"Content-Type":["text/plain; charset=utf-8"]}})", "text"},
                           Case{"no json", R"({"status":200,"headers":{"Content-Type":["text/plain; charset=utf-8"]}})", "no json"}}) {
    auto result = http_result(each.result);
    ASSERT_TRUE(result) << each.result;
    EXPECT_EQ(result->http, each.http);
    EXPECT_EQ(result->body, each.body);
  }
  EXPECT_FALSE(http_result(R"({"statusCode":1})"));
  EXPECT_FALSE(http_result(R"({"statusCode":200,"body":"%","isBase64Encoded":true})"));
}

TEST(ApiWords, AnErrorIsTheProgramsOwnObjectOrItsText) {
  EXPECT_EQ(reported_error(Contract::fc, R"({"errorMessage":"m","stackTrace":[{"path":"main.go","line":3,"label":"f"}]})"),
            R"({"errorMessage":"m","stackTrace":[{"path":"main.go","line":3,"label":"f"}]})");
  EXPECT_EQ(reported_error(Contract::lambda, "boom", "Boom"), R"({"errorMessage":"boom","errorType":"Boom"})");
  EXPECT_EQ(reported_error(Contract::lambda, "", ""), R"({"errorMessage":"","errorType":"Runtime.Unknown"})");
  EXPECT_EQ(reported_error(Contract::scf, "no model"), R"({"errorCode":-1,"errorMessage":"no model","errorType":"UserCodeException","statusCode":430})");
  http::Headers trailers;
  EXPECT_FALSE(trailing_error(trailers));
  trailers.add("Lambda-Runtime-Function-Error-Type", "T");
  trailers.add("Lambda-Runtime-Function-Error-Body", base64_encode(R"({"errorMessage":"late"})"));
  EXPECT_EQ(trailing_error(trailers), R"({"errorMessage":"late"})");
}

TEST(ApiWords, ADeathAndATimeoutAreToldInEachContractsWords) {
  Reply killed{.kind = Reply::Kind::died, .body = "fc", .exit_status = 9};
  word_death(Contract::fc, "r", killed);
  EXPECT_EQ(killed.body, "fc");
  word_death(Contract::lambda, "r", killed);
  EXPECT_EQ(killed.body, R"({"errorMessage":"RequestId: r Error: Runtime exited with error: signal: killed","errorType":"Runtime.ExitError"})");
  Reply memory{.kind = Reply::Kind::out_of_memory, .body = error_json("limit of 128 MB")};
  word_death(Contract::scf, "r", memory);
  EXPECT_EQ(memory.body, R"({"errorCode":-1,"errorMessage":"limit of 128 MB","errorType":"MemoryLimitReached","statusCode":434})");
  Reply late{.kind = Reply::Kind::timed_out};
  word_timeout(Contract::scf, "r", 3, 0, late);
  EXPECT_EQ(late.body, R"({"errorCode":-1,"errorMessage":"Invoking task timed out after 3 seconds","errorType":"TimeLimitReached","statusCode":433})");
  word_timeout(Contract::lambda, "r", 3, 0, late);
  EXPECT_EQ(late.body, R"({"errorMessage":"1970-01-01T00:00:00.000Z r Task timed out after 3.00 seconds","errorType":"Sandbox.Timedout"})");
}

// A link to a program: its process is one that sleeps, its requests are the test's.
class Conversation {
 public:
  explicit Conversation(Contract contract) : api(shard), tasks(shard) {
    child = sys::spawn({.path = "/usr/bin/sleep", .arguments = {"sleep", "infinity"}, .environment = {}});
    int pipe[2];
    sys::check(::pipe2(pipe, O_CLOEXEC | O_NONBLOCK), "pipe2");
    sys::Fd ours(pipe[0]), theirs(pipe[1]);
    process = std::make_shared<Process>(shard, Process::Parts{.instance_id = "c-1",
                                                              .output = std::move(ours),
                                                              .pidfd = sys::open_pidfd(child.pid),
                                                              .exit_status = [this](io::Deadline) { return exit_status(); },
                                                              .timeout_s = 7});
    tasks.spawn(Process::watch(process));
    link = std::make_shared<ApiLink>(shard, context_of(contract == Contract::fc ? "go1" : contract == Contract::lambda ? "provided" : "CustomRuntime"), contract, process);
    process->at_end([this] { link->ended(); });
    auto listener = shard.listen("127.0.0.1", 0);
    port = listener->port();
    api.open("c-1", std::move(listener), link);
    client = http::make_http_client(shard, "127.0.0.1", port);
  }
  // Plays `script` to its end, then ends the program.
  void play(io::Task<void> script) {
    shard.post([&] { tasks.spawn(finish(std::move(script))); });
    shard.run();
  }

  struct Answer {
    int status = 0;
    std::string body, id;
    http::Headers headers{};
  };
  io::Task<Answer> ask(std::string method, std::string target, std::string body = {}, http::Headers headers = {}) {
    auto sent = co_await client->send({.method = std::move(method), .target = std::move(target), .headers = std::move(headers), .body = std::move(body)}, soon());
    if (!sent) co_return Answer{};
    Answer answer{.status = sent->status, .headers = sent->headers};
    answer.body = (co_await sent->body->read_all(64 << 20)).value_or("broken");
    for (const char* name : {"x-fc-request-id", "Lambda-Runtime-Aws-Request-Id", "request_id"})
      if (sent->headers.has(name)) answer.id = sent->headers.get(name);
    co_return answer;
  }
  // Begins a call, whose reply comes later.
  std::shared_ptr<io::OneShot<Reply>> begin(std::string id, std::string payload, std::string http = {}, int64_t timeout_us = 10 * kMicrosPerSecond) {
    auto reply = std::make_shared<io::OneShot<Reply>>(shard);
    auto deadline = io::Deadline::after_us(shard, timeout_us);
    tasks.spawn(call({.request_id = std::move(id), .payload = std::move(payload), .http = std::move(http), .deadline = deadline}, reply));
    return reply;
  }
  std::shared_ptr<io::OneShot<Answer>> poll(std::string target) {
    auto answer = std::make_shared<io::OneShot<Answer>>(shard);
    tasks.spawn(ask_later(std::move(target), answer));
    return answer;
  }
  io::Deadline soon() { return io::Deadline::after_us(shard, 10 * kMicrosPerSecond); }  // a hang fails the test instead of stopping it

  io::Shard shard{0};
  ApiServer api;
  io::TaskGroup tasks;
  sys::Child child;
  std::shared_ptr<Process> process;
  std::shared_ptr<ApiLink> link;
  std::unique_ptr<http::HttpClient> client;
  uint16_t port = 0;

 private:
  io::Task<std::optional<int>> exit_status() {
    (void)co_await shard.wait_readable(child.pidfd.get(), io::Deadline::never());
    co_return sys::wait_status(child);
  }
  io::Task<void> call(Call call, std::shared_ptr<io::OneShot<Reply>> reply) { reply->set(co_await link->call(std::move(call))); }
  io::Task<void> ask_later(std::string target, std::shared_ptr<io::OneShot<Answer>> answer) { answer->set(co_await ask("GET", std::move(target))); }
  io::Task<void> finish(io::Task<void> script) {
    co_await std::move(script);
    process->kill();
    co_await process->gone();
    client.reset();
    co_await api.drain();
    shard.stop();
  }
};

constexpr const char *kFc = "/2020-11-11/runtime/invocation/", *kLambda = "/2018-06-01/runtime/invocation/";

io::Task<void> answer_out_of_order(Conversation& talk) {
  auto first = talk.begin("one", "1"), second = talk.begin("two", "2");
  auto a = co_await talk.ask("GET", std::string(kFc) + "next");
  auto b = co_await talk.ask("GET", std::string(kFc) + "next");
  EXPECT_EQ(a.id + a.body + b.id + b.body, "one1two2");
  EXPECT_EQ((co_await talk.ask("POST", std::string(kFc) + "two/response", "second")).status, 200);
  EXPECT_EQ((co_await second->wait(talk.soon()))->body, "second");
  EXPECT_EQ((co_await talk.ask("POST", std::string(kFc) + "one/error", R"({"errorMessage":"m"})")).status, 200);
  auto failed = co_await first->wait(talk.soon());
  EXPECT_EQ(failed->kind, Reply::Kind::handled_error);
  EXPECT_EQ(failed->body, R"({"errorMessage":"m"})");
}
TEST(ApiLink, FcsProgramsHoldSeveralCallsAndAnswerInAnyOrder) {
  Conversation talk(Contract::fc);
  talk.play(answer_out_of_order(talk));
}

io::Task<void> misuse_fc(Conversation& talk) {
  std::string base = kFc;
  auto reply = talk.begin("one", "");
  co_await talk.ask("GET", base + "next");
  EXPECT_EQ((co_await talk.ask("POST", base + "other/response", "x")).status, 404);
  auto wrong = co_await talk.ask("POST", base + "next");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.headers.get("Allow"), "GET");
  EXPECT_EQ((co_await talk.ask("GET", base + "one/response")).status, 405);
  EXPECT_EQ((co_await talk.ask("GET", "/2018-06-01/runtime/invocation/next")).status, 404);
  EXPECT_EQ((co_await talk.ask("POST", base + "one")).status, 404);
  EXPECT_EQ((co_await talk.ask("POST", base + "one/response", "x")).status, 200);
  auto again = co_await talk.ask("POST", base + "one/response", "x");
  EXPECT_EQ(again.status, 404);
  EXPECT_NE(again.body.find("it has been answered"), std::string::npos);
  EXPECT_EQ((co_await reply->wait(talk.soon()))->body, "x");
}
TEST(ApiLink, WrongUseIsAnsweredClearlyAndDisturbsNoCall) {
  Conversation talk(Contract::fc);
  talk.play(misuse_fc(talk));
}

io::Task<void> misuse_lambda(Conversation& talk) {
  std::string base = kLambda;
  auto reply = talk.begin("one", "");
  EXPECT_EQ((co_await talk.ask("GET", base + "next")).id, "one");
  auto early = co_await talk.ask("GET", base + "next");
  EXPECT_EQ(early.status, 403);
  EXPECT_EQ(string_or(parse_json(early.body).value(), "errorType"), "InvalidStateTransition");
  auto unknown = co_await talk.ask("POST", base + "other/response", "x");
  EXPECT_EQ(unknown.status, 400);
  EXPECT_EQ(unknown.body, R"({"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"})");
  auto accepted = co_await talk.ask("POST", base + "one/response", "x");
  EXPECT_EQ(accepted.status, 202);
  EXPECT_EQ(accepted.body, R"({"status":"OK"})");
  EXPECT_EQ((co_await talk.ask("POST", base + "one/response", "x")).status, 403);
  EXPECT_EQ((co_await talk.ask("POST", "/2018-06-01/runtime/init/error", "{}")).status, 403);
  EXPECT_EQ((co_await reply->wait(talk.soon()))->body, "x");
}
TEST(ApiLink, LambdasStatesAreKeptAsTheVendorKeepsThem) {
  Conversation talk(Contract::lambda);
  talk.play(misuse_lambda(talk));
}

io::Task<void> speak_scf(Conversation& talk) {
  EXPECT_EQ((co_await talk.ask("POST", "/runtime/init/ready", " ")).status, 200);
  EXPECT_TRUE((co_await talk.link->started(talk.soon()))->ok);
  auto reply = talk.begin("one", "event");
  for (int times = 0; times < 2; ++times) {
    auto event = co_await talk.ask("GET", "/runtime/invocation/next");
    EXPECT_EQ(event.id + event.body, "oneevent");
  }
  http::Headers form;
  form.add("Content-Type", "application/x-www-form-urlencoded");
  EXPECT_EQ((co_await talk.ask("POST", "/runtime/invocation/response", "a=1&b=+%2F", form)).status, 200);
  EXPECT_EQ((co_await reply->wait(talk.soon()))->body, "a=1&b=+%2F");
  EXPECT_EQ((co_await talk.ask("POST", "/runtime/invocation/response", "x")).status, 400);
  auto error = talk.begin("two", "");
  co_await talk.ask("GET", "/runtime/invocation/next");
  EXPECT_EQ((co_await talk.ask("POST", "/runtime/invocation/error", "no model")).status, 200);
  EXPECT_EQ((co_await error->wait(talk.soon()))->body, R"({"errorCode":-1,"errorMessage":"no model","errorType":"UserCodeException","statusCode":430})");
  auto large = talk.begin("three", "");
  co_await talk.ask("GET", "/runtime/invocation/next");
  EXPECT_EQ((co_await talk.ask("POST", "/runtime/invocation/response", std::string(kMaxScfReplyBytes + 1, 'x'))).status, 413);
  auto refused = co_await large->wait(talk.soon());
  EXPECT_EQ(refused->kind, Reply::Kind::handled_error);
  EXPECT_EQ(refused->body, R"({"errorCode":-1,"errorMessage":"Response payload size exceeded maximum allowed payload size (6291456 bytes).","errorType":"ResponseTooLarge","statusCode":407})");
}
TEST(ApiLink, ScfHasOneEventAtATimeAndTakesRawBytes) {
  Conversation talk(Contract::scf);
  talk.play(speak_scf(talk));
}

io::Task<void> leave_a_poll(Conversation& talk) {
  auto gone = co_await talk.shard.connect("127.0.0.1", talk.port, talk.soon());
  EXPECT_TRUE(gone.has_value());
  (void)co_await (*gone)->write_all("GET /2020-11-11/runtime/invocation/next HTTP/1.1\r\nHost: h\r\n\r\n", talk.soon());
  EXPECT_TRUE((co_await talk.link->started(talk.soon()))->ok);  // it has been read
  (*gone)->close();
  auto poll = talk.poll(std::string(kFc) + "next");
  auto reply = talk.begin("one", "event");
  EXPECT_EQ((co_await poll->wait(talk.soon()))->body, "event");
  co_await talk.ask("POST", std::string(kFc) + "one/response", "done");
  EXPECT_EQ((co_await reply->wait(talk.soon()))->body, "done");
}
TEST(ApiLink, APollWhoseClientHasGoneGetsNoCall) {
  Conversation talk(Contract::fc);
  talk.play(leave_a_poll(talk));
}

io::Task<void> repeat_an_id(Conversation& talk) {
  auto first = talk.begin("same", "1"), second = talk.begin("same", "2");
  EXPECT_EQ((co_await talk.ask("GET", std::string(kFc) + "next")).body, "1");
  auto waiting = talk.poll(std::string(kFc) + "next");
  co_await talk.ask("POST", std::string(kFc) + "same/response", "one");
  EXPECT_EQ((co_await first->wait(talk.soon()))->body, "one");
  EXPECT_EQ((co_await waiting->wait(talk.soon()))->body, "2");
  co_await talk.ask("POST", std::string(kFc) + "same/response", "two");
  EXPECT_EQ((co_await second->wait(talk.soon()))->body, "two");
}
TEST(ApiLink, CallsOfOneIdRunOneAfterTheOther) {
  Conversation talk(Contract::fc);
  talk.play(repeat_an_id(talk));
}

io::Task<void> outlive_a_timeout(Conversation& talk) {
  auto other = talk.begin("other", "");
  EXPECT_EQ((co_await talk.ask("GET", std::string(kFc) + "next")).id, "other");
  auto poll = talk.poll(std::string(kFc) + "next");
  auto late = talk.begin("late", "", "", 300 * kMicrosPerMilli), waiting = talk.begin("waiting", "");
  EXPECT_EQ((co_await poll->wait(talk.soon()))->id, "late");
  EXPECT_EQ((co_await late->wait(talk.soon()))->kind, Reply::Kind::timed_out);
  EXPECT_FALSE(talk.link->alive()) << "it takes no further call";
  EXPECT_TRUE(talk.process->alive()) << "and finishes the other";
  EXPECT_EQ((co_await waiting->wait(talk.soon()))->kind, Reply::Kind::not_started);
  EXPECT_EQ((co_await talk.ask("POST", std::string(kFc) + "late/response", "too late")).status, 404);
  EXPECT_EQ((co_await talk.ask("POST", std::string(kFc) + "other/response", "done")).status, 200);
  EXPECT_EQ((co_await other->wait(talk.soon()))->body, "done");
  EXPECT_EQ(co_await talk.process->gone(talk.soon()), io::Wait::done) << "after its last call it is killed";
}
TEST(ApiLink, ACallThatTakesTooLongEndsNoOther) {
  Conversation talk(Contract::fc);
  talk.play(outlive_a_timeout(talk));
}

io::Task<void> answer_http(Conversation& talk) {
  for (bool right : {true, false}) {
    auto reply = talk.begin("one", "body", kHttpCall);
    co_await talk.ask("GET", std::string(kFc) + "next");
    http::Headers params;
    params.add("x-fc-http-params", right ? base64_encode(R"({"status":201,"headersMap":{"A":["1"]}})") : "no base64");
    EXPECT_EQ((co_await talk.ask("POST", std::string(kFc) + "one/response", "page", params)).status, 200);
    auto got = co_await reply->wait(talk.soon());
    EXPECT_EQ(got->kind, right ? Reply::Kind::ok : Reply::Kind::handled_error);
    EXPECT_EQ(got->http, right ? R"({"status":201,"headers":{"A":["1"]}})" : "");
    EXPECT_EQ(got->body, right ? "page" : R"({"errorMessage":"the x-fc-http-params of the function's answer are not base64 of JSON {status, headersMap}","errorType":"InvalidResponse"})");
  }
}
TEST(ApiLink, AnHttpAnswerComesFromItsHeaderAndMustMakeSense) {
  Conversation talk(Contract::fc);
  talk.play(answer_http(talk));
}

io::Task<void> break_off(Conversation& talk) {
  auto reply = talk.begin("one", "");
  co_await talk.ask("GET", std::string(kLambda) + "next");
  auto stream = co_await talk.shard.connect("127.0.0.1", talk.port, talk.soon());
  (void)co_await (*stream)->write_all("POST /2018-06-01/runtime/invocation/one/response HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf", talk.soon());
  (*stream)->shutdown_write();
  char answer[256];
  auto got = co_await (*stream)->read_some(answer, talk.soon());
  EXPECT_TRUE(got && std::string_view(answer, *got).starts_with("HTTP/1.1 400")) << std::string_view(answer, got.value_or(0));
  EXPECT_EQ((co_await talk.ask("POST", std::string(kLambda) + "one/response", "whole")).status, 202);
  EXPECT_EQ((co_await reply->wait(talk.soon()))->body, "whole");
}
TEST(ApiLink, AnAnswerThatBrokeOffMayBeSentAgain) {
  Conversation talk(Contract::lambda);
  talk.play(break_off(talk));
}

io::Task<void> fail_in_trailers(Conversation& talk) {
  for (bool streaming : {false, true}) {
    auto reply = talk.begin("one", "");
    co_await talk.ask("GET", std::string(kLambda) + "next");
    auto stream = co_await talk.shard.connect("127.0.0.1", talk.port, talk.soon());
    std::string mode = streaming ? "Lambda-Runtime-Function-Response-Mode: streaming\r\n" : "";
    (void)co_await (*stream)->write_all("POST /2018-06-01/runtime/invocation/one/response HTTP/1.1\r\nHost: h\r\n" + mode + "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nLambda-Runtime-Function-Error-Type: Late\r\nLambda-Runtime-Function-Error-Body: " +
                                            base64_encode(R"({"errorMessage":"late"})") + "\r\n\r\n",
                                        talk.soon());
    auto failed = co_await reply->wait(talk.soon());
    EXPECT_EQ(failed->kind, Reply::Kind::handled_error);
    EXPECT_EQ(failed->body, R"({"errorMessage":"late"})");
  }
}
TEST(ApiLink, AnErrorInTheTrailersOfALambdaReplyIsItsEnd) {
  Conversation talk(Contract::lambda);
  talk.play(fail_in_trailers(talk));
}

}  // namespace
}  // namespace mayfly::runtime
