#pragma once
// Waiting inside one thread. None of these is thread-safe: cross threads with Loop::post or call_on (hop.h).
//   Signal   set once, any number of waiters, stays set;
//   OneShot  one value from one producer to one consumer;
//   sleep_until / sleep_us.
// A waiter is resumed through the loop, never inside set(), so set() can be called while the caller's invariants are broken.

#include <coroutine>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "io/loop.h"
#include "io/task.h"

namespace mayfly::io {

enum class Wait { done, timed_out };

class Signal {
 public:
  explicit Signal(Loop& loop) : loop_(loop) {}
  Signal(const Signal&) = delete;
  ~Signal();

  void set();
  bool is_set() const { return set_; }
  void reset() { set_ = false; }  // later waiters wait again
  // Resumes when set, or at the deadline. The Signal must outlive its waiters.
  Task<Wait> wait(Deadline deadline = Deadline::never());

 private:
  struct Waiter;
  Loop& loop_;
  bool set_ = false;
  std::vector<Waiter*> waiters_;
};

template <class T>
class OneShot {
 public:
  explicit OneShot(Loop& loop) : ready_(loop) {}
  void set(T value) {
    if (value_) return;  // the first value wins
    value_.emplace(std::move(value));
    ready_.set();
  }
  bool is_set() const { return ready_.is_set(); }
  // The value, or nullopt at the deadline. One consumer.
  Task<std::optional<T>> wait(Deadline deadline = Deadline::never()) {
    if (co_await ready_.wait(deadline) == Wait::timed_out) co_return std::nullopt;
    co_return std::move(value_);
  }

 private:
  Signal ready_;
  std::optional<T> value_;
};

Task<void> sleep_until(Loop& loop, int64_t mono_us);
Task<void> sleep_us(Loop& loop, int64_t us);

}  // namespace mayfly::io
