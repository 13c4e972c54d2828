#include "dispatch/habits.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace mayfly::dispatch {
namespace {

int bin_of(int64_t us) {
  if (us < kMicrosPerSecond) return 0;
  return 1 + static_cast<int>(Habits::kBinsPerOctave * std::log2(static_cast<double>(us) / kMicrosPerSecond));
}

// What a stretch costs and brings, per idle time: counts of idle times, and microseconds times counts.
struct Stretch {
  double calls = 0, cost = 0;
};
using Stretches = std::array<Stretch, Habits::kBins>;

}  // namespace

int64_t Habits::lower_edge_us(int bin) {
  return bin == 0 ? 0 : std::llround(kMicrosPerSecond * std::exp2(static_cast<double>(bin - 1) / kBinsPerOctave));
}

void Habits::idled(int64_t us) {
  int bin = bin_of(us);
  if (bin == 0) return;
  ++(bin < kBins ? counts_[static_cast<size_t>(bin)] : beyond_);
  planned_for_us_ = -1;
  if (++total_ < kMostSamples) return;
  for (uint16_t& count : counts_) count /= 2;
  beyond_ /= 2;
  total_ = std::accumulate(counts_.begin(), counts_.end(), static_cast<int>(beyond_));
}

const Habits::Plan& Habits::plan(int64_t fixed_us) {
  if (planned_for_us_ != fixed_us) {
    plan_ = make(fixed_us);
    planned_for_us_ = fixed_us;
  }
  return plan_;
}

Habits::Plan Habits::make(int64_t fixed_us) const {
  if (total_ < kLeastSamples || beyond_ * 2 > total_) return {.keep_us = fixed_us};
  Stretches stretches;
  double left = total_, budget = 0;
  auto count = [this](int bin) { return bin < 0 || bin >= kBins ? 0.0 : static_cast<double>(counts_[static_cast<size_t>(bin)]); };
  for (int bin = 0; bin < kBins; ++bin) {
    // Neighbours count too: the next call will not come to the very second.
    double smooth = (count(bin - 2) + 2 * count(bin - 1) + 3 * count(bin) + 2 * count(bin + 1) + count(bin + 2)) / 9;
    int64_t from_us = lower_edge_us(bin), to_us = lower_edge_us(bin + 1);
    double alive = left - count(bin) / 2;  // those of this bin end in its middle
    stretches[static_cast<size_t>(bin)] = {smooth, alive * static_cast<double>(to_us - from_us)};
    budget += alive * static_cast<double>(std::clamp(fixed_us - from_us, int64_t{0}, to_us - from_us));
    left -= count(bin);
  }
  std::array<int, kBins> order;
  std::iota(order.begin(), order.end(), 0);
  auto worth = [&stretches](int bin) {
    const Stretch& s = stretches[static_cast<size_t>(bin)];
    return s.cost > 0 ? s.calls / s.cost : 0.0;
  };
  std::sort(order.begin() + 1, order.end(), [&worth](int a, int b) { return worth(a) > worth(b); });  // the first second is always kept
  std::array<bool, kBins + 1> kept{};
  for (int bin : order) {
    const Stretch& s = stretches[static_cast<size_t>(bin)];
    if (bin != 0 && (s.calls <= 0 || s.cost > budget)) continue;
    budget -= s.cost;
    kept[static_cast<size_t>(bin)] = true;
  }
  Plan plan{.learnt = true};
  double best = 0;
  for (int first = 0; first < kBins;) {
    if (!kept[static_cast<size_t>(first)]) {
      ++first;
      continue;
    }
    int last = first;
    double calls = 0;
    while (kept[static_cast<size_t>(last)]) calls += stretches[static_cast<size_t>(last++)].calls;
    int64_t from_us = lower_edge_us(first), to_us = lower_edge_us(last);
    if (from_us - plan.keep_us < kLeastGapUs) {
      plan.keep_us = to_us;
    } else if (calls > best) {
      best = calls;
      plan.prewarm_us = from_us;
      plan.prewarm_end_us = to_us;
    }
    first = last;
  }
  if (plan.prewarm_us < plan.keep_us) plan.prewarm_us = plan.prewarm_end_us = 0;
  return plan;
}

}  // namespace mayfly::dispatch
