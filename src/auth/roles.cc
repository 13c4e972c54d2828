#include "auth/roles.h"

#include <algorithm>

#include "auth/roles_codec.h"
#include "base/encoding.h"
#include "base/hash.h"
#include "store/keys.h"

namespace mayfly::auth {
namespace {

using Documents = std::vector<std::shared_ptr<const PolicyDocument>>;  // shared by the snapshots that hold them

std::string revision_key() { return store::make_key({"ram", "revision"}); }
std::string role_key(const std::string& lower_name) { return store::make_key({"ram", "role", lower_name}); }
std::string policy_key(const std::string& lower_name) { return store::make_key({"ram", "policy", lower_name}); }

auto missing_role(const std::string& name) { return fail(RoleError::role_missing, "The role not exists: " + name.substr(0, kMaxNameBytes) + "."); }
auto missing_policy(const std::string& name) { return fail(RoleError::policy_missing, "The policy not exists: " + name.substr(0, kMaxNameBytes) + "."); }

Expected<void, RoleError> check_name(const std::string& name) {
  const bool well_formed = !name.empty() && name.size() <= kMaxNameBytes && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '@';
  });
  if (!well_formed) return fail(RoleError::bad_name, "The name must be 1 to 128 letters, digits, '-', '_', '.' or '@'.");
  return {};
}

Expected<void, RoleError> check_document(const std::string& text, NeedsResource needs) {
  auto document = parse_policy(text, needs);
  if (!document) return fail(RoleError::malformed, document.error().message);
  return {};
}

std::shared_ptr<const PolicyDocument> compile(const std::string& text) {
  auto document = parse_policy(text);
  // Stored documents were parsed before they were stored; one that no longer parses grants nothing and refuses nothing.
  return document ? std::make_shared<const PolicyDocument>(std::move(*document)) : std::make_shared<const PolicyDocument>();
}

bool same_attachment(const Attachment& a, const std::string& name, PolicyKind kind) { return a.kind == kind && equals_ignore_case(a.name, name); }

Policy make_system_policy(const std::string& name, const std::string& document) {
  Policy policy{.name = name, .kind = PolicyKind::system, .default_version = "v1", .next_version = 2};
  policy.versions.push_back({"v1", document, 0});
  return policy;
}

}  // namespace

struct Roles::Snapshot {
  struct RoleEntry {
    Role role;
    Documents documents;  // of inline and system policies; custom ones are looked up, as their default version may change
  };
  struct PolicyEntry {
    Policy policy;
    std::shared_ptr<const PolicyDocument> document;  // of the default version
  };
  int64_t revision = 0;
  std::map<std::string, std::shared_ptr<const RoleEntry>> roles;      // by lower name
  std::map<std::string, std::shared_ptr<const PolicyEntry>> policies;

  void put(Role role) {
    auto entry = std::make_shared<RoleEntry>();
    for (const auto& [name, text] : role.inline_documents) entry->documents.push_back(compile(text));
    for (const auto& one : role.attached)
      if (one.kind == PolicyKind::system) entry->documents.push_back(compile(system_policy(one.name).value_or("")));
    entry->role = std::move(role);
    roles[lower(entry->role.name)] = std::move(entry);
  }
  void put(Policy policy) {
    auto entry = std::make_shared<PolicyEntry>();
    auto version = std::ranges::find(policy.versions, policy.default_version, &PolicyVersion::id);
    entry->document = compile(version != policy.versions.end() ? version->document : "");
    entry->policy = std::move(policy);
    policies[lower(entry->policy.name)] = std::move(entry);
  }
  size_t attachments(const std::string& name, PolicyKind kind) const {
    return static_cast<size_t>(std::ranges::count_if(roles, [&](const auto& entry) {
      return std::ranges::any_of(entry.second->role.attached, [&](const Attachment& one) { return same_attachment(one, name, kind); });
    }));
  }
};

// One mutation in the making: what it read and what it will write.
struct Roles::Edit {
  const Snapshot& base;
  int64_t now_us;
  std::map<std::string, std::optional<Role>> roles{};
  std::map<std::string, std::optional<Policy>> policies{};

