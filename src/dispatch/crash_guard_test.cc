#include "dispatch/crash_guard.h"

#include <gtest/gtest.h>

namespace mayfly::dispatch {
namespace {

constexpr int64_t s(int64_t seconds) { return seconds * kMicrosPerSecond; }

TEST(CrashGuard, ToleratesAFewAndThenSuspends) {
  SeededRng rng(1);
  CrashGuard guard;
  for (int i = 0; i < CrashGuard::kStartsTolerated - 1; ++i) guard.failed(CrashGuard::Cause::start, s(i), s(i), "no module named cv9", rng);
  EXPECT_FALSE(guard.suspended(s(10)));
  guard.failed(CrashGuard::Cause::start, s(10), s(10), "no module named cv9", rng);
  EXPECT_TRUE(guard.suspended(s(10)));
  EXPECT_EQ(guard.why(), "no module named cv9");
  EXPECT_FALSE(guard.suspended(s(12)));
}

TEST(CrashGuard, CallsThatCrashAreToleratedLongerThanStarts) {
  SeededRng rng(1);
  CrashGuard guard;
  for (int i = 0; i < CrashGuard::kCallsTolerated - 1; ++i) guard.failed(CrashGuard::Cause::call, s(i), s(i), "died", rng);
  EXPECT_FALSE(guard.suspended(s(4)));
  guard.started();
  EXPECT_EQ(guard.failures(), CrashGuard::kCallsTolerated - 1) << "starting is not what fails";
  guard.failed(CrashGuard::Cause::call, s(4), s(4), "died", rng);
  EXPECT_TRUE(guard.suspended(s(4)));
}

TEST(CrashGuard, PausesDoubleUpToTheCapWithJitter) {
  SeededRng rng(7);
  CrashGuard guard;
  int64_t now = 0, expected = CrashGuard::kFirstPauseUs;
  bool differs = false;
  for (int i = 0; i < CrashGuard::kStartsTolerated - 1; ++i, ++now) guard.failed(CrashGuard::Cause::start, now, now, "x", rng);
  for (int i = 0; i < 12; ++i) {
    guard.failed(CrashGuard::Cause::start, now, now, "x", rng);
    int64_t pause = guard.until_us() - now;
    EXPECT_GE(pause, expected * 8 / 10) << i;
    EXPECT_LE(pause, expected * 12 / 10) << i;
    differs = differs || pause != expected;
    now = guard.until_us();
    expected = std::min(expected * 2, CrashGuard::kLongestPauseUs);
  }
  EXPECT_TRUE(differs);
}

TEST(CrashGuard, FailuresThatOverlapCountOnce) {
  SeededRng rng(1);
  CrashGuard guard;
  for (int i = 0; i < 20; ++i) guard.failed(CrashGuard::Cause::start, s(1), s(2) + i, "x", rng);
  EXPECT_EQ(guard.failures(), 1);
}

TEST(CrashGuard, ASuccessForgetsEverything) {
  SeededRng rng(1);
  CrashGuard guard;
  for (int i = 0; i < 9; ++i) guard.failed(CrashGuard::Cause::call, s(i), s(i), "x", rng);
  guard.answered();
  EXPECT_FALSE(guard.suspended(s(9)));
  guard.failed(CrashGuard::Cause::call, s(20), s(20), "x", rng);
  EXPECT_FALSE(guard.suspended(s(20)));
}

}  // namespace
}  // namespace mayfly::dispatch
