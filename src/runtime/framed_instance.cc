#include "runtime/framed_instance.h"

#include "functions/lifecycle.h"

namespace mayfly::runtime {
namespace {

// Importing the handler's module is not the initializer's time, and is seconds for large libraries that a function ships itself.
constexpr int64_t kImportAllowanceUs = 10 * kMicrosPerSecond;
// A runtime that watches its initializer itself has the better words for one that takes too long.
constexpr int64_t kOwnWordsUs = 250 * kMicrosPerMilli;

class FramedInstance final : public Instance {
 public:
  FramedInstance(Host& host, std::shared_ptr<Worker> worker, StartPhases phases, const StartContext& context)
      : host_(host), worker_(std::move(worker)), phases_(phases), credentials_(context.credentials) {
    pre_stop_ = functions::pre_stop(context.runnable->function);
    pre_freeze_ = functions::pre_freeze(context.runnable->function);
  }
  ~FramedInstance() override { worker_->process().kill(); }  // stopped already, unless its owner gave up

  const std::string& id() const override { return worker_->process().id(); }
  bool alive() const override { return worker_->alive(); }
  io::Task<Reply> call(Call call) override {
    if (pre_stop_ || pre_freeze_) credentials_ = call.credentials;
    return worker_->call(std::move(call));
  }
  // The hook has a time of its own, beyond the grace of the end.
  io::Task<void> stop(io::Deadline deadline) override {
    if (auto hook = std::exchange(pre_stop_, std::nullopt)) {
      int64_t grace_us = deadline.at_us - host_.shard().now_us();
      co_await run(Worker::Hook::pre_stop, *hook);
      deadline = io::Deadline::after_us(host_.shard(), std::max<int64_t>(0, grace_us));
    }
    co_await worker_->stop(deadline);
  }
  io::Task<void> freeze() override {
    if (pre_freeze_) co_await run(Worker::Hook::pre_freeze, *pre_freeze_);
    worker_->process().freeze();
  }
  StartPhases phases() const override { return phases_; }

 private:
  io::Task<void> run(Worker::Hook which, const functions::Hook& hook) {
    return worker_->hook(which, host_.new_request_id(), credentials_, io::Deadline::after_us(host_.shard(), hook.timeout_s * kMicrosPerSecond));
  }

  Host& host_;
  std::shared_ptr<Worker> worker_;  // shared with its reader, see worker.h
  StartPhases phases_;
  auth::Credentials credentials_;  // the last ones seen, for hooks
  std::optional<functions::Hook> pre_stop_, pre_freeze_;  // pre_stop_ until it has run
};

// Why a start has come to nothing, from what its worker said until then.
Failure<StartError> failed_framed(Worker& worker, const functions::Function& function, const std::optional<Worker::Started>& started) {
  if (!started && worker.imported_us() != 0)
    return {StartError::timed_out, fmt::format("Function initialization timed out after {} seconds: its initializer has not returned",
                                               functions::initialization_limit_s(function)), {}};
  if (!started)
    return {StartError::timed_out, fmt::format("Function initialization timed out after {} seconds: importing its code has not ended",
                                               function.initialization_timeout_s + kImportAllowanceUs / kMicrosPerSecond), {}};
  auto failure = failed_start(worker.process(), function, started->failure);
  auto said = parse_json(started->failure);
  if (said && string_or(*said, "errorType", "") == "FunctionTimedOut") failure.code = StartError::timed_out;
  return failure;
}

}  // namespace

std::string new_initializer_id(Host& host, const functions::Function& function) {
  return functions::initializer(function) ? host.new_request_id() : std::string();
}

io::Task<Expected<std::unique_ptr<Instance>, StartError>> start_framed(Host& host, StartContext context, std::shared_ptr<Process> process, sys::Fd frames, StartFrame start,
                                                                       StartPhases phases) {
  Host::Starting starting(host, process);
  const auto& function = context.runnable->function;
  auto worker = std::make_shared<Worker>(host.shard(), process, std::move(frames));
  host.spawn(Worker::read_frames(worker));
  auto deadline = io::Deadline::after_us(host.shard(), function.initialization_timeout_s * kMicrosPerSecond + kImportAllowanceUs);
  int64_t began_us = host.shard().now_us();
  auto started = co_await worker->initialize(std::move(start.payload), deadline, functions::initialization_limit_s(function) * kMicrosPerSecond + kOwnWordsUs,
                                              std::move(start.initializer_id));
  if (started && started->ok) {
    phases.import_us = started->import_us;
    phases.init_us = started->init_us;
    phases.runtime_us += std::max<int64_t>(0, host.shard().now_us() - began_us - phases.import_us - phases.init_us);
    co_return std::make_unique<FramedInstance>(host, worker, phases, context);
  }
  int64_t failed_us = host.shard().now_us(), imported_us = worker->imported_us() != 0 ? worker->imported_us() : failed_us;
  phases.import_us = imported_us - began_us;  // and what the runtime did before: it can tell them apart only once it is ready
  phases.init_us = failed_us - imported_us;
  co_await worker->stop(io::Deadline{failed_us});
  auto failure = failed_framed(*worker, function, started);
  failure.phases = phases;
  co_return std::unexpected(std::move(failure));
}

}  // namespace mayfly::runtime
