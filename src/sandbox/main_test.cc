// The test binary is also the nursery's process, which Nursery starts as the server does, and a small server that waits to be killed.
#include "sandbox/fixture.h"
#include "sandbox/init.h"

namespace mayfly::sandbox {
namespace {

io::Task<void> launch_and_say_so(io::Shard& shard, Nursery& nursery, std::unique_ptr<Sandbox>& sandbox) {
  auto launched = co_await nursery.launch(confined_plan({"/bin/sh", "-c", "(setsid sleep 999 &) ; sleep 999"}), std::nullopt, io::Deadline::never());
  if (!launched) throw std::runtime_error(launched.error().message);
  sandbox = std::move(*launched);
  sys::write_all(3, "running", "test");
}

int serve_until_killed() {
  io::Shard shard(0);
  Nursery nursery(shard, {.self_path = sys::self_path()});
  std::unique_ptr<Sandbox> sandbox;
  io::TaskGroup group(shard, [](std::exception_ptr fault) { std::rethrow_exception(fault); });
  group.spawn(launch_and_say_so(shard, nursery, sandbox));
  shard.run();
  return 0;
}

}  // namespace
}  // namespace mayfly::sandbox

int main(int argc, char** argv) {
  if (argc > 1 && argv[1] == mayfly::sandbox::kInitArgument) return mayfly::sandbox::init_main(argc, argv);
  if (argc > 1 && argv[1] == mayfly::sandbox::kServeArgument) return mayfly::sandbox::serve_until_killed();
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
