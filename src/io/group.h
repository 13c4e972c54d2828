#pragma once
// TaskGroup: the owner of running tasks. A component spawns its background work into its own group and, when it stops, first tells
// that work to end (closing streams, setting a Signal) and then awaits drain(). Destroying a group that still runs tasks is a bug
// and aborts. Single-threaded. A task that ends by an exception is reported to `on_fault` (default: printed) and dropped.

#include <cstddef>
#include <exception>
#include <functional>

#include "io/sync.h"
#include "io/task.h"

namespace mayfly::io {

class TaskGroup {
 public:
  using OnFault = std::function<void(std::exception_ptr)>;

  explicit TaskGroup(Loop& loop, OnFault on_fault = {}) : idle_(loop), on_fault_(std::move(on_fault)) {}
  TaskGroup(const TaskGroup&) = delete;
  ~TaskGroup() { MAYFLY_CHECK_OP(running_, ==, size_t{0}); }

  void spawn(Task<void> task);  // runs until its first suspension before returning
  size_t running() const { return running_; }
  Task<void> drain();           // returns when no task runs

 private:
  struct Detached;
  static Detached run(TaskGroup& group, Task<void> task);
  void finished(std::exception_ptr fault);

  size_t running_ = 0;
  Signal idle_;
  OnFault on_fault_;
};

}  // namespace mayfly::io
