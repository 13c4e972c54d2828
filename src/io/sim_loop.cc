#include "io/sim_loop.h"

#include "io/hop.h"

namespace mayfly::io {

Loop::TimerId SimLoop::call_at(int64_t at_us, Work work) {
  TimerId id = next_timer_++;
  timers_.emplace(std::pair{at_us, id}, std::move(work));
  due_.emplace(id, at_us);
  return id;
}

bool SimLoop::cancel(TimerId timer) {
  auto due = due_.find(timer);
  if (due == due_.end()) return false;
  timers_.erase({due->second, timer});
  due_.erase(due);
  return true;
}

bool SimLoop::step() {
  if (ready_.empty()) {
    if (timers_.empty()) return false;
    auto first = timers_.begin();
    auto [at_us, id] = first->first;
    if (at_us > clock_.mono_us()) clock_.advance_us(at_us - clock_.mono_us());
    ready_.push_back(std::move(first->second));
    timers_.erase(first);
    due_.erase(id);
  }
  Work work = std::move(ready_.front());
  ready_.pop_front();
  work();
  return true;
}

void SimLoop::run_for(int64_t us) {
  int64_t until = clock_.mono_us() + us;
  while (!ready_.empty() || (!timers_.empty() && timers_.begin()->first.first <= until)) step();
  if (until > clock_.mono_us()) clock_.advance_us(until - clock_.mono_us());
}

namespace detail {

namespace {
Fire run(Task<void> task, std::exception_ptr& fault, bool& finished) {
  try {
    co_await task;
  } catch (...) {
    fault = std::current_exception();
  }
  finished = true;
}
}  // namespace

void start(Task<void> task, std::exception_ptr& fault, bool& finished) { run(std::move(task), fault, finished); }

}  // namespace detail
}  // namespace mayfly::io
