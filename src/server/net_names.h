#pragma once
// The vendors' host names this server answers for, as one certificate must name them (clients-aliyun.md section 5).

#include <string>
#include <vector>

namespace mayfly::server {

std::vector<std::string> certificate_names(const std::string& region);

}  // namespace mayfly::server
