#include "sandbox/plan.h"

#include "base/check.h"
#include "base/json.h"

namespace mayfly::sandbox {

std::string to_json(const Plan& plan) {
  json::array binds;
  for (const auto& bind : plan.binds) binds.push_back({bind.source, bind.target, bind.optional});
  return to_text(json::object{
      {"isolated", plan.isolation == Isolation::full},
      {"hostname", plan.hostname},
      {"host_uid", plan.host_uid},
      {"binds", std::move(binds)},
      {"files", json::value_from(plan.files)},
      {"doors", json::value_from(plan.doors)},
      {"dns_door", plan.dns_door},
      {"command", json::value_from(plan.command)},
      {"environment", json::value_from(plan.environment)},
      {"folder", plan.folder},
      {"open_files", plan.open_files},
      {"processes", plan.processes},
  });
}

Plan plan_from_json(std::string_view text) {
  auto parsed = parse_json(text);
  MAYFLY_CHECK(parsed.has_value());
  const json::object& from = parsed->as_object();
  Plan plan;
  plan.isolation = from.at("isolated").as_bool() ? Isolation::full : Isolation::none;
  plan.hostname = view(from.at("hostname").as_string());
  plan.host_uid = from.at("host_uid").to_number<uint32_t>();
  for (const auto& bind : from.at("binds").as_array()) {
    plan.binds.push_back({std::string(view(bind.at(0).as_string())), std::string(view(bind.at(1).as_string())), bind.at(2).as_bool()});
  }
  plan.files = json::value_to<std::map<std::string, std::string>>(from.at("files"));
  plan.doors = json::value_to<std::vector<uint16_t>>(from.at("doors"));
  plan.dns_door = from.at("dns_door").as_bool();
  plan.command = json::value_to<std::vector<std::string>>(from.at("command"));
  plan.environment = json::value_to<std::vector<std::string>>(from.at("environment"));
  plan.folder = view(from.at("folder").as_string());
  plan.open_files = from.at("open_files").to_number<uint64_t>();
  plan.processes = from.at("processes").to_number<uint64_t>();
  return plan;
}

}  // namespace mayfly::sandbox
