#pragma once
// YAML texts as JSON values and back. Reading resolves plain scalars by the YAML 1.2 core schema, merges `<<` keys, and turns the tags
// of deployment templates into their long forms: `!Ref x` -> {"Ref": "x"}, `!GetAtt a.b` -> {"Fn::GetAtt": ["a", "b"]}, `!X v` ->
// {"Fn::X": v}. Documents are bounded, because aliases let a small text name an enormous tree.

#include "base/json.h"
#include "cli/failure.h"

namespace mayfly::cli {

constexpr size_t kMaxYamlNodes = 200'000;  // after aliases are followed; the largest public template has under 2,000

// `name` is the file's name for messages.
Result<json::value> parse_yaml(const std::string& text, const std::string& name);
// Block style, two spaces, strings quoted only when they would read back as something else; keys in order.
std::string write_yaml(const json::value& value);

}  // namespace mayfly::cli
