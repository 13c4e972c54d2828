#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "sandbox/steps.h"
#include "sys/fault.h"

namespace mayfly::sandbox {
namespace {

// What a zygote keeps, inside its own user namespace only: mount a worker's /tmp, make its pid namespace, empty its bounding set.
constexpr bool zygote_keeps(int capability) { return capability == CAP_SYS_ADMIN || capability == CAP_SETPCAP; }

void drop_bounding(bool (*kept)(int)) {
  for (int capability = 0; capability <= 63; ++capability) {
    if (kept(capability)) continue;
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
    if (errno == EINVAL) return;  // past the last one this kernel knows
    throw sys::Fault("prctl", "PR_CAPBSET_DROP " + std::to_string(capability), errno);
  }
}

}  // namespace

void drop_bounding_set() { drop_bounding(zygote_keeps); }

void drop_all_capabilities() {
  drop_bounding([](int) { return false; });
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  sys::check(::syscall(SYS_capset, &header, none), "capset");
}

void no_new_privileges() { sys::check(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl", "PR_SET_NO_NEW_PRIVS"); }

}  // namespace mayfly::sandbox
