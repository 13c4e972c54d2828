#include "dispatch/waiting_line.h"

#include <algorithm>
#include <cmath>

namespace mayfly::dispatch {
namespace {

constexpr size_t kWaiterBytes = 1'024;  // what a waiting call costs besides its payload: frames, strings, timer

int64_t weight(const Waiter& waiter) { return static_cast<int64_t>(waiter.bytes + kWaiterBytes); }

}  // namespace

bool WaitingLine::enter(Waiter& waiter, bool comes_back) {
  if (!comes_back && waiting_.size() >= max_calls_) return false;
  if (!budget_.take(weight(waiter))) {
    if (!comes_back) return false;
    budget_.give_back(-weight(waiter));  // it was counted before; its memory is there
  }
  if (waiting_.empty()) filled_us_ = waiter.since_us;
  auto at = waiting_.end();
  while (at != waiting_.begin() && (*std::prev(at))->ticket > waiter.ticket) --at;
  waiting_.insert(at, &waiter);
  return true;
}

void WaitingLine::forget(const Waiter& waiter) { budget_.give_back(weight(waiter)); }

void WaitingLine::leave(Waiter& waiter) {
  auto at = std::lower_bound(waiting_.begin(), waiting_.end(), waiter.ticket, [](const Waiter* each, uint64_t ticket) { return each->ticket < ticket; });
  if (at == waiting_.end() || *at != &waiter) return;
  waiting_.erase(at);
  forget(waiter);
}

bool WaitingLine::grant_front(Grant grant, int64_t now_us) {
  if (waiting_.empty()) return false;
  if (grant.kind == Grant::Kind::slot) {
    if (!moved_) moved_.emplace(kRateSeconds, Window::Kind::linear);
    moved_->record(now_us, 1);
  }
  Waiter* front = waiting_.front();
  waiting_.pop_front();
  forget(*front);
  front->grant = std::move(grant);
  front->ready.set();
  return true;
}

int64_t WaitingLine::retry_after_s(int64_t now_us) const {
  double rate = moved_ ? moved_->average(now_us) : 0;
  auto ahead = static_cast<double>(waiting_.size() + 1);
  // Nothing moved: a whole window without one.
  double seconds = rate > 0 ? ahead / rate : waiting_.empty() ? 1 : static_cast<double>(kRateSeconds);
  return std::clamp<int64_t>(std::llround(std::ceil(seconds)), 1, kMaxRetryAfterS);
}

}  // namespace mayfly::dispatch
