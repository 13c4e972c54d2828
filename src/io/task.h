#pragma once
// Task<T>: a coroutine that starts when awaited and gives back one T (or throws).
//
// Rules of the house (STYLE.md): coroutines are named functions, never capturing lambdas; parameters are taken by value, or by
// reference only when the caller provably outlives the task; no lock is held across co_await. A Task runs on the thread that awaits
// it and has one owner: whoever holds it. Dropping a Task that has not finished destroys its frame, so only a TaskGroup (group.h)
// may hold running ones. Continuations use symmetric transfer: a chain of tasks of any length uses constant stack.

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>
#include <variant>

#include "base/check.h"

namespace mayfly::io {

template <class T = void>
class Task;

namespace detail {

// What the promises of Task<T> and Task<void> share: whom to resume at the end.
struct PromiseBase {
  std::coroutine_handle<> awaiter = std::noop_coroutine();

  struct Final {
    bool await_ready() noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) noexcept { return self.promise().awaiter; }
    void await_resume() noexcept {}
  };
  std::suspend_always initial_suspend() noexcept { return {}; }
  Final final_suspend() noexcept { return {}; }
};

template <class T>
struct Promise : PromiseBase {
  std::variant<std::monostate, T, std::exception_ptr> result;
  Task<T> get_return_object();
  void unhandled_exception() { result.template emplace<2>(std::current_exception()); }
  template <class U>
  void return_value(U&& value) { result.template emplace<1>(std::forward<U>(value)); }
  T take() {
    if (result.index() == 2) std::rethrow_exception(std::get<2>(result));
    MAYFLY_CHECK(result.index() == 1);
    return std::move(std::get<1>(result));
  }
};

template <>
struct Promise<void> : PromiseBase {
  std::exception_ptr exception;
  Task<void> get_return_object();
  void unhandled_exception() { exception = std::current_exception(); }
  void return_void() {}
  void take() {
    if (exception) std::rethrow_exception(exception);
  }
};

}  // namespace detail

template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Task() = default;
  explicit Task(Handle handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (handle_) handle_.destroy();
    handle_ = std::exchange(other.handle_, {});
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiter) noexcept {
    handle_.promise().awaiter = awaiter;
    return handle_;
  }
  T await_resume() { return handle_.promise().take(); }

 private:
  Handle handle_;
};

namespace detail {
template <class T>
Task<T> Promise<T>::get_return_object() { return Task<T>(std::coroutine_handle<Promise>::from_promise(*this)); }
inline Task<void> Promise<void>::get_return_object() { return Task<void>(std::coroutine_handle<Promise>::from_promise(*this)); }
}  // namespace detail

}  // namespace mayfly::io
