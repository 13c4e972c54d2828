#include "dialects/aliyun/fc_fixture.h"

namespace mayfly::dialects::aliyun {
namespace {

using FcInvoke = FcFixture;
using dispatch::InvokeError;
using dispatch::Outcome;

TEST_F(FcInvoke, AnswersRawBytesWithTheMeasures) {
  make_function();
  std::string bytes("\x89PNG\0\xff", 6);
  invoker_.answers.push_back(Outcome{.body = bytes, .log_tail = "hello\n", .phases = {.run_us = 1'500}, .memory_bytes = 20 << 20, .code_checksum = "77"});
  http::Response response = send("POST", "services/s/functions/f/invocations", bytes, {{"X-Fc-Log-Type", "Tail"}});
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, bytes);
  EXPECT_EQ(response.headers.get("content-type"), "application/octet-stream");
  EXPECT_EQ(response.headers.get("x-fc-invocation-duration"), "2");
  EXPECT_EQ(response.headers.get("x-fc-invocation-service-version"), "LATEST");
  EXPECT_EQ(response.headers.get("x-fc-code-checksum"), "77");
  EXPECT_FALSE(response.headers.has("x-fc-error-type"));
  std::string log = *base64_decode(response.headers.get("x-fc-log-result"));
  std::string id = response.headers.get("x-fc-request-id");
  EXPECT_EQ(log, "FC Invoke Start RequestId: " + id + "\nhello\nFC Invoke End RequestId: " + id + "\n");
  EXPECT_EQ(invoker_.calls.at(0).payload, bytes);
  EXPECT_EQ(invoker_.calls.at(0).request_id, id);
  EXPECT_EQ(authorizer_.asked.back(), "fc:InvokeFunction acs:fc:local:" + keyring_.account() + ":services/s/functions/f");
}

TEST_F(FcInvoke, AFunctionErrorIs200WithAType) {
  make_function();
  invoker_.answers.push_back(Outcome{.kind = Outcome::Kind::handled_error, .body = R"({"errorMessage":"x"})"});
  invoker_.answers.push_back(Outcome{.kind = Outcome::Kind::timed_out, .body = R"({"errorMessage":"Function timed out after 3 seconds"})"});
  invoker_.answers.push_back(Outcome{.kind = Outcome::Kind::unhandled_error, .body = "no json"});
  for (auto [type, content] : {std::pair{"HandledInvocationError", "application/json"}, std::pair{"FunctionTimedOut", "application/json"},
                               std::pair{"UnhandledInvocationError", "application/octet-stream"}}) {
    http::Response response = send("POST", "services/s/functions/f/invocations");
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.headers.get("x-fc-error-type"), type);
    EXPECT_EQ(response.headers.get("content-type"), content);
  }
}

TEST_F(FcInvoke, APlatformErrorHasItsCode) {
  make_function();
  invoker_.answers.push_back(fail(InvokeError::throttled, "too many"));
  invoker_.answers.push_back(fail(InvokeError::exhausted, "full"));
  invoker_.answers.push_back(fail(InvokeError::not_found, "function 'f' does not exist"));
  http::Response throttled = send("POST", "services/s/functions/f/invocations");
  EXPECT_EQ(throttled.status, 429);
  EXPECT_EQ(code_of(throttled), "ResourceThrottled");
  EXPECT_EQ(code_of(send("POST", "services/s/functions/f/invocations")), "ResourceExhausted");
  EXPECT_EQ(code_of(send("POST", "services/s/functions/g/invocations")), "FunctionNotFound");
  invoker_.answers.push_back(fail(InvokeError::not_found, "service 'x' does not exist"));
  EXPECT_EQ(code_of(send("POST", "services/x/functions/g/invocations")), "ServiceNotFound");
}

TEST_F(FcInvoke, ARefusalSaysWhenToComeBack) {
  make_function();
  send("POST", "services/s/functions/f/triggers", R"({"triggerName":"web","triggerType":"http","triggerConfig":{"authType":"anonymous","methods":["POST"]}})");
  auto refused = [](InvokeError code) { return Failure<InvokeError>{code, "s/f is suspended", "", 12}; };
  for (const char* path : {"services/s/functions/f/invocations", "proxy/s/f/"}) {
    invoker_.answers.push_back(std::unexpected(refused(InvokeError::unavailable)));
    http::Response suspended = send("POST", path);
    EXPECT_EQ(suspended.status, 503) << path;
    EXPECT_EQ(suspended.headers.get("retry-after"), "12");
    invoker_.answers.push_back(std::unexpected(refused(InvokeError::throttled)));
    http::Response throttled = send("POST", path);
    EXPECT_EQ(throttled.status, 429) << path;
    EXPECT_EQ(throttled.headers.get("retry-after"), "12");
  }
}

TEST_F(FcInvoke, AFullLineIsToldBeforeTheBodyIsRead) {
  make_function();
  send("POST", "services/s/functions/f/triggers", R"({"triggerName":"web","triggerType":"http","triggerConfig":{"authType":"anonymous","methods":["POST"]}})");
  invoker_.full = "f";
  for (const char* path : {"services/s/functions/f/invocations", "proxy/s/f/"}) {
    http::Request unread = request("POST", std::string("/2016-08-15/") + path, "x");
    http::Response refused = loop_.wait(dialect_->handle(loop_, std::move(unread)));
    EXPECT_EQ(refused.status, 429) << path;
    EXPECT_EQ(refused.headers.get("retry-after"), "7");
  }
  EXPECT_TRUE(invoker_.calls.empty());
  EXPECT_EQ(send("POST", "services/s/functions/f/invocations", "later", {{"x-fc-invocation-type", "Async"}}).status, 202) << "it waits on disk";
}

TEST_F(FcInvoke, AnAsyncCallIsAcceptedAndRunsLater) {
  make_function();
  http::Response response = send("POST", "services/s/functions/f/invocations", "later", {{"x-fc-invocation-type", "Async"}});
  EXPECT_EQ(response.status, 202);
  EXPECT_EQ(response.body, "");
  loop_.run_for(kMicrosPerSecond);
  ASSERT_EQ(invoker_.calls.size(), 1u);
  EXPECT_EQ(invoker_.calls[0].payload, "later");
  EXPECT_EQ(invoker_.calls[0].request_id, response.headers.get("x-fc-request-id"));
  EXPECT_EQ(code_of(send("POST", "services/s/functions/f/invocations", std::string(200'000, 'x'), {{"x-fc-invocation-type", "Async"}})), "EntityTooLarge");
  EXPECT_EQ(code_of(send("POST", "services/s/functions/g/invocations", "", {{"x-fc-invocation-type", "Async"}})), "FunctionNotFound");
}

TEST_F(FcInvoke, AnHttpTriggerPassesTheRequestAndItsAnswer) {
  make_function();
  EXPECT_EQ(code_of(send("GET", "proxy/s/f/x")), "TriggerNotFound");
  send("POST", "services/s/functions/f/triggers", R"({"triggerName":"h","triggerType":"http","triggerConfig":{"authType":"anonymous","methods":["GET","POST"]}})");
  identity_ = fail(auth::AuthError::missing, "no signature");
  invoker_.answers.push_back(Outcome{.body = "made", .http = R"({"status":202,"headers":{"Set-Cookie":["a=1","b=2"],"Content-Length":["9"],"X-Own":["y"]}})"});
  http::Response response = send("POST", "proxy/s/f/action%20with%20space?a=b%20c&a=2", "body", {{"X-Fc-Trace", "no"}, {"Accept", "x"}, {"Connection", "close"}});
  EXPECT_EQ(response.status, 202);
  EXPECT_EQ(response.body, "made");
  EXPECT_EQ(response.headers.get("x-own"), "y");
  EXPECT_EQ(response.headers.get("set-cookie"), "a=1");
  EXPECT_FALSE(response.headers.has("content-length"));
  EXPECT_EQ(invoker_.calls.at(0).payload, "body");
  json::value seen = *parse_json(invoker_.calls.at(0).http);
  EXPECT_EQ(string_or(seen, "path"), "/action%20with%20space");
  EXPECT_EQ(string_or(seen, "requestURI"), "/2016-08-15/proxy/s/f/action%20with%20space?a=b%20c&a=2");
  EXPECT_EQ(string_or(seen, "clientIP"), "10.0.0.9");
  EXPECT_EQ(to_text(*find(seen, "queries")), R"({"a":["b c","2"]})");
  EXPECT_EQ(to_text(*find(seen, "headers")), R"({"Accept":["x"]})");
  EXPECT_EQ(send("PUT", "proxy/s/f/").status, 403);
}

TEST_F(FcInvoke, WhatAFunctionPrintsIsNotForAnonymousCallers) {
  make_function();
  send("POST", "services/s/functions/f/triggers", R"({"triggerName":"h","triggerType":"http","triggerConfig":{"authType":"anonymous","methods":["GET"]}})");
  identity_ = fail(auth::AuthError::missing, "no signature");
  invoker_.answers.push_back(Outcome{.http = R"({"status":200,"headers":{}})", .log_tail = "a secret"});
  EXPECT_FALSE(send("GET", "proxy/s/f/", "", {{"X-Fc-Log-Type", "Tail"}}).headers.has("X-Fc-Log-Result"));
}

TEST_F(FcInvoke, AFullLineIsToldToAnHttpTriggersCallersWhateverTheyAskFor) {
  make_function();
  send("POST", "services/s/functions/f/triggers", R"({"triggerName":"h","triggerType":"http","triggerConfig":{"authType":"anonymous","methods":["POST"]}})");
  invoker_.full = "f";
  EXPECT_EQ(send("POST", "proxy/s/f/", "body", {{"X-Fc-Invocation-Type", "Async"}}).status, 429);
  EXPECT_EQ(send("POST", "services/s/functions/f/invocations", "body", {{"X-Fc-Invocation-Type", "Async"}}).status, 202) << "it waits on disk";
}

TEST_F(FcInvoke, TheVendorsHostNameDecidesBeforeThePath) {
  host_ = "photos.oss-cn-hangzhou.aliyuncs.com";
  EXPECT_FALSE(dialect_->claims(request("GET", "/2021-04-06/IMG_1.jpg"))) << "an object's name";
  host_ = "127.0.0.1";
  EXPECT_TRUE(dialect_->claims(request("GET", "/2021-04-06/functions")));
  ASSERT_TRUE(dialect_->claims(request("GET", "/2023-03-30/functions")));
  http::Response response = loop_.wait(dialect_->handle(loop_, request("GET", "/2023-03-30/functions")));
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(code_of(response), "PathNotSupported");
}

TEST_F(FcInvoke, AFaultIsToldInTheVendorsForm) {
  http::Response response = dialect_->fault();
  EXPECT_EQ(response.status, 500);
  EXPECT_EQ(code_of(response), "InternalServerError");
  EXPECT_EQ(response.headers.get("X-Fc-Request-Id").size(), 36u);
}

TEST_F(FcInvoke, AnHttpTriggerMayAskForASignature) {
  make_function();
  send("POST", "services/s/functions/f/triggers", R"({"triggerName":"h","triggerType":"http","triggerConfig":{"AuthType":"function","methods":["GET"]}})");
  EXPECT_EQ(send("GET", "proxy/s/f/").status, 200);
  identity_ = fail(auth::AuthError::missing, "no signature");
  EXPECT_EQ(code_of(send("GET", "proxy/s/f/")), "MissingRequiredHeader");
  identity_ = auth::Identity{.kind = auth::Identity::Kind::role, .role = "r"};
  EXPECT_EQ(code_of(send("GET", "proxy/s/f/")), "AccessDenied");
  EXPECT_EQ(invoker_.calls.size(), 1u);
}

TEST_F(FcInvoke, ACrashBehindAnHttpTriggerIsABadGateway) {
  make_function();
  send("POST", "services/s/functions/f/triggers", R"({"triggerName":"h","triggerType":"http","triggerConfig":{"authType":"anonymous","methods":["GET"]}})");
  invoker_.answers.push_back(Outcome{.kind = Outcome::Kind::unhandled_error, .body = R"({"errorMessage":"Process exited"})"});
  http::Response response = send("GET", "proxy/s/f/");
  EXPECT_EQ(response.status, 502);
  EXPECT_EQ(response.headers.get("x-fc-error-type"), "UnhandledInvocationError");
}

TEST_F(FcInvoke, ACustomDomainLeadsToItsLongestRoute) {
  make_function();
  send("POST", "services/s/functions/f/triggers", R"({"triggerName":"h","triggerType":"http","triggerConfig":{"authType":"anonymous","methods":["GET"]}})");
  send("POST", "custom-domains", R"({"domainName":"api.example","routeConfig":{"routes":[{"path":"/*","serviceName":"none","functionName":"none"},)"
                                 R"({"path":"/f/*","serviceName":"s","functionName":"f"}]}})");
  host_ = "API.example:8080";
  http::Request request = this->request("GET", "/f/deep?x=1");
  EXPECT_TRUE(dialect_->claims(request));
  http::Response response = loop_.wait(dialect_->handle(loop_, std::move(request)));
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(string_or(*parse_json(invoker_.calls.at(0).http), "path"), "/f/deep");
  EXPECT_EQ(code_of(loop_.wait(dialect_->handle(loop_, this->request("GET", "/other")))), "ServiceNotFound");
  host_ = "elsewhere";
  EXPECT_FALSE(dialect_->claims(this->request("GET", "/f/deep")));
}

}  // namespace
}  // namespace mayfly::dialects::aliyun
