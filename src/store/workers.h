#pragma once
// Where blocking file work runs: a small pool of threads, so that no shard waits for the disk, or the calling loop itself, for
// simulation. At most one piece of work per open blob is queued, so what is queued is bounded by what is open.

#include <coroutine>
#include <exception>
#include <functional>
#include <memory>
#include <optional>

#include "io/loop.h"

namespace mayfly::store {

class Workers {
 public:
  using Work = std::move_only_function<void()>;

  virtual ~Workers() = default;                         // finishes what is queued
  virtual void run(io::Loop& loop, Work work, Work done) = 0;  // `work` somewhere, then `done` on `loop`; neither may throw
  virtual void run_unwatched(Work work) = 0;            // nobody waits; must not throw
};

std::unique_ptr<Workers> make_worker_threads(unsigned threads);
std::unique_ptr<Workers> make_inline_workers();

// co_await OnWorker<T>{workers, loop, work}: the result of `work`, or its exception, back on `loop`.
template <class T>
struct OnWorker {
  Workers& workers;
  io::Loop& loop;
  std::move_only_function<T()> work;
  std::optional<T> result{};
  std::exception_ptr fault{};

  bool await_ready() { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    workers.run(loop, [this] { attempt(); }, [waiting] { waiting.resume(); });
  }
  T await_resume() {
    if (fault) std::rethrow_exception(fault);
    return std::move(*result);
  }

 private:
  void attempt() {
    try {
      result.emplace(work());
    } catch (...) {
      fault = std::current_exception();
    }
  }
};

}  // namespace mayfly::store
