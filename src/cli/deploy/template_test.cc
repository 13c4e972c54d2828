#include "cli/deploy/template.h"

#include <gtest/gtest.h>

#include "cli/deploy/yaml.h"
#include "sys/file.h"

namespace mayfly::cli {
namespace {

constexpr std::string_view kHead = "ROSTemplateFormatVersion: '2015-09-01'\nTransform: 'Aliyun::Serverless-2018-04-03'\n";

Result<Template> parse(const std::string& body, std::map<std::string, std::string> parameters = {}, std::string over = {}) {
  return parse_template({.text = std::string(kHead) + body, .override_text = std::move(over), .base_folder = testing::TempDir(), .parameters = std::move(parameters)});
}

std::string complaint(const std::string& body) {
  auto parsed = parse(body);
  return parsed ? "accepted" : parsed.error().message;
}

constexpr const char* kPhotos = R"(
Resources:
  my-photos:
    Type: 'Aliyun::Serverless::Service'
    Properties:
      Policies:
        - Version: '1'
          Statement: [{Effect: Allow, Action: ['oss:*'], Resource: '*'}]
    faces:
      Type: 'Aliyun::Serverless::Function'
      Properties: {Handler: index.handler, Runtime: python3, Timeout: 60, CodeUri: ./faces, EnvironmentVariables: {N: 3}}
      Events:
        tick:
          Type: Timer
          Properties: {CronExpression: '0 * * * * *', Enable: true, Payload: '{"a":"{\"b\": 1}"}'}
)";

TEST(TemplateTest, ReadsServicesWithTheirFunctionsAndEvents) {
  auto parsed = parse(kPhotos);
  ASSERT_TRUE(parsed) << parsed.error().message;
  ASSERT_EQ(parsed->services.size(), 1u);
  const ServiceSpec& service = parsed->services[0];
  EXPECT_EQ(service.name, "my-photos");
  ASSERT_EQ(service.functions.size(), 1u);
  EXPECT_EQ(int_or(service.functions[0].properties, "Timeout"), 60);
  ASSERT_EQ(service.functions[0].events.size(), 1u);
  EXPECT_EQ(string_or(service.functions[0].events[0].properties, "Payload"), R"({"a":"{\"b\": 1}"})");
}

TEST(TemplateTest, NamesThePlaceOfEveryMistakeAtOnce) {
  std::string said = complaint(R"(
Resources:
  svc:
    Type: Aliyun::Serverless::Service
    Properties: {Descripton: x}
    fn:
      Type: Aliyun::Serverless::Function
      Properties: {Handler: a.b, Runtime: python3, Timeout: '60', memorysize: 128}
      Events:
        t: {Type: Timer, Properties: {Enable: 'yes'}}
        u: {Type: Tmer}
)");
  for (const char* expected : {"Resources.svc.Properties.Descripton: unknown property; did you mean Description?",
                               "Resources.svc.fn.Properties.Timeout: should be an integer from 1 to 86400",
                               "Resources.svc.fn.Properties.memorysize: unknown property; did you mean MemorySize?",
                               "Resources.svc.fn.Properties: the property CodeUri is missing",
                               "Resources.svc.fn.Events.t.Properties: the property CronExpression is missing",
                               "Resources.svc.fn.Events.t.Properties.Enable: should be true or false",
                               "Resources.svc.fn.Events.u.Type: should be one of Timer"})
    EXPECT_NE(said.find(expected), std::string::npos) << expected << "\nin\n" << said;
}

TEST(TemplateTest, ResolvesParametersByCommandLineThenDefault) {
  std::string body = R"(
Parameters:
  Memory: {Type: Number, Default: 256}
  Bucket: {Type: String}
Resources:
  svc:
    Type: Aliyun::Serverless::Service
    fn:
      Type: Aliyun::Serverless::Function
      Properties:
        Handler: a.b
        Runtime: python3
        CodeUri: .
        MemorySize: !Ref Memory
        EnvironmentVariables: {B: !Ref Bucket, U: !Sub 'oss://${Bucket}/${svcfn.FunctionName}'}
)";
  auto parsed = parse(body, {{"Bucket", "b1"}});
  ASSERT_TRUE(parsed) << parsed.error().message;
  const json::object& properties = parsed->services[0].functions[0].properties;
  EXPECT_EQ(int_or(properties, "MemorySize"), 256);
  EXPECT_EQ(to_text(properties.at("EnvironmentVariables")), R"({"B":"b1","U":"oss://b1/fn"})");
  auto other = parse(body, {{"Bucket", "b1"}, {"Memory", "512"}});
  ASSERT_TRUE(other);
  EXPECT_EQ(int_or(other->services[0].functions[0].properties, "MemorySize"), 512);
  EXPECT_FALSE(parse(body));                                        // Bucket has no value
  EXPECT_FALSE(parse(body, {{"Bucket", "b"}, {"Memory", "much"}}));  // not a number
  EXPECT_FALSE(parse(body, {{"Bucket", "b"}, {"Other", "1"}}));      // not declared
}

TEST(TemplateTest, ResolvesReferencesInFlowFiles) {
  sys::write_file(testing::TempDir() + "flow-refs.yml", R"(
version: v1
type: flow
steps:
  - type: task
    name: list
    resourceArn: !Ref my-photos/faces
  - type: task
    name: again
    resourceArn: {'Fn::GetAtt': [my-photosfaces, ARN]}
)");
  auto parsed = parse(std::string(kPhotos) + R"(
  flow1:
    Type: Aliyun::Serverless::Flow
    Properties: {Description: d, DefinitionUri: flow-refs.yml, Policies: [AliyunFCInvocationAccess]}
)");
  ASSERT_TRUE(parsed) << parsed.error().message;
  auto definition = parse_yaml(parsed->flows.at(0).definition, "flow");
  ASSERT_TRUE(definition);
  for (const json::value& step : definition->at("steps").get_array())
    EXPECT_EQ(string_or(step, "resourceArn"), "acs:fc:::services/my-photos/functions/faces");
}

TEST(TemplateTest, SubstitutesInAnInlineDefinition) {
  auto parsed = parse(std::string(kPhotos) + R"(
  flow1:
    Type: Aliyun::Serverless::Flow
    Properties:
      Description: d
      Definition: {'Fn::Sub': ["a: ${my-photosfaces.ARN} ${x} ${!y}", {x: 1}]}
)");
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->flows.at(0).definition, "a: acs:fc:::services/my-photos/functions/faces 1 ${y}");
}

