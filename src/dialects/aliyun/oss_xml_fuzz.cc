// Every document a client may send, as bytes: no parser may crash, and what is accepted must be accepted again as it is given back.
#include "base/check.h"
#include "dialects/aliyun/oss_config.h"
#include "dialects/aliyun/oss_cors.h"
#include "dialects/aliyun/oss_xml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mayfly::dialects::aliyun;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  parse_delete(text);
  parse_complete(text);
  parse_bucket_creation(text);
  parse_restore(text);
  parse_tagging(text);
  check_policy(text);
  for (ConfigCheck check : {check_cors, check_lifecycle, check_logging, check_referer, check_website, check_encryption, check_bucket_tagging,
                            check_request_payment, check_user_qos, check_notification}) {
    auto stored = check(text);
    if (!stored) continue;
    auto again = check(*stored);
    MAYFLY_CHECK(again.has_value());
  }
  if (auto rules = parse_cors(text)) match_cors(*rules, "https://example.com", "GET", {"x-oss-date"});
  return 0;
}
