// Full cycles of a message over SQLite: a durable enqueue by one of 64 producers, delivery, a durable acknowledgement.
#include <benchmark/benchmark.h>

#include "io/shard.h"
#include "queues/work_queue.h"
#include "store/sqlite_engine.h"
#include "store/test_folder.h"

namespace mayfly::queues {
namespace {

constexpr int kProducers = 64;
constexpr int kMessages = 20'000;  // per iteration, a multiple of kProducers less the rest

struct Cycle {
  io::Shard& shard;
  store::Store& store;
  int left;
  std::unique_ptr<WorkQueue> queue{};
};

io::Task<void> stop(Cycle& cycle) {
  co_await cycle.queue->stop();
  cycle.shard.stop();
}
io::Task<void> consume(Cycle& cycle, io::TaskGroup& last, Message message) {
  store::Batch batch;
  acknowledge_once(batch, message);
  co_await cycle.store.commit(cycle.shard, std::move(batch));
  if (--cycle.left == 0) last.spawn(stop(cycle));
}
io::Task<void> produce(Cycle& cycle, int producer, int count, std::string payload) {
  for (int at = 0; at < count; ++at) {
    store::Batch batch;
    add(batch, {.queue = "bench", .due_us = cycle.shard.clock().wall_us(), .id = fmt::format("{}-{}", producer, at), .payload = payload});
    co_await cycle.store.commit(cycle.shard, std::move(batch));
    cycle.queue->wake();
  }
}

void EnqueueDeliverAcknowledge(benchmark::State& state) {
  store::TestFolder folder;
  std::vector<std::unique_ptr<io::Shard>> shards;  // outlive the store
  auto store = store::make_committer(store::open_sqlite_engine(folder / "kv"));
  std::string payload(static_cast<size_t>(state.range(0)), 'x');
  constexpr int kEach = kMessages / kProducers;
  for (auto _ : state) {
    io::Shard& shard = *shards.emplace_back(std::make_unique<io::Shard>(0));
    io::TaskGroup group(shard), last(shard);
    Cycle cycle{.shard = shard, .store = *store, .left = kEach * kProducers};
    cycle.queue = make_work_queue(shard, *store, {.name = "bench"}, [&](Message message) { return consume(cycle, last, std::move(message)); });
    shard.post([&] {
      cycle.queue->start();
      for (int producer = 0; producer < kProducers; ++producer) group.spawn(produce(cycle, producer, kEach, payload));
    });
    shard.run();
  }
  state.SetItemsProcessed(state.iterations() * kEach * kProducers);
}
BENCHMARK(EnqueueDeliverAcknowledge)->ArgName("bytes")->Arg(512)->UseRealTime()->Unit(benchmark::kMillisecond);

// A backlog worked off: delivery and durable acknowledgement only.
void DrainBacklog(benchmark::State& state) {
  store::TestFolder folder;
  int64_t backlog = state.range(0);
  std::string payload(512, 'x');
  for (auto _ : state) {
    state.PauseTiming();
    auto engine = store::open_sqlite_engine(folder / "kv");
    for (int64_t at = 0; at < backlog;) {
      store::Batch batch;
      for (int row = 0; row < 1'000; ++row, ++at) add(batch, {.queue = "bench", .due_us = at, .id = std::to_string(at), .payload = payload});
      engine->apply(std::span(&batch, 1));
    }
    io::Shard shard(0);
    auto store = store::make_committer(std::move(engine));
    state.ResumeTiming();
    io::TaskGroup last(shard);
    Cycle cycle{.shard = shard, .store = *store, .left = static_cast<int>(backlog)};
    cycle.queue = make_work_queue(shard, *store, {.name = "bench"}, [&](Message message) { return consume(cycle, last, std::move(message)); });
    shard.post([&] { cycle.queue->start(); });
    shard.run();
  }
  state.SetItemsProcessed(state.iterations() * backlog);
}
BENCHMARK(DrainBacklog)->ArgName("messages")->Arg(100'000)->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace mayfly::queues
