#include "cli/deploy/bodies.h"

#include <fmt/ranges.h>

#include <filesystem>

#include "base/encoding.h"
#include "sys/file.h"

namespace mayfly::cli {
namespace {

std::string text_of(const json::value& value) { return value.is_string() ? std::string(view(value.get_string())) : to_text(value); }

json::object object_or_empty(const json::object& parent, std::string_view key) {
  const json::value* value = parent.if_contains(key);
  return value != nullptr && value->is_object() ? value->get_object() : json::object();
}

// The value of the first of two spellings that is there; null if neither.
json::value either(const json::object& parent, std::string_view one, std::string_view other) {
  if (const json::value* value = parent.if_contains(one)) return *value;
  if (const json::value* value = parent.if_contains(other)) return *value;
  return nullptr;
}

std::string lower_first(std::string_view name) {
  std::string out(name);
  if (!out.empty()) out[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(out[0])));
  return out;
}

void copy_if_set(json::object& out, std::string_view to, const json::object& from, std::string_view key) {
  if (const json::value* value = from.if_contains(key)) out[to] = *value;
}

// `own`:`ours`, each folder once.
std::string search_path(const std::string& own, const std::vector<std::string>& ours) {
  std::vector<std::string> parts;
  for (size_t at = 0; at < own.size();) {
    size_t colon = std::min(own.find(':', at), own.size());
    if (colon > at) parts.push_back(own.substr(at, colon - at));
    at = colon + 1;
  }
  for (const std::string& part : ours)
    if (std::find(parts.begin(), parts.end(), part) == parts.end()) parts.push_back(part);
  return fmt::format("{}", fmt::join(parts, ":"));
}

json::object hook(const json::object& lifecycle, std::string_view name) {
  json::object from = object_or_empty(lifecycle, name);
  json::object out{{"handler", string_or(from, "Handler")}};
  copy_if_set(out, "timeout", from, "Timeout");
  return out;
}

json::object container_body(const json::object& config) {
  json::object out;
  for (const auto& member : config) {
    const json::value& value = member.value();
    out[lower_first(member.key())] = value.is_array() ? json::value(json::string(to_text(value))) : value;  // the API takes lists as JSON texts
  }
  return out;
}

json::object timer_config(const json::object& properties) {
  json::object config{{"cronExpression", string_or(properties, "CronExpression")}, {"enable", bool_or(properties, "Enable", true)}};
  copy_if_set(config, "payload", properties, "Payload");
  return config;
}

json::object http_config(const json::object& properties) {
  json::object config{{"authType", lower(string_or(properties, "AuthType", "anonymous"))}};
  const json::value* methods = properties.if_contains("Methods");
  config["methods"] = methods != nullptr ? *methods : json::array{"GET", "POST", "PUT", "DELETE", "HEAD"};
  return config;
}

json::object log_config(const json::object& properties) {
  json::object source = object_or_empty(properties, "SourceConfig"), job = object_or_empty(properties, "JobConfig"),
               log = object_or_empty(properties, "LogConfig");
  return {{"sourceConfig", {{"logstore", string_or(source, "Logstore")}}},
          {"jobConfig", {{"maxRetryTime", int_or(job, "MaxRetryTime", 1)}, {"triggerInterval", int_or(job, "TriggerInterval", 30)}}},
          {"logConfig", {{"project", string_or(log, "Project")}, {"logstore", string_or(log, "Logstore")}}},
          {"functionParameter", object_or_empty(properties, "FunctionParameter")},
          {"Enable", bool_or(properties, "Enable", true)}};
}

json::object topic_config(const json::object& properties) {
  json::object config{{"NotifyContentFormat", string_or(properties, "NotifyContentFormat", "STREAM")},
                      {"NotifyStrategy", string_or(properties, "NotifyStrategy", "BACKOFF_RETRY")}};
  copy_if_set(config, "FilterTag", properties, "FilterTag");
  return config;
}

struct TriggerShape {
  std::string type, source_arn;
  json::object config;
};

Result<TriggerShape> shape_of(const EventSpec& event, const Place& place) {
  const json::object& p = event.properties;
  auto arn = [&](std::string_view product, std::string_view rest) { return fmt::format("acs:{}:{}:{}:{}", product, place.region, place.account, rest); };
  if (event.type == "Timer") return TriggerShape{"timer", "", timer_config(p)};
  if (event.type == "HTTP") return TriggerShape{"http", "", http_config(p)};
  if (event.type == "OSS") {
    json::object config{{"events", either(p, "Events", "events")}};
    json::value filter = either(p, "Filter", "filter");
    config["filter"] = filter.is_null() ? json::value(json::object{{"key", {{"prefix", ""}, {"suffix", ""}}}}) : filter;
    return TriggerShape{"oss", arn("oss", text_of(either(p, "BucketName", "bucketName"))), std::move(config)};
  }
  if (event.type == "Log") {
    std::string project = string_or(object_or_empty(p, "LogConfig"), "Project");
    return TriggerShape{"log", arn("log", "project/" + project), log_config(p)};
  }
  if (event.type == "MNSTopic") return TriggerShape{"mns_topic", arn("mns", "/topics/" + string_or(p, "TopicName")), topic_config(p)};
  if (event.type == "RDS") {
    json::object config;
    for (const char* key : {"SubscriptionObjects", "Retry", "Concurrency", "EventFormat"}) copy_if_set(config, lower_first(key), p, key);
    return TriggerShape{"rds", arn("rds", "dbinstance/" + string_or(p, "InstanceId")), std::move(config)};
  }
  if (event.type == "TableStore")
    return TriggerShape{"tablestore", arn("ots", fmt::format("instance/{}/table/{}", string_or(p, "InstanceName"), string_or(p, "TableName"))), {}};
  if (event.type == "CDN") {
    json::object filter;
    for (const auto& member : object_or_empty(p, "Filter")) filter[lower_first(member.key())] = member.value();
    json::object config{{"eventName", string_or(p, "EventName")}, {"eventVersion", string_or(p, "EventVersion")},
                        {"notes", string_or(p, "Notes")}, {"filter", std::move(filter)}};
    return TriggerShape{"cdn_events", fmt::format("acs:cdn:*:{}", place.account), std::move(config)};
  }
  return fail(Kind::usage, event.path + ": no trigger for events of type " + event.type);
}

}  // namespace

