#include "dialects/aliyun/sts_ram_dialect.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

#include "base/encoding.h"
#include "dialects/aliyun/sts_ram_json.h"

namespace mayfly::dialects::aliyun {

using auth::PolicyKind;
using auth::RoleError;

namespace {

constexpr int64_t kMinSessionSeconds = 900;          // the vendor's
constexpr int64_t kDefaultSessionSeconds = 3'600;
constexpr int64_t kMaxSessionSeconds = 43'200;
constexpr size_t kMaxSessionPolicyBytes = 2'048;     // the vendor's; it travels in every request of the session
constexpr size_t kDefaultPage = 100, kMaxPage = 1'000;

http::Response answer_error(const RpcCall& call, int status, std::string_view code, std::string_view message) {
  return rpc_error(call.request_id, call.host, status, code, message);
}
http::Response no_permission(const RpcCall& call) {
  return answer_error(call, 403, "NoPermission", "You are not authorized to do this action. You should be authorized by RAM.");
}

// A decimal parameter; the fallback when absent, nullopt when it is no number.
std::optional<int64_t> number(const RpcCall& call, std::string_view name, int64_t fallback) {
  const std::string text = call.get(name);
  if (text.empty()) return fallback;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

bool is_session_name(const std::string& name) {
  return name.size() >= 2 && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '@' || c == '-' || c == '_' || c == '=';
  });
}

PolicyKind kind_of(const RpcCall& call) { return equals_ignore_case(call.get("PolicyType", "Custom"), "System") ? PolicyKind::system : PolicyKind::custom; }

}  // namespace

// ---- STS

io::Task<http::Response> StsProduct::call(io::Loop& loop, RpcCall call) {
  if (call.action == "AssumeRole") co_return assume_role(call);
  if (call.action == "GetCallerIdentity") co_return caller_identity(call);
  co_return answer_error(call, 404, "InvalidAction.NotFound", "Specified api is not found: STS has AssumeRole and GetCallerIdentity.");
}

bool StsProduct::may_assume(const auth::Identity& caller, const std::string& role) const {
  if (caller.kind == auth::Identity::Kind::root) return true;
  if (!roles_.allows(caller, {"sts:AssumeRole", roles_.role_arn(role)})) return false;
  return roles_.trusts(role, "acs:ram::" + roles_.account() + ":root") || roles_.trusts(role, roles_.role_arn(caller.role));
}

http::Response StsProduct::assume_role(const RpcCall& call) const {
  const std::string arn = call.get("RoleArn"), session = call.get("RoleSessionName"), policy = call.get("Policy");
  const std::string name = auth::Roles::role_name(arn);
  if (!arn.contains(":role/") || name.empty()) return answer_error(call, 400, "InvalidParameter.RoleArn", "The parameter RoleArn is wrongly formed.");
  if (!is_session_name(session)) return answer_error(call, 400, "InvalidParameter.RoleSessionName", "The parameter RoleSessionName is wrongly formed.");
  const auto role = roles_.role(name);
  if (!role || !equals_ignore_case(arn, roles_.role_arn(name))) return answer_error(call, 404, "EntityNotExist.Role", "The specified Role not exists.");
  if (!may_assume(call.identity, name)) return no_permission(call);
  const int64_t most = std::clamp(role->max_session_s, kDefaultSessionSeconds, kMaxSessionSeconds);
  const auto seconds = number(call, "DurationSeconds", kDefaultSessionSeconds);
  if (!seconds || *seconds < kMinSessionSeconds || *seconds > most)
    return answer_error(call, 400, "InvalidParameter.DurationSeconds",
                        "DurationSeconds must be 900 to " + std::to_string(most) + ", the role's MaxSessionDuration.");
  if (policy.size() > kMaxSessionPolicyBytes)
    return answer_error(call, 400, "InvalidParameter.PolicyGrammar", "The parameter Policy is longer than 2048 bytes.");
  if (!policy.empty() && !auth::parse_policy(policy))
    return answer_error(call, 400, "InvalidParameter.PolicyGrammar", "The parameter Policy has not passed grammar check.");

  const auth::Credentials made = keyring_.issue(role->name, session, *seconds, clock_, rng_, policy);
  return rpc_ok(call, {{"AssumedRoleUser", {{"Arn", roles_.role_arn(name) + "/" + session}, {"AssumedRoleId", role->id + ":" + session}}},
                       {"Credentials",
                        {{"AccessKeyId", made.access_key_id},
                         {"AccessKeySecret", made.access_key_secret},
                         {"SecurityToken", made.security_token},
                         {"Expiration", iso8601_s(made.expires_us)}}}});
}

