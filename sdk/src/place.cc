#include "place.h"

namespace mayfly::detail {
namespace {

// Between the two it stays where it is, so that calls of one length do not move it to and fro. Those of runtimes/python/worker.py.
constexpr std::chrono::microseconds kShortCall(200), kLongCall(1000);

}  // namespace

Place::Place(const Json& cores) {
  CPU_ZERO(&home_);
  CPU_ZERO(&all_);
  for (const Json& core : cores.items())
    if (int64_t number = core.integer(-1); number >= 0 && number < CPU_SETSIZE) CPU_SET(static_cast<size_t>(number), &all_);
  known_ = CPU_COUNT(&all_) > 0 && ::sched_getaffinity(0, sizeof home_, &home_) == 0 && !CPU_EQUAL(&home_, &all_);
}

void Place::free() {
  if (!known_ || !at_home_) return;
  at_home_ = false;
  ::sched_setaffinity(0, sizeof all_, &all_);  // refused: it stays, and is only slower
}

void Place::after_call(std::chrono::steady_clock::duration took) {
  if (!known_) return;
  if (took > kLongCall) return free();
  if (took >= kShortCall || at_home_) return;
  at_home_ = true;
  ::sched_setaffinity(0, sizeof home_, &home_);
}

}  // namespace mayfly::detail
