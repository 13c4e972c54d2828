#include "flows/path.h"

#include <gtest/gtest.h>

namespace mayfly::flows {
namespace {

std::string at(std::string_view path, std::string_view root) {
  auto parsed = Path::parse(path);
  if (!parsed) return parsed.error().message;
  auto value = parsed->evaluate(*parse_json(root));
  return value ? to_text(*value) : "missing";
}

TEST(Path, WalksMembersAndIndices) {
  EXPECT_EQ(at("$.a.b", R"({"a":{"b":1}})"), "1");
  EXPECT_EQ(at("$", R"({"a":1})"), R"({"a":1})");
  EXPECT_EQ(at("$input.events[0].oss.object.key", R"({"events":[{"oss":{"object":{"key":"k"}}}]})"), R"("k")");
  EXPECT_EQ(at("$input.key_info[1]", R"({"key_info":[1,2]})"), "2");
  EXPECT_EQ(at("$[\"a b\"]['c']", R"({"a b":{"c":3}})"), "3");
}

TEST(Path, AWildcardFlattensInOrderAndSkipsWhatLacksTheMember) {
  EXPECT_EQ(at("$local[*].parts[*]", R"([{"parts":[1,2]},{},{"parts":[3]}])"), "[1,2,3]");
  EXPECT_EQ(at("$local[*].value", R"([{"value":1},{"other":2},{"value":3}])"), "[1,3]");
  EXPECT_EQ(at("$local[*].value", R"([])"), "[]");
}

TEST(Path, WhatLeadsNowhereIsMissing) {
  EXPECT_EQ(at("$.a.b", R"({"a":[]})"), "missing");
  EXPECT_EQ(at("$.a[3]", R"({"a":[1]})"), "missing");
  EXPECT_EQ(at("$.a[*]", R"({"a":5})"), "missing");
}

TEST(Path, SaysWhatIsWrongWithOne) {
  EXPECT_NE(at("$.", "{}").find("a key must follow"), std::string::npos);
  EXPECT_NE(at("$.a[x]", "{}").find("[] holds a number"), std::string::npos);
  EXPECT_NE(at("$a", "{}").find("unexpected"), std::string::npos);
  EXPECT_NE(at("a", "{}").find("must begin"), std::string::npos);
  EXPECT_NE(at("$" + std::string(200, '[') , "{}").find("[]"), std::string::npos);
}

TEST(Path, OnlyTheThreeWordsMakeAReference) {
  EXPECT_TRUE(Path::is_reference("$input"));
  EXPECT_TRUE(Path::is_reference("$local[*].x"));
  EXPECT_TRUE(Path::is_reference("$context.task.token"));
  EXPECT_FALSE(Path::is_reference("$inputs"));
  EXPECT_FALSE(Path::is_reference("$.x"));
  EXPECT_FALSE(Path::is_reference("/"));
}

TEST(Path, ALocalFallsBackToTheOnesAroundIt) {
  json::value inner{{"a", 1}}, outer{{"a", 9}, {"b", 2}}, input = json::object();
  Scope scope{.input = &input, .locals = {&inner, &outer}};
  EXPECT_EQ(evaluate(*Path::parse("$local.a"), scope), json::value(1));
  EXPECT_EQ(evaluate(*Path::parse("$local.b"), scope), json::value(2));
  EXPECT_EQ(to_text(*evaluate(*Path::parse("$local"), scope)), R"({"a":1,"b":2})");
}

TEST(Path, TheContextKnowsFlowExecutionAndToken) {
  json::value input = json::object();
  Scope scope{.input = &input, .flow = "f", .execution = "e", .token = "t"};
  EXPECT_EQ(evaluate(*Path::parse("$context.flow.name"), scope), json::value("f"));
  EXPECT_EQ(evaluate(*Path::parse("$context.execution.name"), scope), json::value("e"));
  EXPECT_EQ(evaluate(*Path::parse("$context.task.token"), scope), json::value("t"));
}

}  // namespace
}  // namespace mayfly::flows
