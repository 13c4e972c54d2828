#include <unistd.h>

#include "sandbox/steps.h"
#include "sys/fault.h"

namespace mayfly::sandbox {

void name_host(const std::string& hostname) { sys::check(::sethostname(hostname.data(), hostname.size()), "sethostname", hostname); }

}  // namespace mayfly::sandbox
