#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>

#include "sandbox/steps.h"
#include "sys/fault.h"

namespace mayfly::sandbox {
namespace {

// What a zygote keeps, inside its own user namespace only: mount a worker's /tmp, make its pid namespace, empty its bounding set.
constexpr int kZygoteKeeps[] = {CAP_SYS_ADMIN, CAP_SETPCAP};  // the last is needed to drop from the bounding set

// False past the last one this kernel knows.
bool drop_bounding(int capability) {
  if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) return true;
  if (errno == EINVAL) return false;
  throw sys::Fault("prctl", "PR_CAPBSET_DROP " + std::to_string(capability), errno);
}

}  // namespace

void drop_bounding_set() {
  for (int capability = 0; capability <= 63; ++capability) {
    bool kept = std::find(std::begin(kZygoteKeeps), std::end(kZygoteKeeps), capability) != std::end(kZygoteKeeps);
    if (!kept && !drop_bounding(capability)) return;
  }
}

void drop_all_capabilities() {
  for (int capability : kZygoteKeeps) drop_bounding(capability);
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  sys::check(::syscall(SYS_capset, &header, none), "capset");
}

void no_new_privileges() { sys::check(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl", "PR_SET_NO_NEW_PRIVS"); }

}  // namespace mayfly::sandbox
