#include "runtime/http_factory.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/json.h"
#include "functions/egress.h"
#include "functions/lifecycle.h"
#include "runtime/http_contract.h"
#include "runtime/http_instance.h"
#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::runtime {
namespace {

constexpr int64_t kListenAllowanceUs = 10 * kMicrosPerSecond;  // loading the program is not its initializer's time (also knative's S4.17)
constexpr std::array<int64_t, 6> kAttemptPauseMs{1, 2, 5, 10, 20, 50};  // the last one repeats: S4.17's period
constexpr size_t kLastWordsBytes = 2048;                      // of what a program printed that did not start
constexpr int64_t kProbeUs = kMicrosPerSecond;

io::Task<std::expected<std::unique_ptr<io::Stream>, io::StreamError>> connect_inside(io::Shard* shard, std::weak_ptr<Box> weak, uint16_t port, io::Deadline deadline) {
  auto box = weak.lock();
  if (!box) co_return std::unexpected(io::StreamError::closed);
  auto socket = co_await box->sandbox().tcp_socket(deadline);
  if (!socket) co_return std::unexpected(socket.error().code == sandbox::LaunchError::timed_out ? io::StreamError::timed_out : io::StreamError::closed);
  co_return co_await shard->connect(std::move(*socket), "127.0.0.1", port, deadline);
}

// The end of what a start printed, kept until the instance stands.
struct LastWords {
  std::string text;
  void add(std::string_view more) {
    text.append(more);
    if (text.size() > kLastWordsBytes) text.erase(0, text.size() - kLastWordsBytes);
  }
};

StartContext listen_in(StartContext context, std::weak_ptr<LastWords> words) {
  context.printed = [words = std::move(words), printed = std::move(context.printed)](const std::string& instance, const std::string& request, std::string text) {
    if (auto kept = words.lock()) kept->add(text);
    if (printed) printed(instance, request, std::move(text));
  };
  return context;
}

std::string duty(Contract contract, uint16_t port) {
  if (contract == Contract::fc) return fmt::format("FC custom runtimes must listen on 0.0.0.0:{}", port);
  if (contract == Contract::knative) return fmt::format("the server must listen on the port that PORT names, {}", port);
  return fmt::format("the server must listen on port {}", port);
}

// Granted destinations whose listeners inside have the port of the function's own server.
std::vector<functions::EgressRule> grants_of_port(const functions::Function& function, uint16_t port) {
  auto rules = functions::parse_egress(function.egress);
  if (!rules) return {};
  std::erase_if(*rules, [port](const functions::EgressRule& rule) { return rule.port != port; });
  return std::move(*rules);
}

std::string port_is_granted(const functions::EgressRule& rule) {
  return fmt::format("the function was granted {}:{}, and its server listens on port {} too: give the server another", rule.host, rule.port, rule.port);
}

// Why nobody answers at the port: for {errorMessage, errorType}.
std::string not_listening(Process& process, const functions::Function& function, Contract contract, uint16_t port, uint16_t platform_port, const LastWords& words,
                          int64_t waited_us) {
  std::string what;
  if (process.alive()) {
    std::string others = listening_ports(process.pidfd(), {80, 443, platform_port});
    what = fmt::format("nothing listens on port {} after {} ms", port, waited_us / kMicrosPerMilli);
    what += others.empty() ? std::string("; ") : fmt::format(", but on {}; ", others);
  } else {
    what = process.how_it_ended() + fmt::format(" before anything listened on port {}; ", port);
  }
  what += duty(contract, port);
  for (const auto& rule : grants_of_port(function, port)) what += "; " + port_is_granted(rule);  // a server for all addresses finds it taken
  if (!words.text.empty()) what += "; it printed last:\n" + words.text;
  return error_json(what, "FunctionNotStarted");
}

// Connects until somebody accepts; false when the program has ended or the deadline has passed.
io::Task<bool> wait_for_port(io::Shard& shard, const http::Connector& connect, std::shared_ptr<Process> process, io::Deadline deadline) {
  for (size_t attempt = 0;; ++attempt) {
    if (auto stream = co_await connect(deadline)) {
      (*stream)->close();
      co_return true;
    }
    int64_t pause_us = kAttemptPauseMs[std::min(attempt, kAttemptPauseMs.size() - 1)] * kMicrosPerMilli;
    if (co_await process->gone(io::Deadline::after_us(shard, pause_us).sooner(deadline)) == io::Wait::done) co_return false;
    if (deadline.passed(shard)) co_return false;
  }
}

// A function's own health check (functions/lifecycle.h), before its first call.
io::Task<bool> wait_for_health(io::Shard& shard, http::HttpClient& client, functions::HealthCheck check, std::shared_ptr<Process> process, io::Deadline deadline) {
  int64_t good = 0, bad = 0;
  int64_t pause_us = check.initial_delay_s * kMicrosPerSecond;
  while (true) {
    if (pause_us > 0 && co_await process->gone(io::Deadline::after_us(shard, pause_us).sooner(deadline)) == io::Wait::done) co_return false;
    if (deadline.passed(shard)) co_return false;
    auto answer = co_await client.send({.target = check.path}, io::Deadline::after_us(shard, check.timeout_s * kProbeUs).sooner(deadline));
    bool healthy = answer && answer->status >= 200 && answer->status <= 399;
    if (answer) (void)co_await answer->body->read_all(kMaxPrintedBytes);
    healthy ? ++good : ++bad;
    if (good >= check.success_threshold) co_return true;
    if (bad >= check.failure_threshold) co_return false;
    pause_us = check.period_s * kMicrosPerSecond;
  }
}

std::optional<functions::HealthCheck> health_check_of(const functions::Function& function) {
  if (auto container = functions::custom_container(function)) return container->health_check;
  return functions::custom_runtime(function).health_check;
}

}  // namespace

