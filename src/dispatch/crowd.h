#pragma once
// Crowd: the pools whose waiting line is full at this moment, so that a front can refuse their calls before it
// reads a body. A line that has been full counts as full until a quarter of it is free: it never runs empty because of this. Thread-safe; while no line is
// full, asking costs one atomic read.

#include <atomic>
#include <map>
#include <mutex>
#include <optional>

#include "dispatch/invoker.h"
#include "functions/model.h"

namespace mayfly::dispatch {

class Crowd {
 public:
  void full(const std::string& name, Failure<InvokeError> refusal) {
    std::lock_guard lock(mutex_);
    refusals_[name] = std::move(refusal);
    any_ = true;
  }
  void relaxed(const std::string& name) {
    std::lock_guard lock(mutex_);
    refusals_.erase(name);
    any_ = !refusals_.empty();
  }
  bool any() const { return any_; }
  static std::string name_of(const functions::Runnable& runnable) { return runnable.key() + "." + runnable.qualifier; }
  std::optional<Failure<InvokeError>> refusal(const std::string& name) const {
    std::lock_guard lock(mutex_);
    auto found = refusals_.find(name);
    return found == refusals_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  std::atomic<bool> any_ = false;
  mutable std::mutex mutex_;
  std::map<std::string, Failure<InvokeError>> refusals_;
};

}  // namespace mayfly::dispatch
