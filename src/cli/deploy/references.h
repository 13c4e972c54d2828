#pragma once
// References of templates and flow files (aliyun-fc.md section 2.3): Ref, Fn::GetAtt, Fn::Sub and ${} against the names a template
// defines and the values of its parameters. The names come first; values that only a cloud could give are refused by name.

#include <map>

#include "base/json.h"
#include "cli/failure.h"

namespace mayfly::cli {

struct Names {
  std::map<std::string, json::value> parameters;  // already resolved: --parameter, else Default
  std::map<std::string, std::string> resources;   // "svc/fn", "svc", "flow" -> ARN
  std::map<std::string, std::string> attributes;  // "svcfn.ARN", "svc.ServiceName", "svcfn.FunctionName", ... -> text
};

// Replaces every reference inside `value`; `path` begins the messages.
Result<json::value> resolve(const json::value& value, const Names& names, const std::string& path);
// Replaces ${Name}, ${Name.Attribute}; ${!x} becomes ${x}. Unknown names are refused.
Result<std::string> substitute(std::string_view text, const Names& names, const std::string& path);

}  // namespace mayfly::cli
