#pragma once
// Who is calling and what they may do. An access key pair belongs to the account's root or to nobody; a temporary triple (id, secret,
// token) belongs to a role. Root may do everything; a role exactly what its policies say (policy.h, roles.h).

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"

namespace mayfly::auth {

enum class AuthError {
  missing,             // no credentials where some are needed
  malformed,           // the Authorization header or query cannot be parsed
  unknown_key,         // no such access key id
  bad_token,           // the security token is not ours, is for another key, or has expired
  bad_signature,       // computed signature differs; Failure::hint carries the server's string to sign (it holds no secret)
  skewed,              // the request's date is more than kMaxSkewUs from the server's
  expired,             // a presigned URL or form policy is past its end
  denied,              // known and signed, but no policy allows the action
};

template <class T>
using Result = Expected<T, AuthError>;

constexpr int64_t kMaxSkewUs = 15 * 60 * 1'000'000LL;  // aliyun-oss.md section 2.7, aliyun-fc.md section 9.1

struct Identity {
  enum class Kind { root, role, anonymous };
  Kind kind = Kind::anonymous;
  std::string account;  // the account's numeric id
  std::string role;     // Kind::role: the role's name
  std::string session;  // Kind::role: who assumed it, for logs
  // Kind::role: a policy document that narrows what the role may do to what both allow; empty for none (the Policy of AssumeRole).
  std::string session_policy{};
};

// A temporary triple. The token carries role, session and expiry under a MAC of the server's master key, so nothing is stored and it
// survives a restart.
struct Credentials {
  std::string access_key_id;  // begins with "STS."
  std::string access_key_secret;
  std::string security_token;
  int64_t expires_us = 0;  // wall clock
};

}  // namespace mayfly::auth
