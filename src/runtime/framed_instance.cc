#include "runtime/framed_instance.h"

namespace mayfly::runtime {
namespace {

// Importing the handler's module is not the initializer's time, and is seconds for large libraries that a function ships itself.
constexpr int64_t kImportAllowanceUs = 10 * kMicrosPerSecond;

class FramedInstance final : public Instance {
 public:
  FramedInstance(std::shared_ptr<Worker> worker, StartPhases phases) : worker_(std::move(worker)), phases_(phases) {}
  ~FramedInstance() override { worker_->process().kill(); }  // stopped already, unless its owner gave up

  const std::string& id() const override { return worker_->process().id(); }
  bool alive() const override { return worker_->process().alive(); }
  io::Task<Reply> call(Call call) override { return worker_->call(std::move(call)); }
  io::Task<void> stop(io::Deadline deadline) override { return worker_->stop(deadline); }
  StartPhases phases() const override { return phases_; }

 private:
  std::shared_ptr<Worker> worker_;  // shared with its reader, see worker.h
  StartPhases phases_;
};

}  // namespace

io::Task<Expected<std::unique_ptr<Instance>, StartError>> start_framed(Host& host, StartContext context, std::shared_ptr<Process> process, sys::Fd frames, std::string start,
                                                                       StartPhases phases) {
  const auto& function = context.runnable->function;
  auto worker = std::make_shared<Worker>(host.shard(), process, std::move(frames));
  host.spawn(Worker::read_frames(worker));
  auto deadline = io::Deadline::after_us(host.shard(), function.initialization_timeout_s * kMicrosPerSecond + kImportAllowanceUs);
  auto started = co_await worker->initialize(std::move(start), deadline);
  if (!started) co_return fail(StartError::timed_out, fmt::format("Function initialization timed out after {} seconds", function.initialization_timeout_s));
  if (started->ok) {
    phases.import_us = started->import_us;
    phases.init_us = started->init_us;
    co_return std::make_unique<FramedInstance>(worker, phases);
  }
  co_await worker->stop(io::Deadline{host.shard().now_us()});
  co_return std::unexpected(failed_start(*process, function, std::move(started->failure)));
}

}  // namespace mayfly::runtime
