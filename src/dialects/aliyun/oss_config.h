#pragma once
// What a bucket's configuration documents must look like to be stored (aliyun-oss.md section 4.2). Each takes what a client sent and gives
// back what is stored and later returned: the same elements without white space, with the defaults that clients expect to read filled in.

#include <string>

#include "dialects/aliyun/oss_error.h"

namespace mayfly::dialects::aliyun {

using ConfigCheck = OssExpected<std::string> (*)(std::string_view text);

OssExpected<std::string> check_cors(std::string_view text);
OssExpected<std::string> check_lifecycle(std::string_view text);
OssExpected<std::string> check_logging(std::string_view text);
OssExpected<std::string> check_referer(std::string_view text);
OssExpected<std::string> check_website(std::string_view text);
OssExpected<std::string> check_encryption(std::string_view text);
OssExpected<std::string> check_bucket_tagging(std::string_view text);
OssExpected<std::string> check_policy(std::string_view text);
OssExpected<std::string> check_request_payment(std::string_view text);
OssExpected<std::string> check_user_qos(std::string_view text);
OssExpected<std::string> check_notification(std::string_view text);

}  // namespace mayfly::dialects::aliyun
