#include "server/node.h"

#include <spdlog/spdlog.h>

#include <filesystem>

#include "auth/keyring.h"
#include "auth/roles.h"
#include "auth/sign_oss.h"
#include "dialects/aliyun/endpoints.h"
#include "dialects/aliyun/fc_dialect.h"
#include "dialects/aliyun/fnf_dialect.h"
#include "dialects/aliyun/oss_dialect.h"
#include "dialects/aliyun/rpc_front.h"
#include "dialects/aliyun/sts_ram_dialect.h"
#include "dispatch/async.h"
#include "dispatch/dispatcher.h"
#include "events/timers.h"
#include "events/triggers.h"
#include "flows/engine.h"
#include "functions/layers.h"
#include "functions/settings.h"
#include "io/group.h"
#include "io/hop.h"
#include "objects/maintenance.h"
#include "server/doors.h"
#include "server/native_api.h"
#include "server/scheduled_warming.h"
#include "server/package_bucket.h"
#include "server/scheduled_starts.h"
#include "store/sqlite_engine.h"
#include "sys/file.h"
#include "usage/meter.h"

namespace mayfly::server {
namespace {

namespace aliyun = dialects::aliyun;

constexpr unsigned kBlobThreads = 4;  // file reads and writes in flight: hides fsync latency, costs a stack each

// runtimes/ beside the binary (installed) or up the tree it was built in.
std::string find_runtimes(const std::string& asked) {
  if (!asked.empty()) return std::filesystem::absolute(asked);
  for (auto folder = std::filesystem::path(sys::self_path()).parent_path(); !folder.empty() && folder != folder.root_path(); folder = folder.parent_path())
    for (const char* place : {"runtimes", "share/mayfly/runtimes"})
      if (std::filesystem::exists(folder / place / "python")) return folder / place;
  throw std::runtime_error("the folder of language runtimes (python/zygote.py and others) is not beside this binary; name it with --runtimes");
}

// What the build made of them: beside the binary's folder, or installed with them.
std::string find_built(const std::string& runtimes) {
  auto beside = std::filesystem::path(sys::self_path()).parent_path().parent_path() / "runtimes";
  return std::filesystem::exists(beside / "java") || std::filesystem::exists(beside / "dotnet") ? beside.string() : runtimes;
}

// The Python libraries every function may import: as asked, else installed beside the runtimes, else where ./dev puts them. May be absent.
std::string find_libraries(const std::string& asked, const std::string& runtimes) {
  if (!asked.empty()) return std::filesystem::absolute(asked);
  auto root = std::filesystem::path(runtimes).parent_path();
  for (const char* place : {"libraries/python", "build/deps/python"})
    if (std::filesystem::exists(root / place)) return root / place;
  return {};
}

void report_fault(std::exception_ptr fault) {
  try {
    std::rethrow_exception(fault);
  } catch (const std::exception& error) {
    spdlog::error("background work failed: {}", error.what());
  }
}

std::string check_cron(const std::string& cron) {
  auto schedule = events::Schedule::parse(cron);
  return schedule ? std::string() : schedule.error().message;
}

// Reads what triggers ask for out of the catalogue, as timers.
std::vector<events::TimerSpec> wanted_timers(const functions::Catalogue& catalogue) {
  std::vector<events::TimerSpec> specs;
  for (const functions::Trigger& trigger : catalogue.all_triggers("timer")) {
    json::value config(trigger.config);
    const json::value* enable = find_ignore_case(config, "enable");
    if (enable != nullptr && enable->is_bool() && !enable->get_bool()) continue;
    auto text = [&](std::string_view name) {
      const json::value* value = find_ignore_case(config, name);
      return value != nullptr && value->is_string() ? std::string(view(value->get_string())) : std::string();
    };
    json::object action{{"service", trigger.service}, {"function", trigger.function}, {"qualifier", trigger.qualifier}, {"trigger", trigger.name}, {"payload", text("payload")}};
    specs.push_back({fmt::format("fc/{}/{}/{}", trigger.service, trigger.function, trigger.name), text("cronExpression"), to_text(action)});
  }
  return specs;
}

}  // namespace

struct Node::Rooms {
  Rooms(const ServerOptions& given, const DataFolder& folder, std::string address, std::string ca_certificate_pem, std::vector<NodeShard> on);

