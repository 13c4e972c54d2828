#pragma once
// Roles and policies of the account, durable in the store, and an immutable snapshot that every shard reads without a lock to answer
// "may this role do that". A mutation is made from the snapshot's revision, commits with the expectation that the stored revision is
// still that one, and then publishes the next snapshot: two writers cannot both win, the loser reloads and tries again.
//
// Names keep the case they were given and compare without it, as the vendor's ARNs are in lower case.
// Store layout: ("ram","revision") -> count; ("ram","role",lower name) -> JSON; ("ram","policy",lower name) -> JSON.

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "auth/access.h"
#include "auth/policy.h"
#include "base/clock.h"
#include "io/task.h"
#include "store/store.h"

namespace mayfly::auth {

enum class RoleError {
  role_missing,      // EntityNotExist.Role
  role_exists,       // EntityAlreadyExists.Role
  policy_missing,    // EntityNotExist.Policy
  policy_exists,     // EntityAlreadyExists.Policy
  version_missing,   // EntityNotExist.Policy.Version
  attached_already,  // EntityAlreadyExists.Role.Policy
  not_attached,      // EntityNotExist.Role.Policy
  in_use,            // DeleteConflict.*: still attached, or the default version
  malformed,         // MalformedPolicyDocument
  bad_name,          // InvalidParameter.RoleName, .PolicyName
  limit,             // LimitExceeded.*
  busy,              // other writers won kMaxTries times
};

constexpr size_t kMaxRoles = 5'000;         // bounds the snapshot; hundreds of services deploy a role each
constexpr size_t kMaxPolicies = 5'000;      // likewise
constexpr size_t kMaxPolicyVersions = 5;    // the vendor's; `fun` makes room below it
constexpr size_t kMaxAttached = 50;         // policies on one role
constexpr size_t kMaxNameBytes = 128;       // of a role or policy
constexpr int kMaxTries = 16;               // of a mutation that keeps losing to others

enum class PolicyKind { system, custom };

struct Attachment {
  PolicyKind kind = PolicyKind::custom;
  std::string name;
  int64_t attached_us = 0;
};

struct Role {
  std::string name;
  std::string id;  // opaque, unique
  std::string description;
  std::string trust_document;  // AssumeRolePolicyDocument, as given
  int64_t max_session_s = 3600;
  int64_t created_us = 0, updated_us = 0;
  std::vector<Attachment> attached;
  std::map<std::string, std::string> inline_documents;  // put_inline: name -> document
};

struct PolicyVersion {
  std::string id;  // "v1", never reused
  std::string document;
  int64_t created_us = 0;
};

struct Policy {
  std::string name;
  PolicyKind kind = PolicyKind::custom;
  std::string description;
  std::string default_version;
  int64_t next_version = 1;
  int64_t created_us = 0, updated_us = 0;
  size_t attachments = 0;  // counted when read, not stored
  std::vector<PolicyVersion> versions;
};

class Roles final : public Authorizer {
 public:
  Roles(store::Store& store, const Clock& clock, std::string account);
  ~Roles() override;

  io::Task<void> load(io::Loop& loop);  // once, before use
  bool allows(const Identity& identity, const Access& access) const override;
  const std::string& account() const { return account_; }
  std::string role_arn(const std::string& name) const;    // "acs:ram::<account>:role/<name in lower case>"
  // The role named by an ARN or by a bare name.
  static std::string role_name(std::string_view arn_or_name);
  // The role's trust policy allows this principal ("fc.aliyuncs.com", or "acs:ram::<account>:root").
  bool trusts(const std::string& role, const std::string& principal) const;

  Expected<Role, RoleError> role(const std::string& name) const;
  std::vector<Role> list_roles() const;  // by name
  Expected<Policy, RoleError> policy(const std::string& name, PolicyKind kind) const;
  std::vector<Policy> list_policies(PolicyKind kind) const;  // by name

  io::Task<Expected<Role, RoleError>> create_role(io::Loop& loop, std::string name, std::string trust_document, std::string description, int64_t max_session_s);
  struct RoleChange {
    std::optional<std::string> trust_document, description;
    std::optional<int64_t> max_session_s;
  };
  io::Task<Expected<Role, RoleError>> update_role(io::Loop& loop, std::string name, RoleChange change);
  io::Task<Expected<void, RoleError>> delete_role(io::Loop& loop, std::string name);  // in_use while policies are attached
  // Creates the role if need be and makes `documents` (name -> document) its only inline ones; one call, idempotent.
  io::Task<Expected<Role, RoleError>> put_inline(io::Loop& loop, std::string name, std::string trust_document, std::map<std::string, std::string> documents,
                                                 std::vector<Attachment> attached);

  io::Task<Expected<Policy, RoleError>> create_policy(io::Loop& loop, std::string name, std::string document, std::string description);
  io::Task<Expected<void, RoleError>> delete_policy(io::Loop& loop, std::string name);  // in_use while attached or with further versions
  io::Task<Expected<PolicyVersion, RoleError>> create_policy_version(io::Loop& loop, std::string name, std::string document, bool set_default);
  io::Task<Expected<void, RoleError>> delete_policy_version(io::Loop& loop, std::string name, std::string version);
  io::Task<Expected<void, RoleError>> set_default_version(io::Loop& loop, std::string name, std::string version);
  io::Task<Expected<void, RoleError>> attach(io::Loop& loop, std::string role, std::string policy, PolicyKind kind);
  io::Task<Expected<void, RoleError>> detach(io::Loop& loop, std::string role, std::string policy, PolicyKind kind);

 private:
  struct Snapshot;
  struct Edit;
  // Judges and writes down one mutation on a snapshot; may run several times.
  using Change = std::function<Expected<void, RoleError>(Edit& edit)>;
  io::Task<Expected<void, RoleError>> apply(io::Loop& loop, Change change);
  io::Task<std::shared_ptr<const Snapshot>> read_store(io::Loop& loop);
  void publish(std::shared_ptr<const Snapshot> next);

  store::Store& store_;
  const Clock& clock_;
  std::string account_;
  std::atomic<std::shared_ptr<const Snapshot>> snapshot_;  // shared: readers on any shard keep the one they loaded
};

}  // namespace mayfly::auth
