#pragma once
// Budget: the node's memory, in MB, handed out to instances before they are made. Shared by the shards: one atomic. Whoever is refused
// says so once (starved), and the next release tells the owner to wake those who wait.

#include <atomic>
#include <cstdint>

namespace mayfly::dispatch {

class Budget {
 public:
  explicit Budget(int64_t limit_mb) : limit_(limit_mb) {}

  // One instance is always allowed, whatever its size: a function larger than the budget runs alone.
  bool take(int64_t mb) {
    int64_t used = used_.load();
    do {
      if (used != 0 && used + mb > limit_) {
        starved_ = true;
        return false;
      }
    } while (!used_.compare_exchange_weak(used, used + mb));
    return true;
  }
  // True if someone was refused since the last release.
  bool give_back(int64_t mb) {
    used_ -= mb;
    return starved_.exchange(false);
  }
  int64_t used() const { return used_; }
  int64_t limit() const { return limit_; }

 private:
  const int64_t limit_;
  std::atomic<int64_t> used_ = 0;
  std::atomic<bool> starved_ = false;
};

}  // namespace mayfly::dispatch
