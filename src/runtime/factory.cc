#include "runtime/factory.h"

#include <unistd.h>

#include "runtime/python.h"
#include "sandbox/seccomp.h"
#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::runtime {
namespace {

constexpr int64_t kZygoteStartUs = 60 * kMicrosPerSecond;  // interpreter and libraries: 0.3 s warm, seconds from a cold disk
constexpr int64_t kForkUs = 10 * kMicrosPerSecond;         // milliseconds, unless the machine swaps
// Importing the handler's module is not the initializer's time, and is seconds for large libraries that a function ships itself.
constexpr int64_t kImportAllowanceUs = 10 * kMicrosPerSecond;
constexpr uint64_t kZygoteMemoryBytes = 1ull << 30;        // the libraries, once, for all instances of a revision
constexpr uint64_t kZygoteProcesses = 1024;                // forks that have not been placed yet
constexpr uint64_t kUnprivilegedUids = 1'000'000'000;      // far above what distributions give to users and containers
constexpr const char* kGroupPrefix = "mayfly-";

class PythonInstance final : public Instance {
 public:
  PythonInstance(std::shared_ptr<Worker> worker, StartPhases phases) : worker_(std::move(worker)), phases_(phases) {}

  ~PythonInstance() override { worker_->kill(); }  // stopped already, unless its owner gave up

  const std::string& id() const override { return worker_->id(); }
  bool alive() const override { return worker_->alive(); }
  io::Task<Reply> call(Call call) override { return worker_->call(std::move(call)); }
  io::Task<void> stop(io::Deadline deadline) override { return worker_->stop(deadline); }
  StartPhases phases() const override { return phases_; }

 private:
  std::shared_ptr<Worker> worker_;  // shared with its readers, see worker.h
  StartPhases phases_;
};

}  // namespace

std::string door_name(const std::string& key, uint64_t revision) { return fmt::format("{}#{}", key, revision); }
std::string door_key(const std::string& door) { return door.substr(0, door.rfind('#')); }

std::unique_ptr<InstanceFactory> make_instance_factory(io::Shard& shard, DoorKeeper& doors, RuntimeOptions options, Rng& rng) {
  return std::make_unique<Factory>(shard, doors, std::move(options), rng);
}

Factory::Factory(io::Shard& shard, DoorKeeper& doors, RuntimeOptions options, Rng& rng)
    : shard_(shard), doors_(doors), options_(std::move(options)), rng_(rng), seccomp_(sandbox::seccomp_program()), tasks_(shard) {
  if (options_.unsafe_no_sandbox && shard_.index() == 0) fmt::print(stderr, "mayfly: functions run WITHOUT A SANDBOX, as this user, with this machine's files and network\n");
  find_cgroups();
  write_trust();
}

Factory::~Factory() = default;

void Factory::find_cgroups() {
  std::string why;
  cgroups_ = sys::CgroupRoot::find(why);
  if (!cgroups_) {
    if (shard_.index() == 0) fmt::print(stderr, "mayfly: memory and process limits are per process (rlimits) on this machine: {}\n", why);
    return;
  }
  sys::remove_stale_cgroups(*cgroups_, kGroupPrefix);
  cgroup_name_ = kGroupPrefix + std::to_string(::getpid());
  sys::Cgroup(*cgroups_, cgroup_name_, {});
}

void Factory::write_trust() {
  if (options_.ca_certificate_pem.empty()) return;
  sys::make_folders(options_.state_folder);
  std::string host = sys::read_file_if_exists("/etc/ssl/certs/ca-certificates.crt").value_or("");
  sys::write_file(options_.state_folder + "/ca.pem", options_.ca_certificate_pem);
  sys::write_file(options_.state_folder + "/ca-bundle.pem", host + options_.ca_certificate_pem);
}

std::optional<sys::Cgroup> Factory::group(const std::string& name, uint64_t memory_bytes, uint64_t processes) {
  if (!cgroups_) return std::nullopt;
  return sys::Cgroup(*cgroups_, fmt::format("{}/{}-{}-{}", cgroup_name_, name, shard_.index(), next_group_++), {memory_bytes, processes});
}

