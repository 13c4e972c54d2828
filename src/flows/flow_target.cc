#include "base/encoding.h"
#include "base/hash.h"
#include "flows/target.h"

namespace mayfly::flows {
namespace {

constexpr std::string_view kProduct = "fnf:";

std::optional<std::string> parse_flow(std::string_view resource) {
  if (!resource.starts_with("acs:fnf:")) return std::nullopt;
  size_t flow = resource.find(":flow/");
  if (flow == std::string_view::npos || resource.find('/', flow + 6) != std::string_view::npos || flow + 6 == resource.size()) return std::nullopt;
  return std::string(resource.substr(flow + 6));
}

// A parameter that the API takes as text: objects become their JSON.
std::string text_param(const json::value& params, std::string_view name) {
  const json::value* value = find(params, name);
  if (value == nullptr || value->is_null()) return "";
  return value->is_string() ? std::string(view(value->get_string())) : to_text(*value);
}

// A name that is the same each time this try is made, so that a second start of it finds the first.
std::string name_from(const std::string& token) {
  std::string digits = hex_encode(md5(token));
  return fmt::format("{}-{}-{}-{}-{}", digits.substr(0, 8), digits.substr(8, 4), digits.substr(12, 4), digits.substr(16, 4), digits.substr(20));
}

TaskOutcome failed(const Failure<FlowError>& failure) {
  auto name = [&] {
    switch (failure.code) {
      case FlowError::execution_exists: return "fnf.ExecutionAlreadyExists";
      case FlowError::flow_not_found: return "fnf.FlowNotExists";
      case FlowError::execution_not_found: return "fnf.ExecutionNotExists";
      case FlowError::task_not_found: return "fnf.TaskNotExists";
      case FlowError::too_large: return "fnf.RequestTooLarge";
      default: return "fnf.InvalidArgument";
    }
  };
  return task_failed(name(), failure.message);
}

class FlowTarget final : public TaskTarget {
 public:
  FlowTarget(Flows& flows, Rng& rng) : flows_(flows), rng_(rng) {}

  bool claims(const TaskCall& call) const override { return parse_flow(call.resource).has_value() || call.action.starts_with(kProduct); }

  auth::Access access(const TaskCall& call) const override {
    std::string api = api_of(call), flow = "*";
    if (api == "StartExecution") flow = parse_flow(call.resource).value_or(text_param(call.params, "FlowName"));
    if (api == "StopExecution" || api == "DescribeExecution") {
      flow = fmt::format("{}/execution/{}", text_param(call.params, "FlowName"), text_param(call.params, "ExecutionName"));
    }
    return {"fnf:" + api, "acs:fnf:*:*:flow/" + flow};
  }

  io::Task<TaskOutcome> run(io::Loop& loop, TaskRequest request) override {
    const TaskCall& call = request.call;
    std::string api = api_of(call);
    if (api == "StartExecution") co_return co_await start(loop, std::move(request));
    if (api == "StopExecution") co_return co_await stop(loop, call.params);
    if (api == "DescribeExecution") co_return co_await describe(loop, call.params);
    if (api == "ReportTaskSucceeded" || api == "ReportTaskFailed") co_return co_await report(loop, api, call.params);
    co_return task_failed("fnf.InvalidAction", fmt::format("a task cannot call {}", call.action));
  }

 private:
  static std::string api_of(const TaskCall& call) { return call.action.empty() ? "StartExecution" : call.action.substr(kProduct.size()); }

  json::object shown(const Execution& execution) {
    return {{"RequestId", uuid(rng_)}, {"FlowName", execution.flow}, {"Name", execution.name}, {"Input", execution.input}, {"Output", execution.output},
            {"Status", to_string(execution.status)}, {"StartedTime", iso8601_ms(execution.started_us)},
            {"StoppedTime", execution.stopped_us == 0 ? "" : iso8601_ms(execution.stopped_us)}};
  }

  io::Task<TaskOutcome> start(io::Loop& loop, TaskRequest request) {
    const TaskCall& call = request.call;
    StartRequest start{.flow = parse_flow(call.resource).value_or(text_param(call.params, "FlowName")), .name = text_param(call.params, "ExecutionName"),
                       .input = text_param(call.params, "Input"), .callback_token = text_param(call.params, "CallbackFnFTaskToken"), .origin = call.token};
    if (start.name.empty()) start.name = name_from(call.token);
    if (start.input.empty()) start.input = call.input;
    if (call.pattern == Pattern::sync) start.callback_token = call.token;
    auto started = co_await flows_.start(loop, std::move(start));
    if (!started) co_return failed(started.error());
    if (call.pattern == Pattern::sync) co_return TaskOutcome{.result = Command::Result::submitted, .output = {}, .error = {}, .cause = {}};
    co_return task_succeeded(shown(*started));
  }

  io::Task<TaskOutcome> stop(io::Loop& loop, json::value params) {
    auto stopped = co_await flows_.stop(loop, text_param(params, "FlowName"), text_param(params, "ExecutionName"), text_param(params, "Error"),
                                        text_param(params, "Cause"));
    if (!stopped) co_return failed(stopped.error());
    co_return task_succeeded(shown(*stopped));
  }

  io::Task<TaskOutcome> describe(io::Loop& loop, json::value params) {
    auto found = co_await flows_.describe(loop, text_param(params, "FlowName"), text_param(params, "ExecutionName"), io::Deadline{0});
    if (!found) co_return failed(found.error());
    co_return task_succeeded(shown(*found));
  }

  io::Task<TaskOutcome> report(io::Loop& loop, std::string api, json::value params) {
    Result<void> reported;
    if (api == "ReportTaskSucceeded") reported = co_await flows_.report_succeeded(loop, text_param(params, "TaskToken"), text_param(params, "Output"));
    else reported = co_await flows_.report_failed(loop, text_param(params, "TaskToken"), text_param(params, "Error"), text_param(params, "Cause"));
    if (!reported) co_return failed(reported.error());
    co_return task_succeeded({{"RequestId", uuid(rng_)}});
  }

  Flows& flows_;
  Rng& rng_;
};

}  // namespace

std::unique_ptr<TaskTarget> make_flow_target(Flows& flows, Rng& rng) { return std::make_unique<FlowTarget>(flows, rng); }

}  // namespace mayfly::flows
