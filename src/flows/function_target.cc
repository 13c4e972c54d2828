#include "flows/target.h"

namespace mayfly::flows {
namespace {

// How long a task waits for an instance before it counts as FC.ResourceExhausted, which flows retry by themselves.
constexpr int64_t kInvokeWaitUs = 60 * kMicrosPerSecond;
constexpr size_t kMaxCauseBytes = 4096;  // of a function's error in the history

// The parts of "acs:fc:::services/{s}/functions/{f}"; nullopt if it is none.
std::optional<dispatch::Target> parse_function(std::string_view resource) {
  if (!resource.starts_with("acs:fc:")) return std::nullopt;
  size_t services = resource.find(":services/");
  size_t functions = resource.find("/functions/");
  if (services == std::string_view::npos || functions == std::string_view::npos || functions < services) return std::nullopt;
  std::string_view service = resource.substr(services + 10, functions - services - 10);
  dispatch::Target target;
  size_t dot = service.find('.');
  target.service = service.substr(0, dot);
  if (dot != std::string_view::npos) target.qualifier = service.substr(dot + 1);
  target.function = resource.substr(functions + 11);
  if (target.service.empty() || target.function.empty()) return std::nullopt;
  return target;
}

std::string_view kind_text(dispatch::Outcome::Kind kind) {
  switch (kind) {
    case dispatch::Outcome::Kind::ok: return "succeeded";
    case dispatch::Outcome::Kind::handled_error: return "the function raised an error";
    case dispatch::Outcome::Kind::unhandled_error: return "the function's process ended";
    case dispatch::Outcome::Kind::timed_out: return "the function ran longer than its timeout";
    case dispatch::Outcome::Kind::out_of_memory: return "the function ran out of memory";
  }
  return "";
}

std::string error_name(dispatch::InvokeError error) {
  switch (error) {
    case dispatch::InvokeError::not_found: return "FC.FunctionNotFound";
    case dispatch::InvokeError::throttled: return "FC.ResourceThrottled";
    case dispatch::InvokeError::exhausted: return "FC.ResourceExhausted";
    case dispatch::InvokeError::unavailable:
    case dispatch::InvokeError::cancelled: return "FC.InternalServerError";
    case dispatch::InvokeError::invalid: return "FC.InvalidArgument";
    case dispatch::InvokeError::stopping: break;  // never recorded, see run()
  }
  return "FC.Unknown";
}

TaskOutcome from_outcome(dispatch::Outcome outcome) {
  if (outcome.kind == dispatch::Outcome::Kind::ok) return {.output = std::move(outcome.body)};
  auto body = parse_json(outcome.body);
  std::string type = body ? string_or(*body, "errorType") : "";
  std::string cause = outcome.body.empty() ? std::string(kind_text(outcome.kind)) : outcome.body.substr(0, kMaxCauseBytes);
  return task_failed(type.empty() ? "FC.Unknown" : std::move(type), std::move(cause));
}

class FunctionTarget final : public TaskTarget {
 public:
  FunctionTarget(dispatch::Invoker& invoker, Rng& rng) : invoker_(invoker), rng_(rng) {}

  bool claims(const TaskCall& call) const override { return parse_function(call.resource).has_value(); }
  auth::Access access(const TaskCall& call) const override {
    dispatch::Target target = *parse_function(call.resource);
    return {"fc:InvokeFunction", fmt::format("acs:fc:*:*:services/{}/functions/{}", target.service, target.function)};
  }

  io::Task<TaskOutcome> run(io::Loop& loop, TaskRequest request) override {
    dispatch::Invocation invocation{.request_id = uuid(rng_), .target = *parse_function(request.call.resource),
                                    .payload = std::move(request.call.input), .source = "flow", .http = {}};
    int64_t wait_us = kInvokeWaitUs;
    if (request.call.timeout_s > 0) wait_us = std::min(wait_us, static_cast<int64_t>(request.call.timeout_s * kMicrosPerSecond));
    auto outcome = co_await invoker_.invoke(loop, std::move(invocation), io::Deadline::after_us(loop, wait_us));
    if (!outcome && outcome.error().code == dispatch::InvokeError::stopping) co_return TaskOutcome{.undecided = true};
    if (!outcome) co_return task_failed(error_name(outcome.error().code), outcome.error().message);
    co_return from_outcome(std::move(*outcome));
  }

 private:
  dispatch::Invoker& invoker_;
  Rng& rng_;
};

}  // namespace

TaskOutcome task_succeeded(json::object output) { return {.output = to_text(output)}; }
TaskOutcome task_failed(std::string error, std::string cause) {
  return {.result = Command::Result::failed, .output = {}, .error = std::move(error), .cause = std::move(cause)};
}

std::unique_ptr<TaskTarget> make_function_target(dispatch::Invoker& invoker, Rng& rng) { return std::make_unique<FunctionTarget>(invoker, rng); }

}  // namespace mayfly::flows
