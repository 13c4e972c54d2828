#include "dispatch/crash_guard.h"

#include <algorithm>

namespace mayfly::dispatch {

void CrashGuard::failed(Cause cause, int64_t began_us, int64_t now_us, std::string why, Rng& rng) {
  why_ = std::move(why);
  cause_ = cause;
  if (began_us < last_failed_us_) return;  // it was under way when another failed: the same trouble
  last_failed_us_ = now_us;
  ++failures_;
  if (failures_ < (cause == Cause::start ? kStartsTolerated : kCallsTolerated)) return;
  pause_us_ = pause_us_ == 0 ? kFirstPauseUs : std::min(2 * pause_us_, kLongestPauseUs);
  int64_t percent = 100 - kJitterPercent + static_cast<int64_t>(rng.below(2 * kJitterPercent + 1));
  until_us_ = now_us + pause_us_ * percent / 100;
}

void CrashGuard::started() {
  if (cause_ == Cause::start) clear();
}

void CrashGuard::answered() {
  if (failures_ > 0) clear();
}

void CrashGuard::clear() {
  failures_ = 0;
  pause_us_ = 0;
  until_us_ = INT64_MIN;
  why_.clear();
}

}  // namespace mayfly::dispatch
