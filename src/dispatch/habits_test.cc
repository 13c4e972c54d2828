#include "dispatch/habits.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"

namespace mayfly::dispatch {
namespace {

constexpr int64_t kFixedUs = 60 * kMicrosPerSecond;
constexpr int64_t s(double seconds) { return static_cast<int64_t>(seconds * kMicrosPerSecond); }

TEST(Habits, TheFixedWindowIsThePlanUntilEnoughIsKnown) {
  Habits habits;
  for (int i = 0; i < Habits::kLeastSamples; ++i) {
    EXPECT_EQ(habits.plan(kFixedUs).keep_us, kFixedUs) << i;
    EXPECT_FALSE(habits.plan(kFixedUs).learnt);
    habits.idled(s(300));
  }
  EXPECT_TRUE(habits.plan(kFixedUs).learnt);
}

TEST(Habits, APeriodicFunctionIsStartedShortlyBeforeItsCall) {
  Habits habits;
  for (int i = 0; i < 20; ++i) habits.idled(s(300 + i % 3));
  Habits::Plan plan = habits.plan(kFixedUs);
  EXPECT_LE(plan.keep_us, s(2));
  EXPECT_LT(plan.prewarm_us, s(300));
  EXPECT_GT(plan.prewarm_us, s(240));
  EXPECT_GT(plan.prewarm_end_us, s(302));
  EXPECT_LE(s(302) - plan.prewarm_us, kFixedUs) << "it waits no longer than it would have after the last call";
}

TEST(Habits, BurstsAreKeptThroughAndThePauseBetweenThemIsNot) {
  Habits habits;
  for (int i = 0; i < 200; ++i) habits.idled(i % 10 == 9 ? s(900) : s(2));
  Habits::Plan plan = habits.plan(kFixedUs);
  EXPECT_GE(plan.keep_us, s(2));
  EXPECT_LT(plan.keep_us, s(10));
  EXPECT_LT(plan.prewarm_us, s(900));
  EXPECT_GT(plan.prewarm_end_us, s(900));
}

TEST(Habits, WhatIsLongerThanTheHistogramLeavesTheFixedWindow) {
  Habits habits;
  for (int i = 0; i < 20; ++i) habits.idled(s(6 * 3'600));
  EXPECT_FALSE(habits.plan(kFixedUs).learnt);
}

TEST(Habits, OldHabitsAreForgotten) {
  Habits habits;
  for (int i = 0; i < 300; ++i) habits.idled(s(300));
  for (int i = 0; i < 600; ++i) habits.idled(s(1'000));
  Habits::Plan plan = habits.plan(kFixedUs);
  EXPECT_LT(plan.prewarm_us, s(1'000));
  EXPECT_GT(plan.prewarm_us, s(700));
}

TEST(Habits, EdgesGrowByAConstantFactor) {
  EXPECT_EQ(Habits::lower_edge_us(0), 0);
  EXPECT_EQ(Habits::lower_edge_us(1), s(1));
  EXPECT_EQ(Habits::lower_edge_us(1 + 5 * Habits::kBinsPerOctave), s(32));
}

// A day of sixty functions: periodic, bursty and random ones. Calls are short; what counts is the time an instance waits.
class Trace {
 public:
  explicit Trace(uint64_t seed) : rng_(seed) {}
  double unit() { return static_cast<double>(rng_.next() >> 11) * 0x1.0p-53; }

  std::vector<int64_t> periodic() {
    double period = 90 + unit() * 1'700;
    return idle_times([&] { return period * (0.98 + 0.04 * unit()); });
  }
  std::vector<int64_t> bursty() {
    double gap = 200 + unit() * 1'000, pace = 0.5 + unit() * 3;
    auto size = static_cast<int>(4 + unit() * 16);
    int at = 0;
    return idle_times([&] { return ++at % size == 0 ? gap * (0.7 + 0.6 * unit()) : pace * (0.5 + unit()); });
  }
  std::vector<int64_t> scattered() {
    double mean = 20 + unit() * 600;
    return idle_times([&] { return -mean * std::log(1 - unit()); });
  }

 private:
  template <class Next>
  std::vector<int64_t> idle_times(Next next) {
    std::vector<int64_t> out;
    for (double day = 0; day < 86'400;) {
      double idle = next();
      day += idle;
      out.push_back(s(idle));
    }
    return out;
  }
  SeededRng rng_;
};

struct Cost {
  int64_t calls = 0, cold = 0;
  double waiting_s = 0;  // instances kept without work
};

void replay_fixed(const std::vector<int64_t>& idles, int64_t window_us, Cost& cost) {
  for (int64_t idle : idles) {
    ++cost.calls;
    cost.cold += idle > window_us;
    cost.waiting_s += static_cast<double>(std::min(idle, window_us)) / kMicrosPerSecond;
  }
}

void replay_learnt(const std::vector<int64_t>& idles, Cost& cost) {
  Habits habits;
  for (int64_t idle : idles) {
    Habits::Plan plan = habits.plan(kFixedUs);
    bool again = plan.prewarm_end_us > 0 && idle > plan.prewarm_us;
    ++cost.calls;
    cost.cold += idle > plan.keep_us && (!again || idle > plan.prewarm_end_us);
    cost.waiting_s += static_cast<double>(std::min(idle, plan.keep_us)) / kMicrosPerSecond;
    if (again) cost.waiting_s += static_cast<double>(std::min(idle, plan.prewarm_end_us) - plan.prewarm_us) / kMicrosPerSecond;
    habits.idled(idle);
  }
}

TEST(Habits, FewerColdStartsThanAFixedWindowForNoMoreMemory) {
  constexpr uint64_t kSeed = 20'261'120;
  Trace trace(kSeed);
  Cost fixed, learnt, half;
  for (int i = 0; i < 20; ++i) {
    for (const auto& idles : {trace.periodic(), trace.bursty(), trace.scattered()}) {
      replay_fixed(idles, kFixedUs, fixed);
      replay_fixed(idles, kFixedUs / 2, half);
      replay_learnt(idles, learnt);
    }
  }
  auto print = [](const char* name, const Cost& cost) {
    fmt::print("  {:<18} {} calls, {} cold starts ({:.1f} %), {:.0f} instance-hours kept waiting\n", name, cost.calls, cost.cold,
               100.0 * static_cast<double>(cost.cold) / static_cast<double>(cost.calls), cost.waiting_s / 3'600);
  };
  fmt::print("seed {}\n", kSeed);
  print("fixed, 60 s", fixed);
  print("fixed, 30 s", half);
  print("learnt", learnt);
  EXPECT_LE(learnt.waiting_s, fixed.waiting_s);
  EXPECT_LT(learnt.cold * 10, fixed.cold * 8) << "a fifth fewer, at least";
}

}  // namespace
}  // namespace mayfly::dispatch
