#include "server/scaling_api.h"

#include <charconv>

#include "dispatch/kpa_settings.h"
#include "dispatch/limits.h"
#include "runtime/runtimes.h"
#include "server/native_reply.h"

namespace mayfly::server {
namespace {

constexpr int64_t kMostInstances = 10'000;
constexpr int64_t kReservablePercent = 90;  // of the memory budget: what is left runs everybody else

// The number of instances `name` asks for; what is wrong with it, or "".
std::string read_count(const http::Query& query, std::string_view name, std::optional<int64_t>& out) {
  const std::string* sent = http::find(query, name);
  if (!sent) return {};
  int64_t number = 0;
  auto [end, failed] = std::from_chars(sent->data(), sent->data() + sent->size(), number);
  if (failed != std::errc() || end != sent->data() + sent->size() || number < 0 || number > kMostInstances)
    return fmt::format("{} must be a number from 0 to {}, not '{}'", name, kMostInstances, *sent);
  out = number;
  return {};
}

int64_t kept(const functions::Settings& settings, const char* kind, const std::string& name, std::string_view member) {
  auto document = settings.get(kind, name);
  return document ? int_or(document->body, member) : 0;
}

}  // namespace

struct ScalingApi::Wish {
  std::string qualifier;
  std::optional<int64_t> min, max, reserved;
  std::optional<json::object> annotations;

  std::string read(const http::Query& query) {
    if (const std::string* sent = http::find(query, "qualifier")) qualifier = *sent;
    for (auto [name, out] : {std::pair{"min", &min}, {"max", &max}, {"reserved", &reserved}})
      if (std::string wrong = read_count(query, name, *out); !wrong.empty()) return wrong;
    const std::string* sent = http::find(query, "annotations");
    if (!sent) return {};
    auto parsed = parse_json(*sent);
    if (!parsed || !parsed->is_object()) return "annotations must be a JSON object";
    annotations = parsed->get_object();
    return {};
  }
};

json::object scaling_json(const dispatch::FunctionStatus& status) {
  json::array suspended, scalers;
  for (const dispatch::Suspension& each : status.suspended)
    suspended.push_back({{"qualifier", each.qualifier}, {"until", iso8601_ms(each.until_wall_us)}, {"failures", each.failures}, {"why", each.why}});
  for (const dispatch::ScalerStatus& each : status.scalers)
    scalers.push_back({{"qualifier", each.qualifier}, {"want", each.want}, {"mode", each.mode}, {"panic", each.panic}, {"excessBurstCapacity", each.excess_burst}});
  return {{"minimum", status.minimum}, {"maximum", status.maximum}, {"reservedMb", status.reserved_mb}, {"suspended", std::move(suspended)}, {"scalers", std::move(scalers)}};
}

std::string ScalingApi::check(const functions::Function& function, const Wish& wish, const dispatch::Totals& totals) const {
  if (wish.annotations) {
    auto read = dispatch::kpa_settings(*wish.annotations, static_cast<int64_t>(runtime::concurrency_of(function)));
    if (!read) return read.error().message;
    if (std::string unknown = dispatch::unknown_kpa_name(*wish.annotations); !unknown.empty())
      return fmt::format("{} is no annotation of Knative's autoscaler, as target, window and max-scale are", unknown);
  }
  if (!wish.reserved) return {};
  int64_t others_mb = 0;
  for (const dispatch::Reservation& each : dispatch::reservations(settings_)) {
    auto other = catalogue_.function(each.service, "", each.function);
    if (other && (other->service != function.service || other->name != function.name)) others_mb += each.instances * other->memory_mb;
  }
  int64_t most_mb = totals.memory_budget_mb * kReservablePercent / 100, asked_mb = *wish.reserved * function.memory_mb;
  if (asked_mb == 0 || others_mb + asked_mb <= most_mb) return {};
  return fmt::format("{} instances of {} MB cannot be reserved: {} of the {} MB that may be reserved on this machine are", *wish.reserved, function.memory_mb, others_mb, most_mb);
}

io::Task<std::string> ScalingApi::put(io::Loop& loop, const char* kind, std::string name, std::string member, json::value value) {
  auto before = settings_.get(kind, name);
  json::object body = before ? before->body : json::object();
  body[member] = std::move(value);
  auto done = co_await settings_.put(loop, kind, std::move(name), std::move(body), functions::Settings::Mode::either);
  co_return done ? std::string() : done.error().message;
}

io::Task<std::string> ScalingApi::change(io::Loop& loop, std::string service, std::string function, Wish wish) {
  std::string name = dispatch::limits_name(service, wish.qualifier, function), wrong;
  if (wish.min) wrong = co_await put(loop, dispatch::kProvisionConfig, name, "target", *wish.min);
  if (wish.max && wrong.empty()) wrong = co_await put(loop, dispatch::kOnDemandConfig, name, "maximumInstanceCount", *wish.max);
  if (wish.reserved && wrong.empty()) wrong = co_await put(loop, dispatch::kReservedConfig, service + "/" + function, "instances", *wish.reserved);
  if (wish.annotations && wrong.empty()) wrong = co_await put(loop, dispatch::kScalingConfig, name, "annotations", *wish.annotations);
  co_return wrong;
}

io::Task<http::Response> ScalingApi::show(io::Loop& loop, std::string service, std::string function, std::string qualifier) {
  dispatch::FunctionStatus status = co_await dispatcher_.status(loop, service, function);
  std::string name = dispatch::limits_name(service, qualifier, function);
  json::value annotations = json::object();
  if (auto document = settings_.get(dispatch::kScalingConfig, name))
    if (const json::value* found = document->body.if_contains("annotations")) annotations = *found;
  json::object now = scaling_json(status);
  now["instances"] = status.instances.size();
  now["idle"] = status.idle;
  now["queued"] = status.queued;
  co_return reply(200, json::object{{"service", service}, {"function", function}, {"qualifier", qualifier.empty() ? std::string(functions::kLatest) : qualifier},
                                    {"min", kept(settings_, dispatch::kProvisionConfig, name, "target")},
                                    {"max", kept(settings_, dispatch::kOnDemandConfig, name, "maximumInstanceCount")},
                                    {"reserved", kept(settings_, dispatch::kReservedConfig, service + "/" + function, "instances")},
                                    {"annotations", std::move(annotations)}, {"now", std::move(now)}});
}

io::Task<http::Response> ScalingApi::handle(io::Loop& loop, std::string method, std::string service, std::string function, http::Query query) {
  Wish wish;
  if (std::string wrong = wish.read(query); !wrong.empty()) co_return error(400, "InvalidArgument", wrong);
  auto found = catalogue_.function(service, wish.qualifier, function);
  if (!found) co_return error(404, "FunctionNotFound", found.error().message);
  if (method == "PUT") {
    if (std::string wrong = check(*found, wish, co_await dispatcher_.totals(loop)); !wrong.empty()) co_return error(400, "InvalidArgument", wrong);
    std::string wrong = co_await change(loop, service, function, wish);
    if (!wrong.empty()) co_return error(409, "Conflict", wrong);
  } else if (method != "GET") {
    co_return error(405, "MethodNotAllowed", "scaling is read by GET and changed by PUT");
  }
  co_return co_await show(loop, std::move(service), std::move(function), wish.qualifier);
}

}  // namespace mayfly::server
