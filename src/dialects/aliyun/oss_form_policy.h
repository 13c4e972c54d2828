#pragma once
// The conditions of an upload form's policy (aliyun-oss.md section 6). Its signature and expiration are the auth room's business.

#include <string>

#include "dialects/aliyun/oss_error.h"

namespace mayfly::dialects::aliyun {

struct SizeLimits {
  uint64_t least = 0, most = objects::kMaxObjectBytes;
};

// Whether `fields` (names lower case, "bucket" among them) meet every condition of the base64 policy; what it says about the file's size.
OssExpected<SizeLimits> check_form_policy(const std::string& policy_base64, const http::Query& fields);

}  // namespace mayfly::dialects::aliyun
