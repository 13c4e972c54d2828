#include "cli/deploy/roles.h"

namespace mayfly::cli {
namespace {

// The deployer's names have no underscores: the vendor's access service refuses them.
std::string dashed(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

json::object statement(json::array actions, json::value resource) {
  return {{"Effect", "Allow"}, {"Action", std::move(actions)}, {"Resource", std::move(resource)}};
}

std::string document(json::array statements) { return to_text(json::object{{"Version", "1"}, {"Statement", std::move(statements)}}); }

// Policies: a name, a document, or a list of both; inline documents are numbered from 1.
std::vector<PolicySpec> policies_of(const json::object& properties, const std::string& generated_prefix) {
  const json::value* given = properties.if_contains("Policies");
  if (given == nullptr) return {};
  json::array list = given->is_array() ? given->get_array() : json::array{*given};
  std::vector<PolicySpec> policies;
  size_t number = 0;
  for (const json::value& item : list) {
    if (item.is_string()) policies.push_back({std::string(view(item.get_string())), {}});
    else policies.push_back({dashed(generated_prefix + fmt::to_string(++number)), to_text(item)});
  }
  return policies;
}

std::optional<RoleSpec> generated(const json::object& properties, std::string name, std::string trusted, const std::string& policy_prefix) {
  if (!string_or(properties, "Role").empty()) return std::nullopt;
  std::vector<PolicySpec> policies = policies_of(properties, policy_prefix);
  if (policies.empty()) return std::nullopt;
  return RoleSpec{dashed(std::move(name)), std::move(trusted), std::move(policies)};
}

}  // namespace

std::string role_arn(const RoleSpec& role, const Place& place) { return fmt::format("acs:ram::{}:role/{}", place.account, role.name); }

std::optional<RoleSpec> service_role(const ServiceSpec& service, const Place& place) {
  return generated(service.properties, fmt::format("aliyunfcgeneratedrole-{}-{}", place.region, service.name), "fc.aliyuncs.com",
                   fmt::format("AliyunFcGeneratedServicePolicy-{}-{}", place.region, service.name));
}

std::optional<RoleSpec> flow_role(const FlowSpec& flow, const Place& place) {
  return generated(flow.properties, fmt::format("aliyunfnfgeneratedrole-{}-{}", place.region, flow.name), "fnf.aliyuncs.com",
                   fmt::format("AliyunFnFGeneratedServicePolicy-{}-{}", place.region, flow.name));
}

std::optional<RoleSpec> trigger_role(const EventSpec& event, const std::string& service, const std::string& function, const Place& place) {
  if (event.type == "Timer" || event.type == "HTTP" || event.properties.contains("InvocationRole")) return std::nullopt;
  std::string suffix = dashed(service + "-" + function);
  std::string target = fmt::format("acs:fc:*:*:services/{}/functions/*", service);
  std::string invoke = document({statement({"fc:InvokeFunction"}, json::string(target))});
  if (event.type == "Log") {
    json::object read_logs = statement({"log:Get*", "log:List*", "log:PostLogStoreLogs", "log:UpdateConsumerGroup", "log:CreateConsumerGroup",
                                        "log:ConsumerGroupHeartBeat"}, "*");
    return RoleSpec{"AliyunFcGeneratedInvocationRole-" + suffix, "log.aliyuncs.com",
                    {{"AliyunFcGeneratedInvocationPolicy-" + suffix, document({statement({"fc:InvokeFunction"}, json::string(target)), read_logs})}}};
  }
  std::string role = "FunCreateRole-" + suffix;
  if (event.type == "OSS") return RoleSpec{role, "oss.aliyuncs.com", {{"FunCreateOSSPolicy-" + suffix, invoke}}};
  if (event.type == "CDN") return RoleSpec{role, "cdn.aliyuncs.com", {{"FunCreateCDNPolicy-" + suffix, invoke}}};
  if (event.type == "MNSTopic") return RoleSpec{role, "mns.aliyuncs.com", {{"FunCreatePolicy-" + suffix, invoke}}};
  if (event.type == "RDS") return RoleSpec{role, "rds.aliyuncs.com", {{"FunCreatePolicy-" + suffix, invoke}}};
  std::string read_tables = document({statement({"ots:BatchGet*", "ots:Describe*", "ots:Get*", "ots:List*"}, "*")});
  return RoleSpec{role, "ots.aliyuncs.com", {{"FunCreateInvkPolicy-" + suffix, invoke}, {"FunCreateOtsReadPolicy-" + suffix, read_tables}}};
}

}  // namespace mayfly::cli
