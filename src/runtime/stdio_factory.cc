#include "runtime/stdio_factory.h"

#include "runtime/framed_instance.h"
#include "runtime/plan.h"
#include "runtime/stdio_request.h"
#include "runtime/stdio_runner.h"

namespace mayfly::runtime {
namespace {

constexpr const char* kInsideRunner = "/mayfly/runner";

}  // namespace

io::Task<Expected<std::unique_ptr<Instance>, StartError>> StdioFactory::start(StartContext context) {
  int64_t began_us = host_.shard().now_us();
  const auto& function = context.runnable->function;
  const auto& options = host_.options();
  const Contract contract = find_runtime(function.runtime)->contract;
  bool classic = contract == Contract::classic_watchdog;
  if (stdio_settings(function.environment, classic).command.empty())
    co_return fail(StartError::initializer, error_json("fprocess is not set: it names the program that is started for each request", "FunctionNotStarted"));
  sandbox::Plan plan = base_plan(context.account, context.region, hostname_of(function), options);
  for (auto& bind : function_binds(*context.runnable, contract)) plan.binds.push_back(std::move(bind));
  std::string runner = options.self_path;
  if (!options.unsafe_no_sandbox) {
    plan.binds.push_back({options.self_path, kInsideRunner});
    runner = kInsideRunner;
  }
  plan.confined = plan.frames = true;
  plan.held = !function.egress.empty();
  plan.command = {runner, std::string(kStdioRunnerArgument), classic ? "classic" : "of-watchdog"};
  plan.environment = as_list(environment(context, options, contract));
  plan.cores = io::usable_cores();
  plan.folder = places(*context.runnable, options, contract).code;
  MAYFLY_CO_TRY(auto box, co_await host_.launch_instance(std::move(plan), memory_limit(function)));
  MAYFLY_CO_TRY_VOID(co_await host_.open_door(box, context.runnable));
  auto frames = std::move(box->sandbox().frames);
  auto process = host_.program_of(std::move(box), context, host_.new_instance_id());
  StartPhases phases{.sandbox_us = host_.shard().now_us() - began_us};
  co_return co_await start_framed(host_, std::move(context), std::move(process), std::move(frames), {.payload = "{}", .initializer_id = {}}, phases);
}

}  // namespace mayfly::runtime
