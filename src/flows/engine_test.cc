#include <gtest/gtest.h>

#include "flows/rows.h"
#include "flows/state.h"
#include "flows/test_world.h"
#include "store/simulation.h"

namespace mayfly::flows::test {
namespace {

constexpr std::string_view kPass = "version: v1\ntype: flow\nsteps: [{type: pass, name: p}]";
constexpr std::string_view kWait = "version: v1\ntype: flow\nsteps: [{type: wait, name: w, duration: 3600}]";
constexpr std::string_view kCallback = R"(
version: v1
type: flow
steps:
- {type: task, name: t, resourceArn: 'acs:fc:::services/s/functions/send', pattern: waitForCallback, inputMappings: [{target: token, source: $context.task.token}]})";

struct EngineTest : testing::Test {
  World world;
  io::SimLoop& loop() { return world.loop(); }
  Engine& flows() { return world.flows(); }
  Result<Execution> start(std::string name, std::string input = "{}", std::string flow = "f") {
    return loop().wait(flows().start(loop(), {.flow = flow, .name = name, .input = input}));
  }
};

TEST_F(EngineTest, AFlowIsCreatedReadChangedListedAndDeleted) {
  Flow made = world.create("f", std::string(kPass));
  EXPECT_EQ(made.definition, kPass);
  Flow again{.name = "f", .definition = std::string(kPass)};
  EXPECT_EQ(loop().wait(flows().create_flow(loop(), again)).error().code, FlowError::flow_exists);
  Flow change{.name = "f", .description = "new"};
  auto changed = loop().wait(flows().update_flow(loop(), change));
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->definition, kPass) << "empty members keep their value";
  EXPECT_EQ(loop().wait(flows().describe_flow(loop(), "f"))->description, "new");
  for (const char* name : {"a", "b", "g"}) world.create(name, std::string(kPass));
  auto page = loop().wait(flows().list_flows(loop(), "", 3));
  ASSERT_EQ(page.items.size(), 3U);
  EXPECT_EQ(page.next, "g");
  EXPECT_EQ(loop().wait(flows().list_flows(loop(), page.next, 3)).items.at(0).name, "g");
  EXPECT_TRUE(loop().wait(flows().delete_flow(loop(), "f")));
  EXPECT_EQ(loop().wait(flows().describe_flow(loop(), "f")).error().code, FlowError::flow_not_found);
  EXPECT_EQ(loop().wait(flows().delete_flow(loop(), "f")).error().code, FlowError::flow_not_found);
  EXPECT_EQ(start("x").error().code, FlowError::flow_not_found);
}

TEST_F(EngineTest, ADefinitionThatIsWrongIsRefusedWithItsPath) {
  Flow flow{.name = "f", .definition = "version: v1\ntype: flow\nsteps: [{type: nap, name: a}]"};
  auto refused = loop().wait(flows().create_flow(loop(), flow));
  EXPECT_EQ(refused.error().code, FlowError::invalid_definition);
  EXPECT_EQ(refused.error().message, "steps[0].type: 'nap' is no step type");
}

TEST_F(EngineTest, AnExecutionNameIsUniquePerFlow) {
  world.create("f", std::string(kPass));
  world.create("g", std::string(kPass));
  ASSERT_TRUE(start("one"));
  EXPECT_EQ(start("one").error().code, FlowError::execution_exists);
  EXPECT_TRUE(start("one", "{}", "g"));
  auto named = start("");
  ASSERT_TRUE(named);
  EXPECT_EQ(named->name.size(), 36U) << "no name: a UUID";
}

TEST_F(EngineTest, TheSameNameAndOriginFindsTheFirstStart) {
  world.create("f", std::string(kWait));
  StartRequest request{.flow = "f", .name = "n", .origin = "me"};
  ASSERT_TRUE(loop().wait(flows().start(loop(), request)));
  EXPECT_TRUE(loop().wait(flows().start(loop(), request)));
  request.origin = "you";
  EXPECT_EQ(loop().wait(flows().start(loop(), request)).error().code, FlowError::execution_exists);
}

TEST_F(EngineTest, InputMustBeAnObjectOfBoundedSize) {
  world.create("f", std::string(kPass));
  EXPECT_EQ(start("a", "[]").error().code, FlowError::invalid_argument);
  EXPECT_EQ(start("a", "{").error().code, FlowError::invalid_argument);
  EXPECT_EQ(start("a", R"({"a":")" + std::string(300 * 1024, 'x') + R"("})").error().code, FlowError::too_large);
  EXPECT_EQ(start("a b").error().code, FlowError::invalid_argument);
}

