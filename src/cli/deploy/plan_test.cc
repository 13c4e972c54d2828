#include "cli/deploy/plan.h"

#include <gtest/gtest.h>

#include "cli/deploy/difference.h"
#include "cli/deploy/fake_server.h"
#include "cli/deploy/yaml.h"
#include "sys/file.h"

namespace mayfly::cli {
namespace {

constexpr std::string_view kTemplate = R"(
ROSTemplateFormatVersion: '2015-09-01'
Transform: 'Aliyun::Serverless-2018-04-03'
Resources:
  my_photos:
    Type: 'Aliyun::Serverless::Service'
    Properties:
      Policies: [AliyunOSSFullAccess, {Version: '1', Statement: [{Effect: Allow, Action: ['fnf:*'], Resource: '*'}]}]
    faces:
      Type: 'Aliyun::Serverless::Function'
      Properties: {Handler: index.handler, Runtime: python3, Timeout: 60, CodeUri: code, EnvironmentVariables: {N: 3, PATH: /mine}}
      Events:
        tick: {Type: Timer, Properties: {CronExpression: '0 * * * * *', Payload: p}}
        put: {Type: OSS, Properties: {BucketName: b, Events: ['oss:ObjectCreated:*'], Filter: {Key: {Prefix: in/}}}}
        web: {Type: HTTP, Properties: {AuthType: ANONYMOUS}}
  batch:
    Type: 'Aliyun::Serverless::Flow'
    Properties: {Description: d, Definition: 'type: flow', Policies: [AliyunFCInvocationAccess]}
)";

struct PlanTest : testing::Test {
  PlanTest() {
    std::string pattern = testing::TempDir() + "mayfly-plan-XXXXXX";
    folder = mkdtemp(pattern.data());
    sys::make_folders(folder + "/code");
    sys::write_file(folder + "/code/index.py", "def handler(event, context): return 1\n");
  }
  ~PlanTest() override { sys::remove_tree(folder); }

  Plan plan(std::string_view text = kTemplate, std::string over = {}) {
    auto wanted = parse_template({.text = std::string(text), .override_text = std::move(over), .base_folder = folder});
    EXPECT_TRUE(wanted) << (wanted ? "" : wanted.error().message);
    auto made = make_plan(client, *wanted);
    EXPECT_TRUE(made) << (made ? "" : made.error().message);
    return std::move(*made);
  }
  void deploy() { ASSERT_TRUE(apply(client, plan(), [](const Step&) {})); }

