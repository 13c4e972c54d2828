#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/steps.h"
#include "sys/fault.h"

namespace mayfly::sandbox {

void die_with_parent() {
  pid_t parent = ::getppid();
  sys::check(::prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl", "PR_SET_PDEATHSIG");
  if (::getppid() != parent) ::raise(SIGKILL);  // it ended just before
}

pid_t fork_into(uint64_t namespaces) {
  return static_cast<pid_t>(sys::check(::syscall(SYS_clone, namespaces | SIGCHLD, nullptr, nullptr, nullptr, nullptr), "clone", "user and pid namespaces"));
}

}  // namespace mayfly::sandbox
