// What a call becomes and what an answer means, contract by contract.
#include "runtime/http_contract.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace mayfly::runtime {
namespace {

StartContext context_of(const std::string& runtime, std::map<std::string, std::string> environment = {}) {
  auto runnable = std::make_shared<functions::Runnable>();
  runnable->function.service = runnable->service.name = "default";
  runnable->function.name = "hello";
  runnable->function.runtime = runtime;
  runnable->function.environment = std::move(environment);
  runnable->version = "3";
  return {.runnable = runnable, .account = "1", .region = "r", .credentials = {"id", "secret", "token", 0}, .printed = {}};
}

std::string described(json::object headers = {}) {
  return to_text(json::object{{"method", "GET"}, {"path", "/p"}, {"requestURI", "/base/p?x=1"}, {"clientIP", "9.9.9.9"},
                              {"host", "hello.example.com"}, {"scheme", "https"}, {"headers", std::move(headers)}});
}

TEST(HttpContract, WordsOfACommandAreSplitAtSpacesAndResolved) {
  EXPECT_EQ(split_at_spaces("python3  index.py -v"), (std::vector<std::string>{"python3", "index.py", "-v"}));
  EXPECT_EQ(resolve_command({"python3", "a"}, "/code"), (std::vector<std::string>{"/usr/bin/env", "python3", "a"}));
  EXPECT_EQ(resolve_command({"./bin/run"}, "/code"), (std::vector<std::string>{"/code/bin/run"}));
  EXPECT_EQ(resolve_command({"bin/run"}, "/code"), (std::vector<std::string>{"/code/bin/run"}));
  EXPECT_EQ(resolve_command({"/opt/run"}, "/code"), (std::vector<std::string>{"/opt/run"}));
}

TEST(HttpContract, KnativeProgramsFindPortAndNamesInTheirEnvironment) {
  auto context = context_of("knative");
  auto* function = &const_cast<functions::Runnable&>(*context.runnable).function;
  function->vendor["customRuntimeConfig"] = json::object{{"command", {"/code/server"}}};
  auto program = server_program(context, {}, Contract::knative);
  ASSERT_TRUE(program);
  EXPECT_EQ(program->port, 8080);
  EXPECT_EQ(program->environment["PORT"], "8080");
  EXPECT_EQ(program->environment["K_SERVICE"], "hello");
  EXPECT_EQ(program->environment["K_CONFIGURATION"], "hello");
  EXPECT_EQ(program->environment["K_REVISION"], "hello-00003");
  function->vendor["caPort"] = 9000;
  EXPECT_EQ(server_program(context, {}, Contract::knative)->port, 9000);
  EXPECT_FALSE(program->environment.contains("FC_SERVER_PORT"));
}

TEST(HttpContract, WatchdogProgramsServeTheirUpstreamUrl) {
  auto program = server_program(context_of("of-watchdog", {{"fprocess", "python3 index.py"},
                                                            {"upstream_url", "http://127.0.0.1:5000/"}}), {}, Contract::of_watchdog);
  ASSERT_TRUE(program);
  EXPECT_EQ(program->port, 5000);
  EXPECT_EQ(program->command, (std::vector<std::string>{"/usr/bin/env", "python3", "index.py"}));
  EXPECT_FALSE(server_program(context_of("of-watchdog", {{"fprocess", "x"}}), {}, Contract::of_watchdog));
  EXPECT_FALSE(server_program(context_of("of-watchdog", {{"http_upstream_url", "http://127.0.0.1:1"}}), {}, Contract::of_watchdog));
}

TEST(HttpContract, EveryCallOfATracedServiceHasASpanOfItsOwn) {
  auto context = context_of("custom");
  EXPECT_FALSE(request_of({.request_id = "id-1"}, fixed_headers(context, Contract::fc), Contract::fc).headers.has("x-fc-tracing-opentracing-span-context"));
  const_cast<functions::Runnable&>(*context.runnable).service.vendor["tracingConfig"] = json::object{{"type", "Jaeger"}, {"params", {{"endpoint", "http://traces.example"}}}};
  auto request = request_of({.request_id = "0f8fad5b-d9cb-469f-a165-70867728950e"}, fixed_headers(context, Contract::fc), Contract::fc);
  EXPECT_EQ(request.headers.get("x-fc-tracing-opentracing-span-context"), "0f8fad5bd9cb469fa16570867728950e:a16570867728950e:0:1");
  EXPECT_EQ(request.headers.get("x-fc-tracing-jaeger-endpoint"), "http://traces.example");
}

TEST(HttpContract, ForwardedHeadersNameTheClientAndGrowAChain) {
  json::object sent{{"X-Forwarded-For", {"1.1.1.1"}}, {"Host", {"hello.example.com"}}, {"TE", {"x"}}, {"Expect", {"100-continue"}}};
  auto request = request_of({.http = described(std::move(sent))}, {}, Contract::knative);
  EXPECT_EQ(request.method, "GET");
  EXPECT_EQ(request.target, "/p?x=1");
  EXPECT_EQ(request.headers.get("Host"), "hello.example.com");
  EXPECT_EQ(request.headers.get("X-Forwarded-For"), "1.1.1.1, 9.9.9.9");
  EXPECT_EQ(request.headers.get("X-Forwarded-Proto"), "https");
  EXPECT_EQ(request.headers.get("Forwarded"), "for=9.9.9.9;proto=https;host=\"hello.example.com\"");
  EXPECT_FALSE(request.headers.has("TE"));
  EXPECT_FALSE(request.headers.has("Expect"));
  EXPECT_FALSE(request.upgrade);
  EXPECT_TRUE(request_of({.http = described({{"Upgrade", {"websocket"}}})}, {}, Contract::knative).upgrade);
}

TEST(HttpContract, ScfWebFunctionsAreProxiedAsTheyAre) {
  auto request = request_of({.request_id = "id-1", .http = described()}, fixed_headers(context_of("scf-web"), Contract::scf_web), Contract::scf_web);
  EXPECT_EQ(request.headers.get("X-Scf-Request-Id"), "id-1");
  EXPECT_EQ(request.headers.get("X-Scf-Name"), "hello");
  EXPECT_FALSE(request.headers.has("x-fc-request-id"));
}

TEST(HttpContract, OnlyFcReadsStatusesOfEvents) {
  EXPECT_EQ(verdict_of(404, {}, true, Contract::fc, 0).kind, Reply::Kind::handled_error);
  EXPECT_EQ(verdict_of(500, {}, true, Contract::fc, 0).kind, Reply::Kind::failed);
  EXPECT_EQ(verdict_of(404, {}, false, Contract::fc, 0).kind, Reply::Kind::ok);
  http::Headers own;
  own.add("x-fc-status", "404");
  Verdict verdict = verdict_of(200, own, false, Contract::fc, 0);
  EXPECT_EQ(verdict.kind, Reply::Kind::handled_error);
  EXPECT_EQ(verdict.http, R"({"status":200,"headers":{}})");
  EXPECT_EQ(verdict_of(500, {}, true, Contract::knative, 0).kind, Reply::Kind::ok);
  EXPECT_EQ(verdict_of(200, {}, false, Contract::of_watchdog, 1'500'000).http, R"({"status":200,"headers":{"X-Duration-Seconds":["1.500000"]}})");
}

TEST(HttpContract, LateAnswersAre504WhereTheContractSaysSo) {
  EXPECT_EQ(late_reply(Contract::fc, 1).kind, Reply::Kind::timed_out);
  Reply knative = late_reply(Contract::knative, 1);
  EXPECT_EQ(knative.kind, Reply::Kind::handled_error);
  EXPECT_EQ(knative.body, "request timeout");
  EXPECT_EQ(int_or(parse_json(knative.http).value(), "status"), 504);
  EXPECT_NE(late_reply(Contract::of_watchdog, 1).http.find("of-watchdog"), std::string::npos);
}

}  // namespace
}  // namespace mayfly::runtime