TEST_F(EngineTest, ARunningExecutionKeepsTheDefinitionItStartedWith) {
  world.create("f", std::string(kWait));
  ASSERT_TRUE(start("run"));
  Flow change{.name = "f", .definition = std::string(kPass)};
  ASSERT_TRUE(loop().wait(flows().update_flow(loop(), change)));
  world.restart();
  auto run = loop().wait(flows().describe(loop(), "f", "run", io::Deadline::never()));
  EXPECT_EQ(run->definition, kWait);
  EXPECT_EQ(run->stopped_us - run->started_us, 3600 * kMicrosPerSecond);
}

TEST_F(EngineTest, DescribeWaitsUntilTheEndOrTheDeadline) {
  world.create("f", std::string(kWait));
  ASSERT_TRUE(start("run"));
  EXPECT_EQ(loop().wait(flows().describe(loop(), "f", "run", io::Deadline{0}))->status, Status::running);
  int64_t before = loop().now_us();
  EXPECT_EQ(loop().wait(flows().describe(loop(), "f", "run", io::Deadline::after_us(loop(), 20 * kMicrosPerSecond)))->status, Status::running);
  EXPECT_EQ(loop().now_us() - before, 20 * kMicrosPerSecond);
  EXPECT_EQ(loop().wait(flows().describe(loop(), "f", "run", io::Deadline::never()))->status, Status::succeeded);
  EXPECT_EQ(loop().now_us() - before, 3600 * kMicrosPerSecond);
  EXPECT_EQ(loop().wait(flows().describe(loop(), "f", "nobody", io::Deadline{0})).error().code, FlowError::execution_not_found);
}

TEST_F(EngineTest, StoppingEndsItWithTheErrorGiven) {
  world.create("f", std::string(kWait));
  ASSERT_TRUE(start("run"));
  auto stopped = loop().wait(flows().stop(loop(), "f", "run", "Enough", "said so"));
  ASSERT_TRUE(stopped);
  EXPECT_EQ(stopped->status, Status::stopped);
  EXPECT_EQ(stopped->error, "Enough");
  EXPECT_EQ(loop().wait(flows().stop(loop(), "f", "run", "Other", ""))->error, "Enough") << "an ended one stays as it is";
  EXPECT_EQ(loop().wait(flows().stop(loop(), "f", "nobody", "", "")).error().code, FlowError::execution_not_found);
  EXPECT_EQ(types_of(world.history("f")), "ExecutionStarted StepEntered(w) StepStarted(w) ExecutionStopped");
}

TEST_F(EngineTest, ExecutionsAreListedNewestFirstAndFiltered) {
  world.create("f", std::string(kWait));
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(start(fmt::format("{}{}", i % 2 == 0 ? "even" : "odd", i)));
    loop().run_for(kMicrosPerSecond);
  }
  loop().wait(flows().stop(loop(), "f", "odd1", "", ""));
  auto names = [&](ExecutionFilter filter) {
    std::string out;
    filter.flow = "f";
    while (true) {
      auto page = loop().wait(flows().list(loop(), filter));
      if (!page) return page.error().message;
      for (const auto& execution : page->items) out += execution.name + " ";
      if (page->next.empty()) return out;
      out += "| ";
      filter.next = page->next;
    }
  };
  EXPECT_EQ(names({}), "even4 odd3 even2 odd1 even0 ");
  EXPECT_EQ(names({.limit = 2}), "even4 odd3 | even2 odd1 | even0 ");
  EXPECT_EQ(names({.name_prefix = "odd"}), "odd3 odd1 ");
  EXPECT_EQ(names({.status = Status::stopped}), "odd1 ");
  EXPECT_EQ(names({.status = Status::running, .limit = 3}), "even4 odd3 even2 | even0 ");
  auto third = loop().wait(flows().describe(loop(), "f", "even2", io::Deadline{0}));
  EXPECT_EQ(names({.started_from_us = third->started_us}), "even4 odd3 even2 ");
  EXPECT_EQ(names({.started_to_us = third->started_us}), "even2 odd1 even0 ");
  EXPECT_EQ(names({.next = "bm9uc2Vuc2U="}), "NextToken is not of this listing");
}

