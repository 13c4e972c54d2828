#include "runtime/framed_factory.h"

#include <array>
#include <filesystem>
#include <ranges>

#include "base/json.h"
#include "functions/lifecycle.h"
#include "io/shard.h"
#include "runtime/framed_instance.h"
#include "runtime/plan.h"
#include "sys/fault.h"
#include "sys/process.h"

namespace mayfly::runtime {
namespace {

constexpr StockRules kOwnAhead{.most_of_one = 32, .most = 64};  // each two processes of less than 1 MB

std::string shelf_of(const std::vector<std::string>& command) { return fmt::format("{}", fmt::join(command, " ")); }

std::string shelf_of(const functions::Runnable& runnable) { return door_name(runnable.key(), runnable.revision); }

// What a start knows of its function, without what belongs to the call it is made for.
StartContext without_call(const StartContext& context) {
  return {.runnable = context.runnable, .account = context.account, .region = context.region, .credentials = {}, .printed = {}};
}

// The file a handler names: "faces" or "faces.detect" is the program /code/faces.
std::string program_of(const functions::Function& function) { return function.handler.substr(0, function.handler.rfind('.')); }

// Variables that a program reads when it starts and never again.
constexpr std::array kReadAtStart{"LD_PRELOAD", "NODE_OPTIONS", "JAVA_TOOL_OPTIONS", "PHPRC", "PHP_INI_SCAN_DIR"};

// Where a folder of the function, as its code sees it, lies on this machine; empty: it is none of its own.
std::string on_host(std::string_view inside, const functions::Runnable& runnable) {
  for (auto [prefix, host] : {std::pair{std::string_view("/code"), runnable.code_path}, {std::string_view("/opt"), runnable.layers_path}}) {
    bool within = inside == prefix || inside.starts_with(std::string(prefix) + "/");
    if (!host.empty() && within && inside.find("..") == inside.npos) return host + std::string(inside.substr(prefix.size()));
  }
  return {};
}

bool chooses_own_heap(const functions::Function& function) {
  auto found = function.environment.find("NODE_OPTIONS");
  if (found == function.environment.end()) return false;
  return found->second.find("old-space-size") != std::string::npos || found->second.find("old_space_size") != std::string::npos;
}

bool has_shared_objects(const std::string& folder) {
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none))
    if (entry.path().filename().string().find(".so") != std::string::npos) return true;
  return false;
}

}  // namespace

FramedFactory::FramedFactory(Host& host)
    : host_(host),
      own_(host.shard(), host.tasks(), host.starts(), kOwnAhead, {.usable = runs, .discard = discard}),
      generic_(host.shard(), host.tasks(), host.starts(), interpreters_ahead(), {.usable = runs, .discard = discard}) {}

bool needs_own_start(const functions::Runnable& runnable, const Environment& environment) {
  for (const char* name : kReadAtStart)
    if (auto found = environment.find(name); found != environment.end() && !found->second.empty()) return true;
  auto found = environment.find("LD_LIBRARY_PATH");
  if (found == environment.end()) return false;
  for (auto part : std::views::split(found->second, ':')) {
    std::string folder = on_host(std::string_view(part), runnable);
    if (!folder.empty() && has_shared_objects(folder)) return true;
  }
  return false;
}

std::string host_folder(const Runtime& runtime, const RuntimeOptions& options) {
  return fmt::format("{}/{}", runtime.built ? options.built_folder : options.runtimes_folder, runtime.prefix);
}

std::vector<std::string> interpreter_command(const Runtime& runtime, const functions::Function& function, const RuntimeOptions& options) {
  std::string folder = options.unsafe_no_sandbox ? host_folder(runtime, options) : fmt::format("{}/{}", kInsideRuntimes, runtime.prefix);
  std::vector<std::string> command{std::string(runtime.program)};
  // A heap cannot be resized later, so functions share a stock only when their memory is the same; a quarter is left for the rest.
  int64_t heap_mb = std::max<int64_t>(32, function.memory_mb * 3 / 4);
  if (runtime.prefix == "nodejs") {
    // Without it node takes the machine for its own, and what a function no longer needs would count until the memory limit ends it.
    if (!chooses_own_heap(function)) command.push_back(fmt::format("--max-old-space-size={}", heap_mb));
    command.push_back(folder + "/main.js");
  } else if (runtime.prefix == "php") {
    for (const std::string& option : {std::string("-d"), fmt::format("memory_limit={}M", heap_mb), folder + "/main.php"}) command.push_back(option);
  } else if (runtime.prefix == "java") {
    for (const std::string& option : {fmt::format("-Xmx{}m", heap_mb), "@" + folder + "/options", "-XX:SharedArchiveFile=" + folder + "/mayfly.jsa"}) command.push_back(option);
    for (const std::string& option : {std::string("-cp"), folder + "/mayfly.jar:" + folder + "/gson.jar", std::string("mayfly.Main")}) command.push_back(option);
  } else {
    // .NET, too, takes the heap's limit at its start only: in its environment, hexadecimal; before .NET 6 under the second name.
    std::string heap = fmt::format("GCHeapHardLimit={:x}", static_cast<uint64_t>(heap_mb) << 20);
    command = {"/usr/bin/env", "DOTNET_" + heap, "COMPlus_" + heap, std::string(runtime.program), folder + "/mayfly.dll"};
  }
  return command;
}

