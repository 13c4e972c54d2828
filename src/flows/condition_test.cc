#include "flows/condition.h"

#include <gtest/gtest.h>

namespace mayfly::flows {
namespace {

// "true", "false", or why it does not parse; notes appended after a space.
std::string judge(std::string_view text, std::string_view input) {
  auto condition = Condition::parse(text);
  if (!condition) return condition.error().message;
  json::value value = *parse_json(input);
  std::vector<std::string> notes;
  bool truth = condition->evaluate({.self = &value, .input = &value}, 17, notes);
  return notes.empty() ? fmt::format("{}", truth) : fmt::format("{} {}", truth, notes.front());
}

TEST(Condition, TheOnesSeenInPublicFlows) {
  EXPECT_EQ(judge("$.hasMore", R"({"hasMore":true})"), "true");
  EXPECT_EQ(judge(R"($.marker != "")", R"({"marker":"m"})"), "true");
  EXPECT_EQ(judge(R"($.marker != "")", R"({"marker":""})"), "false");
  EXPECT_EQ(judge("$.faceIndex < $.faceCount", R"({"faceIndex":1,"faceCount":2})"), "true");
  EXPECT_EQ(judge("$.detectFaceData.FaceCount == 0", R"({"detectFaceData":{"FaceCount":0}})"), "true");
  EXPECT_EQ(judge(R"($.status == "running")", R"({"status":"running"})"), "true");
  EXPECT_EQ(judge("$.total_size <= $.small_file_limit", R"({"total_size":5,"small_file_limit":5})"), "true");
  EXPECT_EQ(judge("$.has_more && ($.event_id >= 4000 || $.n >= $.m)", R"({"has_more":true,"n":2,"m":2})"), "true");
  EXPECT_EQ(judge("$.has_more && ($.event_id >= 4000 || $.n >= $.m)", R"({"has_more":true,"n":1,"m":2})"), "false");
}

TEST(Condition, ABarePathIsTrueOnlyForJsonTrue) {
  EXPECT_EQ(judge("$.a", R"({"a":1})"), "false");
  EXPECT_EQ(judge("$.a", R"({"a":"true"})"), "false");
}

TEST(Condition, AMissingPathMakesAComparisonFalseAndIsNoted) {
  EXPECT_EQ(judge("$.a == 1", "{}"), "false $.a is missing: false");
  EXPECT_EQ(judge("$.a != 1", "{}"), "false $.a is missing: false");
  EXPECT_EQ(judge("$.a", "{}"), "false $.a is missing: false");
  EXPECT_EQ(judge("$.a == null", R"({"a":null})"), "true");
  EXPECT_EQ(judge("$.a != null", R"({"a":0})"), "true");
}

TEST(Condition, TheEventIdIsKnownWhereTheInputHasNone) {
  EXPECT_EQ(judge("$.event_id == 17", "{}"), "true");
  EXPECT_EQ(judge("$.event_id == 17", R"({"event_id":1})"), "false");
}

TEST(Condition, ABooleanComparesItsTextWithAString) {
  EXPECT_EQ(judge(R"($.audited == "true")", R"({"audited":true})"), "true");
  EXPECT_EQ(judge(R"("false" == $.audited)", R"({"audited":false})"), "true");
  EXPECT_EQ(judge("$.audited == true", R"({"audited":true})"), "true");
}

TEST(Condition, NumbersCompareAsNumbersAndStringsByBytes) {
  EXPECT_EQ(judge("$.a == 1", R"({"a":1.0})"), "true");
  EXPECT_EQ(judge("$.a > -2.5e1", R"({"a":-3})"), "true");
  EXPECT_EQ(judge(R"($.a < "b")", R"({"a":"a"})"), "true");
  EXPECT_EQ(judge(R"($.a == "1")", R"({"a":1})"), "false");
  EXPECT_EQ(judge(R"($.a != "1")", R"({"a":1})"), "true");
  EXPECT_EQ(judge(R"($.a < "1")", R"({"a":0})"), "false");
}

TEST(Condition, EveryQuoteAndOperatorWorks) {
  EXPECT_EQ(judge("$.a=='x'&&$.b==`y`", R"({"a":"x","b":"y"})"), "true");
  EXPECT_EQ(judge("!($.a == 1) || false", R"({"a":2})"), "true");
  EXPECT_EQ(judge("1 >= 1 && 1 <= 1 && 2 > 1 && 1 < 2 && 1 != 2", "{}"), "true");
  EXPECT_EQ(judge("true || false && false", "{}"), "true") << "&& binds tighter";
  EXPECT_EQ(judge(R"($["a b"] == "\"")", R"({"a b":"\""})"), "true");
}

TEST(Condition, SaysWhereItIsWrong) {
  EXPECT_EQ(judge("$.a = 1", "{}"), "condition '$.a = 1': expected an operator or the end at character 5");
  EXPECT_EQ(judge("", "{}"), "condition '': expected a value at character 1");
  EXPECT_EQ(judge("$.a == \"x", "{}"), "condition '$.a == \"x': expected a closing \" at character 8");
  EXPECT_NE(judge("(1 == 1", "{}").find("expected ')'"), std::string::npos);
  EXPECT_NE(judge(std::string(200, '(') + "1", "{}").find("expected less nesting"), std::string::npos);
  EXPECT_NE(judge(std::string(5000, ' '), "{}").find("at most 4096 bytes"), std::string::npos);
}

}  // namespace
}  // namespace mayfly::flows