  std::string folder;
  FakeServer server;
  ManualClock clock;
  SeededRng rng{1};
  ApiClient client{server, {{"AK", "SK", "", 0}, "1234"}, "cn-hangzhou", clock, rng};
};

TEST_F(PlanTest, CreatesEverythingInAnOrderInWhichEachFindsWhatItNeeds) {
  deploy();
  EXPECT_EQ(server.writes, (std::vector<std::string>{
                               "CreateRole", "AttachPolicyToRole", "CreatePolicy", "AttachPolicyToRole", "POST /services",
                               "POST /services/my_photos/functions", "POST /services/my_photos/functions/faces/triggers", "CreateRole", "CreatePolicy",
                               "AttachPolicyToRole", "POST /services/my_photos/functions/faces/triggers",
                               "POST /services/my_photos/functions/faces/triggers", "CreateRole", "AttachPolicyToRole", "CreateFlow"}));
  EXPECT_TRUE(server.roles.contains("aliyunfcgeneratedrole-cn-hangzhou-my-photos"));
  EXPECT_TRUE(server.policies.contains("AliyunFcGeneratedServicePolicy-cn-hangzhou-my-photos1"));
  EXPECT_EQ(string_or(server.resources["/services/my_photos"], "role"), "acs:ram::1234:role/aliyunfcgeneratedrole-cn-hangzhou-my-photos");
}

TEST_F(PlanTest, FindsNothingToDoTheSecondTime) {
  deploy();
  Plan second = plan();
  EXPECT_FALSE(second.changes_something()) << plan_text(second);
  EXPECT_EQ(second.urls, (std::vector<std::string>{"http://fake/2016-08-15/proxy/my_photos/faces/"}));
}

TEST_F(PlanTest, ChangesOnlyWhatChangedAndSaysHow) {
  deploy();
  server.writes.clear();
  Plan changed = plan(kTemplate, "Resources: {my_photos: {faces: {Properties: {Timeout: 90}, Events: {tick: {Properties: {Payload: q}}}}}}");
  std::string text = plan_text(changed);
  EXPECT_NE(text.find("~ function my_photos/faces\n      timeout: 60 -> 90\n"), std::string::npos) << text;
  EXPECT_NE(text.find("~ trigger my_photos/faces/tick\n      triggerConfig.payload: \"p\" -> \"q\"\n"), std::string::npos) << text;
  ASSERT_TRUE(apply(client, changed, [](const Step&) {}));
  EXPECT_EQ(server.writes, (std::vector<std::string>{"PUT /services/my_photos/functions/faces", "PUT /services/my_photos/functions/faces/triggers/tick"}));
}

TEST_F(PlanTest, SendsCodeOnlyWhenItChanged) {
  deploy();
  std::string before = string_or(server.resources["/services/my_photos/functions/faces"], "codeChecksum");
  Plan timeout_only = plan(kTemplate, "Resources: {my_photos: {faces: {Properties: {Timeout: 90}}}}");
  for (const Step& step : timeout_only.steps)
    for (const Call& call : step.calls) EXPECT_EQ(find(call.body, "code"), nullptr);
  sys::write_file(folder + "/code/index.py", "def handler(event, context): return 2\n");
  Plan changed = plan();
  EXPECT_NE(plan_text(changed).find("~ function my_photos/faces\n      code\n"), std::string::npos) << plan_text(changed);
  ASSERT_TRUE(apply(client, changed, [](const Step&) {}));
  EXPECT_NE(string_or(server.resources["/services/my_photos/functions/faces"], "codeChecksum"), before);
}

TEST_F(PlanTest, MakesATriggerAnewWhenItsTypeChanges) {
  deploy();
  server.writes.clear();
  std::string text(kTemplate);
  size_t at = text.find("web: {Type: HTTP, Properties: {AuthType: ANONYMOUS}}");
  text.replace(at, 52, "web: {Type: Timer, Properties: {CronExpression: '@every 1m'}}");
  ASSERT_TRUE(apply(client, plan(text), [](const Step&) {}));
  EXPECT_EQ(server.writes, (std::vector<std::string>{"DELETE /services/my_photos/functions/faces/triggers/web",
                                                     "POST /services/my_photos/functions/faces/triggers"}));
}

TEST_F(PlanTest, WritesANewVersionOfAPolicyThatChanged) {
  deploy();
  server.policies.begin()->second["PolicyDocument"] = R"({"Version":"1","Statement":[]})";
  server.writes.clear();
  ASSERT_TRUE(apply(client, plan(), [](const Step&) {}));
  EXPECT_EQ(server.writes, (std::vector<std::string>{"CreatePolicyVersion"}));
  EXPECT_FALSE(plan().changes_something());
}

TEST_F(PlanTest, TakesADefinitionThatMeansTheSameAsTheSame) {
  deploy();
  server.flows["batch"].as_object()["Definition"] = "{\"type\": 'flow'}";
  EXPECT_FALSE(plan().changes_something());
  server.flows["batch"].as_object()["Definition"] = "type: flaw";
  EXPECT_TRUE(plan().changes_something());
}

TEST_F(PlanTest, GivesFunctionsTheDeployersEnvironmentAfterTheirOwn) {
  deploy();
  const json::value& environment = server.resources["/services/my_photos/functions/faces"].at("environmentVariables");
  EXPECT_EQ(string_or(environment, "N"), "3");
  EXPECT_TRUE(string_or(environment, "PATH").starts_with("/mine:/code/.fun/root/usr/local/bin:"));
  EXPECT_EQ(string_or(environment, "PYTHONUSERBASE"), "/code/.fun/python");
}

TEST_F(PlanTest, StopsAtTheFirstRefusalAndNamesTheStep) {
  struct Refusing final : Transport {
    Result<Reply> send(Outgoing request) override {
      if (request.method == "GET" || request.body.find("Action=Get") != std::string::npos || request.body.find("Action=Describe") != std::string::npos)
        return Reply{404, {}, R"({"ErrorCode":"NotFound"})"};
      return Reply{403, {}, R"({"Code":"AccessDenied","Message":"no"})"};
    }
    std::string endpoint() const override { return "http://no"; }
  } refusing;
  ApiClient denied{refusing, {{"AK", "SK", "", 0}, "1"}, "r", clock, rng};
  auto wanted = parse_template({.text = std::string(kTemplate), .base_folder = folder});
  ASSERT_TRUE(wanted);
  auto made = make_plan(denied, *wanted);
  ASSERT_TRUE(made) << made.error().message;
  auto applied = apply(denied, *made, [](const Step&) {});
  ASSERT_FALSE(applied);
  EXPECT_EQ(applied.error().message, "role aliyunfcgeneratedrole-r-my-photos: AccessDenied: no");
}

TEST(Difference, TreatsAbsentAndEmptyAsTheSameAndKeysWithoutCase) {
  json::value wanted = *parse_json(R"({"a":"","b":[],"c":{"d":-1},"nasConfig":{"UserId":-1},"E":{"f":1.0}})");
  EXPECT_TRUE(differences(wanted, *parse_json(R"({"nasConfig":{"userId":-1},"e":{"F":1}})")).empty());
}

TEST(Difference, NamesEnvironmentVariablesWithoutTheirValues) {
  json::value wanted = *parse_json(R"({"environmentVariables":{"NEW":"secret1","SAME":"x","OTHER":"secret2"}})");
  json::value present = *parse_json(R"({"environmentVariables":{"SAME":"x","OTHER":"old","GONE":"y"}})");
  EXPECT_EQ(differences(wanted, present), (std::vector<std::string>{"environmentVariables.NEW: added", "environmentVariables.OTHER: changed",
                                                                    "environmentVariables.GONE: removed"}));
}

TEST(Bodies, MapEveryKindOfEventToItsTrigger) {
  Place place{"cn-hangzhou", "1234"};
  auto body = [&](const char* type, const char* properties) {
    return to_text(*trigger_body({.name = "t", .type = type, .path = "p", .properties = parse_yaml(properties, "p")->as_object()}, "", place));
  };
  EXPECT_EQ(body("HTTP", "{AuthType: FUNCTION, Methods: [GET]}"),
            R"({"triggerName":"t","triggerType":"http","triggerConfig":{"authType":"function","methods":["GET"]}})");
  EXPECT_EQ(body("OSS", "{bucketName: b, Events: [x], Filter: {Key: {Prefix: a}}, Qualifier: 1}"),
            R"({"triggerName":"t","triggerType":"oss","triggerConfig":{"events":["x"],"filter":{"Key":{"Prefix":"a"}}},"sourceArn":"acs:oss:cn-hangzhou:1234:b","qualifier":"1"})");
  EXPECT_EQ(body("MNSTopic", "{TopicName: t1, FilterTag: x}"),
            R"({"triggerName":"t","triggerType":"mns_topic","triggerConfig":{"NotifyContentFormat":"STREAM","NotifyStrategy":"BACKOFF_RETRY","FilterTag":"x"},"sourceArn":"acs:mns:cn-hangzhou:1234:/topics/t1"})");
  EXPECT_EQ(body("Log", "{SourceConfig: {Logstore: s}, LogConfig: {Project: p, Logstore: l}, JobConfig: {MaxRetryTime: 2, TriggerInterval: 60}}"),
            R"({"triggerName":"t","triggerType":"log","triggerConfig":{"sourceConfig":{"logstore":"s"},"jobConfig":{"maxRetryTime":2,"triggerInterval":60},"logConfig":{"project":"p","logstore":"l"},"functionParameter":{},"Enable":true},"sourceArn":"acs:log:cn-hangzhou:1234:project/p"})");
  EXPECT_EQ(body("CDN", "{EventName: e, EventVersion: '1', Filter: {Domain: [d]}, InvocationRole: r}"),
            R"({"triggerName":"t","triggerType":"cdn_events","triggerConfig":{"eventName":"e","eventVersion":"1","notes":"","filter":{"domain":["d"]}},"sourceArn":"acs:cdn:*:1234","invocationRole":"r"})");
  EXPECT_EQ(body("RDS", "{InstanceId: i, SubscriptionObjects: [o], Retry: 1, Concurrency: 2, EventFormat: json}"),
            R"({"triggerName":"t","triggerType":"rds","triggerConfig":{"subscriptionObjects":["o"],"retry":1,"concurrency":2,"eventFormat":"json"},"sourceArn":"acs:rds:cn-hangzhou:1234:dbinstance/i"})");
  EXPECT_EQ(body("TableStore", "{InstanceName: i, TableName: t2}"),
            R"({"triggerName":"t","triggerType":"tablestore","triggerConfig":{},"sourceArn":"acs:ots:cn-hangzhou:1234:instance/i/table/t2"})");
}

}  // namespace
}  // namespace mayfly::cli
