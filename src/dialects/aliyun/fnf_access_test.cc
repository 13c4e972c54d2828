// What a role may do through FnF: judged on the flow that is worked on, and never more than its own policies by way of a flow's role.

#include <gtest/gtest.h>

#include "dialects/aliyun/fnf_dialect.h"
#include "flows/engine.h"
#include "io/sim_loop.h"
#include "store/memory_engine.h"

namespace mayfly::dialects::aliyun {
namespace {

constexpr const char* kPass = "version: v1\ntype: flow\nsteps: [{type: pass, name: p}]";

struct NoFunctions final : dispatch::Invoker {
  io::Task<Expected<dispatch::Outcome, dispatch::InvokeError>> invoke(io::Loop&, dispatch::Invocation, io::Deadline) override { co_return dispatch::Outcome{.body = "{}"}; }
};

struct Listed final : auth::Authorizer {
  std::set<std::string> allowed;
  mutable std::string asked;
  bool allows(const auth::Identity& identity, const auth::Access& access) const override {
    asked = access.action + " " + access.resource;
    return identity.kind == auth::Identity::Kind::root || allowed.contains(asked);
  }
};

struct FnfAccess : testing::Test {
  FnfAccess() { engine.start(); }
  ~FnfAccess() override { loop.wait(engine.stop(loop)); }
  int call(std::string action, http::Query parameters) {
    RpcCall call{.method = "POST", .parameters = std::move(parameters), .action = std::move(action), .version = "2019-03-15", .host = "fnf",
                 .request_id = "ID", .headers = {}, .door = {}, .identity = {.kind = kind, .account = {}, .role = "r", .session = {}}};
    return loop.wait(fnf.call(loop, std::move(call))).status;
  }
  io::SimLoop loop;
  std::unique_ptr<store::Engine> rows = store::make_memory_engine();
  std::unique_ptr<store::Store> store = store::make_inline_store(*rows);
  SeededRng rng{1};
  NoFunctions functions;
  Listed rules;
  flows::Engine engine{{.loops = {&loop}, .store = *store, .invoker = functions, .rng = rng}};
  flows::Schedules schedules{*store, rng, [](const std::string&) { return ""; }};
  FnfProduct fnf{engine, schedules, rules, {"cn", "1", [](const std::string& arn) { return !arn.ends_with("/ghost"); }}};
  auth::Identity::Kind kind = auth::Identity::Kind::role;
};

TEST_F(FnfAccess, WhatIsJudgedIsWhatIsWorkedOn) {
  call("DeleteFlow", {{"FlowName", "mine"}, {"Name", "victim"}, {"ExecutionName", "x"}});
  EXPECT_EQ(rules.asked, "fnf:DeleteFlow acs:fnf:cn:1:flow/victim");
  call("DescribeFlow", {{"Name", "victim"}, {"FlowName", "mine"}, {"ScheduleName", "x"}});
  EXPECT_EQ(rules.asked, "fnf:DescribeFlow acs:fnf:cn:1:flow/victim");
  call("ListFlows", {{"FlowName", "mine"}});
  EXPECT_EQ(rules.asked, "fnf:ListFlows acs:fnf:cn:1:flow/*");
  call("StartExecution", {{"Name", "mine"}, {"FlowName", "victim"}, {"ExecutionName", "x"}});
  EXPECT_EQ(rules.asked, "fnf:StartExecution acs:fnf:cn:1:flow/victim");
  call("ReportTaskSucceeded", {{"FlowName", "mine"}, {"TaskToken", "t"}, {"Output", "{}"}});
  EXPECT_EQ(rules.asked, "fnf:ReportTaskSucceeded acs:fnf:cn:1:flow/*");
  call("StopExecution", {{"FlowName", "f"}, {"ExecutionName", "e"}});
  EXPECT_EQ(rules.asked, "fnf:StopExecution acs:fnf:cn:1:flow/f/execution/e");
  call("DeleteSchedule", {{"FlowName", "f"}, {"ScheduleName", "s"}, {"ExecutionName", "e"}});
  EXPECT_EQ(rules.asked, "fnf:DeleteSchedule acs:fnf:cn:1:flow/f/schedule/s");
}

TEST_F(FnfAccess, ARoleMakesFlowsOnlyWithARoleItMayHandOn) {
  const std::string admin = "acs:ram::1:role/admin", weak = "acs:ram::1:role/weak";
  rules.allowed = {"fnf:CreateFlow acs:fnf:cn:1:flow/f", "fnf:UpdateFlow acs:fnf:cn:1:flow/f", "fnf:UpdateFlow acs:fnf:cn:1:flow/roots",
                   "ram:PassRole " + weak, "ram:PassRole acs:ram::1:role/ghost"};
  EXPECT_EQ(call("CreateFlow", {{"Name", "f"}, {"Definition", kPass}, {"Type", "FDL"}}), 403);
  EXPECT_EQ(call("CreateFlow", {{"Name", "f"}, {"Definition", kPass}, {"Type", "FDL"}, {"RoleArn", admin}}), 403);
  EXPECT_EQ(call("CreateFlow", {{"Name", "f"}, {"Definition", kPass}, {"Type", "FDL"}, {"RoleArn", weak}}), 200);
  EXPECT_EQ(call("UpdateFlow", {{"Name", "f"}, {"Description", "new"}}), 200);
  EXPECT_EQ(call("UpdateFlow", {{"Name", "f"}, {"RoleArn", "acs:ram::1:role/ghost"}}), 403) << "a role that is not there binds nothing";
  EXPECT_EQ(call("UpdateFlow", {{"Name", "f"}, {"RoleArn", admin}}), 403);
  kind = auth::Identity::Kind::root;
  EXPECT_EQ(call("CreateFlow", {{"Name", "roots"}, {"Definition", kPass}, {"Type", "FDL"}}), 200);
  kind = auth::Identity::Kind::role;
  EXPECT_EQ(call("UpdateFlow", {{"Name", "roots"}, {"Definition", kPass}}), 403) << "it has no role: its tasks may do everything";
}

}  // namespace
}  // namespace mayfly::dialects::aliyun
