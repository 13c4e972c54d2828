// Provisioned instances (aliyun-fc.md sections 7.1 and 7.3): how many instances of a function are ready before they are called, by a fixed
// target, by the time of day (scheduledActions, kept by server/scheduled_warming.h) and by use (targetTrackingPolicies, dispatch/limits.h).

#include <algorithm>
#include <set>

#include "dialects/aliyun/fc_fields.h"
#include "dialects/aliyun/fc_operations.h"
#include "dispatch/limits.h"
#include "events/schedule.h"

namespace mayfly::dialects::aliyun {
namespace {

constexpr int64_t kMaxProvisioned = 10'000;  // a number far beyond what one machine holds: a typing mistake
constexpr size_t kMaxActions = 100;          // of each kind, of one function

std::string provision_name(const FcCall& call) { return dispatch::limits_name(call.service, call.qualifier, call.function); }

// "cron(0 0 20 * * *)" or "at(2026-11-20T10:00:00Z)".
FcExpected<void> check_expression(const std::string& text) {
  if (!text.ends_with(')')) return invalid_argument(fmt::format("scheduleExpression must be cron(...) or at(...), not '{}'", text));
  if (text.starts_with("cron(")) {
    auto parsed = events::Schedule::parse(text.substr(5, text.size() - 6));
    if (!parsed) return invalid_argument("scheduleExpression: " + parsed.error().message);
    return {};
  }
  std::string time = text.starts_with("at(") ? text.substr(3, text.size() - 4) : std::string();
  if (!parse_iso8601(time) && !parse_iso8601(time + "Z")) return invalid_argument(fmt::format("scheduleExpression must be cron(...) or at(...), not '{}'", text));
  return {};
}

FcExpected<void> check_name(const std::string& name, std::set<std::string>& names) {
  if (name.empty()) return invalid_argument("name must be sent with each action and policy");
  if (!names.insert(name).second) return invalid_argument(fmt::format("there are two with the name '{}'", name));
  return {};
}

FcExpected<void> check_action(const json::value& action, std::set<std::string>& names) {
  FcFields fields(action, "a scheduled action");
  std::string name, expression, from, until;
  int64_t target = -1;
  fields.text("name", name);
  fields.required_text("scheduleExpression", expression);
  fields.number("target", target, 0, kMaxProvisioned);
  fields.text("startTime", from);
  fields.text("endTime", until);
  if (auto good = fields.done(); !good) return good;
  if (target < 0) return invalid_argument("target must be sent with each scheduled action");
  if (auto good = check_name(name, names); !good) return good;
  for (const std::string& time : {from, until})
    if (!time.empty() && !parse_iso8601(time)) return invalid_argument(fmt::format("'{}' is no time such as 2026-11-20T10:00:00Z", time));
  return check_expression(expression);
}

FcExpected<void> check_policy(const json::value& policy, std::set<std::string>& names) {
  if (auto good = check_name(string_or(policy, "name"), names); !good) return good;
  auto read = dispatch::tracking_policy(policy, 1);
  if (!read) return invalid_argument(read.error().message);
  return {};
}

// What is kept: the caller's, in the spelling of answers; not sent is as it was.
FcExpected<json::array> checked(const FcCall& call, FcFields& fields, const char* key, const json::object* before,
                                FcExpected<void> (*check)(const json::value&, std::set<std::string>&)) {
  const json::array* sent = fields.array(key);
  if (!sent) {
    const json::value* kept = before ? before->if_contains(key) : nullptr;
    return kept && kept->is_array() ? kept->get_array() : json::array();
  }
  if (sent->size() > kMaxActions) return refuse(400, "LimitExceededError", fmt::format("{} has at most {} entries", key, kMaxActions));
  json::array out;
  std::set<std::string> names;
  for (const json::value& each : *sent) {
    out.push_back(camel_case(each));
    if (auto good = check(out.back(), names); !good) return std::unexpected(good.error());
  }
  return out;
}

json::object provision_json(std::string resource, const json::object& body, size_t current, std::string problem) {
  json::object out{{"resource", std::move(resource)}, {"target", int_or(body, "target")}, {"current", current}};
  for (const char* key : {"scheduledActions", "targetTrackingPolicies"}) {
    const json::value* kept = body.if_contains(key);
    out[key] = kept ? *kept : json::value(json::array());
  }
  if (!problem.empty()) out["currentError"] = std::move(problem);
  return out;
}

// With what is true of the function now.
io::Task<json::object> described(FcCall& call, std::string name, json::object body) {
  auto target = dispatch::target_of_limits(name);
  MAYFLY_CHECK(target.has_value());
  dispatch::FunctionStatus status = co_await call.context.invoker.status(call.loop, target->service, target->function);
  std::string qualifier = target->qualifier.empty() ? std::string(functions::kLatest) : target->qualifier;
  auto current = static_cast<size_t>(std::count_if(status.instances.begin(), status.instances.end(), [&](const auto& each) { return each.qualifier == qualifier; }));
  std::string problem;
  for (const auto& each : status.suspended)
    if (each.qualifier == qualifier) problem = each.why;
  bool tracked = body.contains("targetTrackingPolicies") && !body.at("targetTrackingPolicies").as_array().empty();
  size_t wanted = tracked ? status.minimum : static_cast<size_t>(int_or(body, "target"));
  std::string resource = fmt::format("{}#{}#{}#{}", call.account(), target->service, qualifier, target->function);  // as the vendor's clients show it
  co_return provision_json(std::move(resource), body, std::min(current, wanted), std::move(problem));
}

}  // namespace

io::Task<FcAnswer> fc_put_provision(FcCall& call) {
  FC_CO_TRY([[maybe_unused]] const functions::Function function, call, "Function", call.context.catalogue.function(call.service, call.qualifier, call.function));
  auto before = call.context.settings.get(dispatch::kProvisionConfig, provision_name(call));
  const json::object* kept_before = before ? &before->body : nullptr;
  int64_t target = 0;
  FcFields fields(call.body);
  fields.number("target", target, 0, kMaxProvisioned);
  if (!fields.any("target")) co_return invalid_argument("target must be sent");
  auto actions = checked(call, fields, "scheduledActions", kept_before, check_action);
  auto policies = checked(call, fields, "targetTrackingPolicies", kept_before, check_policy);
  if (auto good = fields.done(); !good) co_return std::unexpected(good.error());
  if (!actions) co_return std::unexpected(actions.error());
  if (!policies) co_return std::unexpected(policies.error());
  json::object body{{"target", target}, {"scheduledActions", std::move(*actions)}, {"targetTrackingPolicies", std::move(*policies)}};
  FC_CO_TRY(const functions::Document kept, call, "ProvisionConfig",
            co_await call.context.settings.put(call.loop, dispatch::kProvisionConfig, provision_name(call), std::move(body), functions::Settings::Mode::either, call.if_match()));
  json::object answer = co_await described(call, kept.name, kept.body);
  co_return json_response(std::move(answer), etag(kept));
}

// A function without one has none provisioned: an answer, not an error.
io::Task<FcAnswer> fc_get_provision(FcCall& call) {
  FC_CO_TRY([[maybe_unused]] const functions::Function function, call, "Function", call.context.catalogue.function(call.service, call.qualifier, call.function));
  auto kept = call.context.settings.get(dispatch::kProvisionConfig, provision_name(call));
  json::object answer = co_await described(call, provision_name(call), kept ? kept->body : json::object());
  co_return json_response(std::move(answer), kept ? etag(*kept) : std::string());
}

io::Task<FcAnswer> fc_delete_provision(FcCall& call) {
  FC_CO_TRY_VOID(call, "ProvisionConfig", co_await call.context.settings.erase(call.loop, dispatch::kProvisionConfig, provision_name(call), call.if_match()));
  co_return no_content();
}

io::Task<FcAnswer> fc_list_provisions(FcCall& call) {
  auto query = list_query(call);
  if (!query) co_return std::unexpected(query.error());
  std::string service = call.service.empty() ? call.parameter("serviceName") : call.service, qualifier = call.parameter("qualifier");
  query->prefix = service.empty() ? std::string() : fmt::format("services/{}.{}", service, qualifier.empty() ? "" : qualifier + "/");
  auto page = call.context.settings.list(dispatch::kProvisionConfig, *query);
  json::array configs;
  for (const auto& document : page.items) {
    json::object config = co_await described(call, document.name, document.body);
    configs.push_back(std::move(config));
  }
  co_return json_response({{"provisionConfigs", std::move(configs)}, {"nextToken", page.next}});
}

}  // namespace mayfly::dialects::aliyun
