#pragma once
// The server's side of a sandbox: starts init with a plan and the way into its cgroup, and takes what init hands out. Everything happens on the shard's thread; waiting is awaited.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/shard.h"
#include "sandbox/plan.h"
#include "sys/cgroup.h"
#include "sys/fd.h"
#include "sys/process.h"

namespace mayfly::sandbox {

enum class LaunchError {
  refused,    // a step failed; the message says which, and what the kernel said
  timed_out,
};

// A running sandbox. Destroying it kills everything inside, waits for its end (microseconds after SIGKILL), and removes its cgroup.
class Sandbox {
 public:
  Sandbox(sys::Child child, sys::Fd control, std::optional<sys::Cgroup> cgroup) : child_(std::move(child)), control_(std::move(control)), cgroup_(std::move(cgroup)) {}
  Sandbox(const Sandbox&) = delete;
  ~Sandbox();

  int control() const { return control_.get(); }  // non-blocking; the program's descriptor 3 is the far end
  // init's outer process: it ends after everything inside has ended.
  const sys::Child& process() const { return child_; }
  void kill();  // SIGKILL for the first process inside, and so for all
  void set_first(sys::Fd pidfd) { first_ = std::move(pidfd); }
  std::optional<sys::Cgroup>& cgroup() { return cgroup_; }
  std::vector<sys::Fd> doors;                     // as Plan::doors, then the DNS socket if asked for

 private:
  sys::Child child_;
  sys::Fd first_;  // the first process inside; empty until it has spoken
  sys::Fd control_;
  std::optional<sys::Cgroup> cgroup_;
};

// Returns once init has taken every step but the last (exec). `self_path` is this binary; see init.h.
io::Task<Expected<std::unique_ptr<Sandbox>, LaunchError>> launch(io::Shard& shard, std::string self_path, Plan plan, std::optional<sys::Cgroup> cgroup, io::Deadline deadline);

}  // namespace mayfly::sandbox
