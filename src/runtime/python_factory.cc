#include "runtime/python_factory.h"

#include <signal.h>

#include "runtime/framed_instance.h"
#include "runtime/python.h"
#include "sandbox/seccomp.h"
#include "sys/fault.h"
#include "sys/process.h"

namespace mayfly::runtime {
namespace {

constexpr int64_t kZygoteStartUs = 60 * kMicrosPerSecond;  // interpreter and libraries: 0.3 s warm, seconds from a cold disk
constexpr int64_t kForkUs = 10 * kMicrosPerSecond;         // milliseconds, unless the machine swaps
constexpr uint64_t kZygoteMemoryBytes = 1ull << 30;        // the libraries, once, for all instances of a revision
constexpr uint64_t kZygoteProcesses = 1024;                // forks that have not been placed yet
constexpr StockRules kForksAhead{.most_of_one = 32, .most = 64};  // each some 3.5 MB
constexpr const char* kInterpreter = "python3";
constexpr int64_t kGroupRetryUs = kMicrosPerMilli;
constexpr int kGroupRetries = 1000;

}  // namespace

PythonFactory::PythonFactory(Host& host)
    : host_(host),
      seccomp_(sandbox::seccomp_program()),
      forks_(host.shard(), host.tasks(), host.starts(), kForksAhead,
             {.usable = [](const Fork& fork) { return fork.zygote->alive() && !sys::has_ended(fork.process.pidfd); },
              .discard = [this](Fork fork) { return discard(std::move(fork)); }}),
      interpreters_(host.shard(), host.tasks(), host.starts(), interpreters_ahead(), {.usable = runs, .discard = runtime::discard}) {}
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
  std::shared_ptr<Box> box;
  if (auto ready = interpreters_.take(kInterpreter, [this] { return interpreter_ahead(); })) {
    sys::set_cores((*ready)->sandbox().program(), sys::own_cores());  // where calls reach its forks soonest
    if (co_await host_.mount_function(*ready, *context.runnable)) box = std::move(*ready);
  }
  if (!box) {  // none was ready, or it ended just now
    MAYFLY_CO_TRY(box, co_await launch_interpreter());
    MAYFLY_CO_TRY_VOID(co_await host_.mount_function(box, *context.runnable));
  }
  auto zygote = std::make_shared<Zygote>(host_.shard(), box);
  host_.spawn(Zygote::read_messages(zygote));
  Expected<void, StartError> ready;
  try {
    ready = co_await zygote->configure(zygote_configuration(context, host_.options(), seccomp_), deadline);
    if (ready) ready = co_await host_.open_door(box, context.runnable);
  } catch (const sys::Fault& fault) {
    ready = fail(StartError::sandbox, fault.what());
  }
  if (ready) co_return zygote;
  zygote->close();  // else its reader would wait for its end
  co_return std::unexpected(ready.error());
}

io::Task<Expected<std::shared_ptr<Box>, StartError>> PythonFactory::launch_interpreter() {
  auto deadline = io::Deadline::after_us(host_.shard(), kZygoteStartUs);
  co_return co_await host_.launch(zygote_plan(host_.options()), host_.group("zygote", kZygoteMemoryBytes, kZygoteProcesses), deadline);
}

io::Task<std::optional<std::shared_ptr<Box>>> PythonFactory::interpreter_ahead() {
  auto box = co_await launch_interpreter();
  if (!box) co_return std::nullopt;  // met again, and reported, by the next start
  sys::set_cores((*box)->sandbox().program(), io::usable_cores());  // its start is long, and would keep the shard from its calls
  co_return std::move(*box);
}

io::Task<void> PythonFactory::drop(std::string revision) {
  forks_.forget(revision);
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
  const auto& runnable = *context.runnable;
  for (bool again : {true, false}) {  // once more when the zygote ended under the fork
    auto found = co_await zygote_for(context);
    int64_t zygote_us = host_.shard().now_us() - began_us;  // nothing, unless this start was the one that made it
    if (!found) {
      found.error().phases.runtime_us = zygote_us;
      co_return std::unexpected(std::move(found).error());
    }
    auto zygote = std::move(*found);
    Expected<Fork, StartError> fork;
    if (auto ready = forks_.take(door_name(runnable.key(), runnable.revision), make_ahead(runnable))) fork = std::move(*ready);
    else fork = co_await this->fork(zygote, memory_limit(runnable.function), Zygote::For::a_start);
    if (!fork) {
      if (zygote->alive() || !again) co_return std::unexpected(fork.error());
      continue;
    }
    auto instance = co_await start_in(context, std::move(*fork), began_us, zygote_us);
    if (instance || zygote->alive() || !again) co_return instance;
  }
  std::unreachable();
}

