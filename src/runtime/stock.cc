#include "runtime/stock.h"

#include <unistd.h>

#include "io/shard.h"

namespace mayfly::runtime {

StockRules interpreters_ahead() {
  constexpr uint64_t kInterpreterBytes = 64ull << 20;
  constexpr uint64_t kPartOfMemory = 8;  // they may have together, on all shards
  constexpr size_t kMostOfOne = 32;
  constexpr int64_t kBootUs = 50 * kMicrosPerMilli;  // the next is not started beside it
  uint64_t memory = static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  uint64_t most = std::max<uint64_t>(1, memory / kPartOfMemory / kInterpreterBytes / io::usable_cores().size());
  return {.most_of_one = kMostOfOne, .most = most, .pace_us = kBootUs};
}

}  // namespace mayfly::runtime