json::object with_platform_environment(const json::object& own) {
  const std::string root = "/code/.fun/root";
  const std::vector<std::string> system{"/usr/local/bin", "/usr/local/sbin", "/usr/bin", "/usr/sbin", "/sbin", "/bin"};
  std::vector<std::string> path;
  for (const std::string& folder : system) path.push_back(root + folder);
  for (const char* folder : {"/code", "/code/node_modules/.bin", "/code/.fun/python/bin", "/code/.fun/node_modules/.bin"}) path.emplace_back(folder);
  path.insert(path.end(), system.begin(), system.end());
  std::vector<std::string> libraries;
  for (const char* folder : {"/usr/local/lib", "/usr/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/lib", "/lib/x86_64-linux-gnu",
                             "/python/lib/python2.7/site-packages", "/python/lib/python3.6/site-packages"})
    libraries.push_back(root + folder);
  for (const char* folder : {"/code", "/code/lib", "/usr/local/lib"}) libraries.emplace_back(folder);
  json::object all;
  for (const auto& variable : own) all[variable.key()] = text_of(variable.value());
  all["LD_LIBRARY_PATH"] = search_path(string_or(all, "LD_LIBRARY_PATH"), libraries);
  all["PATH"] = search_path(string_or(all, "PATH"), path);
  all["NODE_PATH"] = search_path(string_or(all, "NODE_PATH"), {"/code/node_modules", "/usr/local/lib/node_modules"});
  if (!all.contains("PYTHONUSERBASE")) all["PYTHONUSERBASE"] = "/code/.fun/python";
  return all;
}

json::object service_body(const ServiceSpec& service, const std::string& role_arn) {
  const json::object& p = service.properties;
  json::object log = object_or_empty(p, "LogConfig"), vpc = object_or_empty(p, "VpcConfig"), nas = object_or_empty(p, "NasConfig");
  json::object body{{"serviceName", service.name}, {"description", string_or(p, "Description")}, {"role", role_arn}};
  body["logConfig"] = {{"project", string_or(log, "Project")}, {"logstore", string_or(log, "Logstore")},
                       {"enableRequestMetrics", bool_or(log, "EnableRequestMetrics")}, {"enableInstanceMetrics", bool_or(log, "EnableInstanceMetrics")}};
  json::value switches = either(vpc, "VSwitchIds", "vSwitchIds");
  body["vpcConfig"] = {{"vpcId", string_or(vpc, "VpcId")}, {"vSwitchIds", switches.is_null() ? json::value(json::array()) : switches},
                       {"securityGroupId", string_or(vpc, "SecurityGroupId")}};
  json::array mounts;
  if (const json::value* points = nas.if_contains("MountPoints"); points != nullptr && points->is_array())
    for (const json::value& point : points->get_array())
      mounts.push_back(json::object{{"serverAddr", string_or(point, "ServerAddr")}, {"mountDir", string_or(point, "MountDir")}});
  body["nasConfig"] = {{"userId", int_or(nas, "UserId", -1)}, {"groupId", int_or(nas, "GroupId", -1)}, {"mountPoints", std::move(mounts)}};
  const json::value* tracing = p.if_contains("TracingConfig");
  bool traced = tracing != nullptr && tracing->is_string() && view(tracing->get_string()) == "Enable";
  body["tracingConfig"] = tracing != nullptr && tracing->is_object() ? *tracing
                          : traced ? json::value(json::object{{"type", "Jaeger"}, {"params", json::object()}}) : json::value(json::object());
  copy_if_set(body, "internetAccess", p, "InternetAccess");
  return body;
}

