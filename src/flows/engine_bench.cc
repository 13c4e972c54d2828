// Durable flow throughput over SQLite: executions of a flow of 20 pure steps (10 rounds of pass and choice), many started at once. Each
// execution is one commit; the committer groups those that are waiting. Target: 5,000 steps/s.

#include <benchmark/benchmark.h>

#include <filesystem>

#include "flows/engine.h"
#include "io/group.h"
#include "store/sqlite_engine.h"
#include "io/shard.h"

namespace mayfly::flows {
namespace {

constexpr int kExecutions = 500;
constexpr int kSteps = 20;

class NoFunctions final : public dispatch::Invoker {
 public:
  io::Task<Expected<dispatch::Outcome, dispatch::InvokeError>> invoke(io::Loop&, dispatch::Invocation, io::Deadline) override {
    co_return fail(dispatch::InvokeError::not_found, "no functions here");
  }
};

std::string definition() {
  std::string out = "version: v1\ntype: flow\nsteps:\n";
  for (int i = 0; i < kSteps / 2; ++i) {
    out += fmt::format("- {{type: pass, name: p{0}, outputMappings: [{{target: n, source: {0}}}]}}\n", i);
    out += fmt::format("- {{type: choice, name: c{0}, choices: [{{condition: $.n == {0}, steps: [{{type: pass, name: inner}}]}}]}}\n", i);
  }
  return out;
}

io::Task<void> start_one(Engine& engine, io::Loop& loop, std::string name, int& ended) {
  StartRequest request{.flow = "f", .name = std::move(name)};
  auto started = co_await engine.start(loop, std::move(request));
  MAYFLY_CHECK(started.has_value());
  ++ended;
}

io::Task<void> run_all(Engine& engine, io::Shard& shard, int round) {
  io::TaskGroup group(shard);
  int ended = 0;
  for (int i = 0; i < kExecutions; ++i) group.spawn(start_one(engine, shard, fmt::format("{}-{}", round, i), ended));
  co_await group.drain();
  MAYFLY_CHECK_OP(ended, ==, kExecutions);
}

io::Task<void> measure(Engine& engine, io::Shard& shard, benchmark::State& state) {
  Flow flow{.name = "f", .definition = definition()};
  auto created = co_await engine.create_flow(shard, std::move(flow));
  MAYFLY_CHECK(created.has_value());
  int round = 0;
  for (auto _ : state) co_await run_all(engine, shard, round++);
  state.SetItemsProcessed(state.iterations() * kExecutions * (kSteps + kSteps / 2));
  co_await engine.stop(shard);
  shard.stop();
}

void PureSteps(benchmark::State& state) {
  auto folder = std::filesystem::temp_directory_path() / "mayfly-flows-bench";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  {
    auto store = store::make_committer(store::open_sqlite_engine(folder / "bench.db"));
    io::Shard shard(0);
    NoFunctions functions;
    SystemRng rng;
    Engine engine({.loops = {&shard}, .store = *store, .invoker = functions, .rng = rng});
    engine.start();
    io::TaskGroup group(shard);
    group.spawn(measure(engine, shard, state));
    shard.run();
  }
  std::filesystem::remove_all(folder);
}
BENCHMARK(PureSteps)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace mayfly::flows
