#include "dispatch/call_watch.h"

#include "base/check.h"

namespace mayfly::dispatch {

void CallWatch::cancel() {
  std::lock_guard lock(mutex_);
  if (std::exchange(cancelled_, true) || loop_ == nullptr) return;
  post_end(*loop_);
}

bool CallWatch::cancelled() const {
  std::lock_guard lock(mutex_);
  return cancelled_;
}

void CallWatch::post_end(io::Loop& loop) {
  loop.post([self = shared_from_this()] {
    if (self->end_run_) std::exchange(self->end_run_, nullptr)();
  });
}

CallWatch::Guard::Guard(std::shared_ptr<CallWatch> watch, io::Loop& loop, std::function<void()> end_run) : watch_(std::move(watch)) {
  if (!watch_) return;
  watch_->end_run_ = std::move(end_run);
  std::lock_guard lock(watch_->mutex_);
  MAYFLY_CHECK(watch_->loop_ == nullptr);
  watch_->loop_ = &loop;
  if (watch_->cancelled_) watch_->post_end(loop);
}

CallWatch::Guard::~Guard() {
  if (!watch_) return;
  watch_->end_run_ = nullptr;
  std::lock_guard lock(watch_->mutex_);
  watch_->loop_ = nullptr;
}

}  // namespace mayfly::dispatch
