#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <string>

#include "sandbox/steps.h"
#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::sandbox {
namespace {

void map(const std::string& process, uint32_t uid, uint32_t gid) {
  std::string folder = "/proc/" + process;
  sys::write_file(folder + "/uid_map", "0 " + std::to_string(uid) + " 1");
  sys::write_file(folder + "/gid_map", "0 " + std::to_string(gid) + " 1");
}

}  // namespace

bool started_by_root() { return ::geteuid() == 0; }

void become_root_of_own_namespaces() {
  uint32_t uid = ::geteuid(), gid = ::getegid();
  sys::check(::unshare(CLONE_NEWUSER | CLONE_NEWNS), "unshare", "user namespace");
  sys::write_file("/proc/self/setgroups", "deny");  // the kernel's condition for an ordinary user's gid_map
  map("self", uid, gid);
}

void map_root(pid_t pid, uint32_t host_uid) { map(std::to_string(pid), host_uid, host_uid); }

void become_mapped_root() {
  sys::check(::setresgid(0, 0, 0), "setresgid");
  sys::check(::setresuid(0, 0, 0), "setresuid");
  // As the change of user does for root's: what /proc shows of this process is nobody's inside, not even its list of descriptors.
  sys::check(::prctl(PR_SET_DUMPABLE, 0), "prctl", "PR_SET_DUMPABLE");
}

}  // namespace mayfly::sandbox
