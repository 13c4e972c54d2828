// Durable commits per second through the committer over SQLite, in a folder of the temporary directory (set TMPDIR to choose the disk).
#include <benchmark/benchmark.h>

#include "io/group.h"
#include "io/shard.h"
#include "store/sqlite_engine.h"
#include "store/store.h"
#include "store/test_folder.h"

namespace mayfly::store {
namespace {

constexpr int kPuts = 20'000;  // per iteration, over all callers

io::Task<void> put_many(Store& store, io::Loop& loop, int caller, int count, std::string body, int64_t& next) {
  for (int at = 0; at < count; ++at) {
    Batch batch;
    batch.put(fmt::format("{:04}/{:012}", caller, next++), body);
    co_await store.commit(loop, std::move(batch));
  }
}
io::Task<void> drain_and_stop(io::Shard& shard, io::TaskGroup& group) {
  co_await group.drain();
  shard.stop();
}

void DurablePuts(benchmark::State& state) {
  TestFolder folder;
  std::vector<std::unique_ptr<io::Shard>> shards;  // outlive the store
  auto store = make_committer(open_sqlite_engine(folder / "kv"));
  int callers = static_cast<int>(state.range(0));
  std::string body(static_cast<size_t>(state.range(1)), 'x');
  int64_t next = 0;
  for (auto _ : state) {
    io::Shard& shard = *shards.emplace_back(std::make_unique<io::Shard>(0));
    io::TaskGroup group(shard), last(shard);
    shard.post([&] {
      for (int caller = 0; caller < callers; ++caller) group.spawn(put_many(*store, shard, caller, kPuts / callers, body, next));
      last.spawn(drain_and_stop(shard, group));
    });
    shard.run();
  }
  state.SetItemsProcessed(state.iterations() * (kPuts / callers) * callers);
}
BENCHMARK(DurablePuts)
    ->ArgNames({"callers", "bytes"})
    ->Args({1, 1024})->Args({64, 1024})->Args({256, 512})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace mayfly::store
