#include "dispatch/waiting_line.h"

#include <gtest/gtest.h>

#include "io/sim_loop.h"

namespace mayfly::dispatch {
namespace {

struct WaitingLineTest : ::testing::Test {
  Waiter& add(uint64_t ticket, size_t bytes = 0) { return waiters.emplace_back(loop, ticket, bytes); }
  // The tickets in the order in which they are granted.
  std::vector<uint64_t> drain() {
    std::vector<uint64_t> order;
    while (line.grant_front({.kind = Grant::Kind::moved}, loop.now_us()))
      for (Waiter& each : waiters)
        if (each.grant && std::find(order.begin(), order.end(), each.ticket) == order.end()) order.push_back(each.ticket);
    return order;
  }
  io::SimLoop loop;
  std::deque<Waiter> waiters;
  Budget bytes{1 << 20};
  WaitingLine line{4, bytes};
};

TEST_F(WaitingLineTest, IsFirstInFirstOutAndWhoComesBackStandsWhereItStood) {
  for (uint64_t ticket : {3, 5, 7}) EXPECT_TRUE(line.enter(add(ticket), false));
  EXPECT_TRUE(line.enter(add(2), true));
  EXPECT_TRUE(line.enter(add(6), true)) << "beyond the capacity: it was admitted before";
  EXPECT_TRUE(line.first(1));
  EXPECT_FALSE(line.first(4));
  EXPECT_EQ(drain(), (std::vector<uint64_t>{2, 3, 5, 6, 7}));
  EXPECT_EQ(bytes.used(), 0);
}

TEST_F(WaitingLineTest, IsBoundedInCallsAndInBytes) {
  for (uint64_t ticket = 1; ticket <= 4; ++ticket) EXPECT_TRUE(line.enter(add(ticket), false));
  EXPECT_FALSE(line.enter(add(5), false));
  drain();
  EXPECT_TRUE(line.enter(add(6, 900'000), false));
  EXPECT_FALSE(line.enter(add(7, 900'000), false)) << "the node's memory for waiting calls";
  EXPECT_TRUE(line.enter(add(8, 10), false));
  drain();
  EXPECT_EQ(bytes.used(), 0);
}

TEST_F(WaitingLineTest, WhoGaveUpIsNotServed) {
  for (uint64_t ticket = 1; ticket <= 3; ++ticket) line.enter(add(ticket), false);
  line.leave(waiters[1]);
  line.leave(waiters[1]);
  EXPECT_EQ(drain(), (std::vector<uint64_t>{1, 3}));
  EXPECT_EQ(bytes.used(), 0);
}

TEST_F(WaitingLineTest, SaysWhenToComeBackByHowFastItMoved) {
  EXPECT_EQ(line.retry_after_s(loop.now_us()), 1);
  line.set_capacity(1'000);
  for (uint64_t ticket = 1; ticket <= 140; ++ticket) line.enter(add(ticket), false);
  EXPECT_EQ(line.retry_after_s(loop.now_us()), WaitingLine::kRateSeconds) << "nothing moved yet";
  for (int i = 0; i < 20; ++i) {  // two a second
    line.grant_front({.kind = Grant::Kind::slot}, loop.now_us());
    loop.manual_clock().advance_us(500'000);
  }
  int64_t wait = line.retry_after_s(loop.now_us());
  EXPECT_GE(wait, 55);
  EXPECT_LE(wait, 75) << "120 wait";
  drain();
}

}  // namespace
}  // namespace mayfly::dispatch
