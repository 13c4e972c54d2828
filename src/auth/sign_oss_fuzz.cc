#include "auth/sign_oss.h"

#include "auth/fuzz_request.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mayfly::auth;
  const auto request = read_fuzz_request({reinterpret_cast<const char*>(data), size});
  const auto clock = fuzz_clock();
  never_accepts_two_secrets([&](const Keyring::Find& find) { return verify_oss(request, "bkt", "k.txt", find, clock); });
  never_accepts_two_secrets([&](const Keyring::Find& find) { return verify_oss_form(request.query(), find, clock); });
  return 0;
}
