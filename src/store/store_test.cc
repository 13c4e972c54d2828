#include "store/store.h"

#include <gtest/gtest.h>

#include "io/group.h"
#include "io/shard.h"
#include "io/sim_loop.h"
#include "store/memory_engine.h"
#include "store/sqlite_engine.h"
#include "store/test_folder.h"
#include "sys/fault.h"

namespace mayfly::store {
namespace {

io::Task<void> put_one(Store& store, io::Loop& loop, std::string key, std::string value, int& done) {
  Batch batch;
  batch.put(std::move(key), std::move(value));
  if (co_await store.commit(loop, std::move(batch)) == Commit::done) ++done;
}

// Adds one to the counter in `key`, retrying while another caller was faster.
io::Task<void> increment(Store& store, io::Loop& loop, std::string key) {
  while (true) {
    auto present = co_await store.get(loop, key);
    Batch batch;
    if (present) batch.expect_equals(key, *present);
    else batch.expect_absent(key);
    batch.put(key, std::to_string(present ? std::stoi(*present) + 1 : 1));
    if (co_await store.commit(loop, std::move(batch)) == Commit::done) co_return;
  }
}

io::Task<void> drain_and_stop(io::Shard& shard, io::TaskGroup& group) {
  co_await group.drain();
  shard.stop();
}

// Shards that outlive the store, as they must.
class Shards {
 public:
  explicit Shards(unsigned count) {
    for (unsigned index = 0; index < count; ++index) shards_.push_back(std::make_unique<io::Shard>(index));
  }
  // Runs `spawn(shard, group)` on all of them at once, until each group is empty.
  void run(const std::function<void(io::Shard&, io::TaskGroup&)>& spawn) {
    std::vector<std::jthread> threads;
    for (auto& shard : shards_) threads.emplace_back([&] { run_one(*shard, spawn); });
  }

 private:
  static void run_one(io::Shard& shard, const std::function<void(io::Shard&, io::TaskGroup&)>& spawn) {
    io::TaskGroup group(shard), last(shard);
    shard.post([&] {
      spawn(shard, group);
      last.spawn(drain_and_stop(shard, group));
    });
    shard.run();
  }

  std::vector<std::unique_ptr<io::Shard>> shards_;
};

TEST(Committer, EveryCallerOnEveryLoopGetsItsOwnAnswer) {
  TestFolder folder;
  Shards shards(3);
  {
    auto store = make_committer(open_sqlite_engine(folder / "kv"));
    std::atomic<int> total = 0;
    shards.run([&](io::Shard& shard, io::TaskGroup& group) {
      for (int at = 0; at < 100; ++at) group.spawn(increment(*store, shard, "counter-" + std::to_string(at % 10)));
      total += 100;
    });
    EXPECT_EQ(store->commits(), static_cast<uint64_t>(total.load()));
  }
  auto engine = open_sqlite_engine(folder / "kv");
  int sum = 0;
  for (const Entry& entry : engine->scan({})) sum += std::stoi(entry.value);
  EXPECT_EQ(sum, 300);
}

// Counts durable units; delegates the rest.
class CountingEngine final : public Engine {
 public:
  CountingEngine(std::atomic<int>& units, std::atomic<int>& largest) : units_(units), largest_(largest) {}
  std::optional<std::string> get(const std::string& key) override { return memory_->get(key); }
  std::vector<Entry> scan(const Range& range) override { return memory_->scan(range); }
  std::vector<bool> apply(std::span<const Batch> batches) override {
    ++units_;
    largest_ = std::max(largest_.load(), static_cast<int>(batches.size()));
    return memory_->apply(batches);
  }

