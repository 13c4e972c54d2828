#include "auth/policy.h"

#include <gtest/gtest.h>

namespace mayfly::auth {
namespace {

PolicyDocument parse(std::string text) {
  for (char& c : text) c = c == '\'' ? '"' : c;
  auto document = parse_policy(text);
  EXPECT_TRUE(document) << document.error().message;
  return document ? *document : PolicyDocument();
}
PolicyDocument statement(const std::string& members) { return parse("{'Version':'1','Statement':[{" + members + "}]}"); }

TEST(Policy, WildcardsMatchAnyTextAndOneCharacter) {
  for (auto [pattern, text] : std::initializer_list<std::pair<const char*, const char*>>{
           {"*", ""}, {"*", "abc"}, {"a*c", "abbbc"}, {"a?c", "abc"}, {"*b*", "abc"}, {"a*b*c", "aXbYbZc"}, {"", ""}, {"**a", "a"}, {"a*", "a"}})
    EXPECT_TRUE(wildcard_matches(pattern, text)) << pattern << " " << text;
  for (auto [pattern, text] :
       std::initializer_list<std::pair<const char*, const char*>>{{"", "a"}, {"a?c", "ac"}, {"a*c", "abd"}, {"?", ""}, {"abc", "ABC"}, {"a*b*c", "acb"}})
    EXPECT_FALSE(wildcard_matches(pattern, text)) << pattern << " " << text;
}

TEST(Policy, AWildcardOfTheWorstKindIsStillQuick) {
  std::string pattern, text(2'000, 'a');
  for (int i = 0; i < 200; ++i) pattern += "a*";
  EXPECT_FALSE(wildcard_matches(pattern + "b", text));
}

TEST(Policy, AResourceLeavesRegionAndAccountOpen) {
  const char* object = "acs:oss:*:1234:bkt/dir/k.txt";
  for (const char* pattern : {"*", "acs:oss:*:*:bkt/*", "acs:oss:::bkt/dir/*", "acs:oss:cn-hangzhou:1234:bkt/*", "acs:oss:*:1234:*", "acs:*:*:*:*"})
    EXPECT_TRUE(resource_matches(pattern, object)) << pattern;
  for (const char* pattern : {"acs:oss:*:*:bkt", "acs:oss:*:999:bkt/*", "acs:fc:*:*:bkt/*", "acs:oss:*:*:other/*"})
    EXPECT_FALSE(resource_matches(pattern, object)) << pattern;
  EXPECT_TRUE(resource_matches("acs:fc:*:*:services/s/functions/*", "acs:fc:cn-hangzhou:1234:services/s/functions/f"));
  EXPECT_FALSE(resource_matches("acs:fc:cn-beijing:*:*", "acs:fc:cn-hangzhou:1234:services/s"));
  EXPECT_TRUE(resource_matches("acs:oss:*:*:bkt/a:b", "acs:oss:*:1:bkt/a:b")) << "colons in a key";
}

TEST(Policy, ActionsCompareWithoutCase) {
  const auto document = statement("'Effect':'Allow','Action':['oss:Get*','FC:invokefunction'],'Resource':'*'");
  EXPECT_EQ(evaluate(document, {"oss:GetObject", "acs:oss:*:1:b/k"}), Verdict::allowed);
  EXPECT_EQ(evaluate(document, {"OSS:getobject", "acs:oss:*:1:b/k"}), Verdict::allowed);
  EXPECT_EQ(evaluate(document, {"fc:InvokeFunction", "acs:fc:*:1:x"}), Verdict::allowed);
  EXPECT_EQ(evaluate(document, {"oss:PutObject", "acs:oss:*:1:b/k"}), Verdict::silent);
}

TEST(Policy, DenyBeatsAllowInAnyOrder) {
  for (const char* text :
       {"{'Version':'1','Statement':[{'Effect':'Allow','Action':'oss:*','Resource':'*'},{'Effect':'Deny','Action':'oss:Delete*','Resource':'*'}]}",
        "{'Version':'1','Statement':[{'Effect':'Deny','Action':'oss:Delete*','Resource':'*'},{'Effect':'Allow','Action':'oss:*','Resource':'*'}]}"}) {
    EXPECT_EQ(evaluate(parse(text), {"oss:DeleteObject", "acs:oss:*:1:b/k"}), Verdict::denied);
    EXPECT_EQ(evaluate(parse(text), {"oss:GetObject", "acs:oss:*:1:b/k"}), Verdict::allowed);
  }
}

TEST(Policy, NotActionAndNotResourceMeanEverythingElse) {
  const auto document = statement("'Effect':'Allow','NotAction':'ram:*','NotResource':['acs:oss:*:*:secret/*']");
  EXPECT_EQ(evaluate(document, {"oss:GetObject", "acs:oss:*:1:b/k"}), Verdict::allowed);
  EXPECT_EQ(evaluate(document, {"oss:GetObject", "acs:oss:*:1:secret/k"}), Verdict::silent);
  EXPECT_EQ(evaluate(document, {"ram:CreateRole", "acs:ram:*:1:role/x"}), Verdict::silent);
}

TEST(Policy, ConditionsNarrowByPrefixAndAddress) {
  const auto document = statement(
      "'Effect':'Allow','Action':'oss:ListObjects','Resource':'*','Condition':{'StringLike':{'oss:Prefix':['photos/*','docs/"
      "*']},'IpAddress':{'acs:SourceIp':'10.0.0.0/8'}}");
  auto verdict = [&](const char* prefix, const char* ip) {
    return evaluate(document, {"oss:ListObjects", "acs:oss:*:1:b", {{"oss:Prefix", prefix}, {"acs:SourceIp", ip}}});
  };
  EXPECT_EQ(verdict("photos/2026", "10.1.2.3"), Verdict::allowed);
  EXPECT_EQ(verdict("private/", "10.1.2.3"), Verdict::silent);
  EXPECT_EQ(verdict("docs/", "11.1.2.3"), Verdict::silent);
  EXPECT_EQ(evaluate(document, {"oss:ListObjects", "acs:oss:*:1:b"}), Verdict::silent);
}

TEST(Policy, WhatCannotBeJudgedAllowsNothingAndDeniesAll) {
  for (const char* condition : {"'DateGreaterThan':{'acs:CurrentTime':'2026-01-01T00:00:00Z'}", "'IpAddress':{'acs:SourceIp':'not an address'}",
                                "'StringNotEquals':{'acs:Absent':'x'}"}) {
    const Access access{"oss:GetObject", "acs:oss:*:1:b/k", {{"acs:SourceIp", "10.0.0.1"}}};
    const std::string rest = std::string("'Action':'*','Resource':'*','Condition':{") + condition + "}";
    EXPECT_EQ(evaluate(statement("'Effect':'Allow'," + rest), access), Verdict::silent) << condition;
    EXPECT_EQ(evaluate(statement("'Effect':'Deny'," + rest), access), Verdict::denied) << condition;
  }
}

TEST(Policy, NegativeOperatorsHoldWhenNoValueMatches) {
  const auto document = statement("'Effect':'Allow','Action':'*','Resource':'*','Condition':{'NotIpAddress':{'acs:SourceIp':['10.0.0.0/8','192.168.0.0/16']}}");
  EXPECT_EQ(evaluate(document, {"a:b", "r", {{"acs:SourceIp", "8.8.8.8"}}}), Verdict::allowed);
  EXPECT_EQ(evaluate(document, {"a:b", "r", {{"acs:SourceIp", "192.168.3.4"}}}), Verdict::silent);
}

TEST(Policy, RefusesWhatItDoesNotUnderstand) {
  for (const char* text : {"", "[]", "{}", R"({"Version":"1"})", R"({"Version":"2","Statement":[]})", R"({"Version":"1","Statement":[]})",
                           R"({"Version":"1","Statement":[{"Effect":"allow","Action":"*","Resource":"*"}]})", R"({"Version":"1","Statement":[{"Effect":"Allow","Resource":"*"}]})",
                           R"({"Version":"1","Statement":[{"Effect":"Allow","Action":"*"}]})", R"({"Version":"1","Statement":[{"Effect":"Allow","Action":[],"Resource":"*"}]})",
                           R"({"Version":"1","Statement":[{"Effect":"Allow","Action":"*","NotAction":"*","Resource":"*"}]})",
                           R"({"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringLike":"x"}}]})"})
    EXPECT_FALSE(parse_policy(text)) << text;
  EXPECT_FALSE(parse_policy(std::string(kMaxPolicyBytes + 1, ' ')));
}

TEST(Policy, ReadsATrustPolicyWithItsPrincipals) {
  auto trust = parse_policy(R"({"Version":"1","Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":["fc.aliyuncs.com"],"RAM":"acs:ram::1:root"}}]})", NeedsResource::no);
  ASSERT_TRUE(trust);
  EXPECT_EQ(trust->statements[0].principals, (std::vector<std::string>{"fc.aliyuncs.com", "acs:ram::1:root"}));
}

TEST(Policy, SystemPoliciesSayWhatTheirNamesSay) {
  auto allows = [](const char* name, const char* action) {
    auto text = system_policy(name);
    EXPECT_TRUE(text) << name;
    return text && evaluate(*parse_policy(*text), {action, "acs:x:*:1:y"}) == Verdict::allowed;
  };
  EXPECT_TRUE(allows("AdministratorAccess", "oss:DeleteBucket"));
  EXPECT_TRUE(allows("AliyunOSSFullAccess", "oss:PutObject"));
  EXPECT_FALSE(allows("AliyunOSSFullAccess", "fc:InvokeFunction"));
  EXPECT_TRUE(allows("AliyunOSSReadOnlyAccess", "oss:GetObject"));
  EXPECT_FALSE(allows("AliyunOSSReadOnlyAccess", "oss:PutObject"));
  EXPECT_TRUE(allows("AliyunFCInvocationAccess", "fc:InvokeFunction"));
  EXPECT_FALSE(allows("AliyunFCInvocationAccess", "fc:CreateFunction"));
  EXPECT_TRUE(allows("AliyunFnFFullAccess", "fnf:StartExecution"));
  EXPECT_TRUE(allows("AliyunMNSFullAccess", "mns:SendMessage"));
  EXPECT_TRUE(allows("AliyunLogFullAccess", "log:PostLogStoreLogs"));
  EXPECT_TRUE(allows("ReadOnlyAccess", "fc:ListFunctions"));
  EXPECT_TRUE(allows("AliyunVPCFullAccess", "vpc:DescribeVSwitches")) << "any product's";
  for (const char* name : {"", "AliyunFullAccess", "Aliyun-FullAccess", "OSSFullAccess", "Whatever"}) EXPECT_FALSE(system_policy(name)) << name;
  for (const auto& name : system_policy_names()) EXPECT_TRUE(parse_policy(*system_policy(name))) << name;
}

}  // namespace
}  // namespace mayfly::auth
