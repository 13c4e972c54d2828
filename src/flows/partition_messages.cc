#include "flows/partition_impl.h"

// The messages of a partition: what they look like, and what is done when one is delivered. A message holds only an address; what is to
// be done is computed from the state, so that a message that comes twice or too late finds nothing to do.

namespace mayfly::flows {
namespace {

// A resume is for the time after a crash; while the process lives the driver goes on by itself.
constexpr int64_t kResumeAfterUs = 5 * kMicrosPerSecond;

std::string result_name(Command::Result result) { return result == Command::Result::failed ? "failed" : "succeeded"; }

}  // namespace

queues::Message Partition::task_message(const State& state, TaskRef task, int64_t now_us) const {
  json::object payload{{"flow", state.flow}, {"execution", state.execution}, {"step", task.step}, {"attempt", task.attempt}};
  return {.queue = task_queue_, .due_us = now_us, .id = fmt::format("{}/{}/{}.{}", state.flow, state.execution, task.step, task.attempt), .payload = to_text(payload)};
}

queues::Message Partition::timer_message(const State& state, const TimerChange& timer) const {
  json::object payload{{"kind", "timer"}, {"flow", state.flow}, {"execution", state.execution}, {"step", timer.step}, {"attempt", timer.attempt},
                       {"timer", static_cast<int>(timer.kind)}};
  return {.queue = work_queue_, .due_us = timer.due_us,
          .id = fmt::format("{}/{}/{}{}.{}", state.flow, state.execution, static_cast<char>(timer.kind), timer.step, timer.attempt),
          .payload = to_text(payload)};
}

queues::Message Partition::resume_message(const State& state, int64_t now_us) const {
  json::object payload{{"kind", "resume"}, {"flow", state.flow}, {"execution", state.execution}};
  return {.queue = work_queue_, .due_us = now_us + kResumeAfterUs, .id = fmt::format("{}/{}/resume{}", state.flow, state.execution, state.sequence),
          .payload = to_text(payload)};
}

// Tells whoever started the execution how it ended (aliyun-fnf.md section 4.3).
queues::Message Partition::end_message(const State& state, int64_t now_us) const {
  const bool succeeded = state.status == Status::succeeded;
  json::object payload{{"kind", "report"}, {"token", state.callback_token}, {"result", result_name(succeeded ? Command::Result::succeeded : Command::Result::failed)},
                       {"output", state.output}, {"error", state.error}, {"cause", state.cause}};
  return {.queue = work_queue_, .due_us = now_us, .id = fmt::format("{}/{}/end", state.flow, state.execution), .payload = to_text(payload)};
}

io::Task<void> Partition::drop(queues::Message message) {
  store::Batch batch;
  queues::acknowledge(batch, message);
  co_await store_.commit(loop_, std::move(batch));
}

io::Task<TaskOutcome> Partition::run_target(TaskRequest request) {
  for (TaskTarget* target : targets_) {
    if (!target->claims(request.call)) continue;
    if (options_.may && !request.role_arn.empty()) {
      const auth::Access access = target->access(request.call);
      if (!options_.may(request.role_arn, access))
        co_return task_failed(access.action.starts_with("fc:") ? "FC.AccessDenied" : "fnf.NoPermission",
                              fmt::format("the flow's role {} is not authorized to do {} on {}", request.role_arn, access.action, access.resource));
    }
    co_return co_await target->run(loop_, std::move(request));
  }
  const std::string& what = request.call.resource.empty() ? request.call.action : request.call.resource;
  co_return task_failed("FnF.RuntimeError", fmt::format("nothing here runs '{}': it is no function, flow or message service of this server", what));
}

io::Task<void> Partition::consume_task(queues::Message message) {
  auto payload = parse_json(message.payload);
  if (!payload) co_return co_await drop(std::move(message));
  Pending peek(loop_);
  peek.kind = Pending::Kind::peek;
  peek.peek = {int_or(*payload, "step"), static_cast<int>(int_or(*payload, "attempt"))};
  std::string flow = string_or(*payload, "flow"), execution = string_or(*payload, "execution");
  co_await post({flow, execution}, peek);
  if (!peek.call) co_return co_await drop(std::move(message));
  TaskOutcome outcome = co_await run_target({.flow = flow, .execution = execution, .role_arn = peek.role_arn, .call = std::move(*peek.call)});
  if (outcome.undecided) co_return;  // not acknowledged
  Command command{.kind = Command::Kind::task_done, .output = std::move(outcome.output), .step = peek.peek.step, .attempt = peek.peek.attempt,
                  .result = outcome.result, .error = std::move(outcome.error), .cause = std::move(outcome.cause), .token = {}};
  co_await submit(std::move(flow), std::move(execution), std::move(command), std::move(message));
}

io::Task<void> Partition::consume_work(queues::Message message) {
  auto payload = parse_json(message.payload);
  std::string kind = payload ? string_or(*payload, "kind") : "";
  std::string flow = payload ? string_or(*payload, "flow") : "", execution = payload ? string_or(*payload, "execution") : "";
  if (kind == "report") {
    auto result = string_or(*payload, "result") == "failed" ? Command::Result::failed : Command::Result::succeeded;
    co_await report_(loop_, string_or(*payload, "token"), result, string_or(*payload, "output"), string_or(*payload, "error"), string_or(*payload, "cause"));
    co_return co_await drop(std::move(message));
  }
  if (kind == "timer") {
    Command command{.kind = Command::Kind::timer, .output = {}, .step = int_or(*payload, "step"), .attempt = static_cast<int>(int_or(*payload, "attempt")),
                    .error = {}, .cause = {}, .token = {}, .timer = static_cast<TimerKind>(int_or(*payload, "timer"))};
    co_await submit(std::move(flow), std::move(execution), std::move(command), std::move(message));
    co_return;
  }
  if (kind == "resume") {
    co_await submit(std::move(flow), std::move(execution), {.kind = Command::Kind::resume}, std::move(message));
    co_return;
  }
  co_await drop(std::move(message));
}

}  // namespace mayfly::flows
