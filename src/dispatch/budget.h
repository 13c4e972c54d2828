#pragma once
// Budget: the node's memory, in MB, handed out to instances before they are made. Shared by the shards: atomics. Whoever is refused
// says so once (starved), and the next release tells the owner to wake those who wait.
//
// Share: what one function has of it. A reserved part is set aside for the function and refused to all others, used or not; beyond it
// the function takes from what is common. On the function's home shard.

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace mayfly::dispatch {

class Budget {
 public:
  explicit Budget(int64_t limit) : limit_(limit) {}

  // One taker is always allowed, whatever its size: a function larger than the budget runs alone.
  bool take(int64_t amount) {
    int64_t used = used_.load();
    do {
      if (used != 0 && used + amount > limit_ - set_aside_) {
        starved_ = true;
        return false;
      }
    } while (!used_.compare_exchange_weak(used, used + amount));
    return true;
  }
  // True if someone was refused since the last release.
  bool give_back(int64_t amount) {
    used_ -= amount;
    return starved_.exchange(false);
  }
  // What is common shrinks by so much (grows, if negative); true as for give_back().
  bool set_aside(int64_t amount) {
    set_aside_ += amount;
    return amount < 0 && starved_.exchange(false);
  }
  void count_reserved_use(int64_t amount) { reserved_use_ += amount; }

  bool starved() const { return starved_; }  // somebody was refused, and nothing was given back since

  int64_t used() const { return used_ + reserved_use_; }
  int64_t limit() const { return limit_; }
  int64_t set_aside() const { return set_aside_; }

 private:
  const int64_t limit_;
  std::atomic<int64_t> used_ = 0;  // of what is common
  std::atomic<int64_t> set_aside_ = 0, reserved_use_ = 0;
  std::atomic<bool> starved_ = false;
};

class Share {
 public:
  explicit Share(Budget& budget) : budget_(budget) {}
  Share(const Share&) = delete;
  ~Share() { reserve(0); }

  // Instances that run keep what they have. True: somebody who was refused may try again.
  bool reserve(int64_t mb) {
    int64_t common = common_part(used_), own = used_ - common;
    bool freed = budget_.set_aside(mb - reserved_);
    reserved_ = mb;
    freed = budget_.give_back(common - common_part(used_)) || freed;  // negative: they now count as common, whatever its limit
    budget_.count_reserved_use(used_ - common_part(used_) - own);
    return freed;
  }
  bool take(int64_t mb) {
    int64_t more = common_part(used_ + mb) - common_part(used_);
    if (more > 0 && !budget_.take(more)) return false;
    used_ += mb;
    budget_.count_reserved_use(mb - more);
    return true;
  }
  bool give_back(int64_t mb) {
    int64_t less = common_part(used_) - common_part(used_ - mb);
    used_ -= mb;
    budget_.count_reserved_use(-(mb - less));
    bool freed = less > 0 && budget_.give_back(less);
    return freed || less < mb;  // of its own part nobody is refused in the budget's sight, but calls of this function may wait for it
  }
  int64_t reserved() const { return reserved_; }

 private:
  int64_t common_part(int64_t used) const { return std::max<int64_t>(0, used - reserved_); }

  Budget& budget_;
  int64_t reserved_ = 0, used_ = 0;
};

}  // namespace mayfly::dispatch
