#pragma once
// Loop: what a coroutine needs from the thread that runs it: "later", "at that time", and what time it is. A Shard (shard.h) is the
// real one; SimLoop (sim_loop.h) runs the same code on a simulated clock. Domain rooms see only this header and never a socket.

#include <coroutine>
#include <cstdint>
#include <functional>

#include "base/clock.h"

namespace mayfly::io {

class Loop {
 public:
  using Work = std::move_only_function<void()>;
  using TimerId = uint64_t;  // 0 is never used

  virtual ~Loop() = default;
  // Runs `work` on this loop's thread, in the order of the calls. The only member that may be called from another thread.
  virtual void post(Work work) = 0;
  // Runs `work` once, when mono_us() >= at_us. Same thread only.
  virtual TimerId call_at(int64_t at_us, Work work) = 0;
  // True if the timer was stopped before it ran. Same thread only.
  virtual bool cancel(TimerId timer) = 0;
  virtual const Clock& clock() const = 0;

  int64_t now_us() const { return clock().mono_us(); }
};

// A point on a loop's monotonic clock by which something must have happened; the one type for it from the gateway to the worker.
struct Deadline {
  int64_t at_us = INT64_MAX;
  static Deadline never() { return {}; }
  static Deadline after_us(const Loop& loop, int64_t us) {
    int64_t now_us = loop.now_us();
    return {us >= INT64_MAX - now_us ? INT64_MAX : now_us + us};
  }
  bool is_never() const { return at_us == INT64_MAX; }
  bool passed(const Loop& loop) const { return loop.now_us() >= at_us; }
  Deadline sooner(Deadline other) const { return at_us < other.at_us ? *this : other; }
};

}  // namespace mayfly::io
