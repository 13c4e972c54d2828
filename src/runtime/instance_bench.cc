// What an instance costs, in real sandboxes (DESIGN section 6): a cold start is a fork of a zygote that has cv2 imported, to the first
// answer; a warm call's cost is the CPU time of both sides per call. Prints one table; exits with 1 when a target is missed, so that it
// can be run as a check. MAYFLY_TEST_LIBRARIES names the folder that has cv2.
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "runtime/factory.h"
#include "sandbox/init.h"

namespace mayfly::runtime {
namespace {

constexpr int kStarts = 30, kCalls = 20'000;
constexpr int64_t kPauseUs = 30'000;  // the kernel takes down the last one's mounts, which a start at the same time would wait for
constexpr int64_t kColdTargetUs = 8'000;
constexpr double kCallTargetUs = 25;

class NoDoors final : public DoorKeeper {
 public:
  void open(const std::string&, DoorSocket) override {}
  void close(const std::string&) override {}
};

std::shared_ptr<functions::Runnable> sample(const std::string& folder, const std::string& imports) {
  auto runnable = std::make_shared<functions::Runnable>();
  runnable->code_path = folder;
  runnable->function.service = "bench";
  runnable->function.name = "noop";
  runnable->function.runtime = "python3";
  runnable->function.handler = "index.handler";
  runnable->function.memory_mb = 512;
  sys::make_folders(folder);
  sys::write_file(folder + "/index.py", imports + "\ndef handler(event, context):\n    return event\n");
  return runnable;
}

int64_t cpu_us(const rusage& usage) { return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * kMicrosPerSecond + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec; }

// Of this process, and of the worker by its own clock (its process is no child of ours).
struct Cpu {
  int64_t server_us = 0, worker_us = 0;
};

io::Task<Cpu> cpu_now(io::Shard& shard, Instance& instance) {
  rusage own;
  ::getrusage(RUSAGE_SELF, &own);
  auto reply = co_await instance.call({.request_id = "cpu", .payload = "cpu", .deadline = io::Deadline::after_us(shard, kMicrosPerSecond)});
  co_return Cpu{cpu_us(own), std::atoll(reply.body.c_str())};
}

io::Task<void> measure(io::Shard& shard, InstanceFactory& factory, std::string folder, bool& met) {
  auto light = sample(folder + "/light", "import time\nclass Cpu(bytes): pass\n");
  sys::write_file(light->code_path + "/index.py", "import time\ndef handler(event, context):\n    return str(time.process_time_ns() // 1000) if event == b'cpu' else event\n");
  auto heavy = sample(folder + "/heavy", "import cv2, numpy, oss2");
  heavy->revision = 2;
  for (auto [name, runnable, target_us] : {std::tuple{"plain", light, kColdTargetUs}, std::tuple{"cv2, numpy, oss2", heavy, kColdTargetUs}}) {
    int64_t before_us = shard.now_us();
    auto first = co_await factory.start({.runnable = runnable, .account = "1", .region = "r"});
    if (!first) throw std::runtime_error(first.error().message);
    fmt::print("zygote, first   {:<18} {:8.1f} ms\n", name, double(shard.now_us() - before_us) / 1000);
    co_await (*first)->stop(io::Deadline::after_us(shard, kMicrosPerSecond));
    std::vector<int64_t> took, start, init;
    for (int i = 0; i < kStarts; ++i) {
      int64_t began_us = shard.now_us();
      auto instance = co_await factory.start({.runnable = runnable, .account = "1", .region = "r"});
      if (!instance) throw std::runtime_error(instance.error().message);
      co_await (*instance)->call({.request_id = "r", .deadline = io::Deadline::after_us(shard, kMicrosPerSecond)});
      took.push_back(shard.now_us() - began_us);
      start.push_back((*instance)->phases().sandbox_us);
      init.push_back((*instance)->phases().import_us);
      co_await (*instance)->stop(io::Deadline::after_us(shard, kMicrosPerSecond));
      co_await io::sleep_us(shard, kPauseUs);
    }
    for (auto* each : {&took, &start, &init}) std::sort(each->begin(), each->end());
    fmt::print("cold start      {:<18} {:8.2f} ms median, {:.2f} worst (fork {:.2f}, init {:.2f})\n", name, double(took[kStarts / 2]) / 1000, double(took.back()) / 1000,
                double(start[kStarts / 2]) / 1000, double(init[kStarts / 2]) / 1000);
    met = met && took[kStarts / 2] <= target_us;
  }
  auto instance = *co_await factory.start({.runnable = light, .account = "1", .region = "r"});
  auto before = co_await cpu_now(shard, *instance);
  int64_t began_us = shard.now_us();
  for (int i = 0; i < kCalls; ++i) {
    co_await instance->call({.request_id = "e9d8b1a8-0000-4000-8000-000000000000", .payload = "{\"key\": 1}", .deadline = io::Deadline::after_us(shard, kMicrosPerSecond)});
  }
  int64_t took_us = shard.now_us() - began_us;
  auto after = co_await cpu_now(shard, *instance);
  double server = double(after.server_us - before.server_us) / kCalls, worker = double(after.worker_us - before.worker_us) / kCalls;
  fmt::print("warm call       {:.1f} us wall, {:.1f} us CPU (server {:.1f}, worker {:.1f})\n", double(took_us) / kCalls, server + worker, server, worker);
  met = met && server + worker <= kCallTargetUs;
  co_await instance->stop(io::Deadline::after_us(shard, kMicrosPerSecond));
  co_await factory.stop();
  shard.stop();
}

int run() {
  io::Shard shard(0);
  NoDoors doors;
  SystemRng rng;
  char folder[] = "/tmp/mayfly-bench-XXXXXX";
  if (::mkdtemp(folder) == nullptr || ::chmod(folder, 0755) < 0) return 1;
  const char* libraries = std::getenv("MAYFLY_TEST_LIBRARIES");
  auto factory = make_instance_factory(shard, doors,
                                       {.runtimes_folder = std::filesystem::path(__FILE__).parent_path() / "../../runtimes",
                                        .libraries_folder = libraries ? libraries : "",
                                        .state_folder = folder},
                                       rng);
  io::TaskGroup group(shard, [](std::exception_ptr fault) { std::rethrow_exception(fault); });  // ends the program with its words
  bool met = true;
  group.spawn(measure(shard, *factory, folder, met));
  shard.run(io::Shard::Pin::yes);
  sys::remove_tree(folder);
  return met ? 0 : 1;
}

}  // namespace
}  // namespace mayfly::runtime

int main(int argc, char** argv) {
  if (argc > 1 && argv[1] == mayfly::sandbox::kInitArgument) return mayfly::sandbox::init_main(argc, argv);
  return mayfly::runtime::run();
}
