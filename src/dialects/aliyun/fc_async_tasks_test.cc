#include "dialects/aliyun/fc_fixture.h"

namespace mayfly::dialects::aliyun {
namespace {

using dispatch::InvokeError;
using dispatch::Outcome;

class FcTasks : public FcFixture {
 protected:
  FcTasks() { make_function(); }
  http::Response submit(const std::string& body, std::vector<std::pair<std::string, std::string>> headers) {
    headers.emplace_back("x-fc-invocation-type", "Async");
    return send("POST", "services/s/functions/f/invocations", body, std::move(headers));
  }
  http::Response submit_task(const std::string& id, const std::string& body = "{}") {
    http::Response response = submit(body, {{"x-fc-stateful-async-invocation-id", id}});
    loop_.run_for(kMicrosPerSecond);
    return response;
  }
  static constexpr const char* kTasks = "services/s/functions/f/stateful-async-invocations";
  static std::string of(const std::string& id) { return std::string(kTasks) + "/" + id; }
};

TEST_F(FcTasks, ATaskIsReadWithEveryFieldOfTheVendor) {
  invoker_.answers.push_back(Outcome{.body = "out", .phases = {.run_us = 7'000}, .instance_id = "i1"});
  http::Response accepted = submit_task("film-1", "in");
  EXPECT_EQ(accepted.status, 202);
  EXPECT_EQ(accepted.body, "");
  EXPECT_EQ(accepted.headers.get("x-fc-stateful-async-invocation-id"), "film-1");
  json::value task = parsed(send("GET", of("film-1")));
  std::string names;
  for (const auto& member : task.as_object()) names += std::string(member.key()) + " ";
  EXPECT_EQ(names, "functionName serviceName qualifier invocationId status startedTime endTime destinationStatus invocationErrorMessage requestId alreadyRetriedTimes instanceId "
                   "durationMs events invocationPayload returnPayload ");
  EXPECT_EQ(string_or(task, "status"), "Succeeded");
  EXPECT_EQ(string_or(task, "qualifier"), "LATEST");
  EXPECT_EQ(string_or(task, "requestId"), accepted.headers.get("x-fc-request-id"));
  EXPECT_EQ(string_or(task, "invocationPayload"), "in");
  EXPECT_EQ(string_or(task, "returnPayload"), "out");
  EXPECT_EQ(int_or(task, "durationMs"), 7);
  EXPECT_EQ(string_or(task, "instanceId"), "i1");
  EXPECT_EQ(find(task, "events")->as_array().size(), 4u);
  EXPECT_EQ(int_or(find(task, "events")->as_array()[0], "timestamp"), int_or(task, "startedTime"));
  EXPECT_EQ(find(parsed(send("GET", of("film-1") + "?includePayload=false")), "invocationPayload"), nullptr);
  EXPECT_EQ(string_or(parsed(send("GET", "services/s.LATEST/functions/f/stateful-async-invocations/film-1")), "status"), "Succeeded");
}

TEST_F(FcTasks, ErrorsHaveTheVendorsCodes) {
  submit_task("a");
  http::Response again = submit_task("a");
  EXPECT_EQ(again.status, 409);
  EXPECT_EQ(code_of(again), "StatefulAsyncInvocationAlreadyExists");
  http::Response missing = send("GET", of("nobody"));
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(code_of(missing), "StatefulAsyncInvocationNotFound");
  EXPECT_EQ(code_of(send("GET", "services/s/functions/g/stateful-async-invocations/a")), "FunctionNotFound");
  EXPECT_EQ(code_of(send("GET", "services/x/functions/g/stateful-async-invocations")), "ServiceNotFound");
  http::Response ended = send("PUT", of("a"));
  EXPECT_EQ(ended.status, 412);
  EXPECT_EQ(code_of(ended), "StatefulAsyncInvocationAlreadyCompleted");
  EXPECT_EQ(code_of(submit_task("1a")), "InvalidArgument");
  for (const char* query : {"?status=Nonsense", "?startedTimeBegin=x", "?startedTimeEnd=-1", "?limit=0", "?limit=101", "?sortOrderByTime=up", "?sortOrderByTimeAsc=1",
                            "?includePayload=x"})
    EXPECT_EQ(code_of(send("GET", kTasks + std::string(query))), "InvalidArgument") << query;
}

TEST_F(FcTasks, ARefusalForLackOfRoomSaysWhenToComeAgain) {
  auto full = dispatch::make_async_invoker({&loop_}, *store_, invoker_, *catalogue_, settings_, rng_, {.max_tasks = 0});
  dialect_ = std::make_unique<FcDialect>(FcContext{.catalogue = *catalogue_, .settings = settings_, .code = code_, .layers = layers_, .invoker = invoker_, .async = *full,
                                                   .keyring = keyring_, .authorizer = authorizer_, .objects = objects_, .clock = loop_.clock(), .rng = rng_,
                                                   .region = "local", .verify = [this](const http::Request&) { return identity_; }});
  http::Response refused = submit_task("t");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(code_of(refused), "ResourceThrottled");
  EXPECT_EQ(refused.headers.get("retry-after"), "1");
  dialect_.reset();
}

TEST_F(FcTasks, AWaitingTaskIsStopped) {
  invoker_.answers.push_back(fail(InvokeError::exhausted, "full"));
  submit("{}", {{"x-fc-stateful-async-invocation-id", "t"}});
  loop_.run_for(kMicrosPerMilli);
  EXPECT_EQ(string_or(parsed(send("GET", of("t"))), "status"), "Enqueued");
  EXPECT_EQ(send("PUT", of("t")).status, 200);
  EXPECT_EQ(string_or(parsed(send("GET", of("t"))), "status"), "Stopped");
}

TEST_F(FcTasks, AreListedWithFiltersAndPages) {
  for (const char* id : {"a1", "a2", "b1"}) submit_task(id, id);
  auto ids = [this](const std::string& query) {
    std::string text;
    json::value page = parsed(send("GET", kTasks + query));
    for (const json::value& each : find(page, "invocations")->as_array()) text += string_or(each, "invocationId") + string_or(each, "invocationPayload", "") + " ";
    return text + string_or(page, "nextToken").substr(0, 2);
  };
  EXPECT_EQ(ids(""), "b1 a2 a1 ");
  EXPECT_EQ(ids("?sortOrderByTimeAsc=true"), "a1 a2 b1 ");
  EXPECT_EQ(ids("?sortOrderByTime=asc&invocationIdPrefix=a&includePayload=true"), "a1a1 a2a2 ");
  EXPECT_EQ(ids("?status=Failed"), "");
  json::value first = parsed(send("GET", kTasks + std::string("?limit=2")));
  EXPECT_EQ(ids("?limit=2&nextToken=" + string_or(first, "nextToken")), "a1 ");
  int64_t second = int_or(parsed(send("GET", of("a2"))), "startedTime");
  EXPECT_EQ(ids(fmt::format("?startedTimeBegin={0}&startedTimeEnd={0}", second)), "a2 ");
}

TEST_F(FcTasks, TheConfigurationOrAHeaderMakesACallATask) {
  EXPECT_FALSE(submit("{}", {}).headers.has("x-fc-stateful-async-invocation-id"));
  http::Response enabled = submit("{}", {{"x-fc-stateful-async-invocation-enable", "true"}});
  EXPECT_EQ(enabled.headers.get("x-fc-stateful-async-invocation-id"), enabled.headers.get("x-fc-request-id"));
  EXPECT_EQ(send("PUT", "services/s/functions/f/async-invoke-config", R"({"statefulInvocation":true})").status, 200);
  EXPECT_TRUE(submit("{}", {}).headers.has("x-fc-stateful-async-invocation-id"));
}

TEST_F(FcTasks, AnIdempotencyKeyAnswersWithTheFirstCall) {
  http::Response first = submit("{}", {{"Idempotency-Key", "k"}}), again = submit("{}", {{"Idempotency-Key", "k"}});
  EXPECT_EQ(again.status, 202);
  EXPECT_EQ(again.headers.get("x-fc-request-id"), first.headers.get("x-fc-request-id"));
  EXPECT_EQ(again.headers.get("idempotency-replayed"), "true");
  EXPECT_FALSE(first.headers.has("idempotency-replayed"));
  http::Response other = submit("{\"n\":1}", {{"Idempotency-Key", "k"}});
  EXPECT_EQ(other.status, 422);
  EXPECT_EQ(code_of(other), "IdempotencyKeyMismatch");
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(invoker_.calls.size(), 1u);
}

TEST_F(FcTasks, ThePolicyIsAskedAboutTheTask) {
  submit_task("t");
  std::string arn = "acs:fc:local:" + keyring_.account() + ":services/s/functions/f/stateful-async-invocations/";
  send("GET", of("t"));
  EXPECT_EQ(authorizer_.asked.back(), "fc:GetStatefulAsyncInvocation " + arn + "t");
  send("PUT", of("t"));
  EXPECT_EQ(authorizer_.asked.back(), "fc:StopStatefulAsyncInvocation " + arn + "t");
  send("GET", kTasks);
  EXPECT_EQ(authorizer_.asked.back(), "fc:ListStatefulAsyncInvocations " + arn + "*");
  identity_ = auth::Identity{.kind = auth::Identity::Kind::role, .role = "r"};
  EXPECT_EQ(code_of(send("PUT", of("t"))), "AccessDenied");
}

TEST_F(FcTasks, OnlyFunctionsAreDestinations) {
  for (const char* arn : {"acs:mns:cn-hangzhou:1:/queues/q/messages", "acs:mns:cn-hangzhou:1:/topics/t/messages", "acs:eventbridge:cn-hangzhou:1:eventbus/default"}) {
    http::Response refused = send("PUT", "services/s/functions/f/async-invoke-config", fmt::format(R"({{"destinationConfig":{{"onSuccess":{{"destination":"{}"}}}}}})", arn));
    EXPECT_EQ(refused.status, 400);
    EXPECT_NE(string_or(parsed(refused), "ErrorMessage").find("a destination is a function"), std::string::npos) << refused.body;
  }
}

}  // namespace
}  // namespace mayfly::dialects::aliyun