http::Response StsProduct::caller_identity(const RpcCall& call) const {
  const std::string account = roles_.account();
  if (call.identity.kind == auth::Identity::Kind::root)
    return rpc_ok(
        call, {{"AccountId", account}, {"UserId", account}, {"PrincipalId", account}, {"Arn", "acs:ram::" + account + ":root"}, {"IdentityType", "Account"}});
  const auto role = roles_.role(call.identity.role);
  const std::string id = role ? role->id : "";
  return rpc_ok(call, {{"AccountId", account},
                       {"RoleId", id},
                       {"PrincipalId", id + ":" + call.identity.session},
                       {"Arn", "acs:sts::" + account + ":assumed-role/" + lower(call.identity.role) + "/" + call.identity.session},
                       {"IdentityType", "AssumedRoleUser"}});
}

// ---- RAM

struct RamProduct::Action {
  std::string_view name;
  std::string_view entity;     // of the resource: "role" or "policy"
  std::string_view parameter;  // that names it; "" for all
  std::array<std::string_view, 3> required;
  Handler handler;
};

const RamProduct::Action* RamProduct::find_action(std::string_view name) {
  using R = RamProduct;
  static constexpr std::array kActions = {
      Action{"CreateRole", "role", "RoleName", {"RoleName", "AssumeRolePolicyDocument"}, &R::create_role},
      Action{"GetRole", "role", "RoleName", {"RoleName"}, &R::get_role},
      Action{"UpdateRole", "role", "RoleName", {"RoleName"}, &R::update_role},
      Action{"DeleteRole", "role", "RoleName", {"RoleName"}, &R::delete_role},
      Action{"ListRoles", "role", "", {}, &R::list_roles},
      Action{"CreatePolicy", "policy", "PolicyName", {"PolicyName", "PolicyDocument"}, &R::create_policy},
      Action{"GetPolicy", "policy", "PolicyName", {"PolicyName"}, &R::get_policy},
      Action{"DeletePolicy", "policy", "PolicyName", {"PolicyName"}, &R::delete_policy},
      Action{"ListPolicies", "policy", "", {}, &R::list_policies},
      Action{"CreatePolicyVersion", "policy", "PolicyName", {"PolicyName", "PolicyDocument"}, &R::create_policy_version},
      Action{"GetPolicyVersion", "policy", "PolicyName", {"PolicyName", "VersionId"}, &R::get_policy_version},
      Action{"ListPolicyVersions", "policy", "PolicyName", {"PolicyName"}, &R::list_policy_versions},
      Action{"DeletePolicyVersion", "policy", "PolicyName", {"PolicyName", "VersionId"}, &R::delete_policy_version},
      Action{"SetDefaultPolicyVersion", "policy", "PolicyName", {"PolicyName", "VersionId"}, &R::set_default_policy_version},
      Action{"AttachPolicyToRole", "role", "RoleName", {"PolicyName", "PolicyType", "RoleName"}, &R::attach_policy},
      Action{"DetachPolicyFromRole", "role", "RoleName", {"PolicyName", "PolicyType", "RoleName"}, &R::detach_policy},
      Action{"ListPoliciesForRole", "role", "RoleName", {"RoleName"}, &R::list_policies_for_role},
      Action{"ListEntitiesForPolicy", "policy", "PolicyName", {"PolicyName"}, &R::list_entities_for_policy},
  };
  auto at = std::ranges::find(kActions, name, &Action::name);
  return at == kActions.end() ? nullptr : at;
}

io::Task<http::Response> RamProduct::call(io::Loop& loop, RpcCall call) {
  const Action* action = find_action(call.action);
  if (action == nullptr)
    co_return answer_error(call, 404, "InvalidAction.NotFound",
                           "Specified api is not found: '" + call.action.substr(0, 64) + "' is no action of RAM spoken here.");
  // Names compare without case, patterns of policies with it: judged is the name as it was given when the thing was made.
  std::string name = action->parameter.empty() ? "*" : call.get(action->parameter);
  if (action->entity == "role") {
    if (auto role = roles_.role(name)) name = role->name;
  } else if (auto policy = roles_.policy(name, kind_of(call))) {
    name = policy->name;
  }
  if (!roles_.allows(call.identity, {"ram:" + std::string(action->name), "acs:ram:*:" + roles_.account() + ":" + std::string(action->entity) + "/" + name}))
    co_return no_permission(call);
  for (std::string_view required : action->required)
    if (!required.empty() && call.get(required).empty())
      co_return answer_error(call, 400, "MissingParameter", "The parameter " + std::string(required) + " is mandatory for this action.");
  auto answer = co_await (this->*action->handler)(loop, call);
  if (answer) co_return rpc_ok(call, std::move(*answer));
  const RamFault fault = ram_fault(answer.error().code, call.action);
  co_return answer_error(call, fault.status, fault.code, answer.error().message);
}

