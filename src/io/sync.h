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

  // One who waits; lives in the frame of whoever awaits it, and costs no frame of its own.
  class Waiter {
   public:
    Waiter(Signal& signal, Deadline deadline) : signal_(signal), deadline_(deadline) {}
    Waiter(const Waiter&) = delete;
    bool await_ready() const { return signal_.set_; }
    void await_suspend(std::coroutine_handle<> waiting);
    Wait await_resume() const { return result_; }

   private:
    friend Signal;
    void expire();

    Signal& signal_;
    const Deadline deadline_;
    Wait result_ = Wait::done;
    Loop::TimerId timer_ = 0;
    std::coroutine_handle<> handle_{};
  };
  // To be awaited: resumes when set, or at the deadline. The Signal must outlive its waiters.
  Waiter wait(Deadline deadline = Deadline::never()) { return {*this, deadline}; }

 private:
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
  struct Taker {
    OneShot& shot;
    Signal::Waiter waiter;
    bool await_ready() const { return waiter.await_ready(); }
    void await_suspend(std::coroutine_handle<> waiting) { waiter.await_suspend(waiting); }
    std::optional<T> await_resume() { return waiter.await_resume() == Wait::timed_out ? std::nullopt : std::move(shot.value_); }
  };
  // To be awaited: the value, or nullopt at the deadline. One consumer.
  Taker wait(Deadline deadline = Deadline::never()) { return {*this, {ready_, deadline}}; }

 private:
  Signal ready_;
  std::optional<T> value_;
};

Task<void> sleep_until(Loop& loop, int64_t mono_us);
Task<void> sleep_us(Loop& loop, int64_t us);

}  // namespace mayfly::io
