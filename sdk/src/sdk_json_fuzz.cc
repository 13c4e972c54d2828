// Any bytes are JSON or a JsonError, and what was read is read again from what it is written as.
#include <cstdint>
#include <cstdlib>

#include "mayfly/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    mayfly::Json json = mayfly::Json::parse({reinterpret_cast<const char*>(data), size});
    if (mayfly::Json::parse(json.dump()) != json) std::abort();
  } catch (const mayfly::JsonError&) {
  }
  return 0;
}
