#pragma once
// yaml_to_json: the only place that sees yaml-cpp. YAML 1.2 core scalars (true, false, null, numbers; everything quoted or tagged is
// text), one document. Untrusted input: size, depth and the number of values after alias expansion are bounded, so that neither a deep
// nest nor a "billion laughs" costs more than the limits below.

#include <string_view>

#include "base/json.h"

namespace mayfly::flows {

enum class YamlError { malformed, too_large };

constexpr size_t kMaxYamlBytes = 1024 * 1024;  // the API's request limit (aliyun-fnf.md section 8.2)
constexpr size_t kMaxYamlValues = 200'000;     // values after expansion: more than 1 MiB of text can honestly hold in a definition
constexpr int kMaxYamlDepth = 128;             // a list within a list costs four levels of text (definition.h, kMaxNesting)

Expected<json::value, YamlError> yaml_to_json(std::string_view text);

}  // namespace mayfly::flows
