#include "functions/rows.h"

#include "base/encoding.h"
#include "base/hash.h"
#include "store/keys.h"

namespace mayfly::functions {
namespace {

constexpr std::string_view kRoom = "functions";

json::object object_or_empty(const json::value& value, std::string_view key) {
  const json::value* found = find(value, key);
  return found && found->is_object() ? found->get_object() : json::object();
}

// Objects written with their keys sorted: equal configurations have equal text whatever order they came in.
json::value sorted(const json::value& value) {
  if (const json::array* array = value.if_array()) {
    json::array out;
    for (const auto& item : *array) out.push_back(sorted(item));
    return out;
  }
  const json::object* object = value.if_object();
  if (!object) return value;
  std::map<std::string, const json::value*> members;
  for (const auto& member : *object) members.emplace(std::string(member.key()), &member.value());
  json::object out;
  for (const auto& [key, member] : members) out[key] = sorted(*member);
  return out;
}

}  // namespace

std::string rows_prefix() { return store::make_key({kRoom}); }
std::string generation_key() { return store::make_key({"functions-generation"}); }
std::string service_key(const std::string& service) { return store::make_key({kRoom, "service", service}); }
std::string function_key(const std::string& service, const std::string& function) { return store::make_key({kRoom, "function", service, function}); }
std::string trigger_key(const std::string& service, const std::string& function, const std::string& trigger) {
  return store::make_key({kRoom, "trigger", service, function, trigger});
}
std::string version_key(const std::string& service, int64_t version) {
  return store::make_key({kRoom, "version", service, store::ordered_int(version)});
}
std::string alias_key(const std::string& service, const std::string& alias) { return store::make_key({kRoom, "alias", service, alias}); }

json::object to_json(const Service& s) {
  return {{"name", s.name}, {"id", s.id}, {"description", s.description}, {"role", s.role}, {"vendor", s.vendor},
          {"created_us", s.created_us}, {"modified_us", s.modified_us}};
}

json::object to_json(const ServiceRow& row) {
  json::object out = to_json(row.service);
  out["last_version"] = row.last_version;
  return out;
}

json::object to_json(const Function& f) {
  json::object environment;
  for (const auto& [key, value] : f.environment) environment[key] = value;
  json::array layers;
  for (const LayerRef& layer : f.layers) layers.push_back(json::object{{"name", layer.name}, {"version", layer.version}, {"digest", layer.digest}});
  json::object out{{"service", f.service}, {"name", f.name}, {"id", f.id}, {"description", f.description}, {"runtime", f.runtime},
          {"handler", f.handler}, {"initializer", f.initializer}, {"timeout_s", f.timeout_s},
          {"initialization_timeout_s", f.initialization_timeout_s}, {"memory_mb", f.memory_mb},
          {"instance_concurrency", f.instance_concurrency}, {"environment", environment},
          {"code", json::object{{"digest", f.code.digest}, {"checksum", f.code.checksum}, {"size_bytes", f.code.size_bytes}}},
          {"vendor", f.vendor}, {"created_us", f.created_us}, {"modified_us", f.modified_us}};
  // Without any, a row is what earlier releases wrote: etags and revisions stay.
  if (!layers.empty()) out["layers"] = std::move(layers);
  if (!f.egress.empty()) out["egress"] = json::value_from(f.egress);
  return out;
}

json::object to_json(const Trigger& t) {
  return {{"service", t.service}, {"function", t.function}, {"name", t.name}, {"id", t.id}, {"description", t.description},
          {"type", t.type}, {"source_arn", t.source_arn}, {"invocation_role", t.invocation_role}, {"qualifier", t.qualifier},
          {"config", t.config}, {"created_us", t.created_us}, {"modified_us", t.modified_us}};
}

json::object to_json(const Version& v) {
  return {{"id", v.id}, {"description", v.description}, {"created_us", v.created_us}, {"modified_us", v.modified_us}};
}

json::object to_json(const VersionRow& row) {
  json::array functions;
  for (const Function& function : row.functions) functions.push_back(to_json(function));
  return {{"version", to_json(row.version)}, {"service", to_json(row.service)}, {"functions", functions}, {"content", row.content}};
}

json::object to_json(const Alias& a) {
  json::object weights;
  for (const auto& [version, weight] : a.additional_weights) weights[version] = weight;
  return {{"name", a.name}, {"version", a.version}, {"description", a.description}, {"additional_weights", weights},
          {"created_us", a.created_us}, {"modified_us", a.modified_us}};
}

Service service_from(const json::value& v) {
  return {.name = string_or(v, "name"), .id = string_or(v, "id"), .description = string_or(v, "description"), .role = string_or(v, "role"),
          .vendor = object_or_empty(v, "vendor"), .created_us = int_or(v, "created_us"), .modified_us = int_or(v, "modified_us")};
}

ServiceRow service_row_from(const json::value& v) { return {service_from(v), int_or(v, "last_version")}; }

Function function_from(const json::value& v) {
  Function f{.service = string_or(v, "service"), .name = string_or(v, "name"), .id = string_or(v, "id"), .description = string_or(v, "description"),
             .runtime = string_or(v, "runtime"), .handler = string_or(v, "handler"), .initializer = string_or(v, "initializer"),
             .timeout_s = int_or(v, "timeout_s", 3), .initialization_timeout_s = int_or(v, "initialization_timeout_s", 3),
             .memory_mb = int_or(v, "memory_mb", 128), .instance_concurrency = int_or(v, "instance_concurrency", 1),
             .vendor = object_or_empty(v, "vendor"), .created_us = int_or(v, "created_us"), .modified_us = int_or(v, "modified_us")};
  for (const auto& member : object_or_empty(v, "environment")) f.environment[std::string(member.key())] = std::string(view(member.value().as_string()));
  json::value code = object_or_empty(v, "code");
  f.code = {string_or(code, "digest"), string_or(code, "checksum"), static_cast<uint64_t>(int_or(code, "size_bytes"))};
  if (const json::value* layers = find(v, "layers"); layers && layers->is_array())
    for (const auto& item : layers->get_array()) f.layers.push_back({string_or(item, "name"), int_or(item, "version"), string_or(item, "digest")});
  if (const json::value* egress = find(v, "egress"); egress && egress->is_array())
    for (const auto& item : egress->get_array()) f.egress.push_back(std::string(view(item.as_string())));
  return f;
}

Trigger trigger_from(const json::value& v) {
  return {.service = string_or(v, "service"), .function = string_or(v, "function"), .name = string_or(v, "name"), .id = string_or(v, "id"),
          .description = string_or(v, "description"), .type = string_or(v, "type"), .source_arn = string_or(v, "source_arn"),
          .invocation_role = string_or(v, "invocation_role"), .qualifier = string_or(v, "qualifier"), .config = object_or_empty(v, "config"),
          .created_us = int_or(v, "created_us"), .modified_us = int_or(v, "modified_us")};
}

VersionRow version_row_from(const json::value& v) {
  json::value version = object_or_empty(v, "version");
  VersionRow row{.version = {string_or(version, "id"), string_or(version, "description"), int_or(version, "created_us"), int_or(version, "modified_us")},
                 .service = service_from(object_or_empty(v, "service")),
                 .functions = {},
                 .content = string_or(v, "content")};
  if (const json::value* functions = find(v, "functions"); functions && functions->is_array())
    for (const auto& item : functions->get_array()) row.functions.push_back(function_from(item));
  return row;
}

Alias alias_from(const json::value& v) {
  Alias alias{.name = string_or(v, "name"), .version = string_or(v, "version"), .description = string_or(v, "description"),
              .additional_weights = {}, .created_us = int_or(v, "created_us"), .modified_us = int_or(v, "modified_us")};
  for (const auto& member : object_or_empty(v, "additional_weights"))
    if (member.value().is_number()) alias.additional_weights[std::string(member.key())] = member.value().to_number<double>();
  return alias;
}

std::string content_digest(const Service& service, const std::vector<Function>& functions) {
  json::array all;
  json::object head = to_json(service);
  head.erase("created_us");
  head.erase("modified_us");
  all.push_back(sorted(head));
  for (const Function& function : functions) {
    json::object one = to_json(function);
    one.erase("modified_us");
    all.push_back(sorted(one));
  }
  return hex_encode(sha256(to_text(all)));
}

}  // namespace mayfly::functions
