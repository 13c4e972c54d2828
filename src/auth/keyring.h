#pragma once
// Keyring: the account's root access key and the master key that temporary credentials derive from. Made at first start, kept in
// <folder>/keys.json (0600, written durably). Immutable after open, so any shard may use it without a lock.

#include <functional>
#include <string>

#include "auth/identity.h"
#include "base/clock.h"
#include "base/rng.h"

namespace mayfly::auth {

class Keyring {
 public:
  // Reads the keys of `folder`, or makes and stores them; `created` says which (the secret is shown to the user once).
  static Keyring open(const std::string& folder, Rng& rng);
  // From keys at hand: for tests, and for whoever brings the access key their code already has.
  static Keyring make(std::string account, std::string root_id, std::string root_secret, std::string master);

  const std::string& account() const { return account_; }
  const std::string& root_id() const { return root_id_; }
  const std::string& root_secret() const { return root_secret_; }
  bool created() const { return created_; }

  // A triple for `role`, valid for `seconds` from now. `session_policy` (Identity) travels in the token.
  Credentials issue(const std::string& role, const std::string& session, int64_t seconds, const Clock& clock, Rng& rng,
                    const std::string& session_policy = {}) const;

  struct Known {
    std::string secret;
    Identity identity;
  };
  // The secret behind an access key id; `token` is the security token sent with it, empty if none.
  Result<Known> find(const std::string& access_key_id, const std::string& token, const Clock& clock) const;

  // find() with the clock bound: what the verifiers ask. The keyring and the clock must outlive it.
  using Find = std::function<Result<Known>(const std::string& access_key_id, const std::string& token)>;
  Find finder(const Clock& clock) const;

 private:
  std::string account_, root_id_, root_secret_, master_;
  bool created_ = false;
};

}  // namespace mayfly::auth
