#include "runtime/api_factory.h"

#include "functions/lifecycle.h"
#include "runtime/api_plan.h"
#include "sys/fault.h"

namespace mayfly::runtime {
namespace {

constexpr uint16_t kApiPort = 9001;                   // T1.3; the vendors' documents show the same for the others
// Until a program asks for its first call: Lambda grants 10 s, and FC's initializer comes later. SCF counts by initTimeout alone (T1.2).
constexpr int64_t kBeginUs = 10 * kMicrosPerSecond;
constexpr int64_t kTermGraceUs = 500 * kMicrosPerMilli;   // between SIGTERM and SIGKILL, as Lambda's shutdown phase

class ApiInstance final : public Instance {
 public:
  ApiInstance(Host& host, std::shared_ptr<ApiLink> link, const StartContext& context, StartPhases phases)
      : host_(host), link_(std::move(link)), credentials_(context.credentials), phases_(phases) {
    const Runtime* runtime = find_runtime(context.runnable->function.runtime);
    if (runtime->contract != Contract::fc) return;
    pre_stop_ = functions::pre_stop(context.runnable->function);
    pre_freeze_ = functions::pre_freeze(context.runnable->function);
  }
  ~ApiInstance() override { link_->process().kill(); }  // stopped already, unless its owner gave up

  const std::string& id() const override { return link_->process().id(); }
  bool alive() const override { return link_->alive(); }
  StartPhases phases() const override { return phases_; }

  io::Task<Reply> call(Call call) override {
    if (pre_stop_ || pre_freeze_) credentials_ = call.credentials;
    return link_->call(std::move(call));
  }

  // A program that has not asked for its next call is at work still.
  io::Task<void> freeze() override {
    if (pre_freeze_ && link_->idle() && alive()) co_await run(CallType::pre_freeze, *pre_freeze_);
    if (link_->idle()) link_->process().freeze();
  }

  // The hook has a time of its own, beyond the grace of the end.
  io::Task<void> stop(io::Deadline deadline) override {
    auto& process = link_->process();
    process.stay_awake();
    if (auto pre_stop = std::exchange(pre_stop_, std::nullopt); pre_stop && alive()) {
      int64_t grace_us = deadline.at_us - host_.shard().now_us();
      co_await run(CallType::pre_stop, *pre_stop);
      deadline = io::Deadline::after_us(host_.shard(), std::max<int64_t>(0, grace_us));
    }
    if (process.alive()) process.terminate();
    if (co_await process.gone(deadline.sooner(io::Deadline::after_us(host_.shard(), kTermGraceUs))) == io::Wait::timed_out) process.kill();
    co_await process.gone();
  }

 private:
  // Whatever comes of it, it is over at its deadline.
  io::Task<void> run(CallType type, functions::Hook hook) {
    auto deadline = io::Deadline::after_us(host_.shard(), hook.timeout_s * kMicrosPerSecond);
    (void)co_await link_->run({.request_id = host_.new_request_id(), .payload = {}, .http = {}, .credentials = credentials_, .deadline = deadline}, type);
  }

  Host& host_;
  std::shared_ptr<ApiLink> link_;  // shared with the requests in progress
  auth::Credentials credentials_;  // the last ones seen, for hooks
  StartPhases phases_;
  std::optional<functions::Hook> pre_stop_, pre_freeze_;  // pre_stop_ until it has run
};

bool is_call_line(std::string_view line) {
  if (!line.starts_with("FC ")) return false;
  for (const char* what : {"Invoke", "Initialize", "PreFreeze", "PreStop"})
    for (const char* side : {"Start", "End"})
      if (line.substr(3).starts_with(fmt::format("{} {} RequestId: ", what, side))) return true;
  return false;
}

// FC's SDKs print the lines that stand around the output of each call and hook. So does the platform, for programs of every kind: theirs go.
std::string without_call_lines(std::string text) {
  std::string kept;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    std::string_view line = std::string_view(text).substr(at, end - at);
    if (!is_call_line(line)) kept += line;
    at = end;
  }
  return kept;
}

Failure<StartError> timed_out(int64_t seconds, std::string_view what) {
  return {StartError::timed_out, fmt::format("{} within {} s", what, seconds), {}};
}

}  // namespace

