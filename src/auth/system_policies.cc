#include <algorithm>
#include <array>

#include "auth/policy.h"
#include "base/encoding.h"

namespace mayfly::auth {
namespace {

// Policies whose actions do not follow from their names.
struct Named {
  std::string_view name;
  std::string_view actions;  // comma-separated
};
constexpr std::array kNamed = {
    Named{"AdministratorAccess", "*"},
    Named{"ReadOnlyAccess", "*:Get*,*:List*,*:Describe*,*:Query*,*:BatchGet*,*:Head*,*:Check*"},
    Named{"AliyunFCInvocationAccess", "fc:InvokeFunction"},
    Named{"AliyunSTSAssumeRoleAccess", "sts:AssumeRole"},
    Named{"AliyunECSNetworkInterfaceManagementAccess",
          "ecs:CreateNetworkInterface,ecs:DeleteNetworkInterface,ecs:DescribeNetworkInterfaces,vpc:DescribeVSwitchAttributes"},
    Named{"AliyunFCDefaultRolePolicy", "log:PostLogStoreLogs,mns:SendMessage,mns:PublishMessage,fc:InvokeFunction,vpc:DescribeVSwitchAttributes"},
};
// Listed for people; any other product name works as well.
constexpr std::array<std::string_view, 8> kProducts = {"FC", "FnF", "Log", "MNS", "OSS", "OTS", "RAM", "KMS"};
constexpr std::array<std::string_view, 7> kReadVerbs = {"Get*", "List*", "Describe*", "Query*", "BatchGet*", "Head*", "Check*"};

std::string allow(const std::vector<std::string>& actions) {
  json::array list;
  for (const auto& action : actions) list.emplace_back(action);
  return to_text(json::object{{"Version", "1"}, {"Statement", json::array{json::object{{"Effect", "Allow"}, {"Action", list}, {"Resource", "*"}}}}});
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> out;
  while (true) {
    const size_t comma = text.find(',');
    out.emplace_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return out;
    text.remove_prefix(comma + 1);
  }
}

// "Aliyun" product `suffix` -> product in lower case.
std::optional<std::string> product_of(std::string_view name, std::string_view suffix) {
  constexpr std::string_view kPrefix = "Aliyun";
  if (!name.starts_with(kPrefix) || !name.ends_with(suffix) || name.size() <= kPrefix.size() + suffix.size()) return std::nullopt;
  std::string product = lower(name.substr(kPrefix.size(), name.size() - kPrefix.size() - suffix.size()));
  if (product.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789") != std::string::npos) return std::nullopt;
  return product;
}

}  // namespace

std::optional<std::string> system_policy(std::string_view name) {
  if (auto named = std::ranges::find(kNamed, name, &Named::name); named != kNamed.end()) return allow(split(named->actions));
  if (auto product = product_of(name, "FullAccess")) return allow({*product + ":*"});
  if (auto product = product_of(name, "ReadOnlyAccess")) {
    std::vector<std::string> actions;
    for (std::string_view verb : kReadVerbs) actions.push_back(*product + ":" + std::string(verb));
    return allow(actions);
  }
  return std::nullopt;
}

std::vector<std::string> system_policy_names() {
  std::vector<std::string> names;
  for (const auto& named : kNamed) names.emplace_back(named.name);
  for (std::string_view product : kProducts)
    for (std::string_view suffix : {"FullAccess", "ReadOnlyAccess"}) names.push_back("Aliyun" + std::string(product) + std::string(suffix));
  std::ranges::sort(names);
  return names;
}

}  // namespace mayfly::auth
