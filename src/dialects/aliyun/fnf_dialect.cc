#include "dialects/aliyun/fnf_dialect.h"

#include "base/encoding.h"
#include "dialects/aliyun/fnf_json.h"
#include "flows/state.h"

namespace mayfly::dialects::aliyun {

using flows::FlowError;

namespace {

constexpr int64_t kMaxLongPollSeconds = 60;              // of WaitTimeSeconds, as the vendor's
constexpr int64_t kMaxSyncUs = 300 * kMicrosPerSecond;   // a client rarely waits longer on one connection
constexpr int64_t kDefaultPage = 60, kMaxPage = 1'000;   // section 6: Limit 1-1000

struct Coded {
  int status;
  std::string_view code;
};

Coded coded(FlowError error) {
  switch (error) {
    case FlowError::invalid_definition:
    case FlowError::invalid_argument: return {400, "InvalidArgument"};
    case FlowError::flow_not_found: return {404, "FlowNotExists"};
    case FlowError::flow_exists: return {400, "FlowAlreadyExists"};
    case FlowError::execution_not_found: return {404, "ExecutionNotExists"};
    case FlowError::execution_exists: return {400, "ExecutionAlreadyExists"};
    case FlowError::task_not_found: return {400, "TaskNotExists"};
    case FlowError::schedule_not_found: return {404, "ScheduleNotExists"};
    case FlowError::schedule_exists: return {400, "ScheduleAlreadyExists"};
    case FlowError::too_large: return {413, "RequestEntityTooLarge"};
  }
  return {500, "InternalServerError"};
}

flows::Result<int64_t> number(const RpcCall& call, std::string_view name, int64_t fallback, int64_t least, int64_t most) {
  std::string text = call.get(name);
  if (text.empty()) return fallback;
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most)
    return fail(FlowError::invalid_argument, fmt::format("{} must be a number from {} to {}", name, least, most));
  return value;
}

// RFC 3339, or epoch milliseconds.
flows::Result<int64_t> time_us(const RpcCall& call, std::string_view name, int64_t fallback) {
  std::string text = call.get(name);
  if (text.empty()) return fallback;
  if (auto time = parse_iso8601(text)) return *time;
  int64_t millis = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), millis);
  if (error == std::errc{} && end == text.data() + text.size() && std::abs(millis) < INT64_MAX / kMicrosPerMilli) return millis * kMicrosPerMilli;
  return fail(FlowError::invalid_argument, fmt::format("{} must be a time like 2020-09-22T23:43:40Z", name));
}

}  // namespace

struct FnfProduct::Action {
  std::string_view name;
  Handler handler;
  std::vector<std::string_view> required;
};

const FnfProduct::Action* FnfProduct::find_action(std::string_view name) {
  static const std::array<Action, 19> kActions = {{
      {"CreateFlow", &FnfProduct::create_flow, {"Name", "Definition"}},
      {"UpdateFlow", &FnfProduct::update_flow, {"Name"}},
      {"DeleteFlow", &FnfProduct::delete_flow, {"Name"}},
      {"DescribeFlow", &FnfProduct::describe_flow, {"Name"}},
      {"ListFlows", &FnfProduct::list_flows, {}},
      {"StartExecution", &FnfProduct::start_execution, {"FlowName"}},
      {"StartSyncExecution", &FnfProduct::start_sync_execution, {"FlowName"}},
      {"StopExecution", &FnfProduct::stop_execution, {"FlowName", "ExecutionName"}},
      {"DescribeExecution", &FnfProduct::describe_execution, {"FlowName", "ExecutionName"}},
      {"ListExecutions", &FnfProduct::list_executions, {"FlowName"}},
      {"GetExecutionHistory", &FnfProduct::get_execution_history, {"FlowName", "ExecutionName"}},
      {"ReportTaskSucceeded", &FnfProduct::report_task_succeeded, {"TaskToken", "Output"}},
      {"ReportTaskFailed", &FnfProduct::report_task_failed, {"TaskToken"}},
      {"CreateSchedule", &FnfProduct::create_schedule, {"FlowName", "ScheduleName", "CronExpression"}},
      {"UpdateSchedule", &FnfProduct::update_schedule, {"FlowName", "ScheduleName"}},
      {"DeleteSchedule", &FnfProduct::delete_schedule, {"FlowName", "ScheduleName"}},
      {"DescribeSchedule", &FnfProduct::describe_schedule, {"FlowName", "ScheduleName"}},
      {"ListSchedules", &FnfProduct::list_schedules, {"FlowName"}},
      {"DescribeRegions", &FnfProduct::describe_regions, {}},
  }};
  const auto* found = std::ranges::find(kActions, name, &Action::name);
  return found == kActions.end() ? nullptr : found;
}

