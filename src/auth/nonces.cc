#include "auth/nonces.h"

#include <cstring>
#include <string>

#include "base/hash.h"

namespace mayfly::auth {

bool Nonces::first_use(std::string_view access_key_id, std::string_view nonce, int64_t until_us, int64_t now_us) {
  std::string hash = sha256(std::string(access_key_id) + '\0' + std::string(nonce));
  Digest digest;
  std::memcpy(digest.data(), hash.data(), sizeof digest);
  std::lock_guard lock(mutex_);
  while (!expiries_.empty() && (expiries_.top().until_us <= now_us || seen_.size() >= most_)) {
    seen_.erase(expiries_.top().digest);
    expiries_.pop();
  }
  if (!seen_.insert(digest).second) return false;
  expiries_.push({until_us, digest});
  return true;
}

size_t Nonces::size() const {
  std::lock_guard lock(mutex_);
  return seen_.size();
}

}  // namespace mayfly::auth