io::Task<Factory::ZygoteResult> Factory::zygote_for(StartContext context) {
  std::string door = door_name(context.runnable->key(), context.runnable->revision);
  auto found = zygotes_.find(door);
  if (found != zygotes_.end()) {
    auto slot = found->second;
    co_await slot->done.wait();
    if (!*slot->result || (**slot->result)->alive()) co_return *slot->result;
    // It was killed: the first to see it makes another.
    if (auto now = zygotes_.find(door); now != zygotes_.end() && now->second == slot) zygotes_.erase(now);
    co_return co_await zygote_for(std::move(context));
  }
  auto slot = std::make_shared<Slot>(shard_);
  zygotes_[door] = slot;
  try {
    slot->result = co_await make_zygote(std::move(context), door, slot);
  } catch (const sys::Fault& fault) {
    slot->result = fail(StartError::sandbox, fault.what());
  }
  slot->done.set();
  if (!*slot->result && zygotes_[door] == slot) zygotes_.erase(door);  // the next start tries again
  co_return *slot->result;
}

io::Task<Factory::ZygoteResult> Factory::make_zygote(StartContext context, std::string door, std::shared_ptr<Slot> slot) {
  auto deadline = io::Deadline::after_us(shard_, kZygoteStartUs);
  auto plan = zygote_plan(context, options_, static_cast<uint32_t>(kUnprivilegedUids + rng_.below(kUnprivilegedUids)));
  if (!cgroups_) plan.processes = kMaxProcesses;
  auto launched = co_await sandbox::launch(shard_, options_.self_path, std::move(plan), group("zygote", kZygoteMemoryBytes, kZygoteProcesses), deadline);
  if (!launched) co_return fail(StartError::sandbox, launched.error().message, launched.error().hint);
  auto zygote = std::make_shared<Zygote>(shard_, std::move(*launched));
  tasks_.spawn(run_zygote(zygote, door, slot));
  auto configured = co_await zygote->configure(zygote_configuration(context, options_, seccomp_), deadline);
  if (!configured) {
    zygote->close();
    co_return std::unexpected(configured.error());
  }
  open_doors(door, zygote->sandbox(), *slot);
  co_return zygote;
}

// Its door stays open until it has ended: instances of an older revision still use theirs while they drain.
io::Task<void> Factory::run_zygote(std::shared_ptr<Zygote> zygote, std::string door, std::shared_ptr<Slot> slot) {
  co_await Zygote::read_messages(zygote);
  if (!slot->names) co_return;
  slot->names->close();
  doors_.close(door);
}

void Factory::open_doors(const std::string& door, sandbox::Sandbox& sandbox, Slot& slot) {
  auto sockets = std::move(sandbox.doors);
  if (sockets.empty()) return;
  slot.names = std::make_shared<NameServer>(std::move(sockets.back()));
  sockets.pop_back();
  tasks_.spawn(serve_names(shard_, slot.names));
  constexpr size_t kHttps = 1;  // second in zygote_plan's list
  for (size_t i = 0; i < sockets.size(); ++i) doors_.open(door, {std::move(sockets[i]), i == kHttps ? "https" : "http"});
}

io::Task<void> Factory::drop(std::string door) {
  auto found = zygotes_.find(door);
  if (found == zygotes_.end()) co_return;
  auto slot = found->second;
  co_await slot->done.wait();
  if (auto now = zygotes_.find(door); now == zygotes_.end() || now->second != slot) co_return;
  zygotes_.erase(door);
  if (*slot->result) (**slot->result)->retire();
}

io::Task<Expected<std::unique_ptr<Instance>, StartError>> Factory::start(StartContext context) {
  int64_t began_us = shard_.now_us();
  const auto& function = context.runnable->function;
  if (!is_python3(function.runtime) || !sys::exists(kPython)) {
    co_return fail(StartError::unsupported, fmt::format("this machine cannot run the runtime \"{}\"", function.runtime), "it has: python3 (also as python3.6, 3.9, 3.10, 3.12)");
  }
  for (bool again : {true, false}) {  // once more when the zygote ended under the fork
    MAYFLY_CO_TRY(auto zygote, co_await zygote_for(context));
    auto instance = co_await fork_instance(context, zygote, began_us);
    if (instance || zygote->alive() || !again) co_return instance;
  }
  std::unreachable();
}