// acs:fnf:<region>:<account>:flow/<name>..., "*" where the action names none. Made of the parameters the action works on and no others:
// what else a caller sends must not choose what is judged.
std::string FnfProduct::resource_of(const Action& action, const RpcCall& call) const {
  std::string flow = "*", below;
  for (std::string_view name : action.required) {
    if (name == "Name" || name == "FlowName") flow = call.get(name);
    if (name == "ExecutionName") below = "/execution/" + call.get(name);
    if (name == "ScheduleName") below = "/schedule/" + call.get(name);
  }
  return fmt::format("acs:fnf:{}:{}:flow/{}{}", place_.region, place_.account, flow, below);
}

// A flow's tasks run with the rights of its role, or with all when it has none that exists here: who is bound by policies may make or
// change a flow only if it has a role, and one that he may hand on.
io::Task<bool> FnfProduct::may_pass_role(io::Loop& loop, const RpcCall& call) {
  if (call.identity.kind == auth::Identity::Kind::root || (call.action != "CreateFlow" && call.action != "UpdateFlow")) co_return true;
  std::string role = call.get("RoleArn");
  if (role.empty() && call.action == "UpdateFlow") {
    auto flow = co_await flows_.describe_flow(loop, call.get("Name"));
    if (!flow) co_return true;  // the handler says so
    role = flow->role_arn;
  }
  bool binds = !role.empty() && (!place_.role_exists || place_.role_exists(role));
  co_return binds && authorizer_.allows(call.identity, {"ram:PassRole", role});
}

io::Task<http::Response> FnfProduct::call(io::Loop& loop, RpcCall call) {
  const Action* action = find_action(call.action);
  if (action == nullptr) {
    co_return rpc_error(call.request_id, call.host, 404, "InvalidAction.NotFound", fmt::format("Specified api is not found: '{}' is no action of FnF.", call.action.substr(0, 64)));
  }
  for (std::string_view name : action->required) {
    if (call.get(name).empty()) co_return rpc_error(call.request_id, call.host, 400, "MissingRequiredParams", fmt::format("{} is mandatory for {}.", name, call.action));
  }
  const auth::Access access{"fnf:" + call.action, resource_of(*action, call)};
  if (!authorizer_.allows(call.identity, access)) {
    co_return rpc_error(call.request_id, call.host, 403, "NoPermission", fmt::format("No policy allows {} on {}.", access.action, access.resource));
  }
  if (!co_await may_pass_role(loop, call)) {
    co_return rpc_error(call.request_id, call.host, 403, "NoPermission", "The flow needs the RoleArn of a role that exists and that a policy allows ram:PassRole on.");
  }
  Answer answer = co_await (this->*action->handler)(loop, call);
  if (!answer) {
    const Coded code = coded(answer.error().code);
    co_return rpc_error(call.request_id, call.host, code.status, code.code, answer.error().message);
  }
  co_return rpc_ok(call, std::move(*answer));
}

namespace {

flows::Flow flow_of(const RpcCall& call) {
  flows::Flow flow;
  flow.name = call.get("Name");
  flow.definition = call.get("Definition");
  flow.description = call.get("Description");
  flow.type = call.get("Type");
  flow.role_arn = call.get("RoleArn");
  flow.external_storage = call.get("ExternalStorageLocation");
  flow.execution_mode = call.get("ExecutionMode");
  return flow;
}

}  // namespace

io::Task<FnfProduct::Answer> FnfProduct::create_flow(io::Loop& loop, const RpcCall& call) {
  flows::Flow flow = flow_of(call);
  if (flow.type.empty()) flow.type = "FDL";
  if (flow.type != "FDL") co_return fail(FlowError::invalid_argument, "Type must be FDL");
  MAYFLY_CO_TRY(flow, co_await flows_.create_flow(loop, std::move(flow)));
  co_return fnf_flow(flow);
}

io::Task<FnfProduct::Answer> FnfProduct::update_flow(io::Loop& loop, const RpcCall& call) {
  flows::Flow flow = flow_of(call);
  if (!flow.type.empty() && flow.type != "FDL") co_return fail(FlowError::invalid_argument, "Type must be FDL");
  MAYFLY_CO_TRY(flow, co_await flows_.update_flow(loop, std::move(flow)));
  co_return fnf_flow(flow);
}

