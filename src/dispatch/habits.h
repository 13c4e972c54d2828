#pragma once
// Habits: how long a function stays idle between calls, and what to make of it (keep-alive learnt from the arrival pattern, after the
// hybrid histogram policy of "Serverless in the Wild"). A bounded histogram of idle times answers, for each stretch of time after the
// last call, how likely the next call is to come in it and what keeping an instance ready through it costs. The plan keeps the stretches
// with the most calls for their memory, and costs together no more than the fixed window would have: an initial keep, and perhaps a
// later window for which an instance is started ahead (prewarm). Until the histogram has seen enough, or when most idle times are beyond
// it, the fixed window is the plan. Counts are halved now and then, so that old habits are forgotten. Pure.

#include <array>
#include <cstdint>

#include "base/clock.h"

namespace mayfly::dispatch {

class Habits {
 public:
  static constexpr int kBinsPerOctave = 16;  // a bin is 4.4 % wide
  static constexpr int kOctaves = 14;        // 1 s to 4.5 h
  static constexpr int kBins = 1 + kBinsPerOctave * kOctaves;  // the first is [0, 1 s)
  static constexpr int kLeastSamples = 8;
  static constexpr int kMostSamples = 256;  // then all are halved: about the last 200 idle times count
  static constexpr int64_t kLeastGapUs = 5 * kMicrosPerSecond;  // an instance is not ended to be started again sooner than this

  struct Plan {
    int64_t keep_us = 0;                      // after the last call an instance stays so long
    int64_t prewarm_us = 0, prewarm_end_us = 0;  // and is there again in this window after the last call; 0: no window
    bool learnt = false;
  };

  // A call came after so long without one. Below a second it says nothing: that long an instance is kept in any case.
  void idled(int64_t us);
  // As long as nothing was recorded since, the same answer; so cheap enough to be asked at each end of a call.
  const Plan& plan(int64_t fixed_us);

  static int64_t lower_edge_us(int bin);

 private:
  Plan make(int64_t fixed_us) const;

  std::array<uint16_t, kBins> counts_{};
  uint16_t beyond_ = 0;  // longer than the last bin
  int total_ = 0;
  int64_t planned_for_us_ = -1;  // the fixed window of plan_; -1: out of date
  Plan plan_;
};

}  // namespace mayfly::dispatch
