// The dispatcher on real shards: calls from every thread reach a function's one home and come back to where they were made.

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "dispatch/dispatcher.h"
#include "dispatch/fake_instances.h"
#include "functions/fake_code.h"
#include "io/group.h"
#include "io/hop.h"
#include "io/shard.h"
#include "store/memory_engine.h"
#include "sys/file.h"

namespace mayfly::dispatch {
namespace {

struct CountingObserver final : InvocationObserver {
  void started(const Invocation&, const std::string&) override {}
  void finished(const Invocation&, const Outcome&, int64_t) override { ++calls; }
  void printed(const Target&, const std::string&, const std::string&, std::string) override {}
  std::atomic<int> calls = 0;
};

struct World {
  std::vector<std::unique_ptr<io::Shard>> shards;
  std::vector<std::unique_ptr<FakeWorld>> worlds;
  std::vector<std::unique_ptr<FakeFactory>> factories;
  SystemRng rng;
  SystemClock clock;
  functions::FakeCodeStore code;
  CountingObserver observer;
  std::unique_ptr<functions::Catalogue> catalogue;
  std::unique_ptr<Dispatcher> dispatcher;
  std::atomic<int> answered = 0;
};

constexpr int kFunctions = 8, kCallsPerShard = 200;

io::Task<void> call_all(World& world, io::Loop& loop) {
  std::thread::id here = std::this_thread::get_id();
  for (int i = 0; i < kCallsPerShard; ++i) {
    Invocation call{.request_id = uuid(world.rng), .target = {"s", "f" + std::to_string(i % kFunctions), ""}, .payload = "p" + std::to_string(i), .http = {}};
    auto outcome = co_await world.dispatcher->invoke(loop, call, io::Deadline::never());
    EXPECT_TRUE(outcome && outcome->body == call.payload);
    EXPECT_EQ(std::this_thread::get_id(), here);
    ++world.answered;
  }
}

io::Task<void> deploy(World& world, io::Loop& loop) {
  co_await world.catalogue->load(loop);
  co_await world.catalogue->create_service(loop, {.name = "s"});
  for (int i = 0; i < kFunctions; ++i) {
    auto made = co_await world.catalogue->create_function(
        loop, {.service = "s", .name = "f" + std::to_string(i), .runtime = "python3", .handler = "i.h", .code = {"d", "1", 1}});
    EXPECT_TRUE(made);
  }
}

// The whole life on the first shard; the others are asked to call from their own threads meanwhile.
io::Task<void> live(World& world) {
  io::Loop& home = *world.shards[0];
  co_await deploy(world, home);
  io::TaskGroup others(home);
  for (size_t i = 1; i < world.shards.size(); ++i)
    others.spawn(io::call_on<void>(home, *world.shards[i], [&world, i] { return call_all(world, *world.shards[i]); }));
  co_await call_all(world, home);
  co_await others.drain();
  Totals totals = co_await world.dispatcher->totals(home);
  EXPECT_EQ(totals.invocations, static_cast<uint64_t>(world.answered.load()));
  EXPECT_EQ(totals.functions, static_cast<size_t>(kFunctions));
  co_await world.dispatcher->stop(home, io::Deadline::after_us(home, kMicrosPerSecond));
  for (auto& shard : world.shards) shard->stop();
}

TEST(DispatcherOnShards, AnswersEveryCallOnTheThreadThatMadeIt) {
  std::string folder = std::filesystem::temp_directory_path().string() + "/mayfly-shards-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  World world;
  auth::Keyring keyring = auth::Keyring::open(folder, world.rng);
  auto store = store::make_committer(store::make_memory_engine());
  world.catalogue = functions::make_catalogue(*store, world.code, world.clock, world.rng);
  std::vector<ShardContext> contexts;
  for (unsigned i = 0; i < 3; ++i) {
    world.shards.push_back(std::make_unique<io::Shard>(i));
    world.worlds.push_back(std::make_unique<FakeWorld>());
    world.worlds.back()->start_us = 100;
    world.factories.push_back(std::make_unique<FakeFactory>(*world.shards.back(), *world.worlds.back()));
    contexts.push_back({*world.shards.back(), *world.factories.back()});
  }
  world.dispatcher = make_invoker(contexts, *world.catalogue, keyring, world.observer, world.rng, {.memory_budget_mb = 100'000});
  {
    io::TaskGroup main(*world.shards[0]);
    world.shards[0]->post([&] { main.spawn(live(world)); });
    std::vector<std::jthread> threads;
    for (size_t i = 1; i < world.shards.size(); ++i) threads.emplace_back([&world, i] { world.shards[i]->run(); });
    world.shards[0]->run();
  }
  EXPECT_EQ(world.answered, 3 * kCallsPerShard);
  EXPECT_EQ(world.observer.calls, 3 * kCallsPerShard);
  for (auto& each : world.worlds) EXPECT_EQ(each->running, 0u);
  world.dispatcher.reset();
  sys::remove_tree(folder);
}

}  // namespace
}  // namespace mayfly::dispatch
