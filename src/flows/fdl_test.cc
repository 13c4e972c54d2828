#include "flows/fdl.h"

#include <gtest/gtest.h>

#include "flows/yaml.h"

namespace mayfly::flows {
namespace {

std::string refusal(const std::string& steps) {
  auto parsed = parse_fdl("version: v1\ntype: flow\nsteps:\n" + steps);
  return parsed ? "accepted" : parsed.error().message;
}

TEST(Fdl, EveryRefusalNamesThePath) {
  EXPECT_EQ(refusal("- {type: choice, name: c, choices: [{condition: $.a, goto: x}]}"), "steps[0].choices[0].goto: no sibling step named 'x'");
  EXPECT_EQ(refusal("- {type: choice, name: c, default: {goto: x}}"), "steps[0].default.goto: no sibling step named 'x'");
  EXPECT_EQ(refusal("- {type: nap, name: c}"), "steps[0].type: 'nap' is no step type");
  EXPECT_EQ(refusal("- {type: pass}"), "steps[0].name: must be 1 to 128 characters [A-Za-z_][A-Za-z0-9_-]*");
  EXPECT_EQ(refusal("- {type: pass, name: a}\n- {type: pass, name: a}"), "steps[1].name: 'a' names two steps of this list");
  EXPECT_EQ(refusal("- {type: task, name: a}"), "steps[0].resourceArn: a task has either a resourceArn or an action");
  EXPECT_EQ(refusal("- {type: task, name: a, resourceArn: r, pattern: async}"), "steps[0].pattern: must be requestResponse, sync or waitForCallback");
  EXPECT_EQ(refusal("- {type: task, name: a, resourceArn: r, catch: [{errors: [E], goto: z}]}"), "steps[0].catch[0].goto: no sibling step named 'z'");
  EXPECT_EQ(refusal("- {type: task, name: a, resourceArn: r, retry: [{intervalSeconds: 1}]}"), "steps[0].retry[0].errors: needs at least one error name");
  EXPECT_EQ(refusal("- {type: task, name: a, resourceArn: r, serviceParams: {a: [$.]}}"),
            "steps[0].serviceParams.a[0]: '.' is no path: a key must follow '.'");
  EXPECT_EQ(refusal("- {type: pass, name: a, inputMappings: [{source: 1}]}"), "steps[0].inputMappings[0].target: missing");
  EXPECT_EQ(refusal("- {type: pass, name: a, outputMappings: [{target: t, source: '$input['}]}").substr(0, 33), "steps[0].outputMappings[0].source");
  EXPECT_EQ(refusal("- {type: foreach, name: a, iterationMapping: {collection: $.x, item: i}}"), "steps[0].steps: a foreach needs at least one step");
  EXPECT_EQ(refusal("- {type: foreach, name: a, iterationMapping: {collection: x, item: i}, steps: [{type: pass, name: b}]}"),
            "steps[0].iterationMapping.collection: must be a list or a path that begins with '$'");
  EXPECT_EQ(refusal("- {type: parallel, name: a, branches: [{steps: [{type: x, name: b}]}]}"), "steps[0].branches[0].steps[0].type: 'x' is no step type");
  EXPECT_EQ(refusal("- {type: wait, name: a}"), "steps[0].duration: a wait has either a duration or a timestamp");
  EXPECT_EQ(refusal("- {type: wait, name: a, duration: 172801}"), "steps[0].duration: must be 0 to 172800 seconds or a path that begins with '$'");
  EXPECT_EQ(refusal("- {type: wait, name: a, timestamp: tomorrow}"), "steps[0].timestamp: must be an RFC 3339 time or a path that begins with '$'");
  EXPECT_EQ(refusal("- {type: loop, name: a, steps: [{type: pass, name: b}]}"), "steps[0].preCondition: a loop needs a preCondition or a postCondition");
  EXPECT_EQ(refusal("- {type: choice, name: c, choices: [{condition: $.a ==, goto: c}]}"),
            "steps[0].choices[0].condition: condition '$.a ==': expected a value at character 7");
}

TEST(Fdl, TheTopOfADefinitionIsChecked) {
  auto refused = [](std::string_view text) { return parse_fdl(text).error().message; };
  EXPECT_EQ(refused(""), "the definition is empty");
  EXPECT_EQ(refused("[1]"), "must be an object");
  EXPECT_EQ(refused("type: flow\nsteps: []"), "version: must be v1 or v1beta1");
  EXPECT_EQ(refused("version: v1\nsteps: []"), "type: must be flow");
  EXPECT_EQ(refused("version: v1\ntype: flow\nsteps: []"), "steps: a flow needs at least one step");
  EXPECT_EQ(refused("version: v1\ntype: flow\nsteps: {}"), "steps: must be a list");
  EXPECT_EQ(refused("a: [").substr(0, 5), "line ");
}

TEST(Fdl, ALoopThatCanNeverEndIsRefused) {
  EXPECT_EQ(refusal("- {type: pass, name: a}\n- {type: choice, name: c, default: {goto: a}}"),
            "steps[1].default.goto: this loop has no task, wait or condition and would never end");
  EXPECT_EQ(refusal("- {type: wait, name: a, duration: 1}\n- {type: choice, name: c, default: {goto: a}}"), "accepted");
}

TEST(Fdl, JsonAndBothVersionsAreAccepted) {
  EXPECT_TRUE(parse_fdl(R"({"version":"v1beta1","type":"flow","steps":[{"type":"pass","name":"p"}]})"));
  EXPECT_TRUE(parse_fdl("{version: v1, type: flow, steps: [{type: pass, name: p}]}")) << "flow style YAML begins like JSON";
}

TEST(Fdl, FieldsThatNobodyReadsAreWarnings) {
  auto parsed = parse_fdl("version: v1\ntype: flow\nsteps: [{type: pass, name: p, inputMapping: []}]");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->warnings, std::vector<std::string>{"steps[0].inputMapping: unknown field, ignored"});
}

TEST(Fdl, NestingAndSizeAreBounded) {
  std::string deep = R"({"type":"pass","name":"p"})";
  for (int i = 0; i < kMaxNesting; ++i) deep = R"({"type":"choice","name":"c","default":{"steps":[)" + deep + "]}}";
  EXPECT_NE(refusal("- " + deep).find("nest deeper"), std::string::npos);
  std::string many;
  for (size_t i = 0; i <= kMaxNodes; ++i) many += fmt::format("- {{type: pass, name: p{}}}\n", i);
  EXPECT_NE(refusal(many).find("at most 10000 steps"), std::string::npos);
}

TEST(Yaml, ScalarsFollowTheCoreSchema) {
  auto value = yaml_to_json("a: 1\nb: '1'\nc: true\nd: ~\ne: 1.5\nf: !Ref s/f\ng: 0x10\nh: yes\ni: 2020-01-01T00:00:00Z\nj:\nk: -1\nl: {}\nm: []\nn: \"\"\no: .inf\np: 1e3");
  ASSERT_TRUE(value);
  EXPECT_EQ(to_text(*value), R"({"a":1,"b":"1","c":true,"d":null,"e":1.5E0,"f":"s/f","g":16,"h":"yes","i":"2020-01-01T00:00:00Z",)"
                             R"("j":null,"k":-1,"l":{},"m":[],"n":"","o":".inf","p":1E3})");
}

TEST(Yaml, AliasesWorkAndBombsDoNot) {
  EXPECT_EQ(to_text(*yaml_to_json("a: &x [1]\nb: *x")), R"({"a":[1],"b":[1]})");
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) bomb += fmt::format("a{0}: &a{0} [*a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}]\n", i, i - 1);
  ASSERT_FALSE(yaml_to_json(bomb));
  EXPECT_EQ(yaml_to_json(bomb).error().code, YamlError::too_large);
  EXPECT_FALSE(yaml_to_json("&a [*a]"));
  EXPECT_FALSE(yaml_to_json(std::string(100'000, '[')));
  EXPECT_FALSE(yaml_to_json(std::string(kMaxYamlBytes + 1, ' ')));
}

}  // namespace
}  // namespace mayfly::flows
