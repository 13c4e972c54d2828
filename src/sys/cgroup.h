#pragma once
// Control groups of both generations behind one small class. Where a machine mounts the old one (v1) there is one tree per controller and
// a group is a folder in each; on the new one (v2) it is a single folder. What Mayfly uses is the same: a memory limit, a limit of
// processes, the peak, how often the memory limit killed, and who is inside.

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sys/fd.h"

namespace mayfly::sys {

struct CgroupLimits {
  uint64_t memory_bytes = 0;  // 0: none
  uint64_t processes = 0;     // threads count; 0: none
};

// Where groups may be made: our own group's folder, found from /proc/self/cgroup, for each controller we use.
class CgroupRoot {
 public:
  // Nothing when one of the controllers is not there or its folder cannot be written (an ordinary user without delegation); `why` says which
  // and the error. On v2 this process may be moved into a leaf of its group: once, however often it is asked.
  static std::optional<CgroupRoot> find(std::string& why);
  // The same by the texts of /proc/self/cgroup and /proc/self/mountinfo.
  static std::optional<CgroupRoot> find(std::string& why, const std::string& groups, const std::string& mountinfo);

  bool unified() const { return unified_; }
  const std::map<std::string, std::string>& folders() const { return folders_; }  // controller ("memory", "pids", or "" on v2) -> folder

 private:
  bool unified_ = false;
  std::map<std::string, std::string> folders_;
};

// One group. Destroying the object leaves the group in place: remove() is explicit because it can be refused.
class Cgroup {
 public:
  // Makes `name` (may hold '/', parents must exist) under `root`, with its limits.
  Cgroup(const CgroupRoot& root, const std::string& name, CgroupLimits limits);

  // Sets what is not 0 of `limits`; also for a group that has processes already.
  void set_limits(CgroupLimits limits);

  // Descriptors through which a process with one thread moves itself in, by writing "0" to each; whoever holds them may. Moving another
  // process instead takes a lock of all processes on the machine: 10 ms when that was idle, against 30 us.
  std::vector<Fd> entries() const;
  uint64_t peak_bytes() const;       // most memory ever charged, 0 if the kernel does not tell
  uint64_t memory_kills() const;     // processes the memory limit killed
  bool remove();                     // false while a process is still inside; absent is fine

 private:
  bool unified_;
  std::map<std::string, std::string> folders_;
  Fd peak_;
};

// Removes the groups `prefix<pid>` under `root` of processes that no longer exist, with what is in them: what a server that was killed
// left. Returns how many.
int remove_stale_cgroups(const CgroupRoot& root, const std::string& prefix);

}  // namespace mayfly::sys
