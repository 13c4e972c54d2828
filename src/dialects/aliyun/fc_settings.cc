// Asynchronous-invocation configuration, instance limits, tags and account settings: documents beside the catalogue.

#include "dialects/aliyun/fc_fields.h"
#include "dialects/aliyun/fc_operations.h"
#include "dispatch/limits.h"

namespace mayfly::dialects::aliyun {
namespace {

constexpr const char* kTags = "tags";
constexpr int64_t kMaxInstances = 10'000;  // a number far beyond what one machine holds: a typing mistake
constexpr size_t kMaxTags = 20;  // of one resource, the vendor's limit

json::object config_json(const functions::Document& document) {
  json::object out = document.body;
  out["createdTime"] = iso8601_s(document.created_us);
  out["lastModifiedTime"] = iso8601_s(document.modified_us);
  return out;
}

std::string qualifier_or_latest(const FcCall& call) { return call.qualifier.empty() ? std::string(functions::kLatest) : call.qualifier; }
std::string config_name(const FcCall& call) { return dispatch::async_config_name(call.service, call.qualifier, call.function); }

// The resource a tag call is about; the body's, or the query's.
FcExpected<std::string> tagged_resource(const FcCall& call) {
  std::string resource = call.parameter("resourceArn");
  if (!call.bytes.empty()) {
    FcFields fields(call.body);
    fields.required_text("resourceArn", resource);
    if (auto good = fields.done(); !good) return std::unexpected(good.error());
  }
  size_t at = resource.find("services/");
  if (at == resource.npos) return invalid_argument("resourceArn must name a service: acs:fc:<region>:<account>:services/<name>");
  std::string service = resource.substr(at + 9);
  if (auto found = call.context.catalogue.service(service, ""); !found) return refuse(404, "ServiceNotFound", found.error().message);
  return resource;
}

std::string on_demand_name(const FcCall& call) { return dispatch::limits_name(call.service, call.qualifier, call.function); }

json::object on_demand_json(const functions::Document& document) {
  json::object out = document.body;
  out["resource"] = document.name;
  return out;
}

std::string tags_name(const std::string& resource) { return resource.substr(resource.find("services/")); }

// A destination is called in the name of whoever set it: he must be allowed to.
FcExpected<void> check_destinations(const FcCall& call, const json::value& destinations) {
  for (const char* name : {"onSuccess", "onFailure"}) {
    const json::value* one = find(destinations, name);
    std::string arn = one ? string_or(*one, "destination") : std::string();
    if (std::string problem = dispatch::destination_problem(arn); !problem.empty()) return invalid_argument(problem);
    size_t service = arn.find(":services/"), function = arn.find("/functions/");
    if (service == arn.npos || function == arn.npos || function < service) continue;  // no function
    std::string target = arn.substr(service + 1, std::min(arn.find('.', service), function) - service - 1) + arn.substr(function);
    if (!call.context.authorizer.allows(call.identity, {"fc:InvokeFunction", call.arn(target)}))
      return refuse(403, "AccessDenied", fmt::format("the caller is not authorized to do fc:InvokeFunction on {}", call.arn(target)));
  }
  return {};
}

}  // namespace

io::Task<FcAnswer> fc_put_async_config(FcCall& call) {
  FC_CO_TRY([[maybe_unused]] const functions::Function function, call, "Function", call.context.catalogue.function(call.service, call.qualifier, call.function));
  FcFields fields(call.body);
  json::object config{{"service", call.service}, {"function", call.function}, {"qualifier", qualifier_or_latest(call)}};
  int64_t age = 86'400, retries = 3;
  bool stateful = false;
  fields.number("maxAsyncEventAgeInSeconds", age, 1, 2'592'000);
  fields.number("maxAsyncRetryAttempts", retries, 0, 8);
  fields.boolean("statefulInvocation", stateful);
  const json::object* destinations = fields.object("destinationConfig");
  if (auto good = fields.done(); !good) co_return std::unexpected(good.error());
  config["destinationConfig"] = destinations ? camel_case(*destinations) : json::value(json::object());
  if (auto may = check_destinations(call, config["destinationConfig"]); !may) co_return std::unexpected(may.error());
  config["maxAsyncEventAgeInSeconds"] = age;
  config["maxAsyncRetryAttempts"] = retries;
  config["statefulInvocation"] = stateful;
  FC_CO_TRY(const functions::Document kept, call, "AsyncConfig",
            co_await call.context.settings.put(call.loop, dispatch::kAsyncConfig, config_name(call), std::move(config), functions::Settings::Mode::either, call.if_match()));
  co_return json_response(config_json(kept), etag(kept));
}

io::Task<FcAnswer> fc_get_async_config(FcCall& call) {
  FC_CO_TRY(const functions::Document kept, call, "AsyncConfig", call.context.settings.get(dispatch::kAsyncConfig, config_name(call)));
  co_return json_response(config_json(kept), etag(kept));
}

io::Task<FcAnswer> fc_delete_async_config(FcCall& call) {
  FC_CO_TRY_VOID(call, "AsyncConfig", co_await call.context.settings.erase(call.loop, dispatch::kAsyncConfig, config_name(call), call.if_match()));
  co_return no_content();
}

io::Task<FcAnswer> fc_list_async_configs(FcCall& call) {
  auto query = list_query(call);
  if (!query) co_return std::unexpected(query.error());
  std::string service = call.service.empty() ? call.parameter("serviceName") : call.service;
  std::string function = call.function.empty() ? call.parameter("functionName") : call.function;
  query->prefix = service.empty() ? "" : service + "/" + (function.empty() ? "" : function + "/");
  auto page = call.context.settings.list(dispatch::kAsyncConfig, *query);
  json::array configs;
  for (const auto& document : page.items) configs.push_back(config_json(document));
  co_return json_response({{"configs", configs}, {"nextToken", page.next}});
}

io::Task<FcAnswer> fc_put_on_demand(FcCall& call) {
  FC_CO_TRY([[maybe_unused]] const functions::Function function, call, "Function", call.context.catalogue.function(call.service, call.qualifier, call.function));
  int64_t most = 0;
  FcFields fields(call.body);
  fields.number("maximumInstanceCount", most, 0, kMaxInstances);
  if (!fields.any("maximumInstanceCount")) co_return invalid_argument("maximumInstanceCount must be sent");
  if (auto good = fields.done(); !good) co_return std::unexpected(good.error());
  FC_CO_TRY(const functions::Document kept, call, "OnDemandConfig",
            co_await call.context.settings.put(call.loop, dispatch::kOnDemandConfig, on_demand_name(call), {{"maximumInstanceCount", most}},
                                               functions::Settings::Mode::either, call.if_match()));
  co_return json_response(on_demand_json(kept), etag(kept));
}

io::Task<FcAnswer> fc_get_on_demand(FcCall& call) {
  FC_CO_TRY(const functions::Document kept, call, "OnDemandConfig", call.context.settings.get(dispatch::kOnDemandConfig, on_demand_name(call)));
  co_return json_response(on_demand_json(kept), etag(kept));
}

io::Task<FcAnswer> fc_delete_on_demand(FcCall& call) {
  FC_CO_TRY_VOID(call, "OnDemandConfig", co_await call.context.settings.erase(call.loop, dispatch::kOnDemandConfig, on_demand_name(call), call.if_match()));
  co_return no_content();
}

// Unlike other lists this one leaves out what is empty (section 7.2).
io::Task<FcAnswer> fc_list_on_demand(FcCall& call) {
  auto query = list_query(call);
  if (!query) co_return std::unexpected(query.error());
  auto page = call.context.settings.list(dispatch::kOnDemandConfig, *query);
  json::array configs;
  for (const auto& document : page.items) configs.push_back(on_demand_json(document));
  json::object out;
  if (!configs.empty()) out["configs"] = std::move(configs);
  if (!page.next.empty()) out["nextToken"] = page.next;
  co_return json_response(std::move(out));
}

io::Task<FcAnswer> fc_list_instances(FcCall& call) {
  FC_CO_TRY([[maybe_unused]] const functions::Function function, call, "Function", call.context.catalogue.function(call.service, call.qualifier, call.function));
  dispatch::FunctionStatus status = co_await call.context.invoker.status(call.loop, call.service, call.function);
  json::array instances;
  for (const auto& instance : status.instances)
    if (call.qualifier.empty() || instance.qualifier == call.qualifier)
      instances.push_back(json::object{{"instanceId", instance.id}, {"versionId", instance.version.empty() ? std::string("0") : instance.version}});
  co_return json_response({{"requestId", call.request_id}, {"instances", instances}});
}

io::Task<FcAnswer> fc_tag(FcCall& call) {
  auto resource = tagged_resource(call);
  if (!resource) co_return std::unexpected(resource.error());
  std::map<std::string, std::string> sent;
  FcFields fields(call.body);
  fields.text_map("tags", sent);
  if (auto good = fields.done(); !good) co_return std::unexpected(good.error());
  auto stored = call.context.settings.get(kTags, tags_name(*resource));
  json::object tags = stored ? stored->body : json::object();
  for (const auto& [key, value] : sent) tags[key] = value;
  if (tags.size() > kMaxTags) co_return refuse(400, "LimitExceededError", fmt::format("a resource has at most {} tags", kMaxTags));
  FC_CO_TRY_VOID(call, "Tag", co_await call.context.settings.put(call.loop, kTags, tags_name(*resource), std::move(tags), functions::Settings::Mode::either));
  co_return json_response({{"requestId", call.request_id}});
}

io::Task<FcAnswer> fc_get_tags(FcCall& call) {
  auto resource = tagged_resource(call);
  if (!resource) co_return std::unexpected(resource.error());
  auto stored = call.context.settings.get(kTags, tags_name(*resource));
  co_return json_response({{"requestId", call.request_id}, {"resourceArn", call.arn(tags_name(*resource))}, {"tags", stored ? stored->body : json::object()}});
}

io::Task<FcAnswer> fc_untag(FcCall& call) {
  auto resource = tagged_resource(call);
  if (!resource) co_return std::unexpected(resource.error());
  bool all = false;
  FcFields fields(call.body);
  fields.boolean("all", all);
  const json::array* keys = fields.array("tagKeys");
  if (auto good = fields.done(); !good) co_return std::unexpected(good.error());
  auto stored = call.context.settings.get(kTags, tags_name(*resource));
  json::object tags = stored && !all ? stored->body : json::object();
  if (keys)
    for (const auto& key : *keys)
      if (key.is_string()) tags.erase(view(key.get_string()));
  FC_CO_TRY_VOID(call, "Tag", co_await call.context.settings.put(call.loop, kTags, tags_name(*resource), std::move(tags), functions::Settings::Mode::either));
  co_return json_response({{"requestId", call.request_id}});
}

io::Task<FcAnswer> fc_account_settings(FcCall& call) {
  co_return json_response({{"accountId", call.account()}, {"availableAZs", json::array{call.context.region}}, {"defaultRole", ""}});
}

}  // namespace mayfly::dialects::aliyun
