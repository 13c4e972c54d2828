// What a sandbox costs: from Nursery::launch to the program's first instruction (a confined /bin/true), and how many are started, run to
// their end and taken down each second. The ways of making them are compared in one run; of those that are held only the release is timed, as
// a start that finds one waits for no more. Prints one table; exits with 1 when the target is
// missed, so that it can be run as a check. `sandbox_bench seconds` measures the rate for that long (default 3);
// `sandbox_bench seconds "4 ready"` does one of the ways.
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "io/group.h"
#include "sandbox/etc.h"
#include "sandbox/init.h"
#include "sandbox/nursery.h"
#include "sys/file.h"

namespace mayfly::sandbox {
namespace {

constexpr int kStarts = 100;
constexpr int64_t kPauseUs = 20'000;  // between single starts: the kernel still takes down the last one, and the nursery makes the next
constexpr size_t kAtOnce = 4;         // launches under way per shard when the rate is measured
constexpr double kTargetPerSecond = 500;
constexpr int64_t kTargetUs = 1'000;

Plan plan() {
  return {.hostname = "bench",
          .binds = system_binds(),
          .files = etc_files({.account = "1", .region = "cn-hangzhou", .hostname = "bench"}),
          .doors = {80, 443, 8080},
          .dns_door = true,
          .confined = true,
          .frames = true,
          .command = {"/bin/true"},
          .environment = {"PATH=/usr/bin:/bin"},
          .folder = "/"};
}

enum class Way { exec_each, forked, ready_made, held };
constexpr std::pair<Way, const char*> kWays[] = {
    {Way::exec_each, "nursery started for each"}, {Way::forked, "nursery, none ready"}, {Way::ready_made, "nursery, 4 ready"}, {Way::held, "made ahead, held"}};

struct Launcher {
  Launcher(io::Shard& shard, Way way)
      : shard(shard), way(way), nursery(shard, {.self_path = sys::self_path(), .ready = way == Way::ready_made || way == Way::held ? size_t{4} : size_t{0}}) {}

  io::Task<std::unique_ptr<Sandbox>> launch() {
    if (way == Way::exec_each) {
      Nursery own(shard, {.self_path = sys::self_path(), .ready = 0});
      co_return co_await launch_from(own);
    }
    co_return co_await launch_from(nursery);
  }
  io::Task<std::unique_ptr<Sandbox>> launch_from(Nursery& from) {
    Plan made = plan();
    made.held = way == Way::held;
    auto launched = co_await from.launch(std::move(made), std::nullopt, io::Deadline::after_us(shard, 10 * kMicrosPerSecond));
    if (!launched) throw std::runtime_error(launched.error().message);
    co_return std::move(*launched);
  }

  io::Task<void> release(Sandbox& sandbox) {
    auto released = co_await sandbox.release(io::Deadline::after_us(shard, 10 * kMicrosPerSecond));
    if (!released) throw std::runtime_error(released.error().message);
  }

  io::Shard& shard;
  Way way;
  Nursery nursery;
};

// Of the whole machine, in microseconds: what the kernel does for us in threads of its own counts too.
int64_t machine_cpu_us() {
  std::ifstream file("/proc/stat");
  std::string word;
  int64_t user, nice, system, idle, iowait, irq, softirq;
  file >> word >> user >> nice >> system >> idle >> iowait >> irq >> softirq;
  return (user + nice + system + irq + softirq) * 10'000;
}

io::Task<void> measure_starts(Launcher& launcher, std::vector<int64_t>& took) {
  for (int i = 0; i < kStarts; ++i) {
    int64_t began_us = launcher.shard.now_us();
    auto sandbox = co_await launcher.launch();
    if (launcher.way == Way::held) {
      co_await io::sleep_us(launcher.shard, kPauseUs);
      began_us = launcher.shard.now_us();
      co_await launcher.release(*sandbox);
    }
    took.push_back(launcher.shard.now_us() - began_us);
    co_await sandbox->exit_status(io::Deadline::never());
    sandbox.reset();
    co_await io::sleep_us(launcher.shard, kPauseUs);
  }
  co_await launcher.nursery.stop();
  launcher.shard.stop();
}

io::Task<void> start_until(Launcher& launcher, int64_t until_us, int& count) {
  while (launcher.shard.now_us() < until_us) {
    auto sandbox = co_await launcher.launch();
    if (launcher.way == Way::held) co_await launcher.release(*sandbox);
    co_await sandbox->exit_status(io::Deadline::never());
    ++count;
  }
}

io::Task<void> measure_rate(Launcher& launcher, int64_t until_us, int& count) {
  io::TaskGroup group(launcher.shard);
  for (size_t i = 0; i < kAtOnce; ++i) group.spawn(start_until(launcher, until_us, count));
  co_await group.drain();
  co_await launcher.nursery.stop();
  launcher.shard.stop();
}

void on_shard(unsigned index, Way way, std::function<io::Task<void>(Launcher&)> work) {
  io::Shard shard(index);
  Launcher launcher(shard, way);
  io::TaskGroup group(shard, [](std::exception_ptr fault) { std::rethrow_exception(fault); });
  group.spawn(work(launcher));
  shard.run(io::Shard::Pin::yes);
}

int run(int64_t seconds, std::string_view only) {
  fmt::print("{:<26} {:>12} {:>12} {:>14} {:>22}\n", "", "p50 us", "p90 us", "sandboxes/s", "machine CPU us each");
  bool met = true;
  for (auto [way, name] : kWays) {
    if (!std::string_view(name).ends_with(only)) continue;
    std::vector<int64_t> took;
    on_shard(0, way, [&took](Launcher& launcher) { return measure_starts(launcher, took); });
    std::sort(took.begin(), took.end());
    int counts[2] = {};
    int64_t cpu_us = machine_cpu_us();
    {
      std::vector<std::jthread> threads;
      for (unsigned index : {0u, 1u}) {
        threads.emplace_back([&, index, way = way] {
          on_shard(index, way, [&, index](Launcher& launcher) { return measure_rate(launcher, launcher.shard.now_us() + seconds * kMicrosPerSecond, counts[index]); });
        });
      }
    }
    cpu_us = machine_cpu_us() - cpu_us;
    int count = counts[0] + counts[1];
    double rate = double(count) / double(seconds);
    fmt::print("{:<26} {:>12} {:>12} {:>14.0f} {:>22.0f}\n", name, took[kStarts / 2], took[kStarts * 9 / 10], rate, double(cpu_us) / count);
    if (way == Way::ready_made) met &= rate >= kTargetPerSecond;
    if (way == Way::held) met &= took[kStarts / 2] <= kTargetUs;
  }
  return met ? 0 : 1;
}

}  // namespace
}  // namespace mayfly::sandbox

int main(int argc, char** argv) {
  if (argc > 1 && argv[1] == mayfly::sandbox::kInitArgument) return mayfly::sandbox::init_main(argc, argv);
  return mayfly::sandbox::run(argc > 1 ? std::atoll(argv[1]) : 3, argc > 2 ? argv[2] : "");
}