  std::optional<Role> role(const std::string& name) const {
    auto at = base.roles.find(lower(name));
    return at == base.roles.end() ? std::nullopt : std::optional(at->second->role);
  }
  std::optional<Policy> policy(const std::string& name) const {
    auto at = base.policies.find(lower(name));
    return at == base.policies.end() ? std::nullopt : std::optional(at->second->policy);
  }
  bool has_policy(const std::string& name, PolicyKind kind) const {
    return kind == PolicyKind::system ? system_policy(name).has_value() : base.policies.contains(lower(name));
  }
  void put(Role& role) {
    role.updated_us = now_us;
    roles[lower(role.name)] = role;
  }
  void put(Policy& policy) {
    policy.updated_us = now_us;
    policies[lower(policy.name)] = policy;
  }

  store::Batch batch() const {
    store::Batch batch;
    if (base.revision == 0) batch.expect_absent(revision_key());
    else batch.expect_equals(revision_key(), std::to_string(base.revision));
    batch.put(revision_key(), std::to_string(base.revision + 1));
    for (const auto& [name, role] : roles) role ? batch.put(role_key(name), encode_role(*role)) : batch.erase(role_key(name));
    for (const auto& [name, policy] : policies) policy ? batch.put(policy_key(name), encode_policy(*policy)) : batch.erase(policy_key(name));
    return batch;
  }
  std::shared_ptr<const Snapshot> result() const {
    auto next = std::make_shared<Snapshot>(base);
    ++next->revision;
    for (const auto& [name, role] : roles) role ? next->put(*role) : void(next->roles.erase(name));
    for (const auto& [name, policy] : policies) policy ? next->put(*policy) : void(next->policies.erase(name));
    return next;
  }
};

Roles::Roles(store::Store& store, const Clock& clock, std::string account)
    : store_(store), clock_(clock), account_(std::move(account)), snapshot_(std::make_shared<const Snapshot>()) {}
Roles::~Roles() = default;

io::Task<void> Roles::load(io::Loop& loop) { publish(co_await read_store(loop)); }

// The revision is read first: a snapshot may then hold more than its revision says, never less, and a mutation made from it is refused.
io::Task<std::shared_ptr<const Roles::Snapshot>> Roles::read_store(io::Loop& loop) {
  auto snapshot = std::make_shared<Snapshot>();
  if (const auto revision = co_await store_.get(loop, revision_key())) snapshot->revision = std::stoll(*revision);
  for (const char* kind : {"role", "policy"}) {
    const std::string first = store::make_key({"ram", kind});
    for (const auto& entry : co_await store::scan_all(store_, loop, first, store::after_prefix(first))) {
      if (auto role = kind[0] == 'r' ? decode_role(entry.value) : std::nullopt) snapshot->put(std::move(*role));
      if (auto policy = kind[0] == 'p' ? decode_policy(entry.value) : std::nullopt) snapshot->put(std::move(*policy));
    }
  }
  co_return snapshot;
}

void Roles::publish(std::shared_ptr<const Snapshot> next) {
  auto current = snapshot_.load();
  while (next->revision > current->revision && !snapshot_.compare_exchange_weak(current, next)) {}
}

io::Task<Expected<void, RoleError>> Roles::apply(io::Loop& loop, Change change) {
  for (int i = 0; i < kMaxTries; ++i) {
    const auto base = snapshot_.load();
    Edit edit{*base, clock_.wall_us()};
    MAYFLY_CO_TRY_VOID(change(edit));
    if (co_await store_.commit(loop, edit.batch()) == store::Commit::done) {
      publish(edit.result());
      co_return Expected<void, RoleError>();
    }
    publish(co_await read_store(loop));
  }
  co_return fail(RoleError::busy, "Roles and policies are being changed by too many callers at once.", "Try again.");
}

// ---- reading

