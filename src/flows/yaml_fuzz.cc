// Any text: yaml_to_json ends, within its limits, with a value or a message.
#include "base/check.h"
#include "flows/yaml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto value = mayfly::flows::yaml_to_json({reinterpret_cast<const char*>(data), size});
  MAYFLY_CHECK(value || !value.error().message.empty());
  return 0;
}
