#include <sched.h>
#include <unistd.h>

#include "sandbox/steps.h"
#include "sys/fault.h"

namespace mayfly::sandbox {

void enter_uts_and_ipc_namespaces() { sys::check(::unshare(CLONE_NEWUTS | CLONE_NEWIPC), "unshare", "uts and ipc namespaces"); }

void name_host(const std::string& hostname) { sys::check(::sethostname(hostname.data(), hostname.size()), "sethostname", hostname); }

}  // namespace mayfly::sandbox