TEST_F(EngineTest, HistoryIsReadInPages) {
  world.create("f", std::string(kPass));
  world.run("f");
  auto page = loop().wait(flows().history(loop(), "f", "run", "", 2));
  ASSERT_TRUE(page);
  ASSERT_EQ(page->items.size(), 2U);
  EXPECT_EQ(page->items[0].type, "ExecutionStarted");
  EXPECT_EQ(page->next, "3");
  page = loop().wait(flows().history(loop(), "f", "run", page->next, 1000));
  EXPECT_EQ(page->items.front().id, 3);
  EXPECT_EQ(page->next, "");
  EXPECT_EQ(loop().wait(flows().history(loop(), "f", "run", "x", 2)).error().code, FlowError::invalid_argument);
  EXPECT_EQ(loop().wait(flows().history(loop(), "f", "nobody", "", 2)).error().code, FlowError::execution_not_found);
}

TEST_F(EngineTest, ATokenWorksOnceAndOutlivesARestart) {
  world.functions().script("send", "{}");
  world.create("f", std::string(kCallback));
  ASSERT_TRUE(start("run"));
  loop().run_for(kMicrosPerSecond);
  std::string token = string_or(*parse_json(world.functions().calls().at(0).payload), "token");
  world.restart();
  EXPECT_EQ(loop().wait(flows().report_succeeded(loop(), "bm9uc2Vuc2U=", "{}")).error().code, FlowError::task_not_found);
  std::string forged = token;
  forged[forged.size() - 4] = forged[forged.size() - 4] == 'A' ? 'B' : 'A';
  EXPECT_EQ(loop().wait(flows().report_succeeded(loop(), forged, "{}")).error().code, FlowError::task_not_found);
  EXPECT_EQ(loop().wait(flows().report_succeeded(loop(), token, "{")).error().code, FlowError::invalid_argument);
  EXPECT_TRUE(loop().wait(flows().report_succeeded(loop(), token, R"({"ok":true})")));
  EXPECT_EQ(loop().wait(flows().report_succeeded(loop(), token, "{}")).error().code, FlowError::task_not_found);
  EXPECT_EQ(loop().wait(flows().report_failed(loop(), token, "E", "")).error().code, FlowError::task_not_found);
  EXPECT_EQ(loop().wait(flows().describe(loop(), "f", "run", io::Deadline::never()))->output, R"({"ok":true})");
  EXPECT_EQ(world.functions().calls().size(), 1U) << "the restart did not call it again";
}

TEST_F(EngineTest, NothingButRecordsIsLeftWhenAllHasEnded) {
  world.functions().script("send", "report token {}");
  world.create("f", std::string(kCallback));
  world.create("g", "version: v1\ntype: flow\ntimeoutSeconds: 60\nsteps: [{type: wait, name: w, duration: 5}]");
  world.run("f");
  world.run("g");
  for (const auto& row : loop().wait(store::scan_all(world.store(), loop(), "", ""))) {
    EXPECT_FALSE(row.key.starts_with("q")) << "a message: " << row.key;
    EXPECT_FALSE(row.key.starts_with(state_key("f", "run").substr(0, 6))) << "a state";
  }
}

TEST_F(EngineTest, MoreExecutionsThanAreKeptInMemoryAllFinish) {
  PartitionOptions options;
  options.max_idle = 1;
  World small(options);
  small.create("f", std::string(kWait));
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(small.loop().wait(small.flows().start(small.loop(), {.flow = "f", .name = std::to_string(i)})));
  for (int i = 0; i < 100; ++i) {
    auto ended = small.loop().wait(small.flows().describe(small.loop(), "f", std::to_string(i), io::Deadline::never()));
    EXPECT_EQ(ended->status, Status::succeeded);
  }
}

TEST_F(EngineTest, AnEndlessPureLoopFailsNamingTheLimit) {
  world.create("f", "version: v1\ntype: flow\nsteps: [{type: pass, name: a}, {type: choice, name: c, choices: [{condition: $.go, goto: a}]}]");
  auto run = world.run("f", R"({"go":true})");
  EXPECT_EQ(run.status, Status::failed);
  EXPECT_EQ(run.error, "FnF.RuntimeError");
  EXPECT_EQ(run.cause, "a loop jumped back 10000 times without a task or wait in it");
}

