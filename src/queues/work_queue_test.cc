#include "queues/work_queue.h"

#include <gtest/gtest.h>

#include "io/shard.h"
#include "io/sim_loop.h"
#include "io/sync.h"
#include "store/memory_engine.h"

namespace mayfly::queues {
namespace {

// Counts what scans cost, and can fail them.
class MeteredEngine final : public store::Engine {
 public:
  std::optional<std::string> get(const std::string& key) override { return memory_->get(key); }
  std::vector<store::Entry> scan(const store::Range& range) override {
    if (failing_scans > 0) {
      --failing_scans;
      throw std::runtime_error("the scan failed");
    }
    auto rows = memory_->scan(range);
    ++scans;
    rows_read += rows.size();
    return rows;
  }
  std::vector<bool> apply(std::span<const store::Batch> batches) override { return memory_->apply(batches); }

  size_t scans = 0, rows_read = 0, failing_scans = 0;

 private:
  std::unique_ptr<store::Engine> memory_ = store::make_memory_engine();
};

class WorkQueueTest : public testing::Test {
 protected:
  WorkQueueTest() : store_(store::make_inline_store(engine_)) {}
  ~WorkQueueTest() override {
    if (queue_) loop_.wait(queue_->stop());
  }

  using Handler = io::Task<void> (*)(WorkQueueTest&, Message);

  void make(size_t window, Handler handler) {
    queue_ = make_work_queue(loop_, *store_, {.name = "work", .window = window, .on_fault = [this](std::exception_ptr) { ++faults_; }},
                             [this, handler](Message message) { return handler(*this, std::move(message)); });
  }
  void put(std::string id, int64_t due_in_us = 0, std::string queue = "work") {
    store::Batch batch;
    add(batch, {.queue = queue, .due_us = wall_us() + due_in_us, .id = id, .payload = "payload of " + id});
    engine_.apply(std::span(&batch, 1));
  }
  size_t stored() {
    auto range = rows_of("work");
    range.limit = 1'000'000;
    return engine_.scan(range).size();
  }
  int64_t wall_us() { return loop_.clock().wall_us(); }