 private:
  std::unique_ptr<Engine> memory_ = make_memory_engine();
  std::atomic<int>& units_;
  std::atomic<int>& largest_;
};

TEST(Committer, BatchesThatWaitTogetherShareOneDurableUnitOfBoundedSize) {
  std::atomic<int> units = 0, largest = 0;
  int done = 0;
  constexpr int kCallers = 5'000;
  Shards shards(1);
  {
    auto store = make_committer(std::make_unique<CountingEngine>(units, largest));
    shards.run([&](io::Shard& shard, io::TaskGroup& group) {
      for (int at = 0; at < kCallers; ++at) group.spawn(put_one(*store, shard, std::to_string(at), "v", done));
    });
  }
  EXPECT_EQ(done, kCallers);
  EXPECT_LT(units, kCallers / 2);
  EXPECT_GT(largest, 1);
  EXPECT_LE(largest, 1024);
}

TEST(Committer, ItsDestructorFinishesWhatIsQueued) {
  io::SimLoop loop;
  io::TaskGroup group(loop);
  std::atomic<int> units = 0, largest = 0;
  int done = 0;
  auto store = make_committer(std::make_unique<CountingEngine>(units, largest));
  for (int at = 0; at < 100; ++at) group.spawn(put_one(*store, loop, std::to_string(at), "v", done));
  store.reset();  // joins: after this the committer posts to the loop no more
  loop.run();
  EXPECT_EQ(done, 100);
  EXPECT_EQ(group.running(), 0u);
}

class FailingEngine final : public Engine {
 public:
  std::optional<std::string> get(const std::string&) override { throw sys::Fault("read", "kv", EIO); }
  std::vector<Entry> scan(const Range&) override { return {}; }
  std::vector<bool> apply(std::span<const Batch>) override { throw sys::Fault("fdatasync", "kv", EIO); }
};

io::Task<void> expect_read_fault(Store& store, io::Loop& loop) {
  try {
    co_await store.get(loop, "a");
    ADD_FAILURE() << "the fault was swallowed";
  } catch (const sys::Fault& fault) {
    EXPECT_EQ(fault.error(), EIO);
  }
}

TEST(Committer, AFaultOfAReadReachesItsCaller) {
  Shards shards(1);
  auto store = make_committer(std::make_unique<FailingEngine>());
  shards.run([&](io::Shard& shard, io::TaskGroup& group) { group.spawn(expect_read_fault(*store, shard)); });
}

TEST(CommitterDeathTest, AFaultOfACommitEndsTheProcessWithAMessage) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        Shards shards(1);
        auto store = make_committer(std::make_unique<FailingEngine>());
        int done = 0;
        shards.run([&](io::Shard& shard, io::TaskGroup& group) { group.spawn(put_one(*store, shard, "a", "b", done)); });
      },
      "the store cannot commit.*fdatasync");
}

TEST(InlineStore, CompletesThroughTheLoopAndNeverBefore) {
  io::SimLoop loop;
  io::TaskGroup group(loop);
  auto engine = make_memory_engine();
  auto store = make_inline_store(*engine);
  int done = 0;
  group.spawn(put_one(*store, loop, "a", "1", done));
  EXPECT_EQ(done, 0);
  EXPECT_EQ(engine->get("a"), std::nullopt);
  loop.run();
  EXPECT_EQ(done, 1);
  EXPECT_EQ(loop.wait(store->get(loop, "a")), "1");
}

TEST(InlineStore, ConcurrentIncrementsAllCount) {
  io::SimLoop loop;
  io::TaskGroup group(loop);
  auto engine = make_memory_engine();
  auto store = make_inline_store(*engine);
  for (int at = 0; at < 20; ++at) group.spawn(increment(*store, loop, "n"));
  loop.run();
  EXPECT_EQ(engine->get("n"), "20");
  EXPECT_EQ(store->commits(), 20u);
}

TEST(Store, ScanAllReadsEveryPage) {
  io::SimLoop loop;
  auto engine = make_memory_engine();
  auto store = make_inline_store(*engine);
  Batch batch;
  for (int at = 10'000; at < 12'500; ++at) batch.put("k" + std::to_string(at), "");
  batch.put("z", "");
  engine->apply(std::span(&batch, 1));
  auto all = loop.wait(scan_all(*store, loop, "k", "l"));
  ASSERT_EQ(all.size(), 2'500u);
  EXPECT_EQ(all.front().key, "k10000");
  EXPECT_EQ(all.back().key, "k12499");
  EXPECT_TRUE(std::ranges::is_sorted(all, {}, &Entry::key));
}

}  // namespace
}  // namespace mayfly::store
