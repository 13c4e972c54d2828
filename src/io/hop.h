#pragma once
// call_on: runs a coroutine on another loop's thread and brings its result back to this one. Costs two posts (35-45 us when the other
// core sleeps, DESIGN 6), so it is for control work and for functions that live on another shard. When both loops are the same it is
// a plain await.

#include <exception>
#include <functional>
#include <optional>

#include "io/loop.h"
#include "io/task.h"

namespace mayfly::io {

namespace detail {

template <class T>
struct HopResult {
  std::optional<T> value;
  std::exception_ptr fault;
  T take() {
    if (fault) std::rethrow_exception(fault);
    return std::move(*value);
  }
};
template <>
struct HopResult<void> {
  std::exception_ptr fault;
  void take() {
    if (fault) std::rethrow_exception(fault);
  }
};

struct Fire {  // runs to its end on the other thread, owning its frame
  struct promise_type {
    Fire get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

template <class T>
struct Hop {
  Loop& here;
  Loop& there;
  std::move_only_function<Task<T>()> work;
  HopResult<T> result{};
  std::coroutine_handle<> waiting{};

  bool await_ready() { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    waiting = handle;
    there.post([this] { run(*this); });
  }
  T await_resume() { return result.take(); }

  static Fire run(Hop& hop) {
    try {
      if constexpr (std::is_void_v<T>) {
        co_await hop.work();
      } else {
        hop.result.value.emplace(co_await hop.work());
      }
    } catch (...) {
      hop.result.fault = std::current_exception();
    }
    hop.here.post([waiting = hop.waiting] { waiting.resume(); });
  }
};

}  // namespace detail

// `work` makes the task; it is called on `there`, and must not keep references that `here` may change meanwhile.
template <class T>
Task<T> call_on(Loop& here, Loop& there, std::move_only_function<Task<T>()> work) {
  if (&here == &there) co_return co_await work();
  co_return co_await detail::Hop<T>{here, there, std::move(work)};
}

}  // namespace mayfly::io
