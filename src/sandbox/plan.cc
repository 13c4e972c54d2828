#include "sandbox/plan.h"

namespace mayfly::sandbox {

json::value binds_to_value(const std::vector<Bind>& binds) {
  json::array out;
  for (const auto& bind : binds) out.push_back({bind.source, bind.target, bind.optional});
  return out;
}

std::vector<Bind> binds_from_value(const json::value& from) {
  std::vector<Bind> out;
  for (const auto& bind : from.as_array()) {
    out.push_back({std::string(view(bind.at(0).as_string())), std::string(view(bind.at(1).as_string())), bind.at(2).as_bool()});
  }
  return out;
}

json::value to_value(const Plan& plan) {
  return json::object{
      {"isolated", plan.isolation == Isolation::full},
      {"hostname", plan.hostname},
      {"binds", binds_to_value(plan.binds)},
      {"files", json::value_from(plan.files)},
      {"doors", json::value_from(plan.doors)},
      {"dns_door", plan.dns_door},
      {"confined", plan.confined},
      {"frames", plan.frames},
      {"held", plan.held},
      {"tmp_bytes", plan.tmp_bytes},
      {"command", json::value_from(plan.command)},
      {"environment", json::value_from(plan.environment)},
      {"folder", plan.folder},
      {"open_files", plan.open_files},
      {"processes", plan.processes},
      {"memory_bytes", plan.memory_bytes},
      {"cores", json::value_from(plan.cores)},
  };
}

Plan plan_from_value(const json::value& from) {
  Plan plan;
  plan.isolation = from.at("isolated").as_bool() ? Isolation::full : Isolation::none;
  plan.hostname = view(from.at("hostname").as_string());
  plan.binds = binds_from_value(from.at("binds"));
  plan.files = json::value_to<std::map<std::string, std::string>>(from.at("files"));
  plan.doors = json::value_to<std::vector<uint16_t>>(from.at("doors"));
  plan.dns_door = from.at("dns_door").as_bool();
  plan.confined = from.at("confined").as_bool();
  plan.frames = from.at("frames").as_bool();
  plan.held = from.at("held").as_bool();
  plan.tmp_bytes = from.at("tmp_bytes").to_number<uint64_t>();
  plan.command = json::value_to<std::vector<std::string>>(from.at("command"));
  plan.environment = json::value_to<std::vector<std::string>>(from.at("environment"));
  plan.folder = view(from.at("folder").as_string());
  plan.open_files = from.at("open_files").to_number<uint64_t>();
  plan.processes = from.at("processes").to_number<uint64_t>();
  plan.memory_bytes = from.at("memory_bytes").to_number<uint64_t>();
  plan.cores = json::value_to<std::vector<int>>(from.at("cores"));
  return plan;
}

std::string too_large(size_t bytes) {
  return fmt::format("the function's environment is too large: what its program is started with takes {} bytes as JSON and may take {}", bytes, kMaxPlanBytes);
}

}  // namespace mayfly::sandbox