TEST(TemplateTest, RefusesAReferenceToNothing) {
  std::string said = complaint(std::string(kPhotos) + R"(
  flow1:
    Type: Aliyun::Serverless::Flow
    Properties: {Description: d, Definition: !Sub '${nobody.ARN}'}
)");
  EXPECT_EQ(said, "Resources.flow1.Properties.Definition: ${nobody.ARN} names neither a parameter with a value nor a resource of this template");
}

TEST(TemplateTest, MergesTheOverrideDeeply) {
  auto parsed = parse(kPhotos, {}, "Resources:\n  my-photos:\n    faces:\n      Properties:\n        Timeout: 10\n");
  ASSERT_TRUE(parsed);
  const json::object& properties = parsed->services[0].functions[0].properties;
  EXPECT_EQ(int_or(properties, "Timeout"), 10);
  EXPECT_EQ(string_or(properties, "Handler"), "index.handler");
}

TEST(TemplateTest, SkipsWithAWarningWhatTheServerDoesNotHave) {
  auto parsed = parse(std::string(kPhotos) + "  logs:\n    Type: Aliyun::Serverless::Log\n");
  ASSERT_TRUE(parsed);
  ASSERT_EQ(parsed->warnings.size(), 1u);
  EXPECT_NE(parsed->warnings[0].find("Resources.logs"), std::string::npos);
}

TEST(TemplateTest, RefusesAnUnknownTopLevelKeyAndType) {
  EXPECT_NE(complaint("Resorces: {}\n").find("Resorces: unknown property"), std::string::npos);
  EXPECT_NE(complaint("Resources: {a: {Type: Nonsense}}\n").find("Resources.a.Type: \"Nonsense\""), std::string::npos);
  EXPECT_NE(complaint("Resources: [1]\n").find("Resources: should be a map"), std::string::npos);
}

}  // namespace
}  // namespace mayfly::cli