io::Task<Expected<ApiFactory::Launched, StartError>> ApiFactory::launch(StartContext context, Contract contract) {
  const auto& options = host_.options();
  const auto& function = context.runnable->function;
  Launched out{.box = nullptr, .listener = nullptr, .instance_id = host_.new_instance_id()};
  MAYFLY_CO_TRY(std::string program, api_program(*context.runnable, options, contract));
  sandbox::Plan plan = base_plan(context.account, context.region, hostname_of(function), options);
  for (auto& bind : api_binds(*context.runnable, contract)) plan.binds.push_back(std::move(bind));
  ApiAddress address{.instance_id = out.instance_id, .port = kApiPort};
  if (options.platform_port == kApiPort) address.port = kApiPort + 1;
  size_t own_door = plan.doors.size();
  if (options.unsafe_no_sandbox) {
    out.listener = host_.shard().listen("127.0.0.1", 0);
    address.port = out.listener->port();
  } else {
    plan.doors.push_back(address.port);
  }
  plan.confined = true;
  plan.held = !function.egress.empty();
  plan.command = {program};
  plan.environment = as_list(api_environment(context, options, contract, address, host_.shard().clock().wall_us()));
  plan.cores = io::usable_cores();
  plan.folder = places(*context.runnable, options, contract).code;
  MAYFLY_CO_TRY(out.box, co_await host_.launch_instance(std::move(plan), memory_limit(function)));
  if (!out.listener) {
    auto& doors = out.box->sandbox().doors;
    out.listener = host_.shard().adopt_listener(std::move(doors[own_door]));
    doors.erase(doors.begin() + static_cast<ptrdiff_t>(own_door));
  }
  MAYFLY_CO_TRY_VOID(co_await host_.open_door(out.box, context.runnable));
  co_return out;
}

io::Task<Expected<std::unique_ptr<Instance>, StartError>> ApiFactory::start(StartContext context) {
  int64_t began_us = host_.shard().now_us();
  Contract contract = find_runtime(context.runnable->function.runtime)->contract;
  Expected<Launched, StartError> launched;
  try {
    launched = co_await launch(context, contract);
  } catch (const sys::Fault& fault) {
    launched = fail(StartError::sandbox, fault.what());
  }
  if (!launched) co_return std::unexpected(launched.error());
  StartPhases phases{.sandbox_us = host_.shard().now_us() - began_us};
  auto process = host_.program_of(std::move(launched->box), context, launched->instance_id);
  Host::Starting starting(host_, process);
  if (contract == Contract::fc) process->filter_output(without_call_lines);
  auto link = std::make_shared<ApiLink>(host_.shard(), context, contract, process);
  server_.open(launched->instance_id, std::move(launched->listener), link);
  process->at_end([this, weak = std::weak_ptr(link), id = launched->instance_id] {
    if (auto ended = weak.lock()) ended->ended();
    server_.close(id);
  });
  if (auto begun = co_await begin(link, context, contract, phases); !begun) {
    process->kill();
    co_await process->gone();
    begun.error().phases = phases;
    co_return std::unexpected(std::move(begun).error());
  }
  co_return std::make_unique<ApiInstance>(host_, link, context, phases);
}

io::Task<Expected<void, StartError>> ApiFactory::begin(std::shared_ptr<ApiLink> link, StartContext context, Contract contract, StartPhases& phases) {
  const auto& function = context.runnable->function;
  auto& process = link->process();
  int64_t began_us = host_.shard().now_us();
  int64_t limit_us = std::max(function.initialization_timeout_s * kMicrosPerSecond, contract == Contract::scf ? 0 : kBeginUs);
  auto started = co_await link->started(io::Deadline::after_us(host_.shard(), limit_us));
  int64_t started_us = host_.shard().now_us();
  (contract == Contract::fc ? phases.runtime_us : phases.init_us) = started_us - began_us;
  if (!started) {
    const char* what = contract == Contract::scf ? "the program has not posted /runtime/init/ready" : "the program has not asked for a call";
    co_return std::unexpected(timed_out(limit_us / kMicrosPerSecond, what));
  }
  if (!started->ok) {
    if (started->failure.empty()) co_await process.gone();  // until it is known whether memory ended it
    Reply death = process.death(began_us);
    word_death(contract, process.id(), death);
    std::string words = death.worded ? std::move(death.body) : error_json(process.how_it_ended() + " before it asked for its first call", "FunctionNotStarted");
    co_return std::unexpected(failed_start(process, function, started->failure.empty() ? std::move(words) : std::move(started->failure)));
  }
  process.end_call("");
  if (contract != Contract::fc || !functions::initializer(function)) co_return Expected<void, StartError>{};
  auto initialized = co_await initialize(link, std::move(context));
  phases.init_us = host_.shard().now_us() - started_us;
  co_return initialized;
}

io::Task<Expected<void, StartError>> ApiFactory::initialize(std::shared_ptr<ApiLink> link, StartContext context) {
  auto hook = functions::initializer(context.runnable->function);
  auto deadline = io::Deadline::after_us(host_.shard(), hook->timeout_s * kMicrosPerSecond);
  Call call{.request_id = host_.new_request_id(), .payload = {}, .http = {}, .credentials = context.credentials, .deadline = deadline};
  auto reply = co_await link->run(std::move(call), CallType::initializer);
  if (!reply) co_return std::unexpected(timed_out(hook->timeout_s, "the initializer has not returned"));
  if (reply->kind == Reply::Kind::ok) co_return Expected<void, StartError>{};
  if (reply->kind == Reply::Kind::handled_error) co_return fail(StartError::initializer, std::move(reply->body));
  co_await link->process().gone();
  co_return std::unexpected(failed_start(link->process(), context.runnable->function, {}));
}

io::Task<void> ApiFactory::forget(std::string, uint64_t) { co_return; }

}  // namespace mayfly::runtime
