#include "auth/policy.h"

// Whatever parses must evaluate without a crash, and twice alike.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mayfly::auth;
  const auto document = parse_policy(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!document) return 0;
  const Access access{"oss:GetObject", "acs:oss:*:1234:bkt/dir/k.txt", {{"oss:Prefix", "dir/"}, {"acs:SourceIp", "10.0.0.1"}}};
  if (evaluate(*document, access) != evaluate(*document, access)) __builtin_trap();
  return 0;
}
