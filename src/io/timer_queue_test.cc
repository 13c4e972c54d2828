#include "io/timer_queue.h"

#include <gtest/gtest.h>

#include <map>

#include "base/rng.h"

namespace mayfly::io {
namespace {

TEST(TimerQueue, RunsWhatIsDueInOrderOfTimeThenOfCalls) {
  TimerQueue queue;
  std::string order;
  queue.add(20, [&] { order += 'c'; });
  queue.add(10, [&] { order += 'a'; });
  queue.add(10, [&] { order += 'b'; });
  queue.add(30, [&] { order += 'd'; });
  EXPECT_EQ(queue.next_us(), 10);
  while (auto work = queue.take_due(20)) work();
  EXPECT_EQ(order, "abc");
  EXPECT_EQ(queue.next_us(), 30);
}

TEST(TimerQueue, CancelsOnceAndNeverItsSlotsNextTenant) {
  TimerQueue queue;
  Loop::TimerId first = queue.add(10, [] {});
  EXPECT_NE(first, 0u);
  EXPECT_TRUE(queue.cancel(first));
  EXPECT_FALSE(queue.cancel(first));
  Loop::TimerId second = queue.add(10, [] {});
  EXPECT_FALSE(queue.cancel(first));
  EXPECT_FALSE(queue.cancel(0));
  EXPECT_TRUE(queue.take_due(10) != nullptr);
  EXPECT_FALSE(queue.cancel(second));
}

TEST(TimerQueue, AgreesWithASortedMapUnderManyCancels) {
  TimerQueue queue;
  SeededRng rng(7);
  std::map<std::pair<int64_t, uint64_t>, Loop::TimerId> model;
  std::vector<uint64_t> ran;
  int64_t now_us = 0;
  for (uint64_t i = 0; i < 20'000; ++i) {
    int64_t at_us = now_us + static_cast<int64_t>(rng.below(1000));
    model[{at_us, i}] = queue.add(at_us, [&ran, i] { ran.push_back(i); });
    if (rng.below(10) < 8) {
      auto victim = model.lower_bound({now_us + static_cast<int64_t>(rng.below(1000)), 0});
      if (victim != model.end()) {
        EXPECT_TRUE(queue.cancel(victim->second));
        model.erase(victim);
      }
    }
    now_us += static_cast<int64_t>(rng.below(3));
    ran.clear();
    while (auto work = queue.take_due(now_us)) work();
    for (uint64_t id : ran) {
      ASSERT_FALSE(model.empty());
      ASSERT_EQ(model.begin()->first.second, id);
      model.erase(model.begin());
    }
    ASSERT_TRUE(model.empty() || model.begin()->first.first > now_us);
  }
}

}  // namespace
}  // namespace mayfly::io