io::Task<FnfProduct::Answer> FnfProduct::delete_flow(io::Loop& loop, const RpcCall& call) {
  MAYFLY_CO_TRY_VOID(co_await flows_.delete_flow(loop, call.get("Name")));
  co_return json::object();
}

io::Task<FnfProduct::Answer> FnfProduct::describe_flow(io::Loop& loop, const RpcCall& call) {
  MAYFLY_CO_TRY(auto flow, co_await flows_.describe_flow(loop, call.get("Name")));
  co_return fnf_flow(flow);
}

io::Task<FnfProduct::Answer> FnfProduct::list_flows(io::Loop& loop, const RpcCall& call) {
  MAYFLY_CO_TRY(int64_t limit, number(call, "Limit", kDefaultPage, 1, kMaxPage));
  auto page = co_await flows_.list_flows(loop, call.get("NextToken"), static_cast<size_t>(limit));
  json::array items;
  for (const auto& flow : page.items) items.push_back(fnf_flow(flow));
  json::object out{{"Flows", std::move(items)}};
  if (!page.next.empty()) out["NextToken"] = page.next;
  co_return out;
}

namespace {

flows::StartRequest start_of(const RpcCall& call) {
  return {.flow = call.get("FlowName"), .name = call.get("ExecutionName"), .input = call.get("Input", "{}"), .callback_token = call.get("CallbackFnFTaskToken")};
}

}  // namespace

io::Task<FnfProduct::Answer> FnfProduct::start_execution(io::Loop& loop, const RpcCall& call) {
  MAYFLY_CO_TRY(auto execution, co_await flows_.start(loop, start_of(call)));
  co_return fnf_execution(execution);
}

io::Task<FnfProduct::Answer> FnfProduct::start_sync_execution(io::Loop& loop, const RpcCall& call) {
  MAYFLY_CO_TRY(auto execution, co_await flows_.start(loop, start_of(call)));
  MAYFLY_CO_TRY(execution, co_await flows_.describe(loop, execution.flow, execution.name, io::Deadline::after_us(loop, kMaxSyncUs)));
  json::object out = fnf_execution(execution);
  out["ErrorCode"] = execution.error;
  out["ErrorMessage"] = execution.cause;
  co_return out;
}

io::Task<FnfProduct::Answer> FnfProduct::stop_execution(io::Loop& loop, const RpcCall& call) {
  MAYFLY_CO_TRY(auto execution, co_await flows_.stop(loop, call.get("FlowName"), call.get("ExecutionName"), call.get("Error"), call.get("Cause")));
  co_return fnf_execution(execution);
}

io::Task<FnfProduct::Answer> FnfProduct::describe_execution(io::Loop& loop, const RpcCall& call) {
  MAYFLY_CO_TRY(int64_t wait_s, number(call, "WaitTimeSeconds", 0, 0, kMaxLongPollSeconds));
  io::Deadline deadline = wait_s == 0 ? io::Deadline{0} : io::Deadline::after_us(loop, wait_s * kMicrosPerSecond);
  MAYFLY_CO_TRY(auto execution, co_await flows_.describe(loop, call.get("FlowName"), call.get("ExecutionName"), deadline));
  co_return fnf_execution(execution);
}

io::Task<FnfProduct::Answer> FnfProduct::list_executions(io::Loop& loop, const RpcCall& call) {
  flows::ExecutionFilter filter{.flow = call.get("FlowName"), .name_prefix = call.get("ExecutionNamePrefix"), .next = call.get("NextToken"), .status = {}};
  if (std::string status = call.get("Status"); !status.empty()) {
    filter.status = flows::parse_status(status);
    if (!filter.status) co_return fail(FlowError::invalid_argument, fmt::format("'{}' is no Status", status.substr(0, 64)));
  }
  MAYFLY_CO_TRY(filter.started_from_us, time_us(call, "StartedTimeBegin", filter.started_from_us));
  MAYFLY_CO_TRY(filter.started_to_us, time_us(call, "StartedTimeEnd", filter.started_to_us));
  MAYFLY_CO_TRY(int64_t limit, number(call, "Limit", kDefaultPage, 1, kMaxPage));
  filter.limit = static_cast<size_t>(limit);
  MAYFLY_CO_TRY(auto page, co_await flows_.list(loop, std::move(filter)));
  json::array items;
  for (const auto& execution : page.items) items.push_back(fnf_execution(execution));
  json::object out{{"Executions", std::move(items)}};
  if (!page.next.empty()) out["NextToken"] = page.next;
  co_return out;
}

