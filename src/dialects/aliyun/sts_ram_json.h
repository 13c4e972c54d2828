#pragma once
// How roles, policies and their errors look on the wire of RAM.

#include "auth/roles.h"
#include "base/json.h"

namespace mayfly::dialects::aliyun {

json::object ram_role(const auth::Roles& roles, const auth::Role& role);
json::object ram_policy(const auth::Policy& policy);
json::object ram_policy_version(const auth::Policy& policy, const auth::PolicyVersion& version);
json::object ram_attachment(const auth::Attachment& attachment, const auth::Roles& roles);
std::string_view ram_kind(auth::PolicyKind kind);  // "System" or "Custom"

struct RamFault {
  int status;
  std::string code;
};
// `action` tells the DeleteConflict codes apart.
RamFault ram_fault(auth::RoleError error, std::string_view action);

}  // namespace mayfly::dialects::aliyun
