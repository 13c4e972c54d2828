#pragma once
// The files of a sandbox's /etc, and the host's folders that every sandbox shows. Code with a cloud's host names written into it reaches
// Mayfly unchanged: those names lead to the loopback, where the door listens (DESIGN 4.10, clients-aliyun.md section 5).

#include <map>
#include <string>
#include <vector>

#include "sandbox/plan.h"

namespace mayfly::sandbox {

struct Cloud {
  std::string account, region, hostname;
};

// "/etc/hosts" and its neighbours: path -> text.
std::map<std::string, std::string> etc_files(const Cloud& cloud);

// The system's folders, read-only: /usr and what it needs from /etc, the harmless devices.
std::vector<Bind> system_binds();

// True for host names of the vendor, which the sandbox's DNS answers with the loopback: also names that /etc/hosts cannot list, such
// as <bucket>.oss-<region>.aliyuncs.com.
bool is_cloud_host(std::string_view name);

}  // namespace mayfly::sandbox
