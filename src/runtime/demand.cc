#include "runtime/demand.h"

namespace mayfly::runtime {

namespace {

constexpr size_t kMostRemembered = 1024;  // beyond what any shelf may hold

}  // namespace

void Demand::taken(int64_t now_us) {
  takings_.push_back(now_us);
  while (now_us - takings_.front() > kBurstUs || takings_.size() > kMostRemembered) takings_.pop_front();
  last_us_ = now_us;
  if (takings_.size() < peak_ && now_us - peak_us_ <= kRecallUs) return;
  peak_ = takings_.size();
  peak_us_ = now_us;
}

size_t Demand::wanted(int64_t now_us) const {
  if (peak_ == 0 || now_us - last_us_ > kIdleUs) return 0;
  return now_us - peak_us_ > kRecallUs ? 1 : peak_;
}

}  // namespace mayfly::runtime
