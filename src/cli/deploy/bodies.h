#pragma once
// What a template says, in the words of the FC API: the bodies of the requests `fun deploy` would send (aliyun-fc.md sections 1.6, 2.2, 3).
// Pure functions from specs to JSON.

#include "cli/deploy/template.h"

namespace mayfly::cli {

// The account things are deployed to.
struct Place {
  std::string region, account;
};

json::object service_body(const ServiceSpec& service, const std::string& role_arn);
json::object function_body(const FunctionSpec& function);  // without code
// The asynchronous configuration, or an empty object if the template sets none.
json::object async_body(const FunctionSpec& function);
Result<json::object> trigger_body(const EventSpec& event, const std::string& role_arn, const Place& place);
Result<json::object> domain_body(const DomainSpec& domain, const std::string& base_folder);

// What every deployed function gets besides its own variables (aliyun-fc.md section 2.2); its own come first in the search paths.
json::object with_platform_environment(const json::object& own);

}  // namespace mayfly::cli
