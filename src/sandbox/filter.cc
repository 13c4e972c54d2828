#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include "sandbox/steps.h"
#include "sys/fault.h"

namespace mayfly::sandbox {

void install_filter(const std::string& program) {
  sock_fprog filter{.len = static_cast<unsigned short>(program.size() / sizeof(sock_filter)),
                    .filter = reinterpret_cast<sock_filter*>(const_cast<char*>(program.data()))};
  sys::check(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), "prctl", "PR_SET_SECCOMP");
}

}  // namespace mayfly::sandbox