// A fork of `zygote` in `cgroup`, which goes again when there is none.
io::Task<Expected<Forked, StartError>> Factory::forked_into(Zygote& zygote, std::optional<sys::Cgroup>& cgroup) {
  Expected<Forked, StartError> forked;
  try {
    uint32_t token = zygote.ask_fork(cgroup ? cgroup->entries() : std::vector<sys::Fd>{});
    forked = co_await zygote.forked(token, io::Deadline::after_us(shard_, kForkUs));
  } catch (const sys::Fault& fault) {
    forked = fail(StartError::sandbox, fault.what());
  }
  if (!forked && cgroup) cgroup->remove();
  co_return forked;
}

io::Task<Expected<std::unique_ptr<Instance>, StartError>> Factory::fork_instance(StartContext context, std::shared_ptr<Zygote> zygote, int64_t began_us) {
  const auto& function = context.runnable->function;
  uint64_t memory_bytes = static_cast<uint64_t>(function.memory_mb) << 20;
  std::optional<sys::Cgroup> cgroup;
  try {
    cgroup = group("instance", memory_bytes, kMaxProcesses);
  } catch (const sys::Fault& fault) {
    co_return fail(StartError::sandbox, fault.what());
  }
  auto forked = co_await forked_into(*zygote, cgroup);
  if (!forked) co_return std::unexpected(forked.error());
  std::string id = "c-" + rng_.hex(24);
  std::string start = start_message(id, context.credentials, cgroup ? 0 : memory_bytes);
  auto worker = std::make_shared<Worker>(shard_, Worker::Parts{.instance_id = id,
                                                               .zygote = zygote,
                                                               .process = std::move(*forked),
                                                               .cgroup = std::move(cgroup),
                                                               .printed = context.printed,
                                                               .timeout_s = function.timeout_s,
                                                               .memory_mb = function.memory_mb});
  tasks_.spawn(Worker::read_frames(worker));
  tasks_.spawn(Worker::read_output(worker));
  int64_t forked_us = shard_.now_us();
  auto deadline = io::Deadline::after_us(shard_, function.initialization_timeout_s * kMicrosPerSecond + kImportAllowanceUs);
  auto started = co_await worker->initialize(std::move(start), deadline);
  if (!started) co_return fail(StartError::timed_out, fmt::format("Function initialization timed out after {} seconds", function.initialization_timeout_s));
  if (started->ok) co_return std::make_unique<PythonInstance>(worker, StartPhases{.sandbox_us = forked_us - began_us, .import_us = shard_.now_us() - forked_us});
  co_await worker->stop(io::Deadline{shard_.now_us()});
  if (worker->out_of_memory()) {
    co_return fail(StartError::out_of_memory, fmt::format("Function instance exceeded its memory limit of {} MB while it was initialized", function.memory_mb));
  }
  if (started->failure.empty()) {
    co_return fail(StartError::initializer, R"({"errorMessage":"Process exited unexpectedly while it was initialized"})");
  }
  co_return fail(StartError::initializer, std::move(started->failure));
}

io::Task<void> Factory::prepare(std::shared_ptr<const functions::Runnable> runnable) {
  if (!is_python3(runnable->function.runtime)) co_return;
  co_await zygote_for({.runnable = std::move(runnable), .account = options_.account, .region = options_.region});
}

io::Task<void> Factory::forget(const std::string& key, uint64_t revision) { return drop(door_name(key, revision)); }

io::Task<void> Factory::stop() {
  while (!zygotes_.empty()) co_await drop(zygotes_.begin()->first);
  co_await tasks_.drain();
  if (cgroups_) sys::Cgroup(*cgroups_, cgroup_name_, {}).remove();  // the last shard's goes through
}

}  // namespace mayfly::runtime
