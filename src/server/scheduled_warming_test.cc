#include "server/scheduled_warming.h"

#include <gtest/gtest.h>

#include "dispatch/limits.h"
#include "io/sim_loop.h"
#include "store/memory_engine.h"

namespace mayfly::server {
namespace {

constexpr int64_t kHourUs = 3'600 * kMicrosPerSecond;

json::object action(std::string expression, int64_t target) { return {{"name", expression}, {"scheduleExpression", expression}, {"target", target}}; }

// Simulated time begins on 2026-01-01 at midnight.
struct Warming : ::testing::Test {
  Warming() { loop.wait(settings.load(loop)); }
  ~Warming() override { loop.wait(warming->stop()); }
  void put(json::array actions, int64_t target = 1) {
    json::object body{{"target", target}, {"scheduledActions", std::move(actions)}};
    EXPECT_TRUE(loop.wait(settings.put(loop, dispatch::kProvisionConfig, kName, std::move(body), functions::Settings::Mode::either)));
    warming->changed();
  }
  int64_t target() { return int_or(settings.get(dispatch::kProvisionConfig, kName)->body, "target"); }

  const std::string kName = dispatch::limits_name("s", "", "f");
  io::SimLoop loop;
  std::unique_ptr<store::Engine> engine = store::make_memory_engine();
  std::unique_ptr<store::Store> store = store::make_inline_store(*engine);
  functions::Settings settings{*store, loop.clock()};
  std::unique_ptr<ScheduledWarming> warming = std::make_unique<ScheduledWarming>(loop, settings, loop.clock());
};

TEST_F(Warming, TheTargetFollowsTheTimeOfDay) {
  warming->start();
  put({action("cron(0 0 8 * * *)", 5), action("cron(0 0 20 * * *)", 2)});
  loop.run_for(7 * kHourUs);
  EXPECT_EQ(target(), 1);
  loop.run_for(2 * kHourUs);
  EXPECT_EQ(target(), 5);
  loop.run_for(12 * kHourUs);
  EXPECT_EQ(target(), 2);
  loop.run_for(12 * kHourUs);
  EXPECT_EQ(target(), 5);
}

TEST_F(Warming, APersonsChangeHoldsUntilTheNextAction) {
  warming->start();
  put({action("cron(0 0 8 * * *)", 5)});
  loop.run_for(9 * kHourUs);
  put({action("cron(0 0 8 * * *)", 5)}, 7);
  loop.run_for(10 * kHourUs);
  EXPECT_EQ(target(), 7);
  loop.run_for(15 * kHourUs);
  EXPECT_EQ(target(), 5);
}

TEST_F(Warming, OneMomentIsDueOnceAndOnlyWithinItsBounds) {
  warming->start();
  json::object bounded = action("cron(0 0 * * * *)", 9);
  bounded["startTime"] = "2026-01-02T00:00:00Z";
  bounded["endTime"] = "2026-01-02T05:00:00Z";
  put({action("at(2026-01-01T06:00:00)", 4), bounded});
  loop.run_for(12 * kHourUs);
  EXPECT_EQ(target(), 4);
  loop.run_for(13 * kHourUs);
  EXPECT_EQ(target(), 9);
  put({bounded}, 3);
  loop.run_for(6 * kHourUs);
  EXPECT_EQ(target(), 9);
  put({bounded}, 3);
  loop.run_for(24 * kHourUs);
  EXPECT_EQ(target(), 3) << "it has ended";
}

TEST_F(Warming, WhatBecameDueWhileTheServerWasDownIsMadeUpFor) {
  put({action("cron(0 0 8 * * *)", 5), action("cron(0 0 20 * * *)", 2), action("cron(* * * * * *)", 6)});
  put({action("cron(0 0 8 * * *)", 5), action("cron(0 0 20 * * *)", 2)});
  loop.run_for(50 * kHourUs);  // 2 o'clock in the night of the third day
  warming->start();
  loop.run_for(kMicrosPerSecond);
  EXPECT_EQ(target(), 2);
}

}  // namespace
}  // namespace mayfly::server