bool Roles::allows(const Identity& identity, const Access& access) const {
  if (identity.kind == Identity::Kind::root) return true;
  if (identity.kind != Identity::Kind::role) return false;
  const auto snapshot = snapshot_.load();
  auto at = snapshot->roles.find(lower(identity.role));
  if (at == snapshot->roles.end()) return false;
  if (!identity.session_policy.empty()) {
    auto narrowed = parse_policy(identity.session_policy);
    if (!narrowed || evaluate(*narrowed, access) != Verdict::allowed) return false;
  }
  bool allowed = false;
  auto heed = [&](const PolicyDocument& document) {
    const Verdict verdict = evaluate(document, access);
    allowed = allowed || verdict == Verdict::allowed;
    return verdict != Verdict::denied;
  };
  for (const auto& document : at->second->documents)
    if (!heed(*document)) return false;
  for (const auto& one : at->second->role.attached) {
    if (one.kind != PolicyKind::custom) continue;
    auto policy = snapshot->policies.find(lower(one.name));
    if (policy != snapshot->policies.end() && !heed(*policy->second->document)) return false;
  }
  return allowed;
}

std::string Roles::role_arn(const std::string& name) const { return "acs:ram::" + account_ + ":role/" + lower(name); }

std::string Roles::role_name(std::string_view arn_or_name) {
  const size_t slash = arn_or_name.rfind('/');
  return std::string(slash == std::string_view::npos ? arn_or_name : arn_or_name.substr(slash + 1));
}

bool Roles::trusts(const std::string& role, const std::string& principal) const {
  const auto snapshot = snapshot_.load();
  auto at = snapshot->roles.find(lower(role));
  if (at == snapshot->roles.end()) return false;
  auto document = parse_policy(at->second->role.trust_document, NeedsResource::no);
  if (!document) return false;
  bool allowed = false;
  for (const auto& statement : document->statements) {
    if (std::ranges::none_of(statement.principals, [&](const std::string& pattern) { return wildcard_matches(pattern, principal); })) continue;
    if (!statement_matches(statement, {"sts:AssumeRole", "*"})) continue;
    if (statement.effect == Effect::deny) return false;
    allowed = true;
  }
  return allowed;
}

Expected<Role, RoleError> Roles::role(const std::string& name) const {
  const auto snapshot = snapshot_.load();
  auto at = snapshot->roles.find(lower(name));
  if (at == snapshot->roles.end()) return missing_role(name);
  return at->second->role;
}

std::vector<Role> Roles::list_roles() const {
  const auto snapshot = snapshot_.load();
  std::vector<Role> out;
  for (const auto& [name, entry] : snapshot->roles) out.push_back(entry->role);
  return out;
}

Expected<Policy, RoleError> Roles::policy(const std::string& name, PolicyKind kind) const {
  const auto snapshot = snapshot_.load();
  Policy policy;
  if (kind == PolicyKind::system) {
    auto document = system_policy(name);
    if (!document) return missing_policy(name);
    policy = make_system_policy(name, *document);
  } else {
    auto at = snapshot->policies.find(lower(name));
    if (at == snapshot->policies.end()) return missing_policy(name);
    policy = at->second->policy;
  }
  policy.attachments = snapshot->attachments(name, kind);
  return policy;
}

std::vector<Policy> Roles::list_policies(PolicyKind kind) const {
  std::vector<std::string> names;
  if (kind == PolicyKind::system) names = system_policy_names();
  else
    for (const auto& [name, entry] : snapshot_.load()->policies) names.push_back(entry->policy.name);
  std::vector<Policy> out;
  for (const auto& name : names)
    if (auto one = policy(name, kind)) out.push_back(std::move(*one));
  return out;
}

// ---- roles

io::Task<Expected<Role, RoleError>> Roles::create_role(io::Loop& loop, std::string name, std::string trust_document, std::string description,
                                                       int64_t max_session_s) {
  MAYFLY_CO_TRY_VOID(check_name(name));
  MAYFLY_CO_TRY_VOID(check_document(trust_document, NeedsResource::no));
  Role role;
  MAYFLY_CO_TRY_VOID(co_await apply(loop, [&](Edit& edit) -> Expected<void, RoleError> {
    if (edit.role(name)) return fail(RoleError::role_exists, "The role already exists: " + name + ".");
    if (edit.base.roles.size() >= kMaxRoles) return fail(RoleError::limit, "There are 5000 roles, the most Mayfly keeps.");
    // Unique without chance: no other role was or will be made by this revision.
    const std::string id = "3" + std::to_string(edit.base.revision + 1) + hex_encode(md5(account_ + name)).substr(0, 8);
    role =
        Role{.name = name, .id = id, .description = description, .trust_document = trust_document, .max_session_s = max_session_s, .created_us = edit.now_us};
    edit.put(role);
    return {};
  }));
  co_return role;
}

