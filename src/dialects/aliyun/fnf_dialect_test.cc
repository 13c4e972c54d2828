#include "dialects/aliyun/fnf_dialect.h"

#include <gtest/gtest.h>

#include "flows/engine.h"
#include "io/sim_loop.h"
#include "store/memory_engine.h"

namespace mayfly::dialects::aliyun {
namespace {

constexpr std::string_view kPass = "version: v1\ntype: flow\nsteps: [{type: pass, name: p, outputMappings: [{target: b, source: $input.a}]}]";
constexpr std::string_view kWait = "version: v1\ntype: flow\nsteps: [{type: wait, name: w, duration: 30}]";
constexpr std::string_view kCallback = R"(
version: v1
type: flow
steps:
- {type: task, name: t, resourceArn: 'acs:fc:::services/s/functions/send', pattern: waitForCallback, inputMappings: [{target: token, source: $context.task.token}]})";

// Every function succeeds with {} and is remembered.
class Functions final : public dispatch::Invoker {
 public:
  io::Task<Expected<dispatch::Outcome, dispatch::InvokeError>> invoke(io::Loop&, dispatch::Invocation invocation, io::Deadline) override {
    payload = invocation.payload;
    co_return dispatch::Outcome{.body = "{}"};
  }
  std::string payload;
};

class Rules final : public auth::Authorizer {
 public:
  bool allows(const auth::Identity& identity, const auth::Access& access) const override {
    asked = access.action + " " + access.resource;
    return identity.kind == auth::Identity::Kind::root;
  }
  mutable std::string asked;
};

struct FnfDialect : testing::Test {
  FnfDialect() { engine.start(); }
  ~FnfDialect() override { loop.wait(engine.stop(loop)); }

  json::value call(std::string action, http::Query parameters) {
    RpcCall call{.method = "POST", .parameters = std::move(parameters), .action = std::move(action), .version = "2019-03-15", .host = "fnf",
                 .request_id = "ID", .headers = {}, .door = {}, .identity = {.kind = kind, .account = {}, .role = {}, .session = {}}};
    auto response = loop.wait(fnf.call(loop, std::move(call)));
    status = response.status;
    json::value body = *parse_json(response.body);
    EXPECT_EQ(string_or(body, "RequestId"), "ID");
    EXPECT_EQ(status == 200, find(body, "Code") == nullptr) << "Code is for failures only: " << response.body;
    return body;
  }
  std::string code(std::string action, http::Query parameters) { return string_or(call(std::move(action), std::move(parameters)), "Code"); }
  void create(std::string name, std::string_view definition) {
    call("CreateFlow", {{"Name", name}, {"Definition", std::string(definition)}, {"Description", "d"}, {"Type", "FDL"}, {"RoleArn", "acs:ram::1:role/r"}});
    EXPECT_EQ(status, 200);
  }

