#include "runtime/python_factory.h"

#include "runtime/framed_instance.h"
#include "runtime/python.h"
#include "sandbox/seccomp.h"
#include "sys/fault.h"

namespace mayfly::runtime {
namespace {

constexpr int64_t kZygoteStartUs = 60 * kMicrosPerSecond;  // interpreter and libraries: 0.3 s warm, seconds from a cold disk
constexpr int64_t kForkUs = 10 * kMicrosPerSecond;         // milliseconds, unless the machine swaps
constexpr uint64_t kZygoteMemoryBytes = 1ull << 30;        // the libraries, once, for all instances of a revision
constexpr uint64_t kZygoteProcesses = 1024;                // forks that have not been placed yet

}  // namespace

PythonFactory::PythonFactory(Host& host) : host_(host), seccomp_(sandbox::seccomp_program()) {}
PythonFactory::~PythonFactory() = default;

io::Task<PythonFactory::ZygoteResult> PythonFactory::zygote_for(StartContext context) {
  std::string revision = door_name(context.runnable->key(), context.runnable->revision);
  auto found = zygotes_.find(revision);
  if (found != zygotes_.end()) {
    auto slot = found->second;
    co_await slot->done.wait();
    if (!*slot->result || (**slot->result)->alive()) co_return *slot->result;
    // It was killed: the first to see it makes another.
    if (auto now = zygotes_.find(revision); now != zygotes_.end() && now->second == slot) zygotes_.erase(now);
    co_return co_await zygote_for(std::move(context));
  }
  auto slot = std::make_shared<Slot>(host_.shard());
  zygotes_[revision] = slot;
  try {
    slot->result = co_await make_zygote(std::move(context));
  } catch (const sys::Fault& fault) {
    slot->result = fail(StartError::sandbox, fault.what());
  }
  slot->done.set();
  if (!*slot->result && zygotes_[revision] == slot) zygotes_.erase(revision);  // the next start tries again
  co_return *slot->result;
}

io::Task<PythonFactory::ZygoteResult> PythonFactory::make_zygote(StartContext context) {
  auto deadline = io::Deadline::after_us(host_.shard(), kZygoteStartUs);
  MAYFLY_CO_TRY(auto box, co_await host_.launch(zygote_plan(context, host_.options()), host_.group("zygote", kZygoteMemoryBytes, kZygoteProcesses), deadline));
  auto zygote = std::make_shared<Zygote>(host_.shard(), box);
  host_.spawn(Zygote::read_messages(zygote));
  auto configured = co_await zygote->configure(zygote_configuration(context, host_.options(), seccomp_), deadline);
  if (!configured) {
    zygote->close();
    co_return std::unexpected(configured.error());
  }
  co_await host_.open_door(box, context.runnable);
  co_return zygote;
}

io::Task<void> PythonFactory::drop(std::string revision) {
  auto found = zygotes_.find(revision);
  if (found == zygotes_.end()) co_return;
  auto slot = found->second;
  co_await slot->done.wait();
  if (auto now = zygotes_.find(revision); now == zygotes_.end() || now->second != slot) co_return;
  zygotes_.erase(revision);
  if (*slot->result) (**slot->result)->retire();
}

io::Task<Expected<std::unique_ptr<Instance>, StartError>> PythonFactory::start(StartContext context) {
  int64_t began_us = host_.shard().now_us();
  for (bool again : {true, false}) {  // once more when the zygote ended under the fork
    MAYFLY_CO_TRY(auto zygote, co_await zygote_for(context));
    auto instance = co_await fork_instance(context, zygote, began_us);
    if (instance || zygote->alive() || !again) co_return instance;
  }
  std::unreachable();
}

// A fork of `zygote` in `cgroup`, which goes again when there is none.
io::Task<Expected<Forked, StartError>> PythonFactory::forked_into(Zygote& zygote, std::optional<sys::Cgroup>& cgroup) {
  Expected<Forked, StartError> forked;
  try {
    uint32_t token = zygote.ask_fork(cgroup ? cgroup->entries() : std::vector<sys::Fd>{});
    forked = co_await zygote.forked(token, io::Deadline::after_us(host_.shard(), kForkUs));
  } catch (const sys::Fault& fault) {
    forked = fail(StartError::sandbox, fault.what());
  }
  if (!forked && cgroup) cgroup->remove();
  co_return forked;
}

io::Task<Expected<std::unique_ptr<Instance>, StartError>> PythonFactory::fork_instance(StartContext context, std::shared_ptr<Zygote> zygote, int64_t began_us) {
  const auto& function = context.runnable->function;
  uint64_t memory_bytes = static_cast<uint64_t>(function.memory_mb) << 20;
  int64_t zygote_us = host_.shard().now_us() - began_us;  // nothing, unless this start was the one that made it
  std::optional<sys::Cgroup> cgroup;
  try {
    cgroup = host_.group("instance", memory_bytes, kMaxProcesses);
  } catch (const sys::Fault& fault) {
    co_return fail(StartError::sandbox, fault.what());
  }
  MAYFLY_CO_TRY(auto forked, co_await forked_into(*zygote, cgroup));
  std::string id = host_.new_instance_id();
  std::string start = start_message(id, context.credentials, cgroup ? 0 : memory_bytes);
  auto frames = std::move(forked.frames);
  auto process = host_.supervise({.instance_id = id,
                                  .home = zygote,
                                  .output = std::move(forked.output),
                                  .pidfd = std::move(forked.pidfd),
                                  .exit_status = [zygote, token = forked.token](io::Deadline deadline) { return zygote->exit_of(token, deadline); },
                                  .cgroup = std::move(cgroup),
                                  .printed = context.printed,
                                  .timeout_s = function.timeout_s,
                                  .memory_mb = function.memory_mb});
  StartPhases phases{.sandbox_us = host_.shard().now_us() - began_us - zygote_us, .runtime_us = zygote_us};
  co_return co_await start_framed(host_, std::move(context), std::move(process), std::move(frames), std::move(start), phases);
}

io::Task<void> PythonFactory::prepare(std::shared_ptr<const functions::Runnable> runnable) {
  co_await zygote_for({.runnable = std::move(runnable), .account = host_.options().account, .region = host_.options().region});
}

io::Task<void> PythonFactory::forget(std::string key, uint64_t revision) { return drop(door_name(key, revision)); }

io::Task<void> PythonFactory::stop() {
  while (!zygotes_.empty()) co_await drop(zygotes_.begin()->first);
}

}  // namespace mayfly::runtime
