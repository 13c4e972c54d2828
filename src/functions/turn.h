#pragma once
// Turns: lets one coroutine at a time through, in order of asking, from whatever shard. Mutations of the catalogue take one: they read
// the snapshot, commit, and publish the next, which must not interleave. It is no lock: a waiter gives its thread back.

#include <coroutine>
#include <deque>
#include <mutex>

#include "io/loop.h"

namespace mayfly::functions {

class Turns {
 public:
  // Held while it is one's turn; giving it up wakes the next in line on its own loop.
  class Turn {
   public:
    explicit Turn(Turns& turns) : turns_(&turns) {}
    Turn(Turn&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (turns_) turns_->pass_on();
    }

   private:
    Turns* turns_;
  };

  // co_await turns.take(loop) gives a Turn.
  auto take(io::Loop& loop) {
    struct Awaiter {
      Turns& turns;
      io::Loop& loop;
      bool await_ready() { return false; }
      bool await_suspend(std::coroutine_handle<> handle) { return turns.queue(loop, handle); }
      Turn await_resume() { return Turn(turns); }
    };
    return Awaiter{*this, loop};
  }

 private:
  bool queue(io::Loop& loop, std::coroutine_handle<> handle) {
    std::lock_guard lock(mutex_);
    if (!taken_) {
      taken_ = true;
      return false;
    }
    waiting_.push_back({&loop, handle});
    return true;
  }
  void pass_on() {
    std::lock_guard lock(mutex_);
    if (waiting_.empty()) {
      taken_ = false;
      return;
    }
    auto [loop, handle] = waiting_.front();
    waiting_.pop_front();
    loop->post([handle] { handle.resume(); });
  }

  std::mutex mutex_;
  bool taken_ = false;
  std::deque<std::pair<io::Loop*, std::coroutine_handle<>>> waiting_;
};

}  // namespace mayfly::functions
