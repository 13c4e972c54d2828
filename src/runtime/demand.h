#pragma once
// Demand: how many of one kind should be kept ready, learnt from how many were taken. One burst teaches: whoever needed twenty within
// some seconds finds twenty the next time, for a while; one taken now and then keeps one; nothing taken for long keeps none.

#include <cstddef>
#include <cstdint>
#include <deque>

#include "base/clock.h"

namespace mayfly::runtime {

class Demand {
 public:
  static constexpr int64_t kBurstUs = 5 * kMicrosPerSecond;     // what is taken within so long counts as one burst: what cannot be made again meanwhile
  static constexpr int64_t kRecallUs = 30 * kMicrosPerSecond;   // a burst is expected again for so long
  static constexpr int64_t kIdleUs = 600 * kMicrosPerSecond;    // without a taking for so long, none is kept

  void taken(int64_t now_us);
  size_t wanted(int64_t now_us) const;
  int64_t last_us() const { return last_us_; }

 private:
  std::deque<int64_t> takings_;  // of the last burst
  size_t peak_ = 0;
  int64_t peak_us_ = 0, last_us_ = 0;
};

}  // namespace mayfly::runtime
