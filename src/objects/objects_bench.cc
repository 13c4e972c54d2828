// What the room itself costs per operation, over the memory engine on a simulated loop: no disk, no thread, no socket.
#include <benchmark/benchmark.h>

#include "io/sim_loop.h"
#include "objects/buckets.h"
#include "objects/memory_blobs.h"
#include "store/memory_engine.h"

namespace mayfly::objects {
namespace {

struct World {
  io::SimLoop loop;
  SeededRng rng{1};
  std::unique_ptr<store::Engine> engine = store::make_memory_engine();
  std::unique_ptr<store::Store> store = store::make_inline_store(*engine);
  MemoryBlobs blobs;
  Ground ground{*store, blobs, loop.clock(), rng};
  Buckets buckets{ground};
  Objects objects{ground};

  World() { loop.wait(buckets.create(loop, {.name = "bench"})); }
  void put(std::string key, size_t size) {
    PutRequest request{.info = {.bucket = "bench", .key = std::move(key), .content_type = "image/jpeg"}};
    (void)loop.wait(objects.put(loop, std::move(request), http::make_body(std::string(size, 'x'))));
  }
};

void put_new_1k(benchmark::State& state) {
  World world;
  size_t n = 0;
  for (auto _ : state) world.put(fmt::format("photo/{:09}", n++), 1024);
}
BENCHMARK(put_new_1k);

void overwrite_1k(benchmark::State& state) {
  World world;
  for (auto _ : state) world.put("same", 1024);
}
BENCHMARK(overwrite_1k);

void get_1k(benchmark::State& state) {
  World world;
  world.put("same", 1024);
  for (auto _ : state) benchmark::DoNotOptimize(world.loop.wait(world.objects.get(world.loop, {.bucket = "bench", .key = "same"})));
}
BENCHMARK(get_1k);

void list_1000_of_100000(benchmark::State& state) {
  World world;
  for (int i = 0; i < 100'000; ++i) world.put(fmt::format("photo/{:09}", i), 0);
  for (auto _ : state) {
    benchmark::DoNotOptimize(world.loop.wait(world.objects.list(world.loop, {.bucket = "bench", .after = "photo/000050000", .limit = 1000})));
  }
  state.SetItemsProcessed(state.iterations() * 1000);
}
BENCHMARK(list_1000_of_100000);

}  // namespace
}  // namespace mayfly::objects
