#pragma once
// Window: a measurement over the last seconds, in buckets of one second (knative-serving.md S4.29, S4.30). Linear: the mean of the
// seconds that were written. Weighted: newer seconds count more, exponentially. Late writes inside the window are added where they
// belong; older ones are ignored; a silence of a whole window forgets everything. Pure: time comes in as microseconds of a monotonic clock.

#include <cstdint>
#include <vector>

namespace mayfly::dispatch {

class Window {
 public:
  enum class Kind { linear, weighted };

  Window(int64_t seconds, Kind kind);  // seconds >= 1

  void record(int64_t now_us, double value);
  double average(int64_t now_us) const;
  // Nothing was written within the window: a reader that needs data has none.
  bool empty(int64_t now_us) const;

  static double smoothing(int64_t buckets);  // the weighted kind's share of the newest bucket

 private:
  static constexpr int64_t kNever = INT64_MIN / 2;

  double& bucket(int64_t second) { return buckets_[static_cast<size_t>(second) % buckets_.size()]; }
  double bucket(int64_t second) const { return buckets_[static_cast<size_t>(second) % buckets_.size()]; }
  int64_t size() const { return static_cast<int64_t>(buckets_.size()); }

  std::vector<double> buckets_;
  Kind kind_;
  double total_ = 0;
  int64_t first_write_ = kNever, last_write_ = kNever;  // seconds
};

}  // namespace mayfly::dispatch
