// What is made ahead: how much, when, and what becomes of it. On a simulated clock.
#include "runtime/stock.h"

#include <gtest/gtest.h>

#include <set>

#include "io/sim_loop.h"
#include "sys/fault.h"

namespace mayfly::runtime {
namespace {

constexpr int64_t kMakeUs = 5 * kMicrosPerMilli;

struct Thing {
  std::string key;
  int number = 0;
};

class StockTest : public testing::Test {
 protected:
  void TearDown() override {
    stock_->stop();
    loop_.wait(tasks_.drain());
    EXPECT_EQ(alive_, 0) << "left over";
  }
  void with(StockRules rules) {
    stock_ = std::make_unique<Stock<Thing>>(loop_, tasks_, starts_, rules, Stock<Thing>::Handling{.usable = [this](const Thing& thing) { return !ended_.contains(thing.number); },
                                                                                       .discard = [this](Thing thing) { return discard(std::move(thing)); }});
  }
  std::optional<Thing> take(const std::string& key) {
    auto out = stock_->take(key, [this, key] { return make(key); });
    if (out) --alive_;
    return out;
  }
  // As many starts as that, each with what there is.
  int found_ready(const std::string& key, int starts) {
    int found = 0;
    for (int i = 0; i < starts; ++i) found += take(key).has_value();
    return found;
  }
  io::Task<std::optional<Thing>> make(std::string key) {
    co_await io::sleep_us(loop_, kMakeUs);
    if (fault_) std::rethrow_exception(fault_);
    if (broken_) co_return std::nullopt;
    ++alive_;
    co_return Thing{std::move(key), ++made_};
  }
  io::Task<void> discard(Thing thing) {
    co_await io::sleep_us(loop_, kMakeUs);
    discarded_.push_back(thing.number);
    --alive_;
  }

