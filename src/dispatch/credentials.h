#pragma once
// Credentials for running functions: one temporary triple per role and service, reused until half of its life is over. Issuing costs a
// few MACs; a call must not pay them. One per shard. A service without a role gets a triple of the role "", which may do nothing, so
// that code which insists on credentials finds some.

#include <algorithm>
#include <map>
#include <string>

#include "auth/keyring.h"
#include "functions/model.h"

namespace mayfly::dispatch {

constexpr int64_t kCredentialSeconds = 3'600;
// Of those that a start brings: programs that are not told others with their calls, or do not look, go on with them. As on FC.
constexpr int64_t kStartCredentialSeconds = 36 * 3'600;

inline std::string role_name(const std::string& arn) {
  size_t slash = arn.rfind('/');
  return slash == arn.npos ? arn : arn.substr(slash + 1);
}

class CredentialCache {
 public:
  CredentialCache(const auth::Keyring& keyring, const Clock& clock, Rng& rng) : keyring_(keyring), clock_(clock), rng_(rng) {}

  // Valid for at least half an hour, and for at least the function's timeout.
  const auth::Credentials& get(const functions::Runnable& runnable) { return get(runnable, std::max(kCredentialSeconds, 2 * runnable.function.timeout_s)); }
  // Valid for at least eighteen hours.
  const auth::Credentials& get_for_start(const functions::Runnable& runnable) { return get(runnable, std::max(kStartCredentialSeconds, 2 * runnable.function.timeout_s)); }

 private:
  const auth::Credentials& get(const functions::Runnable& runnable, int64_t seconds) {
    std::string role = role_name(runnable.service.role);
    if (kept_.size() > kMaxKept) std::erase_if(kept_, [this](const auto& each) { return each.second.expires_us < clock_.wall_us(); });
    auto& kept = kept_[{role + "\n" + runnable.service.name, seconds}];
    if (kept.expires_us - clock_.wall_us() < seconds * kMicrosPerSecond / 2) kept = keyring_.issue(role, runnable.service.name, seconds, clock_, rng_);
    return kept;
  }

  static constexpr size_t kMaxKept = 4'096;  // then expired ones are swept; live ones are bounded by the services that run

  const auth::Keyring& keyring_;
  const Clock& clock_;
  Rng& rng_;
  std::map<std::pair<std::string, int64_t>, auth::Credentials> kept_;
};

}  // namespace mayfly::dispatch