std::string framed_start(const StartContext& context, const RuntimeOptions& options, const std::string& instance_id, uint64_t memory_bytes,
                         const std::string& initializer_id) {
  const auto& function = context.runnable->function;
  const auto& keys = context.credentials;
  auto handler_of = [](const std::optional<functions::Hook>& hook) { return hook ? hook->handler : std::string(); };
  auto initializer = functions::initializer(function);
  return to_text(json::object{
      {"instance_id", instance_id},
      {"memfd", true},
      {"memory_bytes", memory_bytes},
      {"credentials", {keys.access_key_id, keys.access_key_secret, keys.security_token}},
      {"code", places(*context.runnable, options, Contract::fc).code},
      {"handler", function.handler},
      {"initializer", handler_of(initializer)},
      {"request_id", initializer_id},
      {"pre_stop", handler_of(functions::pre_stop(function))},
      {"pre_freeze", handler_of(functions::pre_freeze(function))},
      {"environment", json::value_from(environment(context, options, Contract::fc))},
      {"concurrency", concurrency_of(function)},
      {"cores", json::value_from(io::usable_cores())},
      {"region", context.region},
      {"account", context.account},
      {"function",
       {{"name", function.name}, {"handler", function.handler}, {"memory", function.memory_mb}, {"timeout", function.timeout_s},
        {"initialization_timeout", functions::initialization_limit_s(function)}}},
      {"service", service_about(*context.runnable)},
  });
}

io::Task<FramedFactory::Boxed> FramedFactory::launch_own(StartContext context, Ahead ahead) {
  const auto& function = context.runnable->function;
  const auto& options = host_.options();
  Places inside = places(*context.runnable, options, Contract::fc);
  sandbox::Plan plan = base_plan(context.account, context.region, hostname_of(function), options);
  for (auto& bind : function_binds(*context.runnable, Contract::fc)) plan.binds.push_back(std::move(bind));
  plan.confined = plan.frames = true;
  plan.held = ahead == Ahead::yes || !function.egress.empty();
  plan.command = {inside.code + "/" + program_of(function)};
  plan.environment = as_list(environment(context, options, Contract::fc));
  plan.folder = inside.code;
  co_return co_await host_.launch_instance(std::move(plan), memory_limit(function));
}

io::Task<FramedFactory::Made> FramedFactory::own_ahead(StartContext context) {
  auto box = co_await launch_own(std::move(context), Ahead::yes);
  if (!box) co_return std::nullopt;  // met again, and reported, by the next start
  co_return std::move(*box);
}

io::Task<FramedFactory::Boxed> FramedFactory::take_own(StartContext context) {
  if (auto ready = own_.take(shelf_of(*context.runnable), [this, later = without_call(context)] { return own_ahead(later); })) {
    auto box = co_await open(std::move(*ready), context);
    if (box || box.error().code == StartError::initializer) co_return box;
  }  // else, or if it ended just now:
  auto box = co_await launch_own(context, Ahead::no);
  co_return co_await open(std::move(box), std::move(context));
}

// With its door open and its program running.
io::Task<FramedFactory::Boxed> FramedFactory::open(Boxed box, StartContext context) {
  if (!box) co_return box;
  auto opened = co_await host_.open_door(*box, context.runnable);
  if (!opened) co_return std::unexpected(std::move(opened).error());
  co_return box;
}

// Without a function's folders and variables.
static sandbox::Plan interpreter_plan(const Runtime& runtime, const std::string& account, const std::string& region, const std::string& hostname, const RuntimeOptions& options) {
  sandbox::Plan plan = base_plan(account, region, hostname, options);
  plan.binds.push_back({host_folder(runtime, options), fmt::format("{}/{}", kInsideRuntimes, runtime.prefix)});
  if (runtime.prefix == "php") plan.binds.push_back({"/etc/php", "/etc/php", true});  // which extensions it loads
  plan.confined = plan.frames = true;
  return plan;
}