namespace {

// The page of `items` (named by `name_of`, sorted) that MaxItems and Marker ask for, as {Plural: {Singular: [...]}, IsTruncated, Marker}.
template <class T, class NameOf, class Write>
json::object page(const RpcCall& call, const std::vector<T>& items, std::string_view plural, std::string_view singular, NameOf name_of, Write write) {
  const auto asked = number(call, "MaxItems", kDefaultPage).value_or(kDefaultPage);
  const size_t most = static_cast<size_t>(std::clamp<int64_t>(asked, 1, kMaxPage));
  const std::string marker = call.get("Marker");
  json::array list;
  std::string next;
  for (const auto& item : items) {
    const std::string& name = name_of(item);
    if (lower(name) < marker) continue;
    if (list.size() == most) {
      next = lower(name);
      break;
    }
    list.push_back(write(item));
  }
  json::object out{{plural, json::object{{singular, std::move(list)}}}, {"IsTruncated", !next.empty()}};
  if (!next.empty()) out["Marker"] = next;
  return out;
}

}  // namespace

io::Task<RamProduct::Answer> RamProduct::create_role(io::Loop& loop, RpcCall call) {
  const int64_t most = number(call, "MaxSessionDuration", kDefaultSessionSeconds).value_or(kDefaultSessionSeconds);
  MAYFLY_CO_TRY(auth::Role role, co_await roles_.create_role(loop, call.get("RoleName"), call.get("AssumeRolePolicyDocument"), call.get("Description"), most));
  co_return json::object{{"Role", ram_role(roles_, role)}};
}

io::Task<RamProduct::Answer> RamProduct::get_role(io::Loop& loop, RpcCall call) {
  MAYFLY_CO_TRY(auth::Role role, roles_.role(call.get("RoleName")));
  co_return json::object{{"Role", ram_role(roles_, role)}};
}

io::Task<RamProduct::Answer> RamProduct::update_role(io::Loop& loop, RpcCall call) {
  auth::Roles::RoleChange change;
  if (auto document = call.get("NewAssumeRolePolicyDocument"); !document.empty()) change.trust_document = std::move(document);
  if (auto description = call.get("NewDescription"); !description.empty()) change.description = std::move(description);
  if (const auto seconds = number(call, "NewMaxSessionDuration", 0); seconds && *seconds > 0) change.max_session_s = *seconds;
  MAYFLY_CO_TRY(auth::Role role, co_await roles_.update_role(loop, call.get("RoleName"), std::move(change)));
  co_return json::object{{"Role", ram_role(roles_, role)}};
}

io::Task<RamProduct::Answer> RamProduct::delete_role(io::Loop& loop, RpcCall call) {
  MAYFLY_CO_TRY_VOID(co_await roles_.delete_role(loop, call.get("RoleName")));
  co_return json::object();
}

io::Task<RamProduct::Answer> RamProduct::list_roles(io::Loop& loop, RpcCall call) {
  co_return page(call, roles_.list_roles(), "Roles", "Role", [](const auth::Role& role) -> const std::string& { return role.name; },
                 [&](const auth::Role& role) { return ram_role(roles_, role); });
}

io::Task<RamProduct::Answer> RamProduct::create_policy(io::Loop& loop, RpcCall call) {
  MAYFLY_CO_TRY(auth::Policy policy, co_await roles_.create_policy(loop, call.get("PolicyName"), call.get("PolicyDocument"), call.get("Description")));
  co_return json::object{{"Policy", ram_policy(policy)}};
}

io::Task<RamProduct::Answer> RamProduct::get_policy(io::Loop& loop, RpcCall call) {
  MAYFLY_CO_TRY(const auth::Policy policy, roles_.policy(call.get("PolicyName"), kind_of(call)));
  json::object shown = ram_policy(policy);
  auto version = std::ranges::find(policy.versions, policy.default_version, &auth::PolicyVersion::id);
  if (version == policy.versions.end()) co_return json::object{{"Policy", shown}};
  shown["PolicyDocument"] = version->document;
  co_return json::object{{"Policy", shown}, {"DefaultPolicyVersion", ram_policy_version(policy, *version)}};
}

io::Task<RamProduct::Answer> RamProduct::delete_policy(io::Loop& loop, RpcCall call) {
  MAYFLY_CO_TRY_VOID(co_await roles_.delete_policy(loop, call.get("PolicyName")));
  co_return json::object();
}

io::Task<RamProduct::Answer> RamProduct::list_policies(io::Loop& loop, RpcCall call) {
  std::vector<auth::Policy> policies;
  const std::string type = call.get("PolicyType");
  for (auto kind : {PolicyKind::custom, PolicyKind::system})
    if (type.empty() || equals_ignore_case(type, ram_kind(kind))) std::ranges::move(roles_.list_policies(kind), std::back_inserter(policies));
  std::ranges::sort(policies, {}, [](const auth::Policy& policy) { return lower(policy.name); });
  co_return page(call, policies, "Policies", "Policy", [](const auth::Policy& policy) -> const std::string& { return policy.name; }, ram_policy);
}