  // Handlers. Each notes the message first.
  static io::Task<void> acknowledging(WorkQueueTest& test, Message message) {
    test.note(message);
    store::Batch batch;
    acknowledge(batch, message);
    co_await test.store_->commit(test.loop_, std::move(batch));
  }
  static io::Task<void> slow(WorkQueueTest& test, Message message) {
    test.most_at_once_ = std::max(test.most_at_once_, test.queue_->in_flight());
    co_await io::sleep_us(test.loop_, 10'000);
    co_await acknowledging(test, std::move(message));
  }
  static io::Task<void> forgetful(WorkQueueTest& test, Message message) {
    if (std::ranges::count(test.seen_, message.id) < 2) {
      test.note(message);
      co_return;
    }
    co_await acknowledging(test, std::move(message));
  }
  static io::Task<void> failing_once(WorkQueueTest& test, Message message) {
    if (std::ranges::count(test.seen_, message.id) == 0) {
      test.note(message);
      throw std::runtime_error("first time");
    }
    co_await acknowledging(test, std::move(message));
  }
  static io::Task<void> adding_the_next(WorkQueueTest& test, Message message) {
    test.note(message);
    store::Batch batch;
    acknowledge(batch, message);
    int step = std::stoi(message.id);
    if (step < 5) add(batch, {.queue = "work", .due_us = test.wall_us() + step * 100'000, .id = std::to_string(step + 1), .payload = {}});
    co_await test.store_->commit(test.loop_, std::move(batch));
  }

  void note(const Message& message) {
    EXPECT_LE(message.due_us, wall_us());
    seen_.push_back(message.id);
    seen_at_us_.push_back(loop_.now_us());
  }

  io::SimLoop loop_;
  MeteredEngine engine_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<WorkQueue> queue_;
  std::vector<std::string> seen_;
  std::vector<int64_t> seen_at_us_;
  size_t most_at_once_ = 0;
  int faults_ = 0;
};

TEST_F(WorkQueueTest, DeliversInDueOrderAndOnlyItsOwnQueue) {
  put("c", -1);
  put("a", -3);
  put("b", -2);
  put("stranger", -5, "other");
  put("stranger", -5, "work2");
  make(1, acknowledging);
  queue_->start();
  loop_.run();
  EXPECT_EQ(seen_, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(stored(), 0u);
}

TEST_F(WorkQueueTest, WaitsUntilAMessageIsDueAndNoLonger) {
  put("later", 5'000'000);
  put("much later", 3'600'000'000);
  make(4, acknowledging);
  int64_t start_us = loop_.now_us();
  queue_->start();
  loop_.run();
  EXPECT_EQ(seen_, (std::vector<std::string>{"later", "much later"}));
  EXPECT_EQ(seen_at_us_[0], start_us + 5'000'000);
  EXPECT_EQ(seen_at_us_[1], start_us + 3'600'000'000);
}

TEST_F(WorkQueueTest, HandlesAtMostAWindowAtOnceAndUsesAllOfIt) {
  for (int at = 0; at < 100; ++at) put(std::to_string(at));
  make(7, slow);
  int64_t start_us = loop_.now_us();
  queue_->start();
  loop_.run();
  EXPECT_EQ(seen_.size(), 100u);
  EXPECT_EQ(most_at_once_, 7u);
  EXPECT_LE(seen_at_us_.back() - start_us, 10'000 * 15);  // ceil(100 / 7) turns: no turn was lost to a scan
}

TEST_F(WorkQueueTest, AMessageThatWasNotAcknowledgedComesAgainAfterAPause) {
  put("x");
  make(4, forgetful);
  queue_->start();
  loop_.run();
  ASSERT_EQ(seen_, (std::vector<std::string>{"x", "x", "x"}));
  EXPECT_EQ(seen_at_us_[1] - seen_at_us_[0], WorkQueue::kRedeliverUs);
  EXPECT_EQ(seen_at_us_[2] - seen_at_us_[1], WorkQueue::kRedeliverUs);
  EXPECT_EQ(stored(), 0u);
}

TEST_F(WorkQueueTest, AnExceptionIsReportedAndTheMessageComesAgain) {
  put("x");
  put("y");
  make(4, failing_once);
  queue_->start();
  loop_.run();
  EXPECT_EQ(seen_, (std::vector<std::string>{"x", "y", "x", "y"}));
  EXPECT_EQ(faults_, 2);
  EXPECT_EQ(stored(), 0u);
}

TEST_F(WorkQueueTest, MessagesWaitingForTheirRetryDoNotHoldUpTheOthers) {
  for (int at = 0; at < 50; ++at) put("failing-" + std::to_string(at), -1'000);
  make(4, failing_once);
  queue_->start();
  loop_.run_for(1'000);
  EXPECT_EQ(seen_.size(), 50u);  // all had their first turn although the window is 4
  loop_.run();
  EXPECT_EQ(seen_.size(), 100u);
  EXPECT_EQ(stored(), 0u);
}

TEST_F(WorkQueueTest, MoreUnacknowledgedMessagesThanItRemembersAreStillAllHandled) {
  for (int at = 0; at < 3'000; ++at) put(std::to_string(at));
  make(256, failing_once);
  queue_->start();
  loop_.run();
  EXPECT_EQ(stored(), 0u);
  EXPECT_EQ(std::set(seen_.begin(), seen_.end()).size(), 3'000u);
  EXPECT_LT(engine_.scans, 500u);
}

TEST_F(WorkQueueTest, WakeShowsItNewMessagesEvenThoseDueBeforeOnesAlreadyDelivered) {
  make(4, acknowledging);
  queue_->start();
  put("first");
  queue_->wake();
  loop_.run();
  put("past", -9'000'000);
  queue_->wake();
  loop_.run();
  EXPECT_EQ(seen_, (std::vector<std::string>{"first", "past"}));
}

TEST_F(WorkQueueTest, AConsumersOwnMessagesAreFoundWithoutAWake) {
  put("1");
  make(4, adding_the_next);
  queue_->start();
  loop_.run();
  EXPECT_EQ(seen_, (std::vector<std::string>{"1", "2", "3", "4", "5"}));
  EXPECT_EQ(seen_at_us_[4] - seen_at_us_[3], 400'000);
}

TEST_F(WorkQueueTest, StopLetsRunningConsumersEndAndStartsNoMore) {
  for (int at = 0; at < 10; ++at) put(std::to_string(at));
  make(3, slow);
  queue_->start();
  loop_.run_for(5'000);
  EXPECT_EQ(queue_->in_flight(), 3u);
  loop_.wait(queue_->stop());
  EXPECT_EQ(queue_->in_flight(), 0u);
  EXPECT_EQ(seen_.size(), 3u);
  queue_->wake();
  loop_.run();
  EXPECT_EQ(seen_.size(), 3u);
  EXPECT_EQ(stored(), 7u);
}

TEST_F(WorkQueueTest, AFailedScanIsTriedAgain) {
  put("x");
  engine_.failing_scans = 4;
  make(4, acknowledging);
  queue_->start();
  loop_.run();
  EXPECT_EQ(seen_, (std::vector<std::string>{"x"}));
  EXPECT_EQ(faults_, 4);
}

TEST_F(WorkQueueTest, ALongBacklogIsReadInProportionToItsLength) {
  constexpr size_t kMessages = 20'000;
  for (size_t at = 0; at < kMessages; ++at) put(std::to_string(at));
  make(256, acknowledging);
  queue_->start();
  loop_.run();
  EXPECT_EQ(seen_.size(), kMessages);
  EXPECT_LT(engine_.rows_read, 3 * kMessages);
}

TEST_F(WorkQueueTest, AcknowledgeOnceLetsOnlyTheFirstOfTwoWorkersCommit) {
  Message message{.queue = "work", .due_us = 7, .id = "x", .payload = "p"};
  store::Batch put, first, second, harmless;
  add(put, message);
  acknowledge_once(first, message);
  acknowledge_once(second, message);
  second.put("effect", "twice");
  acknowledge(harmless, message);
  EXPECT_EQ(engine_.apply(std::vector{put, first, second, harmless}), (std::vector<bool>{true, true, false, true}));
  EXPECT_EQ(engine_.get("effect"), std::nullopt);
}

TEST_F(WorkQueueTest, ARowReadsBackAsItsMessage) {
  put(std::string("id\0with zero", 12), 5);
  auto range = rows_of("work");
  auto rows = engine_.scan(range);
  ASSERT_EQ(rows.size(), 1u);
  auto message = read_message(rows[0]);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->queue, "work");
  EXPECT_EQ(message->due_us, wall_us() + 5);
  EXPECT_EQ(message->payload, "payload of " + message->id);
  EXPECT_FALSE(read_message({"other", "row"}));
}

// One thread owns the queue; another commits messages and wakes it.
struct Counting {
  io::Shard& shard;
  store::Store& store;
  std::set<std::string> seen{};
};
io::Task<void> count(Counting& counting, Message message) {
  store::Batch batch;
  acknowledge_once(batch, message);
  if (co_await counting.store.commit(counting.shard, std::move(batch)) == store::Commit::done) counting.seen.insert(message.id);
}
io::Task<void> produce(io::Shard& shard, store::Store& store, WorkQueue& queue, int count) {
  for (int at = 0; at < count; ++at) {
    store::Batch batch;
    add(batch, {.queue = "work", .due_us = shard.clock().wall_us(), .id = std::to_string(at), .payload = {}});
    co_await store.commit(shard, std::move(batch));
    queue.wake();
  }
  shard.stop();
}
io::Task<void> stop_when_all_seen(Counting& counting, WorkQueue& queue, size_t count) {
  while (counting.seen.size() < count) co_await io::sleep_us(counting.shard, 100);
  co_await queue.stop();
  counting.shard.stop();
}

TEST(WorkQueueThreads, AWakeFromAnotherThreadNeverGetsLost) {
  constexpr int kMessages = 2'000;
  io::Shard owner(0), producer(1);
  auto store = store::make_committer(store::make_memory_engine());
  Counting counting{owner, *store};
  auto queue = make_work_queue(owner, *store, {.name = "work"}, [&](Message message) { return count(counting, std::move(message)); });
  io::TaskGroup owner_group(owner), producer_group(producer);
  std::jthread other([&] {
    producer.post([&] { producer_group.spawn(produce(producer, *store, *queue, kMessages)); });
    producer.run();
  });
  owner.post([&] {
    queue->start();
    owner_group.spawn(stop_when_all_seen(counting, *queue, kMessages));
  });
  owner.run();
  other.join();
  EXPECT_EQ(counting.seen.size(), static_cast<size_t>(kMessages));
}

}  // namespace
}  // namespace mayfly::queues
