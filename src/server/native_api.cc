#include "server/native_api.h"

#include "auth/sign_fc.h"
#include "base/encoding.h"
#include "dispatch/outcomes.h"
#include "server/egress_api.h"
#include "server/handler_file.h"
#include "server/native_reply.h"
#include "server/scaling_api.h"

namespace mayfly::server {
namespace {

std::string_view kind_name(dispatch::Outcome::Kind kind) {
  using Kind = dispatch::Outcome::Kind;
  switch (kind) {
    case Kind::ok: return "ok";
    case Kind::handled_error: return "handled error";
    case Kind::unhandled_error: return "unhandled error";
    case Kind::timed_out: return "timed out";
    case Kind::out_of_memory: return "out of memory";
  }
  return {};
}

json::array recent_of(const usage::FunctionTotals& totals) {
  json::array recent;
  for (const usage::Record& record : totals.recent) {
    recent.push_back({{"time", iso8601_ms(record.started_us)}, {"requestId", record.request_id}, {"source", record.source}, {"result", kind_name(record.kind)},
                      {"error", record.error}, {"cold", record.cold}, {"instance", record.instance_id}, {"memoryBytes", record.memory_bytes},
                      {"queuedUs", record.phases.queued_us}, {"sandboxUs", record.phases.sandbox_us}, {"runtimeUs", record.phases.runtime_us},
                      {"importUs", record.phases.import_us}, {"initUs", record.phases.init_us}, {"runUs", record.phases.run_us}, {"replyUs", record.phases.reply_us}});
  }
  return recent;
}

// "functions/<service>/<function>/<part>": a function may itself be called like a part.
bool is_part(std::string_view path, std::string_view part) {
  return path.starts_with("functions/") && path.ends_with(part) && std::count(path.begin(), path.end(), '/') == 3;
}

bool from_loopback(const http::Request& request) {
  return request.door.empty() && (request.peer.starts_with("127.") || request.peer.starts_with("::1") || request.peer.starts_with("[::1]"));
}

}  // namespace

io::Task<http::Response> NativeApi::handle(io::Loop& loop, http::Request request) {
  std::string_view path = request.raw_path;
  path.remove_prefix(kPrefix.size());
  bool ends_letter = path.starts_with("dead-letters/"), ends_call = path.starts_with("async/");
  bool scales = is_part(path, "/scaling"), grants = is_part(path, "/egress");
  if (request.method != "GET" && !ends_letter && !ends_call && !scales && !grants) co_return error(405, "MethodNotAllowed", fmt::format("{} only answers GET", request.raw_path));
  if (path == "health") co_return reply(200, json::object{{"status", "ok"}});
  bool open = path == "metrics" && from_loopback(request);
  if (!open) {
    auto identity = auth::verify_fc(request, context_.keyring, context_.clock);
    if (!identity) co_return error(403, "SignatureNotMatch", identity.error().message);
    if (identity->kind != auth::Identity::Kind::root) co_return error(403, "AccessDenied", "only the account's root key may use this API");
  }
  if (path == "metrics") {
    http::Response response;
    response.headers.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    response.body = context_.meter.prometheus_text(co_await context_.samples(loop));
    co_return response;
  }
  if (path == "status") co_return reply(200, context_.status());
  if (path == "logs") co_return co_await logs(loop, request.query());
  if (path == "dead-letters") co_return co_await dead_letters(loop, request.query());
  if (ends_letter || ends_call) {
    std::string rest(path.substr(path.find('/') + 1));
    co_return ends_letter ? co_await end_dead_letter(loop, std::move(request), rest) : co_await cancel_call(loop, std::move(request), rest);
  }
  if (path.starts_with("functions/")) {
    std::string_view rest = path.substr(std::string_view("functions/").size());
    size_t slash = rest.find('/');
    std::string_view function = rest.substr(slash + 1, rest.rfind('/') - slash - 1);  // of the two below
    if (grants) {
      EgressApi egress(context_.catalogue);
      co_return co_await egress.handle(loop, request.method, percent_decode(rest.substr(0, slash)), percent_decode(function), request.query());
    }
    if (scales) {
      ScalingApi scaling(context_.catalogue, context_.settings, context_.dispatcher);
      co_return co_await scaling.handle(loop, request.method, percent_decode(rest.substr(0, slash)), percent_decode(function), request.query());
    }
    if (slash != rest.npos) co_return co_await describe(loop, percent_decode(rest.substr(0, slash)), percent_decode(rest.substr(slash + 1)));
  }
  co_return error(404, "PathNotSupported", fmt::format("there is nothing at {}", request.raw_path));
}

io::Task<http::Response> NativeApi::logs(io::Loop& loop, http::Query query) {
  usage::LogQuery wanted{value_of(query, "service"), value_of(query, "function"), value_of(query, "request_id"), number_of(query, "since", 0),
                         std::min<size_t>(number_of(query, "limit", 1000), kMaxLogEntries)};
  auto follow_s = std::min<int64_t>(static_cast<int64_t>(number_of(query, "follow", 0)), kMaxFollowS);
  io::Deadline deadline = io::Deadline::after_us(loop, follow_s * kMicrosPerSecond);
  std::vector<usage::LogEntry> entries;
  uint64_t seen = wanted.after;
  while (true) {
    uint64_t last = context_.logs.last_cursor();
    entries = context_.logs.query(wanted);
    if (entries.size() < wanted.limit) seen = std::max(seen, last);  // all up to `last` were looked at
    if (!entries.empty()) seen = entries.size() < wanted.limit ? std::max(seen, entries.back().cursor) : entries.back().cursor;
    if (!entries.empty() || deadline.passed(loop)) break;
    wanted.after = seen;
    co_await context_.logs.wait_newer(loop, seen, deadline);
  }
  json::array list;
  for (const usage::LogEntry& entry : entries) {
    list.push_back({{"cursor", std::to_string(entry.cursor)}, {"time", iso8601_ms(entry.time_us)}, {"service", entry.service}, {"function", entry.function},
                    {"requestId", entry.request_id}, {"instance", entry.instance}, {"text", entry.text}});
  }
  co_return reply(200, json::object{{"entries", std::move(list)}, {"next", std::to_string(seen)}});
}

io::Task<http::Response> NativeApi::describe(io::Loop& loop, std::string service, std::string function) {
  auto found = context_.catalogue.function(service, "", function);
  if (!found) co_return error(404, "FunctionNotFound", found.error().message);
  auto runnable = context_.catalogue.resolve(service, "", function, 0);
  dispatch::FunctionStatus status = co_await context_.dispatcher.status(loop, service, function);
  usage::FunctionTotals totals = context_.meter.totals(service, function);
  json::array instances;
  for (const dispatch::InstanceStatus& instance : status.instances) {
    instances.push_back({{"id", instance.id}, {"qualifier", instance.qualifier}, {"busy", instance.busy}, {"calls", instance.calls},
                         {"memoryBytes", instance.memory_bytes}, {"started", iso8601_ms(instance.started_wall_us)}});
  }
  json::array triggers;
  if (auto page = context_.catalogue.triggers(service, function, {}))
    for (const functions::Trigger& trigger : page->items) triggers.push_back({{"name", trigger.name}, {"type", trigger.type}, {"config", trigger.config}});
  json::array layers;
  for (const functions::LayerRef& layer : found->layers) layers.push_back({{"name", layer.name}, {"version", layer.version}});
  // A function whose every recent call failed before its handler ran cannot be called now, whatever the catalogue says.
  bool starts = status.last_error.empty() || !status.instances.empty() || totals.invocations > totals.errors;
  std::string why_not = !runnable ? runnable.error().message : starts ? std::string() : dispatch::crash_reason(status.last_error, {});
  if (why_not.empty() && status.instances.empty() && totals.invocations == totals.errors) why_not = why_it_cannot_start(**runnable);  // it never worked yet
  std::string state = why_not.empty() ? "ready" : "failing";
  for (const dispatch::Suspension& each : status.suspended) {
    if (each.qualifier != functions::kLatest) continue;
    state = fmt::format("suspended until {}", iso8601_ms(each.until_wall_us));
    why_not = fmt::format("{}, because of {} failures in a row: {}", state, each.failures, each.why);
  }
  co_return reply(200, json::object{{"service", service}, {"function", function}, {"runtime", found->runtime}, {"handler", found->handler},
                                    {"memoryMb", found->memory_mb}, {"timeoutS", found->timeout_s}, {"codeSize", found->code.size_bytes},
                                    {"can_invoke", why_not.empty()}, {"why_not", why_not}, {"state", state}, {"scaling", scaling_json(status)},
                                    {"instances", std::move(instances)}, {"idle", status.idle}, {"starting", status.starting}, {"queued", status.queued},
                                    {"invocations", totals.invocations}, {"errors", totals.errors}, {"timeouts", totals.timeouts}, {"coldStarts", totals.cold_starts},
                                    {"last_error", totals.last_error.empty() ? dispatch::crash_reason(status.last_error, {}) : totals.last_error},
                                    {"last_error_time", totals.last_error_us == 0 ? "" : iso8601_ms(totals.last_error_us)},
                                    {"triggers", std::move(triggers)}, {"layers", std::move(layers)}, {"recent", recent_of(totals)}});
}

}  // namespace mayfly::server