io::Task<RamProduct::Answer> RamProduct::create_policy_version(io::Loop& loop, RpcCall call) {
  const std::string name = call.get("PolicyName");
  if (call.get("RotateStrategy") == "DeleteOldestNonDefaultVersionWhenLimitExceeded") {
    MAYFLY_CO_TRY(const auth::Policy policy, roles_.policy(name, PolicyKind::custom));
    auto oldest = std::ranges::find_if(policy.versions, [&](const auth::PolicyVersion& version) { return version.id != policy.default_version; });
    if (policy.versions.size() >= auth::kMaxPolicyVersions && oldest != policy.versions.end())
      MAYFLY_CO_TRY_VOID(co_await roles_.delete_policy_version(loop, name, oldest->id));
  }
  const bool set_default = equals_ignore_case(call.get("SetAsDefault"), "true");
  MAYFLY_CO_TRY(const auth::PolicyVersion version, co_await roles_.create_policy_version(loop, name, call.get("PolicyDocument"), set_default));
  MAYFLY_CO_TRY(const auth::Policy policy, roles_.policy(name, PolicyKind::custom));
  co_return json::object{{"PolicyVersion", ram_policy_version(policy, version)}};
}

io::Task<RamProduct::Answer> RamProduct::get_policy_version(io::Loop& loop, RpcCall call) {
  MAYFLY_CO_TRY(const auth::Policy policy, roles_.policy(call.get("PolicyName"), kind_of(call)));
  auto version = std::ranges::find(policy.versions, call.get("VersionId"), &auth::PolicyVersion::id);
  if (version == policy.versions.end()) co_return fail(RoleError::version_missing, "The policy version not exists.");
  co_return json::object{{"PolicyVersion", ram_policy_version(policy, *version)}};
}

io::Task<RamProduct::Answer> RamProduct::list_policy_versions(io::Loop& loop, RpcCall call) {
  MAYFLY_CO_TRY(const auth::Policy policy, roles_.policy(call.get("PolicyName"), kind_of(call)));
  json::array list;
  for (const auto& version : policy.versions) list.push_back(ram_policy_version(policy, version));
  co_return json::object{{"PolicyVersions", json::object{{"PolicyVersion", std::move(list)}}}};
}

io::Task<RamProduct::Answer> RamProduct::delete_policy_version(io::Loop& loop, RpcCall call) {
  MAYFLY_CO_TRY_VOID(co_await roles_.delete_policy_version(loop, call.get("PolicyName"), call.get("VersionId")));
  co_return json::object();
}

io::Task<RamProduct::Answer> RamProduct::set_default_policy_version(io::Loop& loop, RpcCall call) {
  MAYFLY_CO_TRY_VOID(co_await roles_.set_default_version(loop, call.get("PolicyName"), call.get("VersionId")));
  co_return json::object();
}

io::Task<RamProduct::Answer> RamProduct::attach_policy(io::Loop& loop, RpcCall call) {
  MAYFLY_CO_TRY_VOID(co_await roles_.attach(loop, call.get("RoleName"), call.get("PolicyName"), kind_of(call)));
  co_return json::object();
}

io::Task<RamProduct::Answer> RamProduct::detach_policy(io::Loop& loop, RpcCall call) {
  MAYFLY_CO_TRY_VOID(co_await roles_.detach(loop, call.get("RoleName"), call.get("PolicyName"), kind_of(call)));
  co_return json::object();
}

io::Task<RamProduct::Answer> RamProduct::list_policies_for_role(io::Loop& loop, RpcCall call) {
  MAYFLY_CO_TRY(const auth::Role role, roles_.role(call.get("RoleName")));
  json::array list;
  for (const auto& one : role.attached) list.push_back(ram_attachment(one, roles_));
  co_return json::object{{"Policies", json::object{{"Policy", std::move(list)}}}};
}

io::Task<RamProduct::Answer> RamProduct::list_entities_for_policy(io::Loop& loop, RpcCall call) {
  const std::string name = call.get("PolicyName");
  const PolicyKind kind = kind_of(call);
  MAYFLY_CO_TRY(const auth::Policy policy, roles_.policy(name, kind));
  json::array list;
  for (const auto& role : roles_.list_roles())
    for (const auto& one : role.attached)
      if (one.kind == kind && equals_ignore_case(one.name, name)) {
        json::object shown = ram_role(roles_, role);
        shown["AttachDate"] = iso8601_s(one.attached_us);
        list.push_back(std::move(shown));
      }
  co_return json::object{{"Roles", json::object{{"Role", std::move(list)}}},
                         {"Users", json::object{{"User", json::array()}}},
                         {"Groups", json::object{{"Group", json::array()}}}};
}

}  // namespace mayfly::dialects::aliyun