io::Task<Expected<Role, RoleError>> Roles::update_role(io::Loop& loop, std::string name, RoleChange change) {
  if (change.trust_document) MAYFLY_CO_TRY_VOID(check_document(*change.trust_document, NeedsResource::no));
  Role role;
  MAYFLY_CO_TRY_VOID(co_await apply(loop, [&](Edit& edit) -> Expected<void, RoleError> {
    auto found = edit.role(name);
    if (!found) return missing_role(name);
    role = std::move(*found);
    if (change.trust_document) role.trust_document = *change.trust_document;
    if (change.description) role.description = *change.description;
    if (change.max_session_s) role.max_session_s = *change.max_session_s;
    edit.put(role);
    return {};
  }));
  co_return role;
}

io::Task<Expected<void, RoleError>> Roles::delete_role(io::Loop& loop, std::string name) {
  co_return co_await apply(loop, [&](Edit& edit) -> Expected<void, RoleError> {
    auto role = edit.role(name);
    if (!role) return missing_role(name);
    if (!role->attached.empty()) return fail(RoleError::in_use, "The role still has policies: " + name + ".", "Detach them first.");
    edit.roles[lower(name)] = std::nullopt;
    return {};
  });
}

io::Task<Expected<Role, RoleError>> Roles::put_inline(io::Loop& loop, std::string name, std::string trust_document,
                                                      std::map<std::string, std::string> documents, std::vector<Attachment> attached) {
  MAYFLY_CO_TRY_VOID(check_name(name));
  MAYFLY_CO_TRY_VOID(check_document(trust_document, NeedsResource::no));
  for (const auto& [document_name, text] : documents) MAYFLY_CO_TRY_VOID(check_document(text, NeedsResource::yes));
  if (attached.size() + documents.size() > kMaxAttached) co_return fail(RoleError::limit, "A role may have at most 50 policies.");
  Role role;
  MAYFLY_CO_TRY_VOID(co_await apply(loop, [&](Edit& edit) -> Expected<void, RoleError> {
    auto found = edit.role(name);
    if (!found && edit.base.roles.size() >= kMaxRoles) return fail(RoleError::limit, "There are 5000 roles, the most Mayfly keeps.");
    const std::string id = "3" + std::to_string(edit.base.revision + 1) + hex_encode(md5(account_ + name)).substr(0, 8);
    role = found ? std::move(*found) : Role{.name = name, .id = id, .created_us = edit.now_us};
    role.trust_document = trust_document;
    role.inline_documents = documents;
    role.attached = attached;
    for (auto& one : role.attached) {
      if (!edit.has_policy(one.name, one.kind)) return missing_policy(one.name);
      if (one.attached_us == 0) one.attached_us = edit.now_us;
    }
    edit.put(role);
    return {};
  }));
  co_return role;
}

io::Task<Expected<void, RoleError>> Roles::attach(io::Loop& loop, std::string role_name, std::string policy_name, PolicyKind kind) {
  co_return co_await apply(loop, [&](Edit& edit) -> Expected<void, RoleError> {
    auto role = edit.role(role_name);
    if (!role) return missing_role(role_name);
    if (!edit.has_policy(policy_name, kind)) return missing_policy(policy_name);
    if (std::ranges::any_of(role->attached, [&](const Attachment& one) { return same_attachment(one, policy_name, kind); }))
      return fail(RoleError::attached_already, "The policy is attached to the role already: " + policy_name + ".");
    if (role->attached.size() >= kMaxAttached) return fail(RoleError::limit, "A role may have at most 50 policies.");
    role->attached.push_back({kind, policy_name, edit.now_us});
    edit.put(*role);
    return {};
  });
}

io::Task<Expected<void, RoleError>> Roles::detach(io::Loop& loop, std::string role_name, std::string policy_name, PolicyKind kind) {
  co_return co_await apply(loop, [&](Edit& edit) -> Expected<void, RoleError> {
    auto role = edit.role(role_name);
    if (!role) return missing_role(role_name);
    if (std::erase_if(role->attached, [&](const Attachment& one) { return same_attachment(one, policy_name, kind); }) == 0)
      return fail(RoleError::not_attached, "The policy is not attached to the role: " + policy_name + ".");
    edit.put(*role);
    return {};
  });
}

