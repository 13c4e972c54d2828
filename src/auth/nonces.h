#pragma once
// Nonces: remembers which signed requests were seen, so that one that was overheard cannot be sent again while its time stamp is still
// accepted (kMaxSkewUs to either side, identity.h). A nonce belongs to an access key; only those of verified requests are kept, so
// strangers fill nothing. In memory: after a restart of the server a request of the minutes before could be sent once more.
// Any thread: the front that asks runs on every shard.

#include <array>
#include <cstdint>
#include <mutex>
#include <queue>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace mayfly::auth {

// About 60 MB when full, at some 550 signed calls a second; beyond that the ones that expire first are forgotten early.
constexpr size_t kMaxNonces = 1'000'000;

class Nonces {
 public:
  explicit Nonces(size_t most = kMaxNonces) : most_(most) {}

  // False if this key has used this nonce in a request whose time stamp is still accepted. `until_us`: when this one's will not be, wall clock.
  bool first_use(std::string_view access_key_id, std::string_view nonce, int64_t until_us, int64_t now_us);
  size_t size() const;

 private:
  using Digest = std::array<uint64_t, 2>;  // of SHA-256: two that are equal do not happen
  struct Hash {
    size_t operator()(const Digest& digest) const { return digest[0]; }
  };
  struct Expiry {
    int64_t until_us;
    Digest digest;
    bool operator>(const Expiry& other) const { return until_us > other.until_us; }
  };

  const size_t most_;
  mutable std::mutex mutex_;
  std::unordered_set<Digest, Hash> seen_;
  std::priority_queue<Expiry, std::vector<Expiry>, std::greater<>> expiries_;  // the soonest first
};

}  // namespace mayfly::auth