TEST_F(EngineTest, ALargeForeachIsCutIntoSeveralCommitsAndKeepsItsOrder) {
  world.create("f", R"(
version: v1
type: flow
steps:
- type: foreach
  name: each
  iterationMapping: {collection: $.items, item: i}
  steps: [{type: pass, name: p, outputMappings: [{target: v, source: $input.i}]}]
  outputMappings: [{target: all, source: '$local[*].v'}])");
  json::array items;
  for (int i = 0; i < 3000; ++i) items.push_back(i);
  auto run = world.run("f", to_text(json::object{{"items", items}}));
  EXPECT_EQ(run.status, Status::succeeded);
  EXPECT_EQ(run.output, to_text(json::object{{"all", items}}));
  auto events = world.history("f");
  for (size_t i = 0; i < events.size(); ++i) ASSERT_EQ(events[i].id, static_cast<int64_t>(i) + 1);
  EXPECT_EQ(events.size(), 3U + 3000 * 6 + 3);
}

TEST(EngineRoles, ATaskDoesWhatTheRoleOfItsFlowMayDo) {
  std::vector<std::string> asked;
  World world({.may = [&asked](const std::string& role, const auth::Access& access) {
    asked.push_back(role + " " + access.action + " " + access.resource);
    return access.resource.ends_with("/f");
  }});
  world.functions().script("f", "{}");
  world.functions().script("g", "{}");
  auto make = [&world](std::string name, std::string role, std::string resource) {
    Flow flow{.name = name, .definition = "version: v1\ntype: flow\nsteps: [{type: task, name: t, resourceArn: '" + resource + "'}]", .role_arn = role};
    ASSERT_TRUE(world.loop().wait(world.flows().create_flow(world.loop(), flow)));
  };
  make("calls-f", "R", "acs:fc:::services/s.prod/functions/f");
  make("calls-g", "R", "acs:fc:::services/s/functions/g");
  make("starts-f", "R", "acs:fnf:::flow/calls-g");
  make("no-role", "", "acs:fc:::services/s/functions/g");
  EXPECT_EQ(world.run("calls-f").status, Status::succeeded);
  auto refused = world.run("calls-g");
  EXPECT_EQ(refused.status, Status::failed);
  EXPECT_EQ(refused.error, "FC.AccessDenied");
  EXPECT_EQ(world.run("starts-f").error, "fnf.NoPermission");
  EXPECT_EQ(world.run("no-role").status, Status::succeeded);
  EXPECT_EQ(asked, (std::vector<std::string>{"R fc:InvokeFunction acs:fc:*:*:services/s/functions/f", "R fc:InvokeFunction acs:fc:*:*:services/s/functions/g",
                                             "R fnf:StartExecution acs:fnf:*:*:flow/calls-g"}));
}

TEST_F(EngineTest, ATaskThatAShutdownCutShortIsRunAgainByTheNextStart) {
  world.functions().script("f", "#stopping");
  world.functions().script("f", R"({"a":1})");
  world.create("f", "version: v1\ntype: flow\nsteps: [{type: task, name: t, resourceArn: 'acs:fc:::services/s/functions/f'}]");
  ASSERT_TRUE(start("run"));
  loop().run_for(100 * kMicrosPerMilli);
  ASSERT_EQ(world.functions().calls().size(), 1U);
  world.restart();
  auto run = *loop().wait(flows().describe(loop(), "f", "run", io::Deadline::never()));
  EXPECT_EQ(run.status, Status::succeeded) << run.error;
  EXPECT_EQ(world.functions().calls().size(), 2U);
  EXPECT_EQ(types_of(world.history("f")).find("Failed"), std::string::npos) << types_of(world.history("f"));
}

TEST_F(EngineTest, DataBeyondTheLimitFailsTheExecutionNamingTheStep) {
  world.functions().script("big", R"({"a":")" + std::string(300 * 1024, 'x') + R"("})");
  world.create("f", "version: v1\ntype: flow\nsteps: [{type: task, name: t, resourceArn: 'acs:fc:::services/s/functions/big'}]");
  auto run = world.run("f");
  EXPECT_EQ(run.status, Status::failed);
  EXPECT_EQ(run.error, "FnF.RuntimeError");
  EXPECT_EQ(run.cause.substr(0, 30), "the data of step 't' is 307210");
}

}  // namespace
}  // namespace mayfly::flows::test
