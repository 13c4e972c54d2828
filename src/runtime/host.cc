#include "runtime/host.h"

#include <unistd.h>

#include "runtime/plan.h"
#include "runtime/runtimes.h"
#include "sys/fault.h"
#include "sys/file.h"
#include "sys/process.h"

namespace mayfly::runtime {
namespace {

constexpr const char* kGroupPrefix = "mayfly-";
constexpr int64_t kLaunchUs = 30 * kMicrosPerSecond;  // a sandbox and the exec in it: milliseconds, unless the machine swaps
constexpr int64_t kMountUs = 10 * kMicrosPerSecond;  // milliseconds, unless the machine swaps
constexpr int64_t kReleaseUs = 10 * kMicrosPerSecond;
// Where there are no cgroups what counts is mapped memory, used or not: stacks of threads, arenas of allocators. An empty node has 50 MB of it.
constexpr uint64_t kMappedBytes = 256ull << 20;

io::Task<void> end_egress(std::shared_ptr<Egress> egress) { co_await egress->close(); }

}  // namespace

std::string door_name(const std::string& key, uint64_t revision) { return fmt::format("{}#{}", key, revision); }
std::string door_key(const std::string& door) { return door.substr(0, door.rfind('#')); }

Box::~Box() {
  if (names_) names_->close();
  if (!door_.empty()) doors_.close(door_);
  if (egress_) host_.spawn(end_egress(std::move(egress_)));
}

bool runs(const std::shared_ptr<Box>& box) { return !sys::has_ended(box->sandbox().program()); }

io::Task<void> discard(std::shared_ptr<Box> box) {
  box->sandbox().kill();
  (void)co_await box->sandbox().exit_status(io::Deadline::never());
}

Host::Host(io::Shard& shard, DoorKeeper& doors, RuntimeOptions options, Rng& rng)
    : shard_(shard), doors_(doors), options_(std::move(options)), rng_(rng), nursery_(shard, {.self_path = options_.self_path}), tasks_(shard) {
  if (options_.unsafe_no_sandbox && shard_.index() == 0) fmt::print(stderr, "mayfly: functions run WITHOUT A SANDBOX, as this user, with this machine's files and network\n");
  find_cgroups();
  write_trust();
}

Host::~Host() = default;

void Host::find_cgroups() {
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

void Host::write_trust() {
  if (options_.ca_certificate_pem.empty()) return;
  sys::make_folders(options_.state_folder);
  std::string host = sys::read_file_if_exists("/etc/ssl/certs/ca-certificates.crt").value_or("");
  sys::write_file(options_.state_folder + "/ca.pem", options_.ca_certificate_pem);
  sys::write_file(options_.state_folder + "/ca-bundle.pem", host + options_.ca_certificate_pem);
}

void Host::warm() {
  try {
    nursery_.warm();
  } catch (const sys::Fault&) {  // the launch meets it too, and reports it
  }
}

std::optional<sys::Cgroup> Host::group(const std::string& name, uint64_t memory_bytes, uint64_t processes) {
  if (!cgroups_) return std::nullopt;
  return sys::Cgroup(*cgroups_, fmt::format("{}/{}-{}-{}", cgroup_name_, name, shard_.index(), next_group_++), {memory_bytes, processes});
}

void Host::hold_memory(Box& box, uint64_t memory_bytes) {
  if (auto& cgroup = box.sandbox().cgroup()) cgroup->set_limits({memory_bytes, kMaxProcesses});
  else if (!cgroups_) sys::limit_memory(box.sandbox().program(), memory_bytes + kMappedBytes);
}

std::string Host::new_instance_id() { return "c-" + rng_.hex(24); }

io::Task<Expected<std::shared_ptr<Box>, StartError>> Host::launch(sandbox::Plan plan, std::optional<sys::Cgroup> cgroup, io::Deadline deadline) {
  if (cgroups_) {
    plan.memory_bytes = 0;
  } else {
    plan.processes = kMaxProcesses;
    if (plan.memory_bytes > 0) plan.memory_bytes += kMappedBytes;
  }
  auto launched = co_await nursery_.launch(std::move(plan), std::move(cgroup), deadline);
  if (!launched) co_return std::unexpected(start_error(launched.error()));
  co_return std::make_shared<Box>(*this, doors_, std::move(*launched));
}

io::Task<Expected<std::shared_ptr<Box>, StartError>> Host::launch_instance(sandbox::Plan plan, uint64_t memory_bytes) {
  plan.memory_bytes = memory_bytes;
  return launch(std::move(plan), group("instance", memory_bytes, kMaxProcesses), io::Deadline::after_us(shard_, kLaunchUs));
}

io::Task<Expected<void, StartError>> Host::mount_function(std::shared_ptr<Box> box, const functions::Runnable& runnable) {
  if (options_.unsafe_no_sandbox) co_return Expected<void, StartError>{};  // they are seen where they lie
  auto mounted = co_await box->sandbox().mount(function_binds(runnable, Contract::fc), io::Deadline::after_us(shard_, kMountUs));
  if (!mounted) co_return std::unexpected(start_error(mounted.error()));
  co_return Expected<void, StartError>{};
}

io::Task<Expected<void, StartError>> Host::open_door(std::shared_ptr<Box> box, std::shared_ptr<const functions::Runnable> runnable) {
  try {
    if (auto sockets = std::move(box->sandbox().doors); !sockets.empty()) {
      box->names_ = std::make_shared<NameServer>(std::move(sockets.back()));
      sockets.pop_back();
      if (!runnable->function.egress.empty()) MAYFLY_CO_TRY_VOID(co_await open_egress(*box, runnable->function));
      tasks_.spawn(serve_names(shard_, box->names_));
      box->door_ = fmt::format("{}.{}", door_name(runnable->key(), runnable->revision), next_door_++);
      constexpr size_t kHttps = 1;  // second in base_plan's list
      for (size_t i = 0; i < sockets.size(); ++i) doors_.open(box->door_, {std::move(sockets[i]), i == kHttps ? "https" : "http"});
    }
    if (box->sandbox().held()) {
      auto released = co_await box->sandbox().release(io::Deadline::after_us(shard_, kReleaseUs));
      if (!released) co_return std::unexpected(start_error(released.error()));
    }
  } catch (const sys::Fault& fault) {  // the kernel refuses a listener
    co_return fail(StartError::sandbox, fault.what());
  }
  co_return Expected<void, StartError>{};
}

io::Task<Expected<void, StartError>> Host::open_egress(Box& box, const functions::Function& function) {
  auto rules = functions::parse_egress(function.egress);  // checked when they were granted, by a server that may have been an earlier one
  if (!rules) co_return fail(StartError::sandbox, rules.error().message, rules.error().hint);
  for (const auto& rule : *rules) {
    if (rule.port != options_.platform_port || !functions::is_at_loopback(rule)) continue;
    co_return fail(StartError::sandbox, fmt::format("{}:{} was granted, and in a sandbox the platform answers there: deny it, or give the server another port", rule.host, rule.port));
  }
  box.egress_ = std::make_shared<Egress>(shard_);
  co_await box.egress_->open(box.sandbox(), std::move(*rules));
  box.names_->granted = box.egress_->names();
  co_return Expected<void, StartError>{};
}

Host::Starting::Starting(Host& host, std::shared_ptr<Process> process) : host_(host), process_(std::move(process)) {
  host_.starting_.insert(process_);
  if (host_.abandons_) process_->kill();
}

void Host::abandon_starts() {
  abandons_ = true;
  for (const auto& process : starting_) process->kill();
}

std::shared_ptr<Process> Host::supervise(Process::Parts parts) {
  auto process = std::make_shared<Process>(shard_, std::move(parts));
  tasks_.spawn(Process::watch(process));
  tasks_.spawn(Process::read_output(process));
  return process;
}

std::shared_ptr<Process> Host::program_of(std::shared_ptr<Box> box, const StartContext& context, std::string instance_id) {
  auto& sandbox = box->sandbox();
  const auto& function = context.runnable->function;
  std::function<void(Process::Motion)> move;  // nobody knows what belongs to a program that is not isolated
  if (!options_.unsafe_no_sandbox) move = [box](Process::Motion motion) { motion == Process::Motion::stop ? box->sandbox().freeze() : box->sandbox().thaw(); };
  return supervise({.instance_id = std::move(instance_id),
                    .home = box,
                    .output = std::move(sandbox.output),
                    .pidfd = sandbox.program().duplicate(),
                    .exit_status = [box](io::Deadline deadline) { return box->sandbox().exit_status(deadline); },
                    .cgroup = std::exchange(sandbox.cgroup(), std::nullopt),
                    .printed = context.printed,
                    .move = std::move(move),
                    .timeout_s = function.timeout_s,
                    .memory_mb = function.memory_mb,
                    .heap_words = find_runtime(function.runtime)->heap_words});
}

io::Task<void> Host::stop() {
  co_await tasks_.drain();
  co_await nursery_.stop();
  if (cgroups_) sys::Cgroup(*cgroups_, cgroup_name_, {}).remove();  // the last shard's goes through
}

Failure<StartError> start_error(const Failure<sandbox::LaunchError>& error) {
  switch (error.code) {
    case sandbox::LaunchError::timed_out: return {StartError::timed_out, error.message, error.hint};
    case sandbox::LaunchError::not_started: return {StartError::initializer, error_json(error.message, "ProgramNotStarted"), {}};
    default: return {StartError::sandbox, error.message, error.hint};
  }
}

Failure<StartError> failed_start(Process& process, const functions::Function& function, std::string failure) {
  if (process.out_of_memory()) {
    return {StartError::out_of_memory, fmt::format("Function instance exceeded its memory limit of {} MB while it was initialized", function.memory_mb), {}};
  }
  if (failure.empty()) return {StartError::initializer, error_json(process.how_it_ended() + " before it had started", "FunctionNotStarted"), {}};
  return {StartError::initializer, std::move(failure), {}};
}

}  // namespace mayfly::runtime
