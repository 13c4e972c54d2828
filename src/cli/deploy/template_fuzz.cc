// Any bytes as a template: accepted or refused with a message, never a crash, and what is accepted writes back as YAML that reads.

#include "base/check.h"
#include "cli/deploy/template.h"
#include "cli/deploy/yaml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mayfly::cli;
  std::string text(reinterpret_cast<const char*>(data), size);
  auto parsed = parse_template({.text = text, .override_text = {}, .file = "t.yml", .base_folder = "/nonexistent", .parameters = {}});
  MAYFLY_CHECK(parsed || !parsed.error().message.empty());
  if (auto value = parse_yaml(text, "t.yml")) MAYFLY_CHECK(parse_yaml(write_yaml(*value), "w.yml").has_value());
  return 0;
}
