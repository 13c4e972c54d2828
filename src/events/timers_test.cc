#include "events/timers.h"

#include <gtest/gtest.h>

#include "io/sim_loop.h"
#include "store/keys.h"
#include "store/memory_engine.h"

namespace mayfly::events {
namespace {

// One server's life over an engine that outlives it. Each tick writes a row "fired/<key>/<tick>", so that losses and doubles show.
struct Life {
  store::Engine& engine;
  io::SimLoop& loop;
  std::unique_ptr<store::Store> store = store::make_inline_store(engine);
  Timers timers{loop, *store, loop.clock(), [](store::Batch& batch, const TimerSpec& spec, int64_t tick_us) {
                  std::string key = store::make_key({"fired", spec.key, store::ordered_int(tick_us)});
                  batch.expect_absent(key);  // a doubled tick would be refused for ever and show as a missing one
                  batch.put(key, spec.action);
                },
                [] {}};

  Life(store::Engine& engine, io::SimLoop& loop, std::vector<TimerSpec> specs) : engine(engine), loop(loop) {
    loop.wait(timers.reconcile(std::move(specs)));
    timers.start();
  }
  ~Life() { loop.wait(timers.stop()); }
};

std::vector<int64_t> fired(store::Engine& engine, const std::string& timer) {
  std::string prefix = store::make_key({"fired", timer});
  std::vector<int64_t> ticks;
  for (const auto& entry : engine.scan({prefix, store::after_prefix(prefix), 100'000}))
    ticks.push_back(store::read_ordered_int(store::split_key(entry.key)->at(2)) / kMicrosPerSecond);
  return ticks;
}

const TimerSpec kEveryMinute{"a", "0 * * * * *", "x"};
constexpr int64_t kMinuteUs = 60 * kMicrosPerSecond;

TEST(Timers, TickOnceAtEachDueTime) {
  auto engine = store::make_memory_engine();
  io::SimLoop loop;
  int64_t start_s = loop.clock().wall_us() / kMicrosPerSecond;
  {
    Life life(*engine, loop, {kEveryMinute, {"b", "@every 90s", "y"}});
    loop.run_for(3 * kMinuteUs + kMicrosPerSecond);
  }
  EXPECT_EQ(fired(*engine, "a"), (std::vector<int64_t>{start_s + 60, start_s + 120, start_s + 180}));
  EXPECT_EQ(fired(*engine, "b"), (std::vector<int64_t>{start_s + 90, start_s + 180}));
}

TEST(Timers, ARestartNeitherLosesNorDoublesATick) {
  auto engine = store::make_memory_engine();
  io::SimLoop loop;
  int64_t start_s = loop.clock().wall_us() / kMicrosPerSecond;
  for (int i = 0; i < 7; ++i) {
    Life life(*engine, loop, {kEveryMinute});
    loop.run_for(kMinuteUs - 7 * kMicrosPerSecond);
  }
  std::vector<int64_t> expected;
  for (int i = 1; i <= 6; ++i) expected.push_back(start_s + 60 * i);
  EXPECT_EQ(fired(*engine, "a"), expected);
}

TEST(Timers, TicksMissedWhileDownCollapseIntoOne) {
  auto engine = store::make_memory_engine();
  io::SimLoop loop;
  int64_t start_s = loop.clock().wall_us() / kMicrosPerSecond;
  { Life life(*engine, loop, {kEveryMinute}); }
  loop.manual_clock().advance_us(10 * kMinuteUs + kMicrosPerSecond);
  {
    Life life(*engine, loop, {kEveryMinute});
    loop.run_for(kMinuteUs);
  }
  EXPECT_EQ(fired(*engine, "a"), (std::vector<int64_t>{start_s + 60, start_s + 660}));
}

TEST(Timers, AChangedTimerCountsAnewAndARemovedOneIsSilent) {
  auto engine = store::make_memory_engine();
  io::SimLoop loop;
  int64_t start_s = loop.clock().wall_us() / kMicrosPerSecond;
  {
    Life life(*engine, loop, {kEveryMinute});
    loop.run_for(kMinuteUs / 2);
    loop.wait(life.timers.reconcile({{"a", "@every 10s", "z"}}));
    loop.run_for(25 * kMicrosPerSecond);
    loop.wait(life.timers.reconcile({}));
    loop.run_for(kMinuteUs);
  }
  EXPECT_EQ(fired(*engine, "a"), (std::vector<int64_t>{start_s + 40, start_s + 50}));
}

}  // namespace
}  // namespace mayfly::events
