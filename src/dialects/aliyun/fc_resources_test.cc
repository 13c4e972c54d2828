#include "dialects/aliyun/fc_fixture.h"
#include "dispatch/limits.h"

namespace mayfly::dialects::aliyun {
namespace {

using FcResources = FcFixture;

// What `fun deploy` sends (aliyun-fc.md section 3).
constexpr const char* kFunService =
    R"({"serviceName":"svc-1","role":"acs:ram::1:role/r","tracingConfig":{},"logConfig":{"project":"","logstore":"","enableRequestMetrics":false,"enableInstanceMetrics":false},)"
    R"("vpcConfig":{"securityGroupId":"","vSwitchIds":[],"vpcId":""},"nasConfig":{"UserId":-1,"GroupId":-1,"MountPoints":[]}})";

TEST_F(FcResources, TheDeployersSequenceWorks) {
  EXPECT_EQ(code_of(send("GET", "services/svc-1")), "ServiceNotFound");
  http::Response service = send("POST", "services", kFunService, {{"Content-Type", "application/octet-stream"}});
  ASSERT_EQ(service.status, 200) << service.body;
  EXPECT_FALSE(service.headers.get("etag").empty());
  EXPECT_EQ(to_text(*find(parsed(service), "nasConfig")), R"({"userId":-1,"groupId":-1,"mountPoints":[]})");
  EXPECT_EQ(to_text(*find(parsed(service), "tracingConfig")), R"({"type":null,"params":null})");
  EXPECT_EQ(code_of(send("GET", "services/svc-1/functions/detector")), "FunctionNotFound");
  http::Response function = send("POST", "services/svc-1/functions",
                                 R"({"description":"","handler":"index.handler","initializer":"","layers":[],"timeout":60,"initializationTimeout":3,"memorySize":512,)"
                                 R"("runtime":"python3","InstanceLifecycleConfig":{"PreFreeze":{"Handler":""},"PreStop":{"Handler":""}},"environmentVariables":{"A":"1"},)"
                                 R"("functionName":"detector","code":)" + zip_code("zip") + "}");
  ASSERT_EQ(function.status, 200) << function.body;
  json::value body = parsed(function);
  EXPECT_EQ(string_or(body, "instanceType"), "e1");
  EXPECT_EQ(int_or(body, "codeSize"), 3);
  EXPECT_EQ(string_or(body, "codeChecksum"), std::to_string(crc64("zip")));
  EXPECT_EQ(to_text(*find(body, "instanceLifecycleConfig")), R"({"preFreeze":{"handler":""},"preStop":{"handler":""}})");
  EXPECT_EQ(send("GET", "services/svc-1/functions/detector/triggers").body, R"({"triggers":[],"nextToken":""})");
  EXPECT_EQ(code_of(send("GET", "services/svc-1/functions/detector/triggers/t")), "TriggerNotFound");
  http::Response trigger = send("POST", "services/svc-1/functions/detector/triggers",
                                R"({"triggerType":"timer","triggerConfig":{"payload":"p","cronExpression":"0 * * * * *","enable":true},"triggerName":"t"})");
  ASSERT_EQ(trigger.status, 200) << trigger.body;
  EXPECT_EQ(to_text(*find(parsed(trigger), "triggerConfig")), R"({"payload":"p","cronExpression":"0 * * * * *","enable":true})");
  EXPECT_EQ(send("PUT", "services/svc-1", R"({"description":"d"})").status, 200);
  EXPECT_EQ(string_or(parsed(send("GET", "services/svc-1")), "role"), "acs:ram::1:role/r");
}

TEST_F(FcResources, ConditionalRequestsHoldTheEtag) {
  make_function();
  std::string tag = send("GET", "services/s/functions/f").headers.get("etag");
  EXPECT_EQ(code_of(send("PUT", "services/s/functions/f", R"({"timeout":9})", {{"If-Match", "invalid etag"}})), "PreconditionFailed");
  http::Response updated = send("PUT", "services/s/functions/f", R"({"timeout":9})", {{"If-Match", tag}});
  EXPECT_EQ(updated.status, 200);
  EXPECT_EQ(int_or(parsed(updated), "timeout"), 9);
  EXPECT_EQ(send("DELETE", "services/s/functions/f", "", {{"If-Match", tag}}).status, 412);
  EXPECT_EQ(send("DELETE", "services/s/functions/f", "", {{"If-Match", updated.headers.get("etag")}}).status, 204);
}

TEST_F(FcResources, AnUpdateKeepsWhatWasNotSentAndReplacesTheEnvironment) {
  make_function(R"(,"environmentVariables":{"A":"1","B":"2"},"memorySize":256)");
  send("PUT", "services/s/functions/f", R"({"description":"é"})");
  json::value kept = parsed(send("GET", "services/s/functions/f"));
  EXPECT_EQ(to_text(*find(kept, "environmentVariables")), R"({"A":"1","B":"2"})");
  EXPECT_EQ(int_or(kept, "memorySize"), 256);
  EXPECT_EQ(string_or(kept, "description"), "é");
  send("PUT", "services/s/functions/f", R"({"environmentVariables":{}})");
  EXPECT_EQ(to_text(*find(parsed(send("GET", "services/s/functions/f")), "environmentVariables")), "{}");
  http::Response code = send("PUT", "services/s/functions/f", R"({"code":)" + zip_code("other") + "}");
  EXPECT_EQ(string_or(parsed(code), "codeChecksum"), std::to_string(crc64("other")));
  json::value where = parsed(send("GET", "services/s/functions/f/code"));
  EXPECT_EQ(string_or(where, "checksum"), std::to_string(crc64("other")));
  EXPECT_TRUE(string_or(where, "url").starts_with("http://127.0.0.1/2016-08-15/code-packages/"));
}

TEST_F(FcResources, RefusesWrongTypesAndLimits) {
  send("POST", "services", R"({"serviceName":"s"})");
  auto create = [this](const std::string& members) {
    return send("POST", "services/s/functions", R"({"functionName":"f","handler":"i.h","code":)" + zip_code("zip") + "," + members + "}");
  };
  EXPECT_EQ(code_of(create(R"("runtime":10)")), "InvalidArgument");
  EXPECT_EQ(code_of(create(R"("runtime":"cobol")")), "InvalidArgument");
  EXPECT_EQ(code_of(create(R"("runtime":"python3","memorySize":100)")), "InvalidArgument");
  EXPECT_EQ(code_of(create(R"("runtime":"python3","memorySize":200)")), "InvalidArgument");
  EXPECT_EQ(code_of(create(R"("runtime":"python3","timeout":0)")), "InvalidArgument");
  EXPECT_EQ(code_of(create(R"("runtime":"python3","environmentVariables":{"FC_X":"1"})")), "InvalidArgument");
  EXPECT_EQ(code_of(create(R"("runtime":"python3","environmentVariables":{"A":1})")), "InvalidArgument");
  EXPECT_EQ(code_of(create(R"("runtime":"python3","environmentVariables":{"A":")" + std::string(4'097, 'x') + "\"}")), "InvalidArgument");
  EXPECT_EQ(code_of(send("POST", "services/s/functions", R"({"functionName":"f","runtime":"python3","handler":"i.h","code":{"zipFile":"!!"}})")), "InvalidArgument");
  EXPECT_EQ(code_of(send("POST", "services/s/functions", R"({"functionName":"f","runtime":"python3","handler":"i.h"})")), "InvalidArgument");
  EXPECT_EQ(code_of(send("POST", "services", "[1]")), "InvalidArgument");
  EXPECT_EQ(code_of(send("POST", "services", "{")), "InvalidArgument");
  EXPECT_EQ(code_of(send("GET", "services?limit=101")), "InvalidArgument");
  EXPECT_EQ(code_of(send("GET", "nothing")), "PathNotSupported");
  EXPECT_EQ(send("PATCH", "services").status, 405);
}

TEST_F(FcResources, CodeMayComeFromABucket) {
  send("POST", "services", R"({"serviceName":"s"})");
  std::string head = R"({"functionName":"f","runtime":"python3","handler":"i.h","code":{"ossBucketName":"code","ossObjectName":)";
  EXPECT_EQ(code_of(send("POST", "services/s/functions", head + R"("gone.zip"}})")), "InvalidArgument");
  EXPECT_EQ(send("POST", "services/s/functions", head + R"("f.zip"}})").status, 200);
  EXPECT_EQ(authorizer_.asked.back(), "oss:GetObject acs:oss:*:" + keyring_.account() + ":code/f.zip");
}

TEST_F(FcResources, VersionsAndAliasesFollowTheRules) {
  make_function();
  EXPECT_EQ(string_or(parsed(send("POST", "services/s/versions", R"({"description":"one"})")), "versionId"), "1");
  EXPECT_EQ(send("POST", "services/s/versions").status, 409);
  EXPECT_EQ(string_or(parsed(send("GET", "services/s.1")), "description"), "one");
  send("PUT", "services/s/functions/f", R"({"timeout":9})");
  EXPECT_EQ(int_or(parsed(send("GET", "services/s.1/functions/f")), "timeout"), 3);
  EXPECT_EQ(string_or(parsed(send("POST", "services/s/versions")), "versionId"), "2");
  http::Response alias = send("POST", "services/s/aliases", R"({"aliasName":"prod","versionId":"1","additionalVersionWeight":{"2":0.1}})");
  ASSERT_EQ(alias.status, 200) << alias.body;
  EXPECT_EQ(to_text(*find(parsed(alias), "additionalVersionWeight")), R"({"2":1E-1})");
  EXPECT_EQ(code_of(send("POST", "services/s/aliases", R"({"aliasName":"x","versionId":"9"})")), "VersionNotFound");
  EXPECT_EQ(code_of(send("GET", "services/s/aliases/x")), "AliasNotFound");
  EXPECT_EQ(code_of(send("GET", "services/s.7/functions/f")), "VersionNotFound");
  EXPECT_EQ(code_of(send("GET", "services/s.nope/functions/f")), "AliasNotFound");
  EXPECT_EQ(int_or(parsed(send("GET", "services/s.prod/functions/f")), "timeout"), 3);
  EXPECT_EQ(send("DELETE", "services/s").status, 409);
  EXPECT_EQ(code_of(send("DELETE", "services/s/versions/1")), "Conflict");
  json::value listed = parsed(send("GET", "services/s/versions?limit=1"));
  EXPECT_EQ(string_or(listed, "nextToken"), "1");
  EXPECT_EQ(string_or(parsed(send("PUT", "services/s/aliases/prod", R"({"versionId":"2","additionalVersionWeight":{}})")), "versionId"), "2");
  EXPECT_EQ(send("DELETE", "services/s/aliases/prod").status, 204);
  EXPECT_EQ(code_of(send("DELETE", "services/s/aliases/prod")), "AliasNotFound");
}

TEST_F(FcResources, TriggersRoundTripAndPage) {
  make_function();
  EXPECT_EQ(code_of(send("POST", "services/none/functions/f/triggers", R"({"triggerName":"t","triggerType":"http"})")), "ServiceNotFound");
  for (int i = 0; i < 5; ++i) {
    http::Response made = send("POST", "services/s/functions/f/triggers",
                               fmt::format(R"({{"triggerName":"t{}","triggerType":"oss","sourceArn":"acs:oss:local:1:b","invocationRole":"acs:ram::1:role/x","description":"中",)"
                                           R"("triggerConfig":{{"events":["oss:ObjectCreated:*"],"filter":{{"key":{{"prefix":"pre{}","suffix":"suf{}"}}}}}}}})",
                                           i, std::string(static_cast<size_t>(i), 'x'), i));
    ASSERT_EQ(made.status, 200) << made.body;
    EXPECT_EQ(string_or(parsed(made), "invocationRole"), "acs:ram::1:role/x");
  }
  std::string token, all;
  int pages = 0;
  do {
    json::value page = parsed(send("GET", "services/s/functions/f/triggers?limit=2" + (token.empty() ? "" : "&nextToken=" + token)));
    token = string_or(page, "nextToken");
    ++pages;
  } while (!token.empty());
  EXPECT_EQ(pages, 3);
  EXPECT_EQ(code_of(send("POST", "services/s/functions/f/triggers",
                         R"({"triggerName":"o","triggerType":"oss","sourceArn":"acs:oss:local:1:b","triggerConfig":{"events":["oss:ObjectCreated:PutObject"]}})")), "InvalidArgument");
  EXPECT_EQ(code_of(send("POST", "services/s/functions/f/triggers",
                         R"({"triggerName":"c","triggerType":"timer","triggerConfig":{"payload":"","cronExpression":"every day","enable":true}})")), "InvalidArgument");
  EXPECT_EQ(code_of(send("POST", "services/s/functions/f/triggers", R"({"triggerName":"u","triggerType":"unheard-of","triggerConfig":{}})")), "InvalidArgument");
  EXPECT_EQ(send("DELETE", "services/s/functions/f/triggers/t0").status, 204);
  EXPECT_EQ(code_of(send("DELETE", "services/s/functions/f/triggers/t0")), "TriggerNotFound");
  EXPECT_EQ(code_of(send("POST", "services/s/functions/f/triggers",
                         R"({"triggerName":"t1","triggerType":"timer","triggerConfig":{"cronExpression":"@every 5m"}})")), "TriggerAlreadyExists");
}

TEST_F(FcResources, TheApiOf2021SpeaksOfTriggersAsText) {
  make_function();
  http::Response made = loop_.wait(dialect_->handle(loop_, request("POST", "/2021-04-06/services/s/functions/f/triggers",
      R"({"triggerConfig":"{\"cronExpression\":\"@every 1m\"}","triggerName":"t","triggerType":"timer"})")));
  ASSERT_EQ(made.status, 200) << made.body;
  EXPECT_EQ(string_or(parsed(made), "triggerConfig"), R"({"cronExpression":"@every 1m"})");
  send("POST", "services/s/versions");
  http::Response pinned = loop_.wait(dialect_->handle(loop_, request("GET", "/2021-04-06/services/s/functions/f?qualifier=1")));
  EXPECT_EQ(pinned.status, 200);
}

TEST_F(FcResources, ConfigurationsDomainsAndTagsAreKept) {
  make_function();
  std::string path = "services/s/functions/f/async-invoke-config";
  EXPECT_EQ(code_of(send("GET", path)), "AsyncConfigNotExists");
  http::Response config = send("PUT", path, R"({"DestinationConfig":{"OnSuccess":{"Destination":"acs:fc:l:1:services/s/functions/f"}},"MaxAsyncRetryAttempts":1})");
  ASSERT_EQ(config.status, 200) << config.body;
  EXPECT_EQ(to_text(*find(parsed(config), "destinationConfig")), R"({"onSuccess":{"destination":"acs:fc:l:1:services/s/functions/f"}})");
  EXPECT_EQ(dispatch::async_policy(settings_, {"s", "f", ""}).max_retries, 1);
  json::value listed = parsed(send("GET", "async-invoke-configs?serviceName=s&functionName=f"));
  EXPECT_EQ(find(listed, "configs")->get_array().size(), 1u);
  EXPECT_EQ(string_or(listed, "nextToken", "none"), "");
  EXPECT_EQ(send("DELETE", path).status, 204);

  EXPECT_EQ(string_or(parsed(send("POST", "custom-domains", R"({"domainName":"A.example"})")), "domainName"), "A.example");
  EXPECT_EQ(code_of(send("POST", "custom-domains", R"({"domainName":"a.example"})")), "DomainNameAlreadyExists");
  EXPECT_EQ(code_of(send("PUT", "custom-domains/a.example", R"({"protocol":"HTTP,HTTPS"})")), "InvalidArgument");
  EXPECT_EQ(send("PUT", "custom-domains/a.example", R"({"protocol":"HTTP,HTTPS","certConfig":{"certName":"c","certificate":"x","privateKey":"y"}})").status, 200);
  EXPECT_EQ(string_or(parsed(send("PUT", "custom-domains/a.example", R"({"protocol":"HTTP"})")), "protocol"), "HTTP");
  EXPECT_EQ(find(parsed(send("GET", "custom-domains")), "customDomains")->get_array().size(), 1u);
  EXPECT_EQ(send("DELETE", "custom-domains/a.example").status, 204);
  EXPECT_EQ(code_of(send("GET", "custom-domains/a.example")), "DomainNameNotFound");

  EXPECT_EQ(send("POST", "tag", R"({"resourceArn":"acs:fc:l:1:services/s","tags":{"a":"1","b":"2"}})").status, 200);
  EXPECT_EQ(string_or(parsed(send("GET", "tag?resourceArn=services%2Fs")), "resourceArn"), "acs:fc:local:" + keyring_.account() + ":services/s");
  EXPECT_EQ(send("DELETE", "tag", R"({"resourceArn":"acs:fc:l:1:services/s","tagKeys":["a"]})").status, 200);
  EXPECT_EQ(to_text(*find(parsed(send("GET", "tag?resourceArn=acs%3Afc%3Al%3A1%3Aservices%2Fs")), "tags")), R"({"b":"2"})");
}

TEST_F(FcResources, InstanceLimitsAreKeptAndInstancesListed) {
  make_function();
  EXPECT_EQ(send("GET", "on-demand-configs").body, "{}");
  std::string path = "services/s.LATEST/functions/f/on-demand-config";
  EXPECT_EQ(code_of(send("GET", path)), "OnDemandConfigNotFound");
  EXPECT_EQ(code_of(send("PUT", path, "{}")), "InvalidArgument");
  http::Response kept = send("PUT", path, R"({"maximumInstanceCount":1})");
  EXPECT_EQ(kept.body, R"({"maximumInstanceCount":1,"resource":"services/s.LATEST/functions/f"})");
  EXPECT_EQ(dispatch::limits_of(settings_, *catalogue_, **catalogue_->resolve("s", "", "f", 0), 1).maximum, 1u);
  EXPECT_EQ(send("DELETE", path, "", {{"If-Match", "other"}}).status, 412);
  EXPECT_EQ(send("DELETE", path).status, 204);
  EXPECT_EQ(to_text(*find(parsed(send("GET", "services/s/functions/f/instances")), "instances")), R"([{"instanceId":"i1","versionId":"0"}])");
}

TEST_F(FcResources, OnlyWhoMayIsLetIn) {
  identity_ = fail(auth::AuthError::missing, "no signature");
  EXPECT_EQ(code_of(send("GET", "services")), "MissingRequiredHeader");
  identity_ = fail(auth::AuthError::bad_signature, "the signature differs");
  http::Response differs = send("GET", "services");
  EXPECT_EQ(differs.status, 403);
  EXPECT_EQ(code_of(differs), "SignatureNotMatch");
  identity_ = auth::Identity{.kind = auth::Identity::Kind::role, .role = "r"};
  EXPECT_EQ(code_of(send("POST", "services", R"({"serviceName":"s"})")), "AccessDenied");
  EXPECT_EQ(code_of(send("GET", "services/s")), "ServiceNotFound");
  EXPECT_EQ(authorizer_.asked.back(), "fc:GetService acs:fc:local:" + keyring_.account() + ":services/s");
}

}  // namespace
}  // namespace mayfly::dialects::aliyun