// ---- policies

io::Task<Expected<Policy, RoleError>> Roles::create_policy(io::Loop& loop, std::string name, std::string document, std::string description) {
  MAYFLY_CO_TRY_VOID(check_name(name));
  MAYFLY_CO_TRY_VOID(check_document(document, NeedsResource::yes));
  Policy policy;
  MAYFLY_CO_TRY_VOID(co_await apply(loop, [&](Edit& edit) -> Expected<void, RoleError> {
    if (edit.policy(name) || system_policy(name)) return fail(RoleError::policy_exists, "The policy already exists: " + name + ".");
    if (edit.base.policies.size() >= kMaxPolicies) return fail(RoleError::limit, "There are 5000 policies, the most Mayfly keeps.");
    policy = Policy{.name = name, .description = description, .default_version = "v1", .next_version = 2, .created_us = edit.now_us};
    policy.versions.push_back({"v1", document, edit.now_us});
    edit.put(policy);
    return {};
  }));
  co_return policy;
}

io::Task<Expected<void, RoleError>> Roles::delete_policy(io::Loop& loop, std::string name) {
  co_return co_await apply(loop, [&](Edit& edit) -> Expected<void, RoleError> {
    auto policy = edit.policy(name);
    if (!policy) return missing_policy(name);
    if (edit.base.attachments(name, PolicyKind::custom) > 0)
      return fail(RoleError::in_use, "The policy is still attached to a role: " + name + ".", "Detach it first.");
    if (policy->versions.size() > 1) return fail(RoleError::in_use, "The policy still has further versions: " + name + ".", "Delete them first.");
    edit.policies[lower(name)] = std::nullopt;
    return {};
  });
}

io::Task<Expected<PolicyVersion, RoleError>> Roles::create_policy_version(io::Loop& loop, std::string name, std::string document, bool set_default) {
  MAYFLY_CO_TRY_VOID(check_document(document, NeedsResource::yes));
  PolicyVersion version;
  MAYFLY_CO_TRY_VOID(co_await apply(loop, [&](Edit& edit) -> Expected<void, RoleError> {
    auto policy = edit.policy(name);
    if (!policy) return missing_policy(name);
    if (policy->versions.size() >= kMaxPolicyVersions) return fail(RoleError::limit, "A policy may have at most 5 versions.", "Delete one first.");
    version = {"v" + std::to_string(policy->next_version++), document, edit.now_us};
    policy->versions.push_back(version);
    if (set_default) policy->default_version = version.id;
    edit.put(*policy);
    return {};
  }));
  co_return version;
}

io::Task<Expected<void, RoleError>> Roles::delete_policy_version(io::Loop& loop, std::string name, std::string version) {
  co_return co_await apply(loop, [&](Edit& edit) -> Expected<void, RoleError> {
    auto policy = edit.policy(name);
    if (!policy) return missing_policy(name);
    if (policy->default_version == version) return fail(RoleError::in_use, "The default version of a policy cannot be deleted: " + version + ".");
    if (std::erase_if(policy->versions, [&](const PolicyVersion& one) { return one.id == version; }) == 0)
      return fail(RoleError::version_missing, "The policy version not exists: " + version.substr(0, kMaxNameBytes) + ".");
    edit.put(*policy);
    return {};
  });
}

io::Task<Expected<void, RoleError>> Roles::set_default_version(io::Loop& loop, std::string name, std::string version) {
  co_return co_await apply(loop, [&](Edit& edit) -> Expected<void, RoleError> {
    auto policy = edit.policy(name);
    if (!policy) return missing_policy(name);
    if (std::ranges::find(policy->versions, version, &PolicyVersion::id) == policy->versions.end())
      return fail(RoleError::version_missing, "The policy version not exists: " + version.substr(0, kMaxNameBytes) + ".");
    policy->default_version = version;
    edit.put(*policy);
    return {};
  });
}

}  // namespace mayfly::auth
