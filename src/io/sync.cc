#include "io/sync.h"

namespace mayfly::io {

// One suspended waiter; lives in the frame of Signal::wait.
struct Signal::Waiter {
  Signal& signal;
  Deadline deadline;
  Wait result = Wait::done;
  Loop::TimerId timer = 0;
  std::coroutine_handle<> handle{};

  bool await_ready() { return signal.set_; }
  void await_suspend(std::coroutine_handle<> waiting) {
    handle = waiting;
    signal.waiters_.push_back(this);
    if (!deadline.is_never()) timer = signal.loop_.call_at(deadline.at_us, [this] { expire(); });
  }
  Wait await_resume() { return result; }

  void expire() {
    std::erase(signal.waiters_, this);
    result = Wait::timed_out;
    handle.resume();
  }
};

Signal::~Signal() { MAYFLY_CHECK(waiters_.empty()); }

void Signal::set() {
  set_ = true;
  for (Waiter* waiter : std::exchange(waiters_, {})) {
    if (waiter->timer != 0) loop_.cancel(waiter->timer);
    loop_.post([waiter] { waiter->handle.resume(); });
  }
}

Task<Wait> Signal::wait(Deadline deadline) { co_return co_await Waiter{*this, deadline}; }

namespace {
struct Sleep {
  Loop& loop;
  int64_t until_us;
  bool await_ready() { return false; }
  void await_suspend(std::coroutine_handle<> waiting) { loop.call_at(until_us, [waiting] { waiting.resume(); }); }
  void await_resume() {}
};
}  // namespace

Task<void> sleep_until(Loop& loop, int64_t mono_us) { co_await Sleep{loop, mono_us}; }
Task<void> sleep_us(Loop& loop, int64_t us) { return sleep_until(loop, loop.now_us() + us); }

}  // namespace mayfly::io
