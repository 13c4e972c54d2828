#include "auth/sign_acs3.h"

#include "auth/fuzz_request.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mayfly::auth;
  const auto request = read_fuzz_request({reinterpret_cast<const char*>(data), size});
  const auto clock = fuzz_clock();
  never_accepts_two_secrets([&](const Keyring::Find& find) { return verify_acs3(request, find, clock); });
  return 0;
}
