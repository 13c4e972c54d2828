#include "io/sync.h"

namespace mayfly::io {

void Signal::Waiter::await_suspend(std::coroutine_handle<> waiting) {
  handle_ = waiting;
  signal_.waiters_.push_back(this);
  if (!deadline_.is_never()) timer_ = signal_.loop_.call_at(deadline_.at_us, [this] { expire(); });
}

void Signal::Waiter::expire() {
  std::erase(signal_.waiters_, this);
  result_ = Wait::timed_out;
  handle_.resume();
}

Signal::~Signal() { MAYFLY_CHECK(waiters_.empty()); }

void Signal::set() {
  set_ = true;
  for (Waiter* waiter : std::exchange(waiters_, {})) {
    if (waiter->timer_ != 0) loop_.cancel(waiter->timer_);
    loop_.post([waiter] { waiter->handle_.resume(); });
  }
}

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
