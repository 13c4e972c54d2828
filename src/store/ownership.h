#pragma once
// Who works a shard of queues, flows or timers (DESIGN 4.4, reliability.md R4.6). Ownership is a row whose value is the owner's node and
// an epoch that each claim raises by one. A commit that belongs to the owner carries its claim as an expectation: a former owner that
// was paused, and does not know that another has claimed since, commits nothing. The fence gives safety; when to claim (a lease that
// ran out, a start) is the caller's matter. On one machine every start claims all shards, so that nothing of a former process counts.

#include <cstdint>
#include <optional>
#include <string>

#include "store/store.h"

namespace mayfly::store {

struct Claim {
  std::string owned;   // what is owned: "queues/3"
  std::string node;    // by whom
  uint64_t epoch = 0;  // of this claim; the first is 1
  bool operator==(const Claim&) const = default;
};

// Takes ownership over from whoever had it. Of several that claim at once each succeeds in some order, and the last one owns.
io::Task<Claim> claim(Store& store, io::Loop& loop, std::string owned, std::string node);
// Who owns it now; nullopt if nobody ever did.
io::Task<std::optional<Claim>> owner_of(Store& store, io::Loop& loop, std::string owned);
// Makes `batch` apply only while `claim` is the latest; refused means that ownership is lost (or another expectation did not hold).
void fence(Batch& batch, const Claim& claim);

}  // namespace mayfly::store