  void mount_dialects();
  void changed();
  void timers_changed();
  io::Task<void> reconcile_timers();
  io::Task<void> follow_changes();
  void fire(store::Batch& batch, const events::TimerSpec& spec, int64_t tick_us);
  io::Task<void> sweep(io::Loop& loop);
  json::object status() const;
  io::Task<std::vector<usage::Meter::Sample>> samples(io::Loop& loop);

  const ServerOptions options;
  const std::string endpoint;
  std::vector<NodeShard> shards;
  io::Loop& home;  // shard 0: timers, and reconciling them

  SystemClock clock;
  SystemRng rng;
  const int64_t started_us = clock.wall_us();
  auth::Keyring keyring;
  std::unique_ptr<store::Disk> disk;
  std::unique_ptr<store::Store> store;
  std::unique_ptr<store::Blobs> blobs;
  usage::LogStore logs;
  usage::Meter meter;
  auth::Roles roles;
  std::unique_ptr<functions::CodeStore> code;
  std::unique_ptr<functions::Catalogue> catalogue;
  functions::Layers layers;
  functions::Settings settings;
  events::ObjectTriggers triggers;
  objects::Ground ground;
  objects::Objects objects;
  objects::Buckets buckets;
  objects::Uploads uploads;
  PackageBucket packages;
  std::vector<std::unique_ptr<Doors>> doors;
  std::vector<std::unique_ptr<runtime::InstanceFactory>> factories;
  std::unique_ptr<dispatch::Dispatcher> dispatcher;
  std::unique_ptr<dispatch::StreamedCalls> streamed;
  std::unique_ptr<dispatch::AsyncInvoker> async;
  std::unique_ptr<flows::Engine> flows;
  flows::Schedules schedules;
  std::unique_ptr<ScheduledStarts> starts;
  ScheduledWarming warming;
  events::Timers timers;
  std::atomic<uint64_t> ticks = 0;  // counted on home, read by metrics on any shard
  io::TaskGroup background;         // on home
  bool following = false, changed_again = false;  // of follow_changes(); on home

