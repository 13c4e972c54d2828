#pragma once
// STS (2015-04-01) and RAM (2015-05-01) behind the RPC front: who am I, give me a temporary triple for a role, and the roles and policies
// that `fun deploy` and Terraform make before anything else (aliyun-fc.md sections 3 and 9.3). Thin: auth::Roles and auth::Keyring hold
// everything. Root may do all of it; a role what its policies allow under "sts:..." and "ram:...".
//
// AssumeRole by root ignores the role's trust policy (the cloud refuses root altogether; a single-user server has nobody else); by a role
// it needs both sts:AssumeRole on the target and a trust policy that names the account's root or the calling role.

#include "auth/roles.h"
#include "dialects/aliyun/rpc_front.h"

namespace mayfly::dialects::aliyun {

class StsProduct final : public RpcProduct {
 public:
  StsProduct(const auth::Keyring& keyring, const auth::Roles& roles, const Clock& clock, Rng& rng)
      : keyring_(keyring), roles_(roles), clock_(clock), rng_(rng) {}
  io::Task<http::Response> call(io::Loop& loop, RpcCall call) override;

 private:
  http::Response assume_role(const RpcCall& call) const;
  http::Response caller_identity(const RpcCall& call) const;
  bool may_assume(const auth::Identity& caller, const std::string& role) const;

  const auth::Keyring& keyring_;
  const auth::Roles& roles_;
  const Clock& clock_;
  Rng& rng_;
};

class RamProduct final : public RpcProduct {
 public:
  explicit RamProduct(auth::Roles& roles) : roles_(roles) {}
  io::Task<http::Response> call(io::Loop& loop, RpcCall call) override;

 private:
  using Answer = Expected<json::object, auth::RoleError>;
  using Handler = io::Task<Answer> (RamProduct::*)(io::Loop& loop, RpcCall call);
  struct Action;
  static const Action* find_action(std::string_view name);

  io::Task<Answer> create_role(io::Loop& loop, RpcCall call);
  io::Task<Answer> get_role(io::Loop& loop, RpcCall call);
  io::Task<Answer> update_role(io::Loop& loop, RpcCall call);
  io::Task<Answer> delete_role(io::Loop& loop, RpcCall call);
  io::Task<Answer> list_roles(io::Loop& loop, RpcCall call);
  io::Task<Answer> create_policy(io::Loop& loop, RpcCall call);
  io::Task<Answer> get_policy(io::Loop& loop, RpcCall call);
  io::Task<Answer> delete_policy(io::Loop& loop, RpcCall call);
  io::Task<Answer> list_policies(io::Loop& loop, RpcCall call);
  io::Task<Answer> create_policy_version(io::Loop& loop, RpcCall call);
  io::Task<Answer> get_policy_version(io::Loop& loop, RpcCall call);
  io::Task<Answer> list_policy_versions(io::Loop& loop, RpcCall call);
  io::Task<Answer> delete_policy_version(io::Loop& loop, RpcCall call);
  io::Task<Answer> set_default_policy_version(io::Loop& loop, RpcCall call);
  io::Task<Answer> attach_policy(io::Loop& loop, RpcCall call);
  io::Task<Answer> detach_policy(io::Loop& loop, RpcCall call);
  io::Task<Answer> list_policies_for_role(io::Loop& loop, RpcCall call);
  io::Task<Answer> list_entities_for_policy(io::Loop& loop, RpcCall call);

  auth::Roles& roles_;
};

}  // namespace mayfly::dialects::aliyun
