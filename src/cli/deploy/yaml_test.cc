#include "cli/deploy/yaml.h"

#include <gtest/gtest.h>

namespace mayfly::cli {
namespace {

json::value read(const std::string& text) {
  auto value = parse_yaml(text, "t.yml");
  EXPECT_TRUE(value) << (value ? "" : value.error().message);
  return value ? *value : nullptr;
}

TEST(Yaml, ResolvesPlainScalarsAndLeavesQuotedOnesTexts) {
  EXPECT_EQ(to_text(read("[1, -2, 1.5, true, ~, no, 0x10, '1', \"true\", 2015-09-01, 1e3, .5, -, +]")),
            R"([1,-2,1.5E0,true,null,"no",16,"1","true","2015-09-01",1E3,5E-1,"-","+"])");
}

TEST(Yaml, TurnsTagsIntoTheirLongForms) {
  EXPECT_EQ(to_text(read("{a: !Ref svc/fn, b: !GetAtt f.Arn, c: !Sub 'x${y}', d: !Join [',', [a]]}")),
            R"({"a":{"Ref":"svc/fn"},"b":{"Fn::GetAtt":["f","Arn"]},"c":{"Fn::Sub":"x${y}"},"d":{"Fn::Join":[",",["a"]]}})");
}

TEST(Yaml, MergesInheritedKeysUnderOwnOnes) {
  EXPECT_EQ(to_text(read("base: &b {x: 1, y: 2}\nc:\n  <<: *b\n  y: 3\n")), R"({"base":{"x":1,"y":2},"c":{"y":3,"x":1}})");
}

TEST(Yaml, NamesTheLineOfWhatItCannotRead) {
  auto broken = parse_yaml("a: 1\nb: [1\nc: 2", "t.yml");
  ASSERT_FALSE(broken);
  EXPECT_TRUE(broken.error().message.starts_with("t.yml:")) << broken.error().message;
  auto twice = parse_yaml("a: 1\na: 2", "t.yml");
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().message, "t.yml:2: the key \"a\" appears twice");
}

TEST(Yaml, RefusesAKeyTooLongToWriteBack) {
  auto parsed = parse_yaml("'" + std::string(200, 'k') + "': 1", "t.yml");
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().message, "t.yml:1: a key should be at most 160 bytes");
}

TEST(Yaml, RefusesATreeThatAliasesBlowUp) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int level = 1; level < 9; ++level) {
    text += fmt::format("a{}: &a{} [", level, level);
    for (int i = 0; i < 10; ++i) text += fmt::format("{}*a{}", i == 0 ? "" : ", ", level - 1);
    text += "]\n";
  }
  auto bomb = parse_yaml(text, "t.yml");
  ASSERT_FALSE(bomb);
  EXPECT_NE(bomb.error().message.find("more than"), std::string::npos);
}

TEST(Yaml, WritesWhatReadsBackTheSame) {
  json::value value = read(R"(
version: v1
steps:
  - name: first
    source: ""
    list: [[1, 2], [], {}]
    nested: [{a: {b: [true, null, "true", "1", "no", "- x", "a: b", "#c", "line\nbreak", "$.keys", "/"]}}]
  - plain
)");
  std::string text = write_yaml(value);
  EXPECT_EQ(read(text), value) << text;
  EXPECT_NE(text.find("version: v1\nsteps:\n  - name: first\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace mayfly::cli
