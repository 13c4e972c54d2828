#pragma once
// CrashGuard: the suspended state of a function that cannot be run now. Instances that do not start, or die in the middle of calls, one
// after the other without a success between, suspend it: for a while nothing is started for it and its calls are answered at once with
// the reason. Then one try is let through; each that fails doubles the pause, with jitter so that functions broken by the same cause do
// not try in step. Failures that overlap in time count once. Pure: time and chance come in.

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/rng.h"

namespace mayfly::dispatch {

class CrashGuard {
 public:
  enum class Cause { start, call };

  // In a row. A start that fails fails for every input; a call may have been the only one that crashes it.
  static constexpr int kStartsTolerated = 3, kCallsTolerated = 5;
  static constexpr int64_t kFirstPauseUs = 1 * kMicrosPerSecond;
  static constexpr int64_t kLongestPauseUs = 60 * kMicrosPerSecond;  // a repaired dependency is noticed within a minute
  static constexpr int64_t kJitterPercent = 20;                      // either way

  // The attempt that began at `began_us` has failed; `why` is shown to callers.
  void failed(Cause cause, int64_t began_us, int64_t now_us, std::string why, Rng& rng);
  void started();    // an instance is ready
  void answered();   // a call was: whatever it answered, the function runs

  bool suspended(int64_t now_us) const { return now_us < until_us_; }
  int64_t until_us() const { return until_us_; }  // monotonic; in the past: not suspended
  const std::string& why() const { return why_; }
  int failures() const { return failures_; }  // in a row

 private:
  void clear();

  Cause cause_ = Cause::start;
  int failures_ = 0;
  int64_t pause_us_ = 0;
  int64_t until_us_ = INT64_MIN, last_failed_us_ = INT64_MIN;
  std::string why_;
};

}  // namespace mayfly::dispatch