Stock<PythonFactory::Fork>::Make PythonFactory::make_ahead(const functions::Runnable& runnable) {
  return [this, revision = door_name(runnable.key(), runnable.revision), memory_bytes = memory_limit(runnable.function)] { return fork_ahead(revision, memory_bytes); };
}

io::Task<std::optional<PythonFactory::Fork>> PythonFactory::fork_ahead(std::string revision, uint64_t memory_bytes) {
  auto found = zygotes_.find(revision);
  if (found == zygotes_.end() || !found->second->result || !*found->second->result) co_return std::nullopt;
  auto made = co_await fork(**found->second->result, memory_bytes, Zygote::For::later);
  if (!made) co_return std::nullopt;  // met again, and reported, by the next start
  co_return std::move(*made);
}

// A fork of `zygote` in a group of its own, which goes again when there is none.
io::Task<Expected<PythonFactory::Fork, StartError>> PythonFactory::fork(std::shared_ptr<Zygote> zygote, uint64_t memory_bytes, Zygote::For purpose) {
  std::optional<sys::Cgroup> cgroup;
  Expected<Forked, StartError> forked;
  try {
    cgroup = host_.group("instance", memory_bytes, kMaxProcesses);
    uint32_t token = zygote->ask_fork(cgroup ? cgroup->entries() : std::vector<sys::Fd>{}, purpose);
    forked = co_await zygote->forked(token, io::Deadline::after_us(host_.shard(), kForkUs));
  } catch (const sys::Fault& fault) {
    forked = fail(StartError::sandbox, fault.what());
  }
  if (forked) co_return Fork{std::move(zygote), std::move(*forked), std::move(cgroup)};
  if (cgroup) cgroup->remove();
  co_return std::unexpected(forked.error());
}

io::Task<void> PythonFactory::discard(Fork fork) {
  sys::kill(fork.process.pidfd, SIGKILL);
  (void)co_await fork.zygote->exit_of(fork.process.token, io::Deadline::never());
  for (int tries = 0; fork.cgroup && tries < kGroupRetries && !fork.cgroup->remove(); ++tries) co_await io::sleep_us(host_.shard(), kGroupRetryUs);
}

io::Task<Expected<std::unique_ptr<Instance>, StartError>> PythonFactory::start_in(StartContext context, Fork fork, int64_t began_us, int64_t zygote_us) {
  const auto& function = context.runnable->function;
  std::string id = host_.new_instance_id();
  StartFrame start{.payload = {}, .initializer_id = new_initializer_id(host_, function)};
  start.payload = start_message(id, context.credentials, fork.cgroup ? 0 : memory_limit(function), start.initializer_id);
  auto frames = std::move(fork.process.frames);
  auto move = [zygote = fork.zygote, token = fork.process.token](Process::Motion motion) {
    motion == Process::Motion::stop ? zygote->freeze(token) : zygote->thaw(token);
  };
  auto process = host_.supervise({.instance_id = id,
                                  .home = fork.zygote,
                                  .output = std::move(fork.process.output),
                                  .pidfd = std::move(fork.process.pidfd),
                                  .exit_status = [zygote = fork.zygote, token = fork.process.token](io::Deadline deadline) { return zygote->exit_of(token, deadline); },
                                  .cgroup = std::move(fork.cgroup),
                                  .printed = context.printed,
                                  .move = std::move(move),
                                  .timeout_s = function.timeout_s,
                                  .memory_mb = function.memory_mb});
  StartPhases phases{.sandbox_us = host_.shard().now_us() - began_us - zygote_us, .runtime_us = zygote_us};
  co_return co_await start_framed(host_, std::move(context), std::move(process), std::move(frames), std::move(start), phases);
}

void PythonFactory::expect(const functions::Runnable&) {
  interpreters_.expect(kInterpreter, [this] { return interpreter_ahead(); });
}

io::Task<void> PythonFactory::forget(std::string key, uint64_t revision) { return drop(door_name(key, revision)); }

io::Task<void> PythonFactory::stop() {
  forks_.stop();
  interpreters_.stop();
  while (!zygotes_.empty()) co_await drop(zygotes_.begin()->first);
}

}  // namespace mayfly::runtime
