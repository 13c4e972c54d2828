#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "sandbox/steps.h"
#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::sandbox {
namespace {

void write_maps(const std::string& process, uint32_t uid, uint32_t gid, bool deny_setgroups) {
  std::string folder = "/proc/" + process;
  if (deny_setgroups) sys::write_file(folder + "/setgroups", "deny");  // the kernel's condition for an ordinary user's gid_map
  sys::write_file(folder + "/uid_map", "0 " + std::to_string(uid) + " 1");
  sys::write_file(folder + "/gid_map", "0 " + std::to_string(gid) + " 1");
}

// To map somebody else than ourselves the writer must have stayed in the parent namespace: a helper process, told by a pipe.
void enter_as(uint32_t host_uid) {
  int told[2];
  sys::check(::pipe2(told, O_CLOEXEC), "pipe");
  std::string self = std::to_string(::getpid());
  pid_t helper = static_cast<pid_t>(sys::check(::fork(), "fork"));
  if (helper == 0) {
    char go;
    ::close(told[1]);
    bool failed = ::read(told[0], &go, 1) != 1;
    try {
      if (!failed) write_maps(self, host_uid, host_uid, false);
    } catch (const sys::Fault&) {
      failed = true;
    }
    ::_exit(failed ? 1 : 0);
  }
  sys::Fd read_end(told[0]), write_end(told[1]);
  sys::check(::setgroups(0, nullptr), "setgroups");
  sys::check(::unshare(CLONE_NEWUSER), "unshare", "user namespace");
  sys::write_all(write_end.get(), "g", "pipe");
  int status = 0;
  sys::check(::waitpid(helper, &status, 0), "waitpid");
  if (status != 0) throw sys::Fault("write", "uid_map", EPERM);
  sys::check(::setresgid(0, 0, 0), "setresgid");
  sys::check(::setresuid(0, 0, 0), "setresuid");
}

}  // namespace

bool started_by_root() { return ::geteuid() == 0; }

void enter_user_namespace(uint32_t host_uid) {
  if (started_by_root()) return enter_as(host_uid);
  uint32_t uid = ::geteuid(), gid = ::getegid();
  sys::check(::unshare(CLONE_NEWUSER), "unshare", "user namespace");
  write_maps("self", uid, gid, true);
}

}  // namespace mayfly::sandbox
