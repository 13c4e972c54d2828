#include "dialects/aliyun/fc_fixture.h"
#include "dispatch/limits.h"

namespace mayfly::dialects::aliyun {
namespace {

class FcProvision : public FcFixture {
 protected:
  FcProvision() { make_function(); }
  dispatch::Limits limits() { return dispatch::limits_of(settings_, *catalogue_, **catalogue_->resolve("s", "", "f", 0), 1); }
  std::string answer(int target, int current) {
    return fmt::format(R"({{"resource":"{}#s#LATEST#f","target":{},"current":{},"scheduledActions":[],"targetTrackingPolicies":[]}})", keyring_.account(), target, current);
  }
  const std::string path_ = "services/s.LATEST/functions/f/provision-config";
};

TEST_F(FcProvision, ATargetIsKeptAnsweredAndFollowed) {
  EXPECT_EQ(send("GET", path_).body, answer(0, 0));
  http::Response kept = send("PUT", path_, R"({"Target":2})");
  EXPECT_EQ(kept.status, 200);
  EXPECT_EQ(kept.body, answer(2, 1));
  EXPECT_EQ(limits().minimum, 2u);
  EXPECT_EQ(send("GET", path_).body, kept.body);
  EXPECT_EQ(send("PUT", path_, R"({"target":1})", {{"If-Match", "other"}}).status, 412);
  EXPECT_EQ(send("PUT", path_, R"({"target":1})", {{"If-Match", kept.headers.get("etag")}}).status, 200);
  EXPECT_EQ(send("DELETE", path_).status, 204);
  EXPECT_EQ(limits().minimum, 0u);
}

TEST_F(FcProvision, TheNewerSurfaceNamesTheQualifierInTheQuery) {
  EXPECT_EQ(loop_.wait(dialect_->handle(loop_, request("PUT", "/2021-04-06/services/s/functions/f/provision-config?qualifier=LATEST", R"({"target":3})"))).status, 200);
  EXPECT_EQ(limits().minimum, 3u);
}

TEST_F(FcProvision, ActionsAndPoliciesRoundTripAndStayWhenNotSent) {
  http::Response kept = send("PUT", path_, R"j({"target":1,
    "scheduledActions":[{"Name":"morning","StartTime":"2026-11-01T00:00:00Z","EndTime":"2027-11-01T00:00:00Z","Target":5,"ScheduleExpression":"cron(0 30 8 * * *)"},
                        {"name":"once","target":9,"scheduleExpression":"at(2026-12-24T18:00:00)"}],
    "targetTrackingPolicies":[{"name":"busy","startTime":"2026-01-01T00:00:00Z","endTime":"2026-12-31T00:00:00Z",
                               "metricType":"ProvisionedConcurrencyUtilization","metricTarget":0.6,"minCapacity":2,"maxCapacity":9}]})j");
  ASSERT_EQ(kept.status, 200) << kept.body;
  json::value answer = parsed(kept);
  EXPECT_EQ(string_or(find(answer, "scheduledActions")->at(0), "scheduleExpression"), "cron(0 30 8 * * *)");
  EXPECT_EQ(int_or(find(answer, "targetTrackingPolicies")->at(0), "maxCapacity"), 9);
  ASSERT_EQ(limits().tracking.size(), 1u);
  EXPECT_DOUBLE_EQ(limits().tracking[0].settings.target, 0.6);
  answer = parsed(send("PUT", path_, R"j({"target":4,"scheduledActions":[]})j"));
  EXPECT_TRUE(find(answer, "scheduledActions")->as_array().empty());
  EXPECT_EQ(find(answer, "targetTrackingPolicies")->as_array().size(), 1u);
}

TEST_F(FcProvision, WhatCannotBeMeantIsRefused) {
  for (const char* body : {R"j({})j", R"j({"target":-1})j", R"j({"target":"two"})j", R"j({"target":1,"scheduledActions":[{"name":"a","target":1}]})j",
                           R"j({"target":1,"scheduledActions":[{"name":"a","target":1,"scheduleExpression":"cron(every day)"}]})j",
                           R"j({"target":1,"scheduledActions":[{"name":"a","target":1,"scheduleExpression":"at(noon)"}]})j",
                           R"j({"target":1,"scheduledActions":[{"target":1,"scheduleExpression":"cron(0 0 8 * * *)"}]})j",
                           R"j({"target":1,"scheduledActions":[{"name":"a","scheduleExpression":"cron(0 0 8 * * *)"}]})j",
                           R"j({"target":1,"targetTrackingPolicies":[{"name":"p","metricType":"CPUUtilization","metricTarget":0.5,"minCapacity":1,"maxCapacity":2}]})j",
                           R"j({"target":1,"targetTrackingPolicies":[{"name":"p","metricType":"ProvisionedConcurrencyUtilization","metricTarget":7,"minCapacity":1,"maxCapacity":2}]})j",
                           R"j({"target":1,"targetTrackingPolicies":[{"name":"p","metricType":"ProvisionedConcurrencyUtilization","metricTarget":0.5,"minCapacity":3,"maxCapacity":2}]})j"})
    EXPECT_EQ(code_of(send("PUT", path_, body)), "InvalidArgument") << body;
  EXPECT_EQ(code_of(send("PUT", "services/s/functions/g/provision-config", R"j({"target":1})j")), "FunctionNotFound");
}

TEST_F(FcProvision, TheListHasEveryConfigOfAService) {
  EXPECT_EQ(send("GET", "provision-configs").body, R"({"provisionConfigs":[],"nextToken":""})");
  send("PUT", path_, R"({"target":2})");
  json::value list = parsed(send("GET", "provision-configs?serviceName=s&qualifier=LATEST"));
  ASSERT_EQ(find(list, "provisionConfigs")->as_array().size(), 1u);
  EXPECT_EQ(int_or(find(list, "provisionConfigs")->at(0), "target"), 2);
  EXPECT_TRUE(find(parsed(send("GET", "provision-configs?serviceName=t")), "provisionConfigs")->as_array().empty());
}

TEST_F(FcProvision, GoesWithItsFunction) {
  send("PUT", path_, R"({"target":2})");
  EXPECT_EQ(send("DELETE", "services/s/functions/f").status, 204);
  EXPECT_FALSE(settings_.get(dispatch::kProvisionConfig, dispatch::limits_name("s", "", "f")));
}

TEST_F(FcProvision, AFunctionThatCannotStartSaysSo) {
  invoker_.suspended = {{"LATEST", "no module named cv9", 0, 3}};
  send("PUT", path_, R"({"target":2})");
  EXPECT_EQ(string_or(parsed(send("GET", path_)), "currentError"), "no module named cv9");
}

}  // namespace
}  // namespace mayfly::dialects::aliyun
