#include <linux/capability.h>
#include <sys/prctl.h>

#include <cerrno>

#include "sandbox/steps.h"
#include "sys/fault.h"

namespace mayfly::sandbox {
namespace {

// What the zygote keeps, inside its own user namespace only: mount a worker's /tmp, make its pid namespace, empty its bounding set.
constexpr bool kept(int capability) { return capability == CAP_SYS_ADMIN || capability == CAP_SETPCAP; }

}  // namespace

void drop_bounding_set() {
  for (int capability = 0; capability <= 63; ++capability) {
    if (kept(capability)) continue;
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
    if (errno == EINVAL) return;  // past the last one this kernel knows
    throw sys::Fault("prctl", "PR_CAPBSET_DROP " + std::to_string(capability), errno);
  }
}

void no_new_privileges() { sys::check(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl", "PR_SET_NO_NEW_PRIVS"); }

}  // namespace mayfly::sandbox