  io::SimLoop loop_;
  io::TaskGroup tasks_{loop_};
  Starts starts_;
  std::unique_ptr<Stock<Thing>> stock_;
  std::set<int> ended_;
  std::vector<int> discarded_;
  int made_ = 0, alive_ = 0;
  bool broken_ = false;
  std::exception_ptr fault_;
};

TEST_F(StockTest, IsEmptyUntilSomethingWasTaken) {
  with({.most_of_one = 4, .most = 4});
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(made_, 0);
  EXPECT_FALSE(take("a"));
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(made_, 1);
  EXPECT_TRUE(take("a"));
}

TEST_F(StockTest, GivesOnlyWhatHasTheSameKey) {
  with({.most_of_one = 4, .most = 4});
  take("a");
  loop_.run_for(kMicrosPerSecond);
  EXPECT_FALSE(take("b"));
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(take("a")->key, "a");
  EXPECT_EQ(take("b")->key, "b");
}

TEST_F(StockTest, MakesNothingWhileStartsFollowEachOtherAndGoesOnWhenTheyNeverCease) {
  with({.most_of_one = 4, .most = 4});
  for (int64_t us = 0; us < Stock<Thing>::kLateUs; us += Stock<Thing>::kQuietUs / 2) {
    take("a");
    EXPECT_EQ(made_, 0);
    loop_.run_for(Stock<Thing>::kQuietUs / 2);
  }
  loop_.run_for(2 * kMakeUs);
  EXPECT_GT(made_, 0);
}

TEST_F(StockTest, MakesNothingBesideAStartThatTakesLongButOneNowAndThen) {
  with({.most_of_one = 4, .most = 4});
  {
    UnderWay start(starts_, loop_);
    found_ready("a", 4);
    loop_.run_for(Stock<Thing>::kLateUs - 1);
    EXPECT_EQ(made_, 0);
    loop_.run_for(2 * kMakeUs);
    EXPECT_EQ(made_, 1);
    loop_.run_for(Stock<Thing>::kQuietUs);
    EXPECT_EQ(made_, 1);
  }
  loop_.run_for(Stock<Thing>::kQuietUs + 4 * kMakeUs);
  EXPECT_EQ(made_, 4);
}

TEST_F(StockTest, ABurstIsReadyForTheNextOneAndForgottenAfterAWhile) {
  with({.most_of_one = 100, .most = 100});
  EXPECT_EQ(found_ready("a", 20), 0);
  loop_.run_for(10 * kMicrosPerSecond);
  EXPECT_EQ(stock_->ready(), 20u);
  EXPECT_EQ(found_ready("a", 20), 20);
  loop_.run_for(Demand::kRecallUs + Stock<Thing>::kSweepUs + kMicrosPerSecond);
  EXPECT_EQ(stock_->ready(), 1u);
  loop_.run_for(Demand::kIdleUs + Stock<Thing>::kSweepUs);
  EXPECT_EQ(stock_->ready(), 0u);
  EXPECT_EQ(alive_, 0);
}

TEST_F(StockTest, KeepsWithinItsLimits) {
  with({.most_of_one = 3, .most = 5});
  found_ready("a", 10);
  found_ready("b", 10);
  loop_.run_for(10 * kMicrosPerSecond);
  EXPECT_EQ(stock_->ready(), 5u);
  EXPECT_LE(found_ready("a", 10), 3);
}

TEST_F(StockTest, WhatWasNotTakenForLongMakesRoom) {
  with({.most_of_one = 1, .most = 2});
  for (const char* key : {"a", "b"}) take(key);
  loop_.run_for(kMicrosPerSecond);
  take("c");
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(discarded_.size(), 0u) << "both were taken lately";
  loop_.run_for(Demand::kRecallUs);
  take("c");
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(discarded_.size(), 1u);
  EXPECT_EQ(made_, 3) << "neither of the old ones is made again for the other";
  EXPECT_TRUE(take("c"));
}

TEST_F(StockTest, WhatEndedWhileItWaitedIsNotGiven) {
  with({.most_of_one = 4, .most = 4});
  found_ready("a", 2);
  loop_.run_for(kMicrosPerSecond);
  ended_ = {1};
  EXPECT_EQ(take("a")->number, 2);
  EXPECT_FALSE(take("a"));
  loop_.run_for(2 * kMakeUs);
  EXPECT_EQ(discarded_, std::vector<int>{1});
}

TEST_F(StockTest, AFailureIsTriedAgainOnlyAfterTheNextStart) {
  with({.most_of_one = 4, .most = 4});
  broken_ = true;
  take("a");
  loop_.run_for(10 * kMicrosPerSecond);
  broken_ = false;
  loop_.run_for(10 * kMicrosPerSecond);
  EXPECT_EQ(made_, 0);
  take("a");
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(made_, 1);
}

TEST_F(StockTest, AFaultOfTheMachineIsSuchAFailureAndSoIsEveryOther) {
  with({.most_of_one = 4, .most = 4});
  for (auto fault : {std::make_exception_ptr(sys::Fault("mkdir", "a group", ENOSPC)), std::make_exception_ptr(std::bad_alloc())}) {
    fault_ = fault;
    take("a");
    loop_.run_for(kMicrosPerSecond);
  }
  EXPECT_EQ(made_, 0);
  fault_ = nullptr;
  take("a");
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(made_, 3);
}

TEST_F(StockTest, WhatIsForgottenEndsAlsoWhenItIsJustBeingMade) {
  with({.most_of_one = 4, .most = 4});
  found_ready("a", 2);
  loop_.run_for(Stock<Thing>::kQuietUs + kMakeUs + kMakeUs / 2);
  EXPECT_EQ(made_, 1);
  stock_->forget("a");
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(made_, 2);
  EXPECT_EQ(alive_, 0);
}

TEST_F(StockTest, PausesBetweenWhatGoesOnStarting) {
  with({.most_of_one = 4, .most = 4, .pace_us = kMicrosPerSecond});
  found_ready("a", 4);
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(made_, 1);
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(made_, 2);
}

TEST_F(StockTest, ExpectsAStartThatIsYetToCome) {
  with({.most_of_one = 4, .most = 4});
  stock_->expect("a", [this] { return make("a"); });
  loop_.run_for(kMicrosPerSecond);
  EXPECT_TRUE(take("a"));
}

TEST_F(StockTest, GivesAndMakesNothingOnceStopped) {
  with({.most_of_one = 4, .most = 4});
  take("a");
  loop_.run_for(kMicrosPerSecond);
  stock_->stop();
  EXPECT_FALSE(take("a"));
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(made_, 1);
  EXPECT_EQ(discarded_.size(), 1u);
}

}  // namespace
}  // namespace mayfly::runtime
