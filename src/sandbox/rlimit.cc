#include <sched.h>
#include <sys/resource.h>

#include "sandbox/steps.h"
#include "sys/fault.h"

namespace mayfly::sandbox {
namespace {

void set_limit(__rlimit_resource which, rlim_t value, const char* name) {
  rlimit limit{value, value};
  sys::check(::setrlimit(which, &limit), "setrlimit", name);
}

constexpr rlim_t kMessageQueueBytes = 800 << 10;  // the kernel's default; locked memory is for io_uring and BPF, which are refused
constexpr rlim_t kLockedBytes = 64 << 10;

void raise_limit(__rlimit_resource which, const char* name) {
  rlimit limit;
  sys::check(::getrlimit(which, &limit), "getrlimit", name);
  set_limit(which, limit.rlim_max, name);
}

}  // namespace

void limit_resources(const Plan& plan) {
  set_limit(RLIMIT_CORE, 0, "core");
  set_limit(RLIMIT_NOFILE, plan.open_files, "nofile");
  set_limit(RLIMIT_MSGQUEUE, kMessageQueueBytes, "msgqueue");
  set_limit(RLIMIT_MEMLOCK, kLockedBytes, "memlock");
  if (plan.memory_bytes > 0) set_limit(RLIMIT_DATA, plan.memory_bytes, "data");
  if (plan.processes > 0) set_limit(RLIMIT_NPROC, plan.processes, "nproc");
  else raise_limit(RLIMIT_NPROC, "nproc");  // the cgroup holds it
}

void run_in_batches() {
  sched_param none{};
  ::sched_setscheduler(0, SCHED_BATCH, &none);  // a wish: where it is refused, calls only cost more
}

}  // namespace mayfly::sandbox
