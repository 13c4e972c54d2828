// split_key takes any bytes, and gives back exactly what make_key writes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "store/keys.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view key(reinterpret_cast<const char*>(data), size);
  if (auto parts = mayfly::store::split_key(key)) {
    std::string again;
    for (const auto& part : *parts) again += mayfly::store::make_key({part});
    MAYFLY_CHECK(again == key);
  }
  auto whole = mayfly::store::split_key(mayfly::store::make_key({key, key}));
  MAYFLY_CHECK(whole && whole->size() == 2 && whole->at(0) == key && whole->at(1) == key);
  return 0;
}
