#include "dispatch/async_once.h"

#include "dispatch/async_fixture.h"

namespace mayfly::dispatch {
namespace {

using OnceKeysTest = AsyncFixture;

TEST_F(OnceKeysTest, TheSecondCallWithAKeyIsTheFirst) {
  auto first = submit_once("order-1"), second = submit_once("order-1");
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(first->repeated);
  EXPECT_TRUE(second->repeated);
  EXPECT_EQ(second->request_id, first->request_id);
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(invoker_.calls.size(), 1u);
  EXPECT_EQ(submit_once("order-1")->request_id, first->request_id);
  EXPECT_FALSE(submit_once("order-2")->repeated);
  EXPECT_FALSE(submit_once("order-1", "p", "after")->repeated);
}

TEST_F(OnceKeysTest, AKeyDoesNotFitAnotherPayload) {
  ASSERT_TRUE(submit_once("k", "a"));
  EXPECT_EQ(submit_once("k", "b").error().code, AsyncError::mismatch);
  EXPECT_EQ(submit_once(std::string(256, 'k')).error().code, AsyncError::invalid);
}

TEST_F(OnceKeysTest, AreRememberedAcrossARestartForADay) {
  auto first = submit_once("k");
  close();
  open();
  EXPECT_EQ(submit_once("k")->request_id, first->request_id);
  loop_.run_for(kRememberUs - 2 * kAsyncSweepUs);
  EXPECT_TRUE(submit_once("k")->repeated);
  loop_.run_for(4 * kAsyncSweepUs);
  EXPECT_EQ(rows("async-once"), 0u);
  EXPECT_EQ(rows("async-once-age"), 0u);
  EXPECT_FALSE(submit_once("k")->repeated);
}

TEST_F(OnceKeysTest, AnOutdatedKeyIsFreeBeforeItIsSwept) {
  auto first = submit_once("k");
  close();
  loop_.run_for(kRememberUs + 1);  // nobody sweeps
  open();
  auto second = submit_once("k");
  EXPECT_FALSE(second->repeated);
  EXPECT_NE(second->request_id, first->request_id);
  EXPECT_EQ(rows("async-once"), 1u);
  EXPECT_EQ(rows("async-once-age"), 1u);
}

io::Task<void> submit_into(AsyncInvoker& async, io::Loop& loop, AsyncRequest request, std::vector<Accepted>& out) {
  auto accepted = co_await async.submit(loop, std::move(request));
  if (accepted) out.push_back(*accepted);
}

TEST_F(OnceKeysTest, OfTwoAtOnceOneWins) {
  std::vector<Accepted> both;
  io::TaskGroup group(loop_);
  for (int i = 0; i < 2; ++i) group.spawn(submit_into(*async_, loop_, {.invocation = call(), .task_id = {}, .once_key = "k"}, both));
  loop_.wait(group.drain());
  ASSERT_EQ(both.size(), 2u);
  EXPECT_EQ(both[0].request_id, both[1].request_id);
  EXPECT_NE(both[0].repeated, both[1].repeated);
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(invoker_.calls.size(), 1u);
}

}  // namespace
}  // namespace mayfly::dispatch