  io::SimLoop loop;
  std::unique_ptr<store::Engine> rows = store::make_memory_engine();
  std::unique_ptr<store::Store> store = store::make_inline_store(*rows);
  SeededRng rng{1};
  Functions functions;
  Rules rules;
  flows::Engine engine{{.loops = {&loop}, .store = *store, .invoker = functions, .rng = rng}};
  flows::Schedules schedules{*store, rng, [](const std::string& cron) { return cron == "never" ? "no" : ""; }};
  int triggers = 0;
  FnfProduct fnf{engine, schedules, rules, {"cn-hangzhou", "123"}, [this] { ++triggers; }};
  auth::Identity::Kind kind = auth::Identity::Kind::root;
  int status = 0;
};

TEST_F(FnfDialect, AFlowIsCreatedDescribedUpdatedListedAndDeleted) {
  create("f", kPass);
  auto flow = call("DescribeFlow", {{"Name", "f"}});
  EXPECT_EQ(string_or(flow, "Definition"), kPass);
  EXPECT_EQ(string_or(flow, "Type"), "FDL");
  EXPECT_EQ(string_or(flow, "RoleArn"), "acs:ram::1:role/r");
  EXPECT_EQ(string_or(flow, "CreatedTime"), "2026-01-01T00:00:00.000Z");
  EXPECT_EQ(code("CreateFlow", {{"Name", "f"}, {"Definition", std::string(kPass)}}), "FlowAlreadyExists");
  EXPECT_EQ(string_or(call("UpdateFlow", {{"Name", "f"}, {"Description", "new"}}), "Description"), "new");
  auto list = call("ListFlows", {{"Limit", "10"}});
  EXPECT_EQ(list.at("Flows").as_array().size(), 1U);
  EXPECT_EQ(find(list, "NextToken"), nullptr);
  call("DeleteFlow", {{"Name", "f"}});
  EXPECT_EQ(status, 200);
  EXPECT_EQ(code("DescribeFlow", {{"Name", "f"}}), "FlowNotExists");
  EXPECT_EQ(status, 404);
}

TEST_F(FnfDialect, AWrongDefinitionIsRefusedWithItsPath) {
  auto refused = call("CreateFlow", {{"Name", "f"}, {"Definition", "version: v1\ntype: flow\nsteps: [{type: nap, name: a}]"}});
  EXPECT_EQ(string_or(refused, "Code"), "InvalidArgument");
  EXPECT_EQ(string_or(refused, "Message"), "steps[0].type: 'nap' is no step type");
  EXPECT_EQ(string_or(refused, "HostId"), "fnf");
}

TEST_F(FnfDialect, AnExecutionRunsAndTellsItsHistory) {
  create("f", kPass);
  auto started = call("StartExecution", {{"FlowName", "f"}, {"ExecutionName", "n"}, {"Input", R"({"a": "b c*~"})"}});
  EXPECT_EQ(string_or(started, "Status"), "Running");
  EXPECT_EQ(string_or(started, "StoppedTime", "?"), "");
  EXPECT_EQ(code("StartExecution", {{"FlowName", "f"}, {"ExecutionName", "n"}}), "ExecutionAlreadyExists");
  auto execution = call("DescribeExecution", {{"FlowName", "f"}, {"ExecutionName", "n"}, {"WaitTimeSeconds", "20"}});
  EXPECT_EQ(string_or(execution, "Status"), "Succeeded");
  EXPECT_EQ(string_or(execution, "Output"), R"({"b":"b c*~"})");
  EXPECT_EQ(string_or(execution, "FlowDefinition"), kPass);
  auto history = call("GetExecutionHistory", {{"FlowName", "f"}, {"ExecutionName", "n"}, {"Limit", "1"}});
  EXPECT_EQ(to_text(history.at("Events")),
            R"([{"StepName":"","Type":"ExecutionStarted","EventId":1,"ScheduleEventId":0,"EventDetail":"{\"input\":{\"a\": \"b c*~\"}}","Time":"2026-01-01T00:00:00.000Z"}])");
  EXPECT_EQ(string_or(history, "NextToken"), "2");
}

TEST_F(FnfDialect, LongPollAnswersAtTheEndOrAfterTheWait) {
  create("f", kWait);
  call("StartExecution", {{"FlowName", "f"}, {"ExecutionName", "n"}});
  EXPECT_EQ(string_or(call("DescribeExecution", {{"FlowName", "f"}, {"ExecutionName", "n"}}), "Status"), "Running");
  EXPECT_EQ(string_or(call("DescribeExecution", {{"FlowName", "f"}, {"ExecutionName", "n"}, {"WaitTimeSeconds", "10"}}), "Status"), "Running");
  EXPECT_EQ(string_or(call("DescribeExecution", {{"FlowName", "f"}, {"ExecutionName", "n"}, {"WaitTimeSeconds", "60"}}), "Status"), "Succeeded");
  EXPECT_EQ(code("DescribeExecution", {{"FlowName", "f"}, {"ExecutionName", "n"}, {"WaitTimeSeconds", "x"}}), "InvalidArgument");
}

TEST_F(FnfDialect, AnEmptyNameIsARandomOne) {
  create("f", kPass);
  auto started = call("StartExecution", {{"FlowName", "f"}});
  EXPECT_EQ(string_or(started, "Name").size(), 36U);
  EXPECT_EQ(string_or(started, "Input"), "{}");
}

TEST_F(FnfDialect, ASyncStartAnswersWithTheEnd) {
  create("f", kWait);
  auto ended = call("StartSyncExecution", {{"FlowName", "f"}});
  EXPECT_EQ(string_or(ended, "Status"), "Succeeded");
}