json::object function_body(const FunctionSpec& function) {
  const json::object& p = function.properties;
  std::string runtime = string_or(p, "Runtime");
  json::object lifecycle = object_or_empty(p, "InstanceLifecycleConfig");
  const json::value* layers = p.if_contains("Layers");
  json::object own = object_or_empty(p, "EnvironmentVariables");
  json::object body{{"functionName", function.name},
                    {"description", string_or(p, "Description")},
                    {"runtime", runtime},
                    {"handler", string_or(p, "Handler", "index.handler")},
                    {"initializer", string_or(p, "Initializer")},
                    {"timeout", int_or(p, "Timeout", 3)},
                    {"initializationTimeout", int_or(p, "InitializationTimeout", 3)},
                    {"memorySize", int_or(p, "MemorySize", 128)},
                    {"instanceConcurrency", int_or(p, "InstanceConcurrency", 1)},
                    {"layers", layers != nullptr ? *layers : json::value(json::array())},
                    {"environmentVariables", runtime == "custom-container" ? own : with_platform_environment(own)},
                    {"instanceLifecycleConfig", {{"preFreeze", hook(lifecycle, "PreFreeze")}, {"preStop", hook(lifecycle, "PreStop")}}}};
  copy_if_set(body, "instanceType", p, "InstanceType");
  copy_if_set(body, "caPort", p, "CAPort");
  if (p.contains("CustomContainerConfig")) body["customContainerConfig"] = container_body(object_or_empty(p, "CustomContainerConfig"));
  return body;
}

json::object async_body(const FunctionSpec& function) {
  json::object from = object_or_empty(function.properties, "AsyncConfiguration"), body;
  if (from.empty()) return body;
  json::object destination = object_or_empty(from, "Destination"), targets;
  for (const char* outcome : {"OnSuccess", "OnFailure"})
    if (destination.contains(outcome)) targets[lower_first(outcome)] = {{"destination", destination.at(outcome)}};
  body["destinationConfig"] = std::move(targets);
  for (const char* key : {"MaxAsyncEventAgeInSeconds", "MaxAsyncRetryAttempts", "StatefulInvocation"}) copy_if_set(body, lower_first(key), from, key);
  return body;
}

Result<json::object> trigger_body(const EventSpec& event, const std::string& role_arn, const Place& place) {
  MAYFLY_TRY(TriggerShape shape, shape_of(event, place));
  json::object body{{"triggerName", event.name}, {"triggerType", shape.type}, {"triggerConfig", std::move(shape.config)}};
  if (!shape.source_arn.empty()) body["sourceArn"] = shape.source_arn;
  std::string role = string_or(event.properties, "InvocationRole", role_arn);
  if (!role.empty()) body["invocationRole"] = role;
  if (const json::value* qualifier = event.properties.if_contains("Qualifier")) body["qualifier"] = text_of(*qualifier);
  return body;
}

Result<json::object> domain_body(const DomainSpec& domain, const std::string& base_folder) {
  json::array routes;
  for (const auto& route : object_or_empty(object_or_empty(domain.properties, "RouteConfig"), "Routes")) {
    json::object entry{{"path", route.key()}};
    for (const char* key : {"ServiceName", "FunctionName", "Qualifier"}) copy_if_set(entry, lower_first(key), route.value().get_object(), key);
    routes.push_back(std::move(entry));
  }
  json::object body{{"domainName", domain.name}, {"protocol", string_or(domain.properties, "Protocol")}, {"routeConfig", {{"routes", std::move(routes)}}}};
  if (!domain.properties.contains("CertConfig")) return body;
  json::object from = object_or_empty(domain.properties, "CertConfig"), certificate{{"certName", string_or(from, "CertName")}};
  for (const char* key : {"PrivateKey", "Certificate"}) {
    std::string text = string_or(from, key);
    if (text.ends_with(".pem")) {
      auto contents = sys::read_file_if_exists((std::filesystem::path(base_folder) / text).string());
      if (!contents) return fail(Kind::usage, fmt::format("{}.Properties.CertConfig.{}: there is no file {}", domain.path, key, text));
      text = *contents;
    }
    certificate[lower_first(key)] = text;
  }
  body["certConfig"] = std::move(certificate);
  return body;
}

}  // namespace mayfly::cli
