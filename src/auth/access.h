#pragma once
// May this identity do that? The one question every dialect asks before it calls the core.

#include <string>
#include <utility>
#include <vector>

#include "auth/identity.h"

namespace mayfly::auth {

// One action on one resource, in the vendor's own words: "oss:GetObject" on "acs:oss:*:1234567890:bucket/key".
struct Access {
  std::string action;
  std::string resource;
  // What conditions may ask about: {"oss:Prefix", "photos/"}, {"acs:SourceIp", "127.0.0.1"}. A key that is not here matches no condition.
  std::vector<std::pair<std::string, std::string>> context{};
};

class Authorizer {
 public:
  virtual ~Authorizer() = default;
  // Root: always. Role: Deny beats Allow, nothing said means denied. Anonymous: denied (public ACLs are the objects room's business).
  // Safe from any shard: reads an immutable snapshot.
  virtual bool allows(const Identity& identity, const Access& access) const = 0;
};

}  // namespace mayfly::auth
