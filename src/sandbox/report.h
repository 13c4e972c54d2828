#pragma once
// The report of a launch (protocol.h), as the server reads it.

#include <optional>
#include <string>

#include "base/result.h"
#include "io/shard.h"
#include "sandbox/launch.h"
#include "sys/fd.h"

namespace mayfly::sandbox {

// Waits until the program runs: empty; or holds: kHolds; or what stopped it, in words. Nothing at the deadline.
io::Task<std::optional<std::string>> read_report(io::Shard& shard, int report, io::Deadline deadline);

// Words are "step: call subject: error"; the last step is the program itself.
std::unexpected<Failure<LaunchError>> failure_of(const std::string& words);

// Where the kernel refuses a namespace.
constexpr const char* kLaunchHint =
    "user namespaces may be switched off (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone), or forbidden by a container's own profile";

}  // namespace mayfly::sandbox
