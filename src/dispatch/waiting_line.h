#pragma once
// WaitingLine: the calls of one pool that wait for an instance, strictly first in, first out. A call's place is its ticket, given when it
// arrived at the shard: one that is sent back (its instance ended before it took the call, or its pool was replaced) stands where it
// stood. Bounded in calls and in bytes. The rate at which the line has moved says when to come back (Retry-After).

#include <deque>
#include <optional>

#include "dispatch/budget.h"
#include "dispatch/invoker.h"
#include "dispatch/window.h"
#include "io/sync.h"

namespace mayfly::dispatch {

struct Slot;  // slot.h

// What ends a call's waiting.
struct Grant {
  enum class Kind { slot, moved, outcome, refused };
  Kind kind = Kind::refused;
  Slot* slot = nullptr;
  bool cold = false;               // the slot was started for this call
  Outcome outcome{};               // Kind::outcome: the start failed in the function's own code
  Failure<InvokeError> failure{};  // Kind::refused
};

struct Waiter {
  Waiter(io::Loop& loop, uint64_t place, size_t payload) : ticket(place), since_us(loop.now_us()), bytes(payload), ready(loop) {}
  const uint64_t ticket;
  const int64_t since_us;
  const size_t bytes;
  io::Signal ready;
  std::optional<Grant> grant;
};

class WaitingLine {
 public:
  static constexpr int64_t kRateSeconds = 10;       // over which the line's movement is observed
  static constexpr int64_t kMaxRetryAfterS = 300;   // beyond it a client should decide for itself

  // `bytes` is shared with the other lines of the node.
  WaitingLine(size_t max_calls, Budget& bytes) : max_calls_(max_calls), budget_(bytes) {}

  // Takes the waiter's place, or refuses: the line or its memory is full. A call that comes back is never refused.
  bool enter(Waiter& waiter, bool comes_back);
  void leave(Waiter& waiter);  // gave up; not in the line any more is fine
  bool grant_front(Grant grant, int64_t now_us);

  bool empty() const { return waiting_.empty(); }
  size_t size() const { return waiting_.size(); }
  int64_t first_since_us() const { return waiting_.front()->since_us; }  // since when the first waits; of a line that is not empty
  int64_t filled_us() const { return filled_us_; }                       // when the line was last empty
  size_t capacity() const { return max_calls_; }
  void set_capacity(size_t calls) { max_calls_ = calls; }
  // Whether a call with this ticket stands before everybody who waits.
  bool first(uint64_t ticket) const { return waiting_.empty() || ticket < waiting_.front()->ticket; }
  // Until those who wait now will have been served, at the rate seen last; at least 1.
  int64_t retry_after_s(int64_t now_us) const;

 private:
  void forget(const Waiter& waiter);

  size_t max_calls_;
  Budget& budget_;
  std::deque<Waiter*> waiting_;
  int64_t filled_us_ = 0;
  std::optional<Window> moved_;  // calls granted per second while others waited; absent until the line is used
};

}  // namespace mayfly::dispatch
