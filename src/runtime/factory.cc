#include "runtime/factory.h"

#include "runtime/api_factory.h"
#include "runtime/framed_factory.h"
#include "runtime/http_factory.h"
#include "runtime/python_factory.h"
#include "runtime/runtimes.h"
#include "runtime/stdio_factory.h"
#include "sys/file.h"

namespace mayfly::runtime {

std::unique_ptr<InstanceFactory> make_instance_factory(io::Shard& shard, DoorKeeper& doors, RuntimeOptions options, Rng& rng) {
  return std::make_unique<Factory>(shard, doors, std::move(options), rng);
}

Factory::Factory(io::Shard& shard, DoorKeeper& doors, RuntimeOptions options, Rng& rng)
    : host_(shard, doors, std::move(options), rng),
      zygotes_(std::make_unique<PythonFactory>(host_)),
      framed_(std::make_unique<FramedFactory>(host_)),
      http_(std::make_unique<HttpFactory>(host_)),
      api_(std::make_unique<ApiFactory>(host_)),
      stdio_(std::make_unique<StdioFactory>(host_)) {}

Factory::~Factory() = default;

namespace {

// of-watchdog's modes that start a process per request; its default is one of them (openfaas.md O16.3).
bool forks_per_request(const functions::Function& function, const Runtime& runtime) {
  if (runtime.contract != Contract::of_watchdog) return false;
  auto mode = function.environment.find("mode");
  return mode == function.environment.end() || mode->second != "http";
}

}  // namespace

InstanceFactory* Factory::executor_of(const functions::Function& function) {
  const Runtime* runtime = find_runtime(function.runtime);
  if (!runtime || !found_on_this_machine(*runtime)) return nullptr;
  if (runtime->built && !sys::exists(host_folder(*runtime, host_.options()) + (runtime->prefix == "java" ? "/mayfly.jar" : "/mayfly.dll"))) return nullptr;
  switch (runtime->executor) {
    case Executor::zygote: return zygotes_.get();
    case Executor::framed: return framed_.get();
    case Executor::runtime_api: return api_.get();
    case Executor::http: return forks_per_request(function, *runtime) ? stdio_.get() : http_.get();
    case Executor::stdio: return stdio_.get();
    default: return nullptr;
  }
}

io::Task<Expected<std::unique_ptr<Instance>, StartError>> Factory::start(StartContext context) {
  const auto& function = context.runnable->function;
  UnderWay start(host_.starts(), host_.shard());
  if (InstanceFactory* executor = executor_of(function)) co_return co_await executor->start(std::move(context));
  const Runtime* runtime = find_runtime(function.runtime);
  if (runtime && found_on_this_machine(*runtime) && runtime->built) {
    co_return fail(StartError::unsupported, fmt::format("this build of Mayfly cannot run the runtime \"{}\"", function.runtime),
                   "its part was not built: a compiler for it was missing (see the output of cmake)");
  }
  std::string hint = runtime && !runtime->package.empty() ? fmt::format("install {}; ", runtime->package) : std::string();
  co_return fail(StartError::unsupported, fmt::format("this machine cannot run the runtime \"{}\"", function.runtime), hint + "it has: " + available_runtimes());
}

void Factory::expect(const functions::Runnable& runnable) {
  host_.warm();
  if (InstanceFactory* executor = executor_of(runnable.function)) executor->expect(runnable);
}

size_t Factory::ready() const { return zygotes_->ready() + framed_->ready(); }

io::Task<void> Factory::forget(std::string key, uint64_t revision) {
  co_await framed_->forget(key, revision);
  co_await zygotes_->forget(std::move(key), revision);
}

io::Task<void> Factory::stop() {
  co_await framed_->stop();
  co_await api_->stop();
  co_await zygotes_->stop();
  co_await host_.stop();
}

}  // namespace mayfly::runtime
