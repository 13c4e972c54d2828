#pragma once
// FnF, API version 2019-03-15, behind the RPC front (rpc_front.h), which has merged query and form and verified the signature
// (aliyun-fnf.md sections 5 to 8). Thin: flows::Flows and flows::Schedules hold everything. Root may do all of it; a role what its
// policies allow: "fnf:<Action>" on acs:fnf:<region>:<account>:flow/<name>[/execution/<name>|/schedule/<name>].
//
// Choices where the vendor is silent: FlowAlreadyExists, InvalidArgument, TaskNotExists and MissingRequiredParams are 400s like the rest;
// "not exists" is 404. A start answers Status Running. StartSyncExecution waits kMaxSyncUs at most and then answers as it stands.

#include "auth/access.h"
#include "dialects/aliyun/rpc_front.h"
#include "flows/flows.h"
#include "flows/schedules.h"

namespace mayfly::dialects::aliyun {

class FnfProduct final : public RpcProduct {
 public:
  static constexpr std::string_view kVersion = "2019-03-15";

  struct Place {
    std::string region, account;
    std::function<bool(const std::string& arn)> role_exists{};  // empty: all do
  };
  // `triggered` is called after a schedule was made, changed or removed, so that who runs them looks again; may be empty.
  FnfProduct(flows::Flows& flows, flows::Schedules& schedules, const auth::Authorizer& authorizer, Place place, std::function<void()> triggered = {})
      : flows_(flows), schedules_(schedules), authorizer_(authorizer), place_(std::move(place)), triggered_(std::move(triggered)) {}

  io::Task<http::Response> call(io::Loop& loop, RpcCall call) override;

 private:
  using Answer = flows::Result<json::object>;
  using Handler = io::Task<Answer> (FnfProduct::*)(io::Loop& loop, const RpcCall& call);
  struct Action;
  static const Action* find_action(std::string_view name);
  std::string resource_of(const Action& action, const RpcCall& call) const;
  io::Task<bool> may_pass_role(io::Loop& loop, const RpcCall& call);

  io::Task<Answer> create_flow(io::Loop& loop, const RpcCall& call);
  io::Task<Answer> update_flow(io::Loop& loop, const RpcCall& call);
  io::Task<Answer> delete_flow(io::Loop& loop, const RpcCall& call);
  io::Task<Answer> describe_flow(io::Loop& loop, const RpcCall& call);
  io::Task<Answer> list_flows(io::Loop& loop, const RpcCall& call);
  io::Task<Answer> start_execution(io::Loop& loop, const RpcCall& call);
  io::Task<Answer> start_sync_execution(io::Loop& loop, const RpcCall& call);
  io::Task<Answer> stop_execution(io::Loop& loop, const RpcCall& call);
  io::Task<Answer> describe_execution(io::Loop& loop, const RpcCall& call);
  io::Task<Answer> list_executions(io::Loop& loop, const RpcCall& call);
  io::Task<Answer> get_execution_history(io::Loop& loop, const RpcCall& call);
  io::Task<Answer> report_task_succeeded(io::Loop& loop, const RpcCall& call);
  io::Task<Answer> report_task_failed(io::Loop& loop, const RpcCall& call);
  io::Task<Answer> create_schedule(io::Loop& loop, const RpcCall& call);
  io::Task<Answer> update_schedule(io::Loop& loop, const RpcCall& call);
  io::Task<Answer> delete_schedule(io::Loop& loop, const RpcCall& call);
  io::Task<Answer> describe_schedule(io::Loop& loop, const RpcCall& call);
  io::Task<Answer> list_schedules(io::Loop& loop, const RpcCall& call);
  io::Task<Answer> describe_regions(io::Loop& loop, const RpcCall& call);
  Answer changed(flows::Result<flows::Schedule> schedule) const;

  flows::Flows& flows_;
  flows::Schedules& schedules_;
  const auth::Authorizer& authorizer_;
  Place place_;
  std::function<void()> triggered_;
};

}  // namespace mayfly::dialects::aliyun
