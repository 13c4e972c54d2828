// The test binary is also the sandbox's init, which the factory starts as the server does, and a small server that waits to be killed.
#include <gtest/gtest.h>

#include "runtime/sandbox_fixture.h"
#include "runtime/stdio_runner.h"
#include "sandbox/init.h"

namespace mayfly::runtime {
namespace {

// Starts one instance of the function in `folder` and a call of it that does not end, with a subprocess; says so on descriptor 3.
io::Task<void> run_a_call(io::Shard& shard, InstanceFactory& factory, std::string folder) {
  auto runnable = std::make_shared<functions::Runnable>();
  runnable->code_path = folder;
  runnable->function.service = "s";
  runnable->function.name = "f";
  runnable->function.runtime = "python3";
  runnable->function.handler = "index.handler";
  auto instance = co_await factory.start({.runnable = runnable, .account = "1", .region = "r", .printed = [](const std::string&, const std::string&, std::string text) {
                                            sys::write_all(3, text, "test");
                                          }});
  if (!instance) throw std::runtime_error(instance.error().message);
  co_await (*instance)->call({.request_id = "r", .deadline = io::Deadline::never()});
}

int serve_until_killed(std::string folder) {
  io::Shard shard(0);
  TestDoors doors(shard);
  SystemRng rng;
  auto factory = make_instance_factory(shard, doors, {.runtimes_folder = std::string(MAYFLY_SOURCE_DIR) + "/runtimes", .state_folder = folder}, rng);
  io::TaskGroup group(shard, [](std::exception_ptr fault) { std::rethrow_exception(fault); });
  group.spawn(run_a_call(shard, *factory, folder));
  shard.run();
  return 0;
}

}  // namespace
}  // namespace mayfly::runtime

int main(int argc, char** argv) {
  if (argc > 1 && argv[1] == mayfly::sandbox::kInitArgument) return mayfly::sandbox::init_main(argc, argv);
  if (argc > 2 && argv[1] == mayfly::runtime::kStdioRunnerArgument) return mayfly::runtime::stdio_runner_main(argc, argv);
  if (argc > 2 && argv[1] == mayfly::runtime::kServeArgument) return mayfly::runtime::serve_until_killed(argv[2]);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