TEST_F(FnfDialect, StopAndListByStatus) {
  create("f", kWait);
  for (const char* name : {"a", "b"}) call("StartExecution", {{"FlowName", "f"}, {"ExecutionName", name}});
  auto stopped = call("StopExecution", {{"FlowName", "f"}, {"ExecutionName", "a"}, {"Error", "E"}, {"Cause", "c"}});
  EXPECT_EQ(string_or(stopped, "Status"), "Stopped");
  auto list = call("ListExecutions", {{"FlowName", "f"}, {"Status", "Running"}});
  ASSERT_EQ(list.at("Executions").as_array().size(), 1U);
  EXPECT_EQ(string_or(list.at("Executions").at(0), "Name"), "b");
  EXPECT_EQ(code("ListExecutions", {{"FlowName", "f"}, {"Status", "Nice"}}), "InvalidArgument");
  EXPECT_EQ(code("StopExecution", {{"FlowName", "f"}, {"ExecutionName", "z"}}), "ExecutionNotExists");
}

TEST_F(FnfDialect, ATokenIsReportedOnce) {
  create("f", kCallback);
  call("StartExecution", {{"FlowName", "f"}, {"ExecutionName", "n"}});
  loop.run_for(kMicrosPerSecond);
  std::string token = string_or(*parse_json(functions.payload), "token");
  call("ReportTaskSucceeded", {{"TaskToken", token}, {"Output", R"({"ok":1})"}});
  EXPECT_EQ(status, 200);
  EXPECT_EQ(code("ReportTaskSucceeded", {{"TaskToken", token}, {"Output", "{}"}}), "TaskNotExists");
  EXPECT_EQ(code("ReportTaskFailed", {{"TaskToken", token}, {"Error", "E"}}), "TaskNotExists");
  EXPECT_EQ(status, 400);
  EXPECT_EQ(string_or(call("DescribeExecution", {{"FlowName", "f"}, {"ExecutionName", "n"}}), "Output"), R"({"ok":1})");
}

TEST_F(FnfDialect, SchedulesAreKeptAndTheirRunnerIsTold) {
  create("f", kPass);
  http::Query schedule{{"FlowName", "f"}, {"ScheduleName", "s"}, {"CronExpression", "0 * * * * *"}, {"Payload", "{}"}, {"Enable", "true"}};
  EXPECT_EQ(string_or(call("CreateSchedule", schedule), "CronExpression"), "0 * * * * *");
  EXPECT_EQ(code("CreateSchedule", schedule), "ScheduleAlreadyExists");
  call("UpdateSchedule", {{"FlowName", "f"}, {"ScheduleName", "s"}, {"Enable", "false"}});
  auto described = call("DescribeSchedule", {{"FlowName", "f"}, {"ScheduleName", "s"}});
  EXPECT_FALSE(bool_or(described, "Enable", true));
  EXPECT_EQ(string_or(described, "Payload"), "{}");
  EXPECT_EQ(call("ListSchedules", {{"FlowName", "f"}}).at("Schedules").as_array().size(), 1U);
  EXPECT_EQ(loop.wait(schedules.all(loop)).size(), 1U);
  call("DeleteSchedule", {{"FlowName", "f"}, {"ScheduleName", "s"}});
  EXPECT_EQ(triggers, 3);
  EXPECT_EQ(code("DescribeSchedule", {{"FlowName", "f"}, {"ScheduleName", "s"}}), "ScheduleNotExists");
  EXPECT_EQ(code("CreateSchedule", {{"FlowName", "f"}, {"ScheduleName", "t"}, {"CronExpression", "never"}}), "InvalidArgument");
  EXPECT_EQ(code("CreateSchedule", {{"FlowName", "g"}, {"ScheduleName", "t"}, {"CronExpression", "x"}}), "FlowNotExists");
}

TEST_F(FnfDialect, WhatIsMissingUnknownOrForbiddenIsRefused) {
  EXPECT_EQ(code("CreateFlow", {{"Name", "f"}}), "MissingRequiredParams");
  EXPECT_EQ(code("Fly", {}), "InvalidAction.NotFound");
  kind = auth::Identity::Kind::role;
  EXPECT_EQ(code("StartExecution", {{"FlowName", "f"}, {"ExecutionName", "n"}}), "NoPermission");
  EXPECT_EQ(rules.asked, "fnf:StartExecution acs:fnf:cn-hangzhou:123:flow/f");
  code("StopExecution", {{"FlowName", "f"}, {"ExecutionName", "n"}});
  EXPECT_EQ(rules.asked, "fnf:StopExecution acs:fnf:cn-hangzhou:123:flow/f/execution/n");
  EXPECT_EQ(status, 403);
}

}  // namespace
}  // namespace mayfly::dialects::aliyun