std::string listening_ports(const sys::Fd& pidfd, const std::set<unsigned>& known) {
  auto info = sys::read_file_if_exists(fmt::format("/proc/self/fdinfo/{}", pidfd.get()));
  size_t at = info ? info->find("Pid:\t") : std::string::npos;
  if (at == std::string::npos) return {};
  int pid = 0;
  std::from_chars(info->data() + at + 5, info->data() + info->size(), pid);
  std::set<unsigned> ports;
  if (pid <= 0) return {};
  for (const char* table : {"tcp", "tcp6"}) {
    std::string rows;
    try {
      rows = sys::read_file_if_exists(fmt::format("/proc/{}/net/{}", pid, table)).value_or("");
    } catch (const sys::Fault&) {  // ended meanwhile, or not ours to look at
      return {};
    }
    // "  0: 0100007F:1F90 00000000:0000 0A ...": local address, far address, state 0A is LISTEN.
    for (size_t line = rows.find('\n'); line != std::string::npos && line + 1 < rows.size(); line = rows.find('\n', line + 1)) {
      std::string_view row = std::string_view(rows).substr(line + 1, rows.find('\n', line + 1) - line - 1);
      size_t colon = row.find(':', row.find(':') + 1);
      size_t state = row.find(" 0A ");
      if (colon == row.npos || state == row.npos) continue;
      unsigned port = 0;
      std::from_chars(row.data() + colon + 1, row.data() + colon + 5, port, 16);
      if (!known.contains(port)) ports.insert(port);
    }
  }
  std::string list;
  for (unsigned port : ports) list += (list.empty() ? "" : ", ") + std::to_string(port);
  return list;
}

