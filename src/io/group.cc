#include "io/group.h"

#include <fmt/format.h>

namespace mayfly::io {

// A coroutine nobody awaits: it destroys itself at its end.
struct TaskGroup::Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

TaskGroup::Detached TaskGroup::run(TaskGroup& group, Task<void> task) {
  std::exception_ptr fault;
  try {
    co_await task;
  } catch (...) {
    fault = std::current_exception();
  }
  group.finished(std::move(fault));
}

void TaskGroup::spawn(Task<void> task) {
  ++running_;
  run(*this, std::move(task));
}

void TaskGroup::finished(std::exception_ptr fault) {
  if (fault && on_fault_) {
    on_fault_(fault);
  } else if (fault) {
    try {
      std::rethrow_exception(fault);
    } catch (const std::exception& error) {
      fmt::print(stderr, "background task failed: {}\n", error.what());
    }
  }
  if (--running_ == 0) idle_.set();
}

Task<void> TaskGroup::drain() {
  while (running_ > 0) {
    idle_.reset();
    co_await idle_.wait();
  }
}

}  // namespace mayfly::io