io::Task<FnfProduct::Answer> FnfProduct::get_execution_history(io::Loop& loop, const RpcCall& call) {
  MAYFLY_CO_TRY(int64_t limit, number(call, "Limit", kDefaultPage, 1, kMaxPage));
  MAYFLY_CO_TRY(auto page, co_await flows_.history(loop, call.get("FlowName"), call.get("ExecutionName"), call.get("NextToken"), static_cast<size_t>(limit)));
  json::array items;
  for (const auto& event : page.items) items.push_back(fnf_event(event));
  json::object out{{"Events", std::move(items)}};
  if (!page.next.empty()) out["NextToken"] = page.next;
  co_return out;
}

io::Task<FnfProduct::Answer> FnfProduct::report_task_succeeded(io::Loop& loop, const RpcCall& call) {
  MAYFLY_CO_TRY_VOID(co_await flows_.report_succeeded(loop, call.get("TaskToken"), call.get("Output")));
  co_return json::object{{"EventId", 0}};
}

io::Task<FnfProduct::Answer> FnfProduct::report_task_failed(io::Loop& loop, const RpcCall& call) {
  MAYFLY_CO_TRY_VOID(co_await flows_.report_failed(loop, call.get("TaskToken"), call.get("Error"), call.get("Cause")));
  co_return json::object{{"EventId", 0}};
}

io::Task<FnfProduct::Answer> FnfProduct::describe_regions(io::Loop& loop, const RpcCall& call) {
  co_return json::object{{"Regions", json::array{json::object{{"RegionId", place_.region}}}}};
}

namespace {

flows::Result<flows::ScheduleChange> schedule_of(const RpcCall& call) {
  flows::ScheduleChange out{.flow = call.get("FlowName"), .name = call.get("ScheduleName"), .cron = {}, .payload = {}, .description = {}, .enabled = {}};
  for (auto [name, member] : {std::pair{"CronExpression", &out.cron}, {"Payload", &out.payload}, {"Description", &out.description}})
    if (std::string value = call.get(name); !value.empty()) *member = std::move(value);
  std::string enable = lower(call.get("Enable"));
  if (!enable.empty() && enable != "true" && enable != "false") return fail(FlowError::invalid_argument, "Enable must be true or false");
  if (!enable.empty()) out.enabled = enable == "true";
  return out;
}

}  // namespace

FnfProduct::Answer FnfProduct::changed(flows::Result<flows::Schedule> schedule) const {
  if (!schedule) return std::unexpected(std::move(schedule).error());
  if (triggered_) triggered_();
  return fnf_schedule(*schedule);
}

io::Task<FnfProduct::Answer> FnfProduct::create_schedule(io::Loop& loop, const RpcCall& call) {
  MAYFLY_CO_TRY(auto schedule, schedule_of(call));
  co_return changed(co_await schedules_.create(loop, std::move(schedule)));
}

io::Task<FnfProduct::Answer> FnfProduct::update_schedule(io::Loop& loop, const RpcCall& call) {
  MAYFLY_CO_TRY(auto schedule, schedule_of(call));
  co_return changed(co_await schedules_.update(loop, std::move(schedule)));
}

io::Task<FnfProduct::Answer> FnfProduct::delete_schedule(io::Loop& loop, const RpcCall& call) {
  MAYFLY_CO_TRY_VOID(co_await schedules_.remove(loop, call.get("FlowName"), call.get("ScheduleName")));
  if (triggered_) triggered_();
  co_return json::object();
}

io::Task<FnfProduct::Answer> FnfProduct::describe_schedule(io::Loop& loop, const RpcCall& call) {
  MAYFLY_CO_TRY(auto schedule, co_await schedules_.describe(loop, call.get("FlowName"), call.get("ScheduleName")));
  co_return fnf_schedule(schedule);
}

io::Task<FnfProduct::Answer> FnfProduct::list_schedules(io::Loop& loop, const RpcCall& call) {
  MAYFLY_CO_TRY(int64_t limit, number(call, "Limit", kDefaultPage, 1, kMaxPage));
  auto page = co_await schedules_.list(loop, call.get("FlowName"), call.get("NextToken"), static_cast<size_t>(limit));
  json::array items;
  for (const auto& schedule : page.items) items.push_back(fnf_schedule(schedule));
  json::object out{{"Schedules", std::move(items)}};
  if (!page.next.empty()) out["NextToken"] = page.next;
  co_return out;
}

}  // namespace mayfly::dialects::aliyun
