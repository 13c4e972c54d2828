#pragma once
// Host: what the executors of a shard share: how sandboxes are launched and which doors they have, memory groups, and the tasks that
// outlive the call that began them. One per shard, on its thread; it stands longer than every instance.

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "io/group.h"
#include "runtime/dns.h"
#include "runtime/egress.h"
#include "runtime/instance.h"
#include "runtime/process.h"
#include "runtime/starts.h"
#include "sandbox/nursery.h"
#include "sys/cgroup.h"

namespace mayfly::runtime {

class Host;

// A sandbox and its open door. Shared by the processes inside and the executor that may put more of them there; the door closes and
// everything inside ends when the last of them lets go.
class Box {
 public:
  Box(Host& host, DoorKeeper& doors, std::unique_ptr<sandbox::Sandbox> sandbox) : host_(host), doors_(doors), sandbox_(std::move(sandbox)) {}
  Box(const Box&) = delete;
  ~Box();

  sandbox::Sandbox& sandbox() { return *sandbox_; }

 private:
  friend class Host;
  Host& host_;
  DoorKeeper& doors_;
  std::unique_ptr<sandbox::Sandbox> sandbox_;
  std::string door_;  // empty until it is open
  std::shared_ptr<NameServer> names_;
  std::shared_ptr<Egress> egress_;  // null without grants; shared with its tasks
};

// For what is kept ready of boxes (stock.h).
bool runs(const std::shared_ptr<Box>& box);
io::Task<void> discard(std::shared_ptr<Box> box);

class Host {
 public:
  Host(io::Shard& shard, DoorKeeper& doors, RuntimeOptions options, Rng& rng);
  ~Host();

  io::Shard& shard() { return shard_; }
  const RuntimeOptions& options() const { return options_; }
  bool has_cgroups() const { return cgroups_.has_value(); }

  void warm();  // for a first launch that may follow soon
  // A memory group of its own, or none where the machine has none for us.
  std::optional<sys::Cgroup> group(const std::string& name, uint64_t memory_bytes, uint64_t processes);
  // Of a program that was launched before its function was known.
  void hold_memory(Box& box, uint64_t memory_bytes);
  std::string new_instance_id();  // "c-" and 24 hex digits
  std::string new_request_id() { return uuid(rng_); }  // of a hook

  // A sandbox with its program running, for an instance with so much memory; 0: not known yet, see hold_memory.
  io::Task<Expected<std::shared_ptr<Box>, StartError>> launch_instance(sandbox::Plan plan, uint64_t memory_bytes);
  // The same with a group and a deadline of the caller's.
  io::Task<Expected<std::shared_ptr<Box>, StartError>> launch(sandbox::Plan plan, std::optional<sys::Cgroup> cgroup, io::Deadline deadline);
  // Gives a generic box its function's folders, where functions have them by Contract::fc.
  io::Task<Expected<void, StartError>> mount_function(std::shared_ptr<Box> box, const functions::Runnable& runnable);
  // Lets requests of `runnable`'s code through, and its connections to where it was granted egress; once per box, before the code runs: a
  // program that is held is released then.
  io::Task<Expected<void, StartError>> open_door(std::shared_ptr<Box> box, std::shared_ptr<const functions::Runnable> runnable);

  // A process with its two tasks running.
  std::shared_ptr<Process> supervise(Process::Parts parts);
  // The program of a box that was launched `confined`, as one instance's process.
  std::shared_ptr<Process> program_of(std::shared_ptr<Box> box, const StartContext& context, std::string instance_id);

  // A start under way, whose process abandon_starts() ends.
  class Starting {
   public:
    Starting(Host& host, std::shared_ptr<Process> process);
    Starting(const Starting&) = delete;
    ~Starting() { host_.starting_.erase(process_); }

   private:
    Host& host_;
    std::shared_ptr<Process> process_;
  };
  void abandon_starts();  // of now, and of all to come

  Starts& starts() { return starts_; }
  void spawn(io::Task<void> task) { tasks_.spawn(std::move(task)); }
  io::TaskGroup& tasks() { return tasks_; }
  io::Task<void> stop();  // after every instance and box is gone

 private:
  void find_cgroups();
  void write_trust();
  io::Task<Expected<void, StartError>> open_egress(Box& box, const functions::Function& function);

  io::Shard& shard_;
  DoorKeeper& doors_;
  RuntimeOptions options_;
  Rng& rng_;
  sandbox::Nursery nursery_;
  Starts starts_;
  std::optional<sys::CgroupRoot> cgroups_;
  std::string cgroup_name_;  // "mayfly-<pid>", the folder all groups of this server are in
  uint64_t next_group_ = 1, next_door_ = 1;
  std::set<std::shared_ptr<Process>> starting_;
  bool abandons_ = false;
  io::TaskGroup tasks_;  // readers of zygotes and workers, DNS
};

// A launch that failed, in the words of a start.
Failure<StartError> start_error(const Failure<sandbox::LaunchError>& error);

// The end of a start that failed, from what its process or sandbox said.
Failure<StartError> failed_start(Process& process, const functions::Function& function, std::string failure);

}  // namespace mayfly::runtime