  std::unique_ptr<aliyun::FcDialect> fc;
  std::unique_ptr<aliyun::FnfProduct> fnf;
  std::unique_ptr<gateway::Dialect> oss, native;
  aliyun::StsProduct sts;
  aliyun::RamProduct ram;
  std::unique_ptr<aliyun::RpcFront> rpc;
  gateway::Router router;
};

namespace {

std::vector<io::Loop*> loops_of(const std::vector<NodeShard>& shards) {
  std::vector<io::Loop*> loops;
  for (const NodeShard& each : shards) loops.push_back(&each.shard);
  return loops;
}

}  // namespace

Node::Rooms::Rooms(const ServerOptions& given, const DataFolder& folder, std::string address, std::string ca_certificate_pem, std::vector<NodeShard> on)
    : options(given),
      endpoint(std::move(address)),
      shards(std::move(on)),
      home(shards[0].shard),
      keyring(auth::Keyring::open(folder.path(), rng)),
      disk(store::make_system_disk(folder.make_sub("blobs"))),
      store(store::make_committer(store::open_sqlite_engine(folder.make_sub("store") + "/mayfly.db"))),
      blobs(store::make_file_blobs(*disk, rng, kBlobThreads)),
      logs(folder.sub("logs"), clock),
      meter(logs, clock),
      roles(*store, clock, keyring.account()),
      code(functions::make_code_store(folder.make_sub("code"))),
      catalogue(functions::make_catalogue(*store, *code, clock, rng)),
      layers(*store, clock),
      settings(*store, clock),
      triggers(*catalogue, clock, rng,
               {keyring.account(), options.region, [this](store::Batch& batch, dispatch::Invocation call) { dispatch::add_async(batch, call, clock.wall_us()); },
                [this] { async->wake(); }}),
      ground{*store, *blobs, clock, rng, &triggers},
      objects(ground),
      buckets(ground),
      uploads(ground),
      packages({objects, buckets, roles, keyring, clock, rng}),
      schedules(*store, rng, check_cron),
      warming(home, settings, clock),
      timers(home, *store, clock, [this](store::Batch& batch, const events::TimerSpec& spec, int64_t tick_us) { fire(batch, spec, tick_us); },
             [this] {
               ++ticks;
               async->wake();
               starts->wake();
             }),
      background(home, report_fault),
      sts(keyring, roles, clock, rng),
      ram(roles),
      router([](const std::string& what) { spdlog::error("{}", what); }) {
  std::vector<dispatch::ShardContext> contexts;
  runtime::RuntimeOptions runtime{.runtimes_folder = find_runtimes(options.runtimes_folder),
                                  .built_folder = find_built(find_runtimes(options.runtimes_folder)),
                                  .libraries_folder = find_libraries(options.libraries_folder, find_runtimes(options.runtimes_folder)),
                                  .state_folder = folder.make_sub("run"),
                                  .ca_certificate_pem = std::move(ca_certificate_pem),
                                  .platform_port = options.port,
                                  .account = keyring.account(),
                                  .region = options.region,
                                  .unsafe_no_sandbox = options.unsafe_no_sandbox};
  for (const NodeShard& each : shards) {
    doors.push_back(std::make_unique<Doors>(each.shard, each.http));
    factories.push_back(runtime::make_instance_factory(each.shard, *doors.back(), runtime, rng));
    contexts.push_back({each.shard, *factories.back()});
  }
  dispatcher = dispatch::make_invoker(std::move(contexts), *catalogue, keyring, meter, rng,
                                      {.region = options.region,
                                       .max_instances_per_function = options.max_instances,
                                       .settings = &settings,
                                       .idle_us = options.keep_alive_s * kMicrosPerSecond});
  streamed = std::make_unique<dispatch::StreamedCalls>(loops_of(shards), *dispatcher);
  async = dispatch::make_async_invoker(loops_of(shards), *store, *dispatcher, *catalogue, settings, rng, {.region = options.region, .account = keyring.account()});
  auto may = [this](const std::string& role_arn, const auth::Access& access) {
    std::string role = auth::Roles::role_name(role_arn);
    // Definitions taken over from the cloud name roles that were never made here: those bind nothing. Only root can make such a flow.
    return !roles.role(role) || roles.allows({.kind = auth::Identity::Kind::role, .account = keyring.account(), .role = role, .session = "flow"}, access);
  };
  flows = std::make_unique<flows::Engine>(
      flows::Engine::Parts{.loops = loops_of(shards), .store = *store, .invoker = *dispatcher, .rng = rng, .options = {.may = may}});
  starts = std::make_unique<ScheduledStarts>(home, *store, *flows, clock);
  mount_dialects();
}

void Node::Rooms::fire(store::Batch& batch, const events::TimerSpec& spec, int64_t tick_us) {
  json::value action = parse_json(spec.action).value();
  if (find(action, "flow") != nullptr) return starts->add(batch, string_or(action, "flow"), string_or(action, "schedule"), string_or(action, "payload"), tick_us);
  dispatch::Invocation call{.request_id = uuid(rng),
                            .target = {string_or(action, "service"), string_or(action, "function"), string_or(action, "qualifier")},
                            .payload = events::timer_event(string_or(action, "trigger"), string_or(action, "payload"), tick_us),
                            .source = "timer"};
  dispatch::add_async(batch, call, clock.wall_us());
}

io::Task<void> Node::Rooms::reconcile_timers() {
  auto specs = wanted_timers(*catalogue);
  for (const flows::Schedule& schedule : co_await schedules.all(home)) {
    if (!schedule.enabled) continue;
    json::object action{{"flow", schedule.flow}, {"schedule", schedule.name}, {"payload", schedule.payload}};
    specs.push_back({fmt::format("fnf/{}/{}", schedule.flow, schedule.name), schedule.cron, to_text(action)});
  }
  co_await timers.reconcile(std::move(specs));
}

// Triggers changed, told on the shard that changed them, one change at a time.
void Node::Rooms::changed() {
  triggers.reload();
  timers_changed();
}

// Timer triggers or schedules changed: what follows happens on the home shard.
void Node::Rooms::timers_changed() {
  home.post([this] {
    changed_again = true;
    if (!following) background.spawn(follow_changes());
  });
}

// One at a time, until nothing has changed since it looked: an older look must not be written after a newer one.
io::Task<void> Node::Rooms::follow_changes() {
  following = true;
  try {
    while (std::exchange(changed_again, false)) co_await reconcile_timers();
  } catch (...) {
    following = false;
    throw;
  }
  following = false;
}

// Blobs that no row names any more: what a crash left between a body and its commit, or a commit and its removal.
io::Task<void> Node::Rooms::sweep(io::Loop& loop) {
  auto named = co_await objects::named_blobs(ground, loop);
  co_await blobs->sweep(loop, [&named](const std::string& id) { return named.contains(id); });
}

json::object Node::Rooms::status() const {
  return {{"version", MAYFLY_VERSION}, {"endpoint", endpoint}, {"account", keyring.account()}, {"region", options.region}, {"shards", shards.size()},
          {"uptimeS", (clock.wall_us() - started_us) / kMicrosPerSecond}, {"commits", store->commits()}, {"invocations", meter.invocations()},
          {"sandbox", options.unsafe_no_sandbox ? "off" : "on"}};
}

namespace {

struct Traffic {
  size_t connections = 0;
  uint64_t requests = 0;
};
// On the server's own shard.
io::Task<Traffic> traffic_of(const http::HttpServer& http) { co_return Traffic{http.connections(), http.requests()}; }

}  // namespace

io::Task<std::vector<usage::Meter::Sample>> Node::Rooms::samples(io::Loop& loop) {
  using Type = usage::Meter::Sample::Type;
  dispatch::Totals totals = co_await dispatcher->totals(loop);
  dispatch::AsyncCounts counts = async->counts();
  dispatch::AsyncBacklog backlog = co_await async->backlog(loop);
  int64_t waited_us = backlog.oldest_due_us == 0 ? 0 : std::max<int64_t>(0, clock.wall_us() - backlog.oldest_due_us);
  size_t connections = 0;
  uint64_t requests = 0;
  for (const NodeShard& each : shards) {
    Traffic one = co_await io::call_on<Traffic>(loop, each.shard, [&each] { return traffic_of(each.http); });
    connections += one.connections;
    requests += one.requests;
  }
  auto gauge = [](const char* name, const char* help, auto value) { return usage::Meter::Sample{name, help, Type::gauge, static_cast<double>(value)}; };
  auto counter = [](const char* name, const char* help, auto value) { return usage::Meter::Sample{name, help, Type::counter, static_cast<double>(value)}; };
  std::vector<usage::Meter::Sample> all{
      gauge("mayfly_http_connections", "Open connections.", connections),
      counter("mayfly_http_requests_total", "Requests answered.", requests),
      counter("mayfly_store_commits_total", "Batches made durable.", store->commits()),
      gauge("mayfly_instances", "Instances that run now.", totals.instances),
      gauge("mayfly_instances_idle", "Instances that wait for a call.", totals.idle),
      gauge("mayfly_ready_for_starts", "Interpreters, forks and sandboxes made ahead of the next cold starts.", totals.ready),
      gauge("mayfly_http_trigger_calls_open", "Calls through HTTP triggers that wait, run or stream now, WebSockets among them.", streamed->open()),
      gauge("mayfly_calls_queued", "Calls waiting for an instance.", totals.queued),
      gauge("mayfly_functions_suspended", "Functions that are not tried for a while because they crash or do not start.", totals.suspended),
      counter("mayfly_calls_throttled_total", "Calls refused because too many waited.", totals.throttled),
      gauge("mayfly_memory_reserved_megabytes", "Memory sizes of all instances added up.", totals.memory_reserved_mb),
      gauge("mayfly_memory_budget_megabytes", "What they may add up to.", totals.memory_budget_mb),
      gauge("mayfly_async_enqueued", "Asynchronous calls that wait, rest before a retry, or run.", backlog.queued),
      gauge("mayfly_async_oldest_seconds", "How long the asynchronous call that was due first has been waiting or running.",
            static_cast<double>(waited_us) / static_cast<double>(kMicrosPerSecond)),
      gauge("mayfly_async_in_flight", "Asynchronous calls running now.", counts.in_flight),
      counter("mayfly_async_accepted_total", "Asynchronous calls accepted from clients; those of triggers and timers come besides.", counts.accepted),
      counter("mayfly_async_succeeded_total", "Asynchronous calls that ended well.", counts.succeeded),
      counter("mayfly_async_failed_runs_total", "Runs of asynchronous calls that ended in an error of the function.", counts.failed),
      counter("mayfly_async_stopped_total", "Asynchronous calls that were stopped on request.", counts.stopped),
      gauge("mayfly_async_tasks", "Records of stateful asynchronous calls that are kept.", async->tasks().stored()),
      gauge("mayfly_async_dead_letters", "Asynchronous calls given up that wait to be redriven or purged.", async->letters().stored()),
      counter("mayfly_async_retries_total", "Asynchronous calls put back for another try.", counts.retried),
      counter("mayfly_async_dead_letters_total", "Asynchronous calls given up.", counts.dead),
      gauge("mayfly_layer_versions", "Versions of layers that can be named.", layers.totals().versions),
      gauge("mayfly_layer_bytes", "Size of their distinct packages.", layers.totals().bytes),
      gauge("mayfly_disk_free_bytes", "Free space where bodies are kept.", blobs->free_bytes()),
      counter("mayfly_timer_ticks_total", "Ticks of timers and schedules that were delivered.", ticks.load()),
  };
  for (const gateway::Router::Count& count : router.counts()) {
    std::string name = count.dialect.empty() ? "unclaimed" : count.dialect;
    std::replace(name.begin(), name.end(), '-', '_');
    all.push_back({fmt::format("mayfly_{}_requests_total", name), fmt::format("Requests answered by the {} dialect.", name), Type::counter, static_cast<double>(count.requests)});
    all.push_back({fmt::format("mayfly_{}_faults_total", name), fmt::format("Of these, ended by a fault of the server ({}).", name), Type::counter,
                   static_cast<double>(count.faults)});
  }
  co_return all;
}

void Node::Rooms::mount_dialects() {
  auto verify_oss = [this](const http::Request& request, const std::string& bucket, const std::string& key) { return auth::verify_oss(request, bucket, key, keyring, clock); };
  auto verify_form = [this](const http::Query& fields) { return auth::verify_oss_form(fields, keyring, clock); };
  oss = std::make_unique<aliyun::OssDialect>(aliyun::OssContext{buckets, objects, uploads, roles, verify_oss, verify_form, clock, rng, keyring.account(), options.region, ""});
  fc = std::make_unique<aliyun::FcDialect>(aliyun::FcContext{*catalogue, settings, *code, layers, *dispatcher, *async, keyring, roles, packages, clock, rng,
                                                                options.region, {}, streamed.get()});
  aliyun::FnfProduct::Place place{options.region, keyring.account(), [this](const std::string& arn) { return roles.role(auth::Roles::role_name(arn)).has_value(); }};
  fnf = std::make_unique<aliyun::FnfProduct>(*flows, schedules, roles, place, [this] { timers_changed(); });
  rpc = std::make_unique<aliyun::RpcFront>(keyring, clock, rng);
  rpc->mount(std::string(aliyun::FnfProduct::kVersion), "fnf", *fnf);
  rpc->mount("2015-04-01", "sts", sts);
  rpc->mount("2015-05-01", "ram", ram);
  native = std::make_unique<NativeApi>(NativeApi::Context{*catalogue, settings, *dispatcher, *async, logs, meter, keyring, clock, [this] { return status(); },
                                                          [this](io::Loop& loop) { return samples(loop); }});
  router.mount([](const http::Request& request) { return request.raw_path.starts_with(NativeApi::kPrefix); }, *native);
  router.mount([this](const http::Request& request) { return fc->claims(request); }, *fc);
  router.mount([](const http::Request& request) { return aliyun::product_of(request) == aliyun::Product::rpc; }, *rpc);
  router.mount([](const http::Request&) { return true; }, *oss);
}

Node::Node(const ServerOptions& options, const DataFolder& folder, std::string endpoint, std::string ca_certificate_pem, std::vector<NodeShard> shards)
    : rooms_(std::make_unique<Rooms>(options, folder, std::move(endpoint), std::move(ca_certificate_pem), std::move(shards))) {}
Node::~Node() = default;

io::Task<void> Node::open(io::Loop& loop) {
  Rooms& rooms = *rooms_;
  co_await rooms.roles.load(loop);
  co_await rooms.settings.load(loop);
  co_await rooms.layers.load(loop);
  co_await rooms.catalogue->load(loop);
  std::set<std::string> packages = rooms.catalogue->package_names();
  packages.merge(rooms.layers.package_names());
  co_await rooms.code->keep_only(loop, std::move(packages));
  co_await objects::recover(rooms.ground, loop);
  co_await rooms.sweep(loop);
  rooms.triggers.reload();
  co_await rooms.reconcile_timers();
  rooms.catalogue->on_change([&rooms] { rooms.changed(); });
  rooms.dispatcher->open();
  co_await rooms.async->start(loop);
  rooms.flows->start();
  rooms.starts->start();
  rooms.warming.start();
  rooms.settings.on_change([&rooms] { rooms.home.post([&rooms] { rooms.warming.changed(); }); });
  rooms.timers.start();
}

io::Task<void> Node::close(io::Loop& loop, io::Deadline deadline) {
  Rooms& rooms = *rooms_;
  co_await rooms.timers.stop();
  co_await rooms.starts->stop();
  co_await rooms.warming.stop();
  co_await rooms.background.drain();
  co_await rooms.dispatcher->stop(loop, deadline);
  co_await rooms.streamed->drain(loop);
  co_await rooms.async->stop(loop);
}

io::Task<void> Node::finish(io::Loop& loop) {
  Rooms& rooms = *rooms_;
  co_await rooms.flows->stop(loop);
  for (size_t i = 0; i < rooms.shards.size(); ++i) {
    runtime::InstanceFactory& factory = *rooms.factories[i];
    co_await io::call_on<void>(loop, rooms.shards[i].shard, [&factory] { return factory.stop(); });
  }
  co_await rooms.background.drain();  // a last request may have changed triggers after close()
}

io::Task<http::Response> Node::handle(io::Loop& loop, http::Request request) { return rooms_->router.handle(loop, std::move(request)); }

const std::string& Node::account() const { return rooms_->keyring.account(); }
bool Node::keys_are_new() const { return rooms_->keyring.created(); }
const std::string& Node::access_key_id() const { return rooms_->keyring.root_id(); }
const std::string& Node::access_key_secret() const { return rooms_->keyring.root_secret(); }

}  // namespace mayfly::server
