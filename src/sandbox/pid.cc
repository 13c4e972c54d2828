#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/steps.h"
#include "sys/fault.h"

namespace mayfly::sandbox {

void die_with_parent() {
  pid_t parent = ::getppid();
  sys::check(::prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl", "PR_SET_PDEATHSIG");
  if (::getppid() != parent) ::raise(SIGKILL);  // it ended just before
}

void enter_pid_namespace() {
  sys::check(::unshare(CLONE_NEWPID), "unshare", "pid namespace");
  pid_t child = static_cast<pid_t>(sys::check(::fork(), "fork"));
  if (child == 0) {
    // Its parent is outside the namespace, so getppid() is 0 whether it lives or not; the control socket tells (zygote.py).
    sys::check(::prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl", "PR_SET_PDEATHSIG");
    return;
  }
  ::close_range(0, ~0u, 0);  // the far end must see the program go when the program goes
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {}
  if (WIFSIGNALED(status)) ::raise(WTERMSIG(status));
  ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

}  // namespace mayfly::sandbox
