#include "dialects/aliyun/sts_ram_json.h"

#include <algorithm>

#include "base/clock.h"

namespace mayfly::dialects::aliyun {

std::string_view ram_kind(auth::PolicyKind kind) { return kind == auth::PolicyKind::system ? "System" : "Custom"; }

json::object ram_role(const auth::Roles& roles, const auth::Role& role) {
  return {{"RoleId", role.id},
          {"RoleName", role.name},
          {"Arn", roles.role_arn(role.name)},
          {"Description", role.description},
          {"AssumeRolePolicyDocument", role.trust_document},
          {"MaxSessionDuration", role.max_session_s},
          {"CreateDate", iso8601_s(role.created_us)},
          {"UpdateDate", iso8601_s(role.updated_us)}};
}

json::object ram_policy(const auth::Policy& policy) {
  return {{"PolicyName", policy.name},
          {"PolicyType", ram_kind(policy.kind)},
          {"Description", policy.description},
          {"DefaultVersion", policy.default_version},
          {"AttachmentCount", policy.attachments},
          {"CreateDate", iso8601_s(policy.created_us)},
          {"UpdateDate", iso8601_s(policy.updated_us)}};
}

json::object ram_policy_version(const auth::Policy& policy, const auth::PolicyVersion& version) {
  return {{"VersionId", version.id},
          {"IsDefaultVersion", version.id == policy.default_version},
          {"PolicyDocument", version.document},
          {"CreateDate", iso8601_s(version.created_us)}};
}

json::object ram_attachment(const auth::Attachment& attachment, const auth::Roles& roles) {
  const auto policy = roles.policy(attachment.name, attachment.kind);
  return {{"PolicyName", policy ? policy->name : attachment.name},
          {"PolicyType", ram_kind(attachment.kind)},
          {"Description", policy ? policy->description : ""},
          {"DefaultVersion", policy ? policy->default_version : ""},
          {"AttachDate", iso8601_s(attachment.attached_us)}};
}

RamFault ram_fault(auth::RoleError error, std::string_view action) {
  using enum auth::RoleError;
  switch (error) {
    case role_missing: return {404, "EntityNotExist.Role"};
    case role_exists: return {409, "EntityAlreadyExists.Role"};
    case policy_missing: return {404, "EntityNotExist.Policy"};
    case policy_exists: return {409, "EntityAlreadyExists.Policy"};
    case version_missing: return {404, "EntityNotExist.Policy.Version"};
    case attached_already: return {409, "EntityAlreadyExists.Role.Policy"};
    case not_attached: return {404, "EntityNotExist.Role.Policy"};
    case in_use:
      return {409, action == "DeleteRole"     ? "DeleteConflict.Role.Policy"
                   : action == "DeletePolicy" ? "DeleteConflict.Policy"
                                              : "DeleteConflict.PolicyVersion.Default"};
    case malformed: return {400, "MalformedPolicyDocument"};
    case bad_name: return {400, action.contains("Policy") ? "InvalidParameter.PolicyName" : "InvalidParameter.RoleName"};
    case limit: return {409, "LimitExceeded"};
    case busy: return {503, "ServiceUnavailable"};
  }
  return {500, "InternalError"};
}

}  // namespace mayfly::dialects::aliyun
