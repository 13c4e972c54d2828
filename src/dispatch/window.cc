#include "dispatch/window.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/clock.h"

namespace mayfly::dispatch {
namespace {

constexpr double kForgotten = 0.0001;  // what a bucket may still weigh when it leaves the window
constexpr double kLeastSmoothing = 0.2;
constexpr double kDigits = 1e6;        // averages are rounded: sums of doubles that cancel must give 0

double rounded(double value) { return std::round(value * kDigits) / kDigits; }

}  // namespace

Window::Window(int64_t seconds, Kind kind) : buckets_(static_cast<size_t>(seconds)), kind_(kind) { MAYFLY_CHECK_OP(seconds, >=, 1); }

double Window::smoothing(int64_t buckets) { return std::max(1 - std::pow(kForgotten, 1.0 / static_cast<double>(buckets)), kLeastSmoothing); }

bool Window::empty(int64_t now_us) const { return now_us / kMicrosPerSecond - last_write_ > size(); }

void Window::record(int64_t now_us, double value) {
  int64_t second = now_us / kMicrosPerSecond;
  if (second + size() <= last_write_) return;
  if (second > last_write_) {
    if (second - last_write_ >= size()) {
      std::fill(buckets_.begin(), buckets_.end(), 0.0);
      total_ = 0;
      first_write_ = second;
    } else {
      for (int64_t passed = last_write_ + 1; passed <= second; ++passed) total_ -= std::exchange(bucket(passed), 0.0);
    }
    last_write_ = second;
  }
  first_write_ = std::min(first_write_, second);
  bucket(second) += value;
  total_ += value;
}

double Window::average(int64_t now_us) const {
  int64_t silent = std::max<int64_t>(0, now_us / kMicrosPerSecond - last_write_);
  if (last_write_ == kNever || silent >= size()) return 0;
  if (kind_ == Kind::weighted) {
    double share = smoothing(size()), weight = share * std::pow(1 - share, static_cast<double>(silent)), sum = 0;
    for (int64_t i = 0; i < size() - silent; ++i, weight *= 1 - share) sum += weight * bucket(last_write_ - i + size());
    return rounded(sum);
  }
  double total = total_;
  for (int64_t passed = 1; passed <= silent; ++passed) total -= bucket(last_write_ + passed);
  int64_t span = last_write_ - first_write_ + 1;
  return rounded(total / static_cast<double>(std::min(span, size() - silent)));
}

}  // namespace mayfly::dispatch