io::Task<Expected<std::shared_ptr<Box>, StartError>> HttpFactory::launch(const StartContext& context, Contract contract, ServerProgram program) {
  const auto& function = context.runnable->function;
  const auto& options = host_.options();
  if (!options.unsafe_no_sandbox)
    for (const auto& rule : grants_of_port(function, program.port))
      if (functions::is_at_loopback(rule)) co_return fail(StartError::initializer, error_json(port_is_granted(rule), "FunctionNotStarted"));
  sandbox::Plan plan = base_plan(context.account, context.region, hostname_of(function), options);
  for (auto& bind : function_binds(*context.runnable, contract)) plan.binds.push_back(std::move(bind));
  if (program.port == options.platform_port) {  // the function's own in there; the platform answers at 80 and 443 too
    std::erase(plan.doors, program.port);
    program.environment["MAYFLY_ENDPOINT"] = "http://127.0.0.1";
  }
  plan.confined = true;
  plan.held = !function.egress.empty();
  plan.command = std::move(program.command);
  plan.environment = as_list(program.environment);
  plan.cores = io::usable_cores();
  plan.folder = places(*context.runnable, options, contract).code;
  co_return co_await host_.launch_instance(std::move(plan), memory_limit(function));
}

io::Task<Expected<std::unique_ptr<Instance>, StartError>> HttpFactory::start(StartContext asked) {
  auto& shard = host_.shard();
  auto words = std::make_shared<LastWords>();
  StartContext context = listen_in(std::move(asked), words);
  const auto& function = context.runnable->function;
  const Contract contract = find_runtime(function.runtime)->contract;
  MAYFLY_CO_TRY(auto program, server_program(context, host_.options(), contract));
  uint16_t port = program.port;
  std::string id = host_.new_instance_id();
  if (contract == Contract::fc) program.environment["FC_INSTANCE_ID"] = id;
  int64_t began_us = shard.now_us();
  MAYFLY_CO_TRY(auto box, co_await launch(context, contract, std::move(program)));
  MAYFLY_CO_TRY_VOID(co_await host_.open_door(box, context.runnable));
  auto process = host_.program_of(box, context, std::move(id));
  Host::Starting starting(host_, process);
  http::Connector connect = [&shard, weak = std::weak_ptr<Box>(box), port](io::Deadline deadline) { return connect_inside(&shard, weak, port, deadline); };
  auto instance = std::make_unique<HttpInstance>(HttpInstance::Parts{.host = host_, .process = process,
                                                                     .client = http::make_http_client(connect, fmt::format("127.0.0.1:{}", port)),
                                                                     .fixed_headers = fixed_headers(context, contract), .contract = contract,
                                                                     .credentials = context.credentials,
                                                                     .pre_stop = functions::pre_stop(function), .pre_freeze = functions::pre_freeze(function)});
  box.reset();
  StartPhases phases{.sandbox_us = shard.now_us() - began_us};
  int64_t launched_us = shard.now_us();
  auto deadline = io::Deadline::after_us(shard, function.initialization_timeout_s * kMicrosPerSecond + kListenAllowanceUs);
  bool listens = co_await wait_for_port(shard, connect, process, deadline);
  if (auto check = listens ? health_check_of(function) : std::nullopt) listens = co_await wait_for_health(shard, instance->client(), *check, process, deadline);
  phases.runtime_us = shard.now_us() - launched_us;
  Expected<void, StartError> ready;
  if (!listens) {
    process->end_call("");  // what it has printed until now
    ready = std::unexpected(failed_start(*process, function, not_listening(*process, function, contract, port, host_.options().platform_port, *words, phases.runtime_us)));
  } else if (contract == Contract::fc && functions::initializer(function)) {
    ready = co_await instance->initialize(context, io::Deadline::after_us(shard, functions::initialization_limit_s(function) * kMicrosPerSecond));
    phases.init_us = shard.now_us() - launched_us - phases.runtime_us;
  }
  if (!ready) {
    process->kill();  // no hook: nothing of it stood
    co_await process->gone();
    ready.error().phases = phases;
    co_return std::unexpected(std::move(ready).error());
  }
  instance->set_phases(phases);
  co_return std::move(instance);
}

}  // namespace mayfly::runtime
