#include <sched.h>

#include "sandbox/steps.h"
#include "sys/fault.h"

namespace mayfly::sandbox {

void run_on(const std::vector<int>& cores) {
  if (cores.empty()) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int core : cores) CPU_SET(static_cast<size_t>(core), &set);
  sys::check(::sched_setaffinity(0, sizeof set, &set), "sched_setaffinity");
}

}  // namespace mayfly::sandbox