io::Task<FramedFactory::Boxed> FramedFactory::launch_generic(const Runtime& runtime, std::vector<std::string> command) {
  const auto& options = host_.options();
  sandbox::Plan plan = interpreter_plan(runtime, options.account, options.region, kGenericHost, options);
  plan.command = std::move(command);
  plan.environment = as_list(trust_environment(options));
  if (runtime.prefix == "dotnet") {  // no debugger's pipes and threads, which lie in /tmp; .NET before 6 has the second name
    for (const char* variable : {"DOTNET_EnableDiagnostics=0", "COMPlus_EnableDiagnostics=0"}) plan.environment.push_back(variable);
  }
  for (const char* variable : {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "TZ=UTC", "HOME=/tmp"}) plan.environment.push_back(variable);
  plan.folder = "/tmp";
  co_return co_await host_.launch_instance(std::move(plan), 0);
}

io::Task<FramedFactory::Boxed> FramedFactory::launch_with_function(StartContext context, const Runtime& runtime) {
  const auto& function = context.runnable->function;
  const auto& options = host_.options();
  sandbox::Plan plan = interpreter_plan(runtime, context.account, context.region, hostname_of(function), options);
  for (auto& bind : function_binds(*context.runnable, Contract::fc)) plan.binds.push_back(std::move(bind));
  plan.command = interpreter_command(runtime, function, options);
  plan.environment = as_list(environment(context, options, Contract::fc));
  plan.folder = places(*context.runnable, options, Contract::fc).code;
  plan.held = !function.egress.empty();
  co_return co_await host_.launch_instance(std::move(plan), memory_limit(function));
}

io::Task<FramedFactory::Boxed> FramedFactory::take_generic(StartContext context, const Runtime& runtime) {
  const auto& function = context.runnable->function;
  if (needs_own_start(*context.runnable, environment(context, host_.options(), Contract::fc))) co_return co_await launch_with_function(std::move(context), runtime);
  auto command = interpreter_command(runtime, function, host_.options());
  if (auto ready = generic_.take(shelf_of(command), [this, &runtime, command] { return generic_ahead(runtime, command); })) {
    sys::set_cores((*ready)->sandbox().program(), sys::own_cores());  // where calls reach it soonest
    if (co_await specialise(*ready, *context.runnable)) co_return std::move(*ready);
  }  // else, or if it ended just now:
  MAYFLY_CO_TRY(auto box, co_await launch_generic(runtime, command));
  MAYFLY_CO_TRY_VOID(co_await specialise(box, *context.runnable));
  co_return box;
}

// Gives a generic interpreter's sandbox what is the function's.
io::Task<Expected<void, StartError>> FramedFactory::specialise(std::shared_ptr<Box> box, const functions::Runnable& runnable) {
  host_.hold_memory(*box, memory_limit(runnable.function));
  return host_.mount_function(std::move(box), runnable);
}

io::Task<FramedFactory::Made> FramedFactory::generic_ahead(const Runtime& runtime, std::vector<std::string> command) {
  auto box = co_await launch_generic(runtime, std::move(command));
  if (!box) co_return std::nullopt;  // met again, and reported, by the next start
  // Its start is long, and would keep the shard from its calls.
  sys::set_cores((*box)->sandbox().program(), io::usable_cores());
  co_return std::move(*box);
}

io::Task<Expected<std::unique_ptr<Instance>, StartError>> FramedFactory::start(StartContext context) {
  int64_t began_us = host_.shard().now_us();
  const auto& function = context.runnable->function;
  const Runtime& runtime = *find_runtime(function.runtime);
  Boxed box;
  try {
    if (runtime.program.empty()) {
      box = co_await take_own(context);
    } else {
      box = co_await take_generic(context, runtime);
      box = co_await open(std::move(box), context);
    }
  } catch (const sys::Fault& fault) {
    box = fail(StartError::sandbox, fault.what());
  }
  if (!box) co_return std::unexpected(box.error());
  std::string id = host_.new_instance_id();
  auto frames = std::move((*box)->sandbox().frames);
  StartFrame start{.payload = {}, .initializer_id = new_initializer_id(host_, function)};
  start.payload = framed_start(context, host_.options(), id, host_.has_cgroups() ? 0 : memory_limit(function), start.initializer_id);
  auto process = host_.program_of(*box, context, id);
  StartPhases phases{.sandbox_us = host_.shard().now_us() - began_us};
  co_return co_await start_framed(host_, std::move(context), std::move(process), std::move(frames), std::move(start), phases);
}

void FramedFactory::expect(const functions::Runnable& runnable) {
  const Runtime& runtime = *find_runtime(runnable.function.runtime);
  if (runtime.program.empty()) return;
  auto command = interpreter_command(runtime, runnable.function, host_.options());
  generic_.expect(shelf_of(command), [this, &runtime, command] { return generic_ahead(runtime, command); });
}

io::Task<void> FramedFactory::forget(std::string key, uint64_t revision) {
  own_.forget(door_name(key, revision));
  co_return;
}

io::Task<void> FramedFactory::stop() {
  own_.stop();
  generic_.stop();
  co_return;
}

}  // namespace mayfly::runtime
