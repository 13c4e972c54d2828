#pragma once
// The roles a deployment makes so that services, flows and event sources may do what the template's policies say, under the names
// `fun deploy` gives them (aliyun-fc.md sections 1.6 and 3). Pure functions.

#include <optional>

#include "cli/deploy/bodies.h"

namespace mayfly::cli {

struct PolicySpec {
  std::string name;
  std::string document;  // JSON text; empty for a system policy, which exists already
};

struct RoleSpec {
  std::string name;
  std::string trusted;  // the vendor's service that may take the role: "fc.aliyuncs.com"
  std::vector<PolicySpec> policies;
};

std::string role_arn(const RoleSpec& role, const Place& place);

// nullopt when the properties name a Role or no Policies.
std::optional<RoleSpec> service_role(const ServiceSpec& service, const Place& place);
std::optional<RoleSpec> flow_role(const FlowSpec& flow, const Place& place);
// nullopt for triggers that call without a role (timer, http) or that name their own.
std::optional<RoleSpec> trigger_role(const EventSpec& event, const std::string& service, const std::string& function, const Place& place);

}  // namespace mayfly::cli
