#include "store/ownership.h"

#include <gtest/gtest.h>

#include "io/group.h"
#include "io/sim_loop.h"
#include "store/memory_engine.h"

namespace mayfly::store {
namespace {

class OwnershipTest : public testing::Test {
 protected:
  Commit write(const Claim& claim, const std::string& value) {
    Batch batch;
    fence(batch, claim);
    batch.put("work", value);
    return loop_.wait(store_->commit(loop_, std::move(batch)));
  }
  Claim take(const std::string& owned, const std::string& node) { return loop_.wait(claim(*store_, loop_, owned, node)); }

  io::SimLoop loop_;
  std::unique_ptr<Engine> engine_ = make_memory_engine();
  std::unique_ptr<Store> store_ = make_inline_store(*engine_);
};

TEST_F(OwnershipTest, EachClaimRaisesTheEpoch) {
  EXPECT_EQ(loop_.wait(owner_of(*store_, loop_, "queues/0")), std::nullopt);
  EXPECT_EQ(take("queues/0", "a").epoch, 1u);
  EXPECT_EQ(take("queues/0", "a").epoch, 2u);
  auto last = take("queues/0", "b");
  EXPECT_EQ(last, (Claim{.owned = "queues/0", .node = "b", .epoch = 3}));
  EXPECT_EQ(loop_.wait(owner_of(*store_, loop_, "queues/0")), last);
  EXPECT_EQ(take("queues/1", "b").epoch, 1u);
}

TEST_F(OwnershipTest, APausedFormerOwnerCommitsNothing) {
  Claim paused = take("queues/0", "a");
  EXPECT_EQ(write(paused, "1"), Commit::done);
  Claim present = take("queues/0", "b");
  EXPECT_EQ(write(paused, "2"), Commit::refused);
  EXPECT_EQ(engine_->get("work"), "1");
  EXPECT_EQ(write(present, "3"), Commit::done);
  EXPECT_EQ(engine_->get("work"), "3");
}

TEST_F(OwnershipTest, ARestartOfTheSameNodeFencesItsFormerProcess) {
  Claim former = take("queues/0", "a");
  take("queues/0", "a");
  EXPECT_EQ(write(former, "late"), Commit::refused);
}

io::Task<void> take_and_note(Store& store, io::Loop& loop, std::string node, std::vector<Claim>& claims) {
  claims.push_back(co_await claim(store, loop, "queues/0", node));
}

TEST_F(OwnershipTest, OfManyClaimantsAtOnceExactlyTheLastOwns) {
  io::TaskGroup group(loop_);
  std::vector<Claim> claims;
  for (int node = 0; node < 10; ++node) group.spawn(take_and_note(*store_, loop_, std::to_string(node), claims));
  loop_.run();
  ASSERT_EQ(claims.size(), 10u);
  for (size_t at = 0; at < claims.size(); ++at) EXPECT_EQ(claims[at].epoch, at + 1);
  for (const Claim& each : claims) EXPECT_EQ(write(each, each.node), each == claims.back() ? Commit::done : Commit::refused);
}

}  // namespace
}  // namespace mayfly::store
