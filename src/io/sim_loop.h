#pragma once
// SimLoop: a loop on a ManualClock, for tests and simulation. Nothing happens until run(): then posted work runs, and when none is
// left time jumps to the next timer. Deterministic, and a test of an hour takes microseconds.

#include <deque>
#include <map>

#include "io/loop.h"
#include "io/task.h"

namespace mayfly::io {

class SimLoop final : public Loop {
 public:
  void post(Work work) override { ready_.push_back(std::move(work)); }
  TimerId call_at(int64_t at_us, Work work) override;
  bool cancel(TimerId timer) override;
  const Clock& clock() const override { return clock_; }
  ManualClock& manual_clock() { return clock_; }

  // Runs one piece of work or, if none is ready, jumps to the next timer. False when there is nothing left to do.
  bool step();
  void run() { while (step()) {} }
  // Runs what happens within the next `us` microseconds, and leaves the clock there.
  void run_for(int64_t us);
  // Drives the loop until `task` has finished and gives back its result; a task that waits for ever is a failed CHECK.
  template <class T>
  T wait(Task<T> task);

 private:
  ManualClock clock_;
  std::deque<Work> ready_;
  std::map<std::pair<int64_t, TimerId>, Work> timers_;
  std::map<TimerId, int64_t> due_;
  TimerId next_timer_ = 1;
};

namespace detail {
template <class T>
Task<void> store_result(Task<T> task, std::optional<T>& out) { out.emplace(co_await task); }
// Starts `task` on this thread and lets it own itself; an exception escapes to `fault`.
void start(Task<void> task, std::exception_ptr& fault, bool& finished);
}  // namespace detail

template <class T>
T SimLoop::wait(Task<T> task) {
  std::exception_ptr fault;
  bool finished = false;
  if constexpr (std::is_void_v<T>) {
    detail::start(std::move(task), fault, finished);
    while (!finished && step()) {}
    MAYFLY_CHECK(finished);
    if (fault) std::rethrow_exception(fault);
  } else {
    std::optional<T> out;
    detail::start(detail::store_result(std::move(task), out), fault, finished);
    while (!finished && step()) {}
    MAYFLY_CHECK(finished);
    if (fault) std::rethrow_exception(fault);
    return std::move(*out);
  }
}

}  // namespace mayfly::io
