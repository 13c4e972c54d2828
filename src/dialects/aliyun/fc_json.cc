#include "dialects/aliyun/fc_json.h"

#include <algorithm>
#include <array>

#include "base/clock.h"
#include "dialects/aliyun/fc_fields.h"
#include "events/schedule.h"

namespace mayfly::dialects::aliyun {
namespace {

constexpr int64_t kMinMemoryMb = 128, kMemoryStepMb = 64;  // aliyun-fc.md section 12
constexpr size_t kMaxEnvironment = 4'096;                  // section 5.7
constexpr size_t kMaxTimerPayload = 128 * 1024;            // section 4
// The vendor's, ours, and of other platforms those whose programs can be packed the same way.
constexpr std::array<std::string_view, 15> kRuntimes{"python", "nodejs", "java", "php", "dotnetcore", "go", "cpp", "custom", "custom-container", "provided", "CustomRuntime",
                                                     "scf-web", "knative", "of-watchdog", "classic-watchdog"};
constexpr std::array<std::string_view, 4> kReserved{"accessKeyID", "accessKeySecret", "securityToken", "topic"};
// Stored as sent, for whoever asks again: the core does not act on them.
constexpr std::array<std::string_view, 9> kFunctionExtras{"instanceType", "caPort", "instanceLifecycleConfig", "customContainerConfig",
                                                           "customRuntimeConfig", "customHealthCheckConfig", "customDNS", "gpuMemorySize", "diskSize"};

json::value default_service_member(std::string_view key) {
  if (key == "logConfig") return json::object{{"project", ""}, {"logstore", ""}, {"enableRequestMetrics", false}, {"enableInstanceMetrics", false}};
  if (key == "vpcConfig") return json::object{{"vpcId", ""}, {"vSwitchIds", json::array()}, {"securityGroupId", ""}};
  if (key == "nasConfig") return json::object{{"userId", -1}, {"groupId", -1}, {"mountPoints", json::array()}};
  if (key == "tracingConfig") return json::object{{"type", nullptr}, {"params", nullptr}};
  return true;  // internetAccess
}
constexpr std::array<std::string_view, 5> kServiceMembers{"logConfig", "vpcConfig", "nasConfig", "tracingConfig", "internetAccess"};

void add_times(json::object& out, int64_t created_us, int64_t modified_us) {
  out["createdTime"] = iso8601_s(created_us);
  out["lastModifiedTime"] = iso8601_s(modified_us);
}

json::value text_or_null(const std::string& text) { return text.empty() ? json::value(nullptr) : json::value(text); }

FcExpected<void> check_environment(const std::map<std::string, std::string>& environment) {
  size_t total = 0;
  for (const auto& [key, value] : environment) {
    total += key.size() + value.size();
    if (key.starts_with("FC_") || std::find(kReserved.begin(), kReserved.end(), key) != kReserved.end())
      return invalid_argument(fmt::format("the environment variable name '{}' is reserved", key));
  }
  if (total > kMaxEnvironment) return invalid_argument(fmt::format("the environment variables take {} bytes, more than {}", total, kMaxEnvironment));
  return {};
}

// Of these http, oss and timer run functions; the others are kept and given back, as deployers expect.
FcExpected<void> check_trigger_type(const std::string& type) {
  for (std::string_view known : {"http", "oss", "timer", "log", "mns_topic", "rds", "tablestore", "cdn_events", "datahub", "eventbridge"})
    if (type == known) return {};
  return invalid_argument(fmt::format("trigger type '{}' is none of http, oss, timer, log, mns_topic, rds, tablestore, cdn_events, datahub, eventbridge", type));
}

FcExpected<void> check_runtime(const std::string& runtime) {
  for (std::string_view known : kRuntimes)
    if (runtime.starts_with(known)) return {};
  return invalid_argument(fmt::format("runtime '{}' is none of {}", runtime, fmt::join(kRuntimes, ", ")));
}

FcExpected<void> check_timer(const json::value& config) {
  std::string cron, payload;
  FcFields fields(config, "triggerConfig");
  fields.required_text("cronExpression", cron);
  fields.text("payload", payload);
  if (auto good = fields.done(); !good) return good;
  if (payload.size() > kMaxTimerPayload) return invalid_argument(fmt::format("the payload of a timer is limited to {} bytes", kMaxTimerPayload));
  if (auto schedule = events::Schedule::parse(cron); !schedule) return invalid_argument(fmt::format("cronExpression '{}': {}", cron, schedule.error().message));
  return {};
}

}  // namespace

json::object service_json(const functions::Service& service) {
  json::object out{{"serviceName", service.name}, {"serviceId", service.id}, {"description", service.description}, {"role", service.role}};
  for (std::string_view key : kServiceMembers) {
    json::value member = default_service_member(key);
    const json::value* stored = service.vendor.if_contains(key);
    if (stored && member.is_object() && stored->is_object()) {
      for (const auto& each : stored->get_object()) member.get_object()[each.key()] = each.value();
    } else if (stored && !stored->is_null()) {
      member = *stored;
    }
    out[key] = std::move(member);
  }
  add_times(out, service.created_us, service.modified_us);
  return out;
}

FcExpected<void> read_service(const json::value& body, functions::Service& service) {
  FcFields fields(body);
  fields.text("description", service.description);
  fields.text("role", service.role);
  for (std::string_view key : kServiceMembers) {
    if (key == "internetAccess") {
      bool access = true;
      if (fields.any(key)) {
        fields.boolean(key, access);
        service.vendor[key] = access;
      }
    } else if (const json::object* sent = fields.object(key)) {
      service.vendor[key] = camel_case(*sent);
    }
  }
  return fields.done();
}

json::object function_json(const functions::Function& f) {
  json::object environment;
  for (const auto& [key, value] : f.environment) environment[key] = value;
  json::object out{{"functionName", f.name}, {"functionId", f.id}, {"description", f.description}, {"runtime", f.runtime}, {"handler", f.handler},
                   {"initializer", f.initializer}, {"timeout", f.timeout_s}, {"initializationTimeout", f.initialization_timeout_s},
                   {"memorySize", f.memory_mb}, {"instanceConcurrency", f.instance_concurrency}, {"instanceType", "e1"},
                   {"codeSize", f.code.size_bytes}, {"codeChecksum", f.code.checksum}, {"environmentVariables", environment},
                   {"customContainerConfig", nullptr}, {"caPort", nullptr}, {"layers", json::array()}};
  for (std::string_view key : kFunctionExtras)
    if (const json::value* stored = f.vendor.if_contains(key)) out[key] = *stored;
  if (const json::value* layers = f.vendor.if_contains("layers")) out["layers"] = *layers;  // fc_layers.cc reads and writes them
  add_times(out, f.created_us, f.modified_us);
  return out;
}

FcExpected<void> read_function(const json::value& body, functions::Function& f) {
  FcFields fields(body);
  fields.text("description", f.description);
  fields.text("runtime", f.runtime);
  fields.text("handler", f.handler);
  fields.text("initializer", f.initializer);
  fields.number("timeout", f.timeout_s, 1, 86'400);
  fields.number("initializationTimeout", f.initialization_timeout_s, 1, 300);
  int64_t memory_mb = 0;
  fields.number("memorySize", memory_mb, kMinMemoryMb, 32 * 1024);
  fields.number("instanceConcurrency", f.instance_concurrency, 1, 100);
  if (fields.any("environmentVariables")) {
    fields.text_map("environmentVariables", f.environment);
    if (auto good = check_environment(f.environment); !good) return good;
  }
  for (std::string_view key : kFunctionExtras)
    if (const json::value* sent = fields.any(key)) f.vendor[key] = camel_case(*sent);
  if (auto good = fields.done(); !good) return good;
  if (memory_mb % kMemoryStepMb != 0) return invalid_argument(fmt::format("memorySize must be a multiple of {} MB, not {}", kMemoryStepMb, memory_mb));
  if (memory_mb != 0) f.memory_mb = memory_mb;
  return check_runtime(f.runtime);
}

json::object trigger_json(const functions::Trigger& t, const std::string& version) {
  json::object out{{"triggerName", t.name}, {"triggerId", t.id}, {"description", t.description}, {"triggerType", t.type},
                   {"sourceArn", text_or_null(t.source_arn)}, {"invocationRole", text_or_null(t.invocation_role)},
                   {"qualifier", text_or_null(t.qualifier)}, {"triggerConfig", t.config}};
  if (version != "2016-08-15") out["triggerConfig"] = to_text(t.config);
  add_times(out, t.created_us, t.modified_us);
  return out;
}

FcExpected<void> read_trigger(const json::value& body, functions::Trigger& t) {
  FcFields fields(body);
  fields.text("description", t.description);
  fields.text("triggerType", t.type);
  fields.text("sourceArn", t.source_arn);
  fields.text("invocationRole", t.invocation_role);
  fields.text("qualifier", t.qualifier);
  const json::value* config = fields.any("triggerConfig");
  json::value parsed;
  if (config && config->is_string()) {  // the API of 2021-04-06
    auto text = parse_json(view(config->get_string()));
    if (!text) return invalid_argument("triggerConfig is not JSON: " + text.error().message);
    parsed = std::move(*text);
    config = &parsed;
  }
  if (config && !config->is_object()) return invalid_argument("triggerConfig must be an object");
  if (config) {
    // Message topics keep the vendor's capitals; a log trigger's functionParameter is the user's own.
    const json::value* parameter = find_ignore_case(*config, "functionParameter");
    t.config = t.type == "mns_topic" ? config->get_object() : camel_case(*config).get_object();
    if (parameter) t.config["functionParameter"] = *parameter;
  }
  if (t.type == "http") t.source_arn.clear();
  if (auto good = fields.done(); !good) return good;
  if (auto good = check_trigger_type(t.type); !good) return good;
  return t.type == "timer" ? check_timer(t.config) : FcExpected<void>{};
}

json::object version_json(const functions::Version& version) {
  json::object out{{"versionId", version.id}, {"description", version.description}};
  add_times(out, version.created_us, version.modified_us);
  return out;
}

json::object alias_json(const functions::Alias& alias) {
  json::object weights;
  for (const auto& [version, weight] : alias.additional_weights) weights[version] = weight;
  json::object out{{"aliasName", alias.name}, {"versionId", alias.version}, {"description", alias.description}, {"additionalVersionWeight", weights}};
  add_times(out, alias.created_us, alias.modified_us);
  return out;
}

FcExpected<void> read_alias(const json::value& body, functions::Alias& alias) {
  FcFields fields(body);
  fields.text("versionId", alias.version);
  fields.text("description", alias.description);
  fields.number_map("additionalVersionWeight", alias.additional_weights);
  return fields.done();
}

}  // namespace mayfly::dialects::aliyun
