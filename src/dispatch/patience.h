#pragma once
// Patience: when another instance is worth its start for the calls in line. A start costs milliseconds of the machine and a megabyte or
// more; a call that would have been served sooner by an instance which runs gains nothing by it, and pays for it where cores are short. So
// what is known of the function's own starts and calls decides:
//   - while those in line will probably be served within the time a start takes, none is made;
//   - whoever has waited that long already gets one, whatever was expected: at worst it waits twice as long as it had to;
//   - a line that is never empty for a while (kSteadyUs) is more work than there are instances, however short each wait: one more is tried,
//     and stays if more is done with it than without it. Calls that wait for something else gain by it; calls that compute may have the
//     same cores as before, and lose to one another's caches.
// The first instance of a function is no matter of patience. Pure: time comes in.

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/clock.h"

namespace mayfly::dispatch {

class Patience {
 public:
  // A process that merely lost its core to others has it back within a scheduler's turn or two.
  static constexpr int64_t kLeastUs = 5 * kMicrosPerMilli;
  // Where a start takes longer, those who come later will still want it: being late costs them more than it costs to be early.
  static constexpr int64_t kMostUs = 20 * kMicrosPerMilli;
  static constexpr int64_t kSteadyUs = 100 * kMicrosPerMilli;
  static constexpr uint64_t kLeastRuns = 32;  // from fewer it cannot be told whether an instance helps
  static constexpr int64_t kNextTrialUs = 30 * kMicrosPerSecond;  // after one that brought nothing

  void started(int64_t took_us) { start_us_ = start_us_ == 0 ? took_us : (start_us_ + took_us) / 2; }  // the first may have made a zygote
  void ran(int64_t took_us) {
    auto took = static_cast<double>(std::max<int64_t>(1, took_us));
    run_us_ = run_us_ == 0 ? took : run_us_ + (took - run_us_) / kRunsRemembered;
    ++runs_;
  }

  int64_t limit_us() const { return std::clamp(start_us_, kLeastUs, kMostUs); }
  bool knows_runs() const { return run_us_ > 0; }
  // How often a place becomes free, per microsecond, whose call has been there for so long. A call that is much older than others became is
  // of another kind; a little older means nothing.
  double frees_per_us(int64_t age_us) const {
    auto age = static_cast<double>(std::max<int64_t>(1, age_us));
    return 1 / (knows_runs() && age_us <= kMostUs ? run_us_ : std::max(run_us_, age));
  }

  // What is done while somebody always waits, from `now_us` on.
  void watch(int64_t now_us) {
    watched_us_ = now_us;
    watched_runs_ = runs_;
  }
  int64_t watched_us() const { return watched_us_; }
  bool saw_enough(int64_t now_us) const { return now_us - watched_us_ >= kSteadyUs && runs_ - watched_runs_ >= kLeastRuns; }
  enum class Advice { stay, one_more, one_less };
  // At the end of such a time, with so many instances; the next begins.
  Advice advise(int64_t now_us, size_t instances) {
    double rate = static_cast<double>(runs_ - watched_runs_) / static_cast<double>(now_us - watched_us_);
    watch(now_us);
    size_t before = std::exchange(tried_with_, 0);
    // At its best one more does a whole share more; half of it is reason enough.
    if (before > 0 && instances > before && rate < rate_before_ * (1 + 0.5 / static_cast<double>(before))) {
      next_trial_us_ = now_us + kNextTrialUs;
      return Advice::one_less;
    }
    rate_before_ = rate;
    return now_us < next_trial_us_ ? Advice::stay : Advice::one_more;
  }
  void tried_one_more(size_t instances_before) { tried_with_ = instances_before; }

 private:
  static constexpr double kRunsRemembered = 8;

  int64_t start_us_ = 0;  // of late; 0: none was made
  double run_us_ = 0;     // mean of late; 0: no call has ended
  uint64_t runs_ = 0;
  int64_t watched_us_ = 0;
  uint64_t watched_runs_ = 0;
  double rate_before_ = 0;   // calls per microsecond
  size_t tried_with_ = 0;    // instances there were when one more was tried; 0: no trial
  int64_t next_trial_us_ = 0;
};

}  // namespace mayfly::dispatch
