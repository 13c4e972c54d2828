#include "dialects/aliyun/fc_routes.h"

#include <algorithm>

#include "base/encoding.h"

namespace mayfly::dialects::aliyun {
namespace {

using B = FcBody;
using A = FcAccess;

constexpr FcRoute kRoutes[] = {
    {"POST", "services/{service}/functions/{function}/invocations", B::event, A::signed_, "fc:InvokeFunction", fc_invoke},
    {"*", "proxy/{service}/{function}/{rest}", B::event, A::own, "", fc_proxy},

    {"POST", "services", B::json, A::signed_, "fc:CreateService", fc_create_service},
    {"GET", "services", B::none, A::signed_, "fc:ListServices", fc_list_services},
    {"GET", "services/{service}", B::none, A::signed_, "fc:GetService", fc_get_service},
    {"PUT", "services/{service}", B::json, A::signed_, "fc:UpdateService", fc_update_service},
    {"DELETE", "services/{service}", B::none, A::signed_, "fc:DeleteService", fc_delete_service},
    {"POST", "services/{service}/versions", B::optional_json, A::signed_, "fc:PublishServiceVersion", fc_publish_version},
    {"GET", "services/{service}/versions", B::none, A::signed_, "fc:ListServiceVersions", fc_list_versions},
    {"DELETE", "services/{service}/versions/{item}", B::none, A::signed_, "fc:DeleteServiceVersion", fc_delete_version},
    {"POST", "services/{service}/aliases", B::json, A::signed_, "fc:CreateAlias", fc_create_alias},
    {"GET", "services/{service}/aliases", B::none, A::signed_, "fc:ListAliases", fc_list_aliases},
    {"GET", "services/{service}/aliases/{item}", B::none, A::signed_, "fc:GetAlias", fc_get_alias},
    {"PUT", "services/{service}/aliases/{item}", B::json, A::signed_, "fc:UpdateAlias", fc_update_alias},
    {"DELETE", "services/{service}/aliases/{item}", B::none, A::signed_, "fc:DeleteAlias", fc_delete_alias},

    {"POST", "services/{service}/functions", B::code, A::signed_, "fc:CreateFunction", fc_create_function},
    {"GET", "services/{service}/functions", B::none, A::signed_, "fc:ListFunctions", fc_list_functions},
    {"GET", "services/{service}/functions/{function}", B::none, A::signed_, "fc:GetFunction", fc_get_function},
    {"PUT", "services/{service}/functions/{function}", B::code, A::signed_, "fc:UpdateFunction", fc_update_function},
    {"DELETE", "services/{service}/functions/{function}", B::none, A::signed_, "fc:DeleteFunction", fc_delete_function},
    {"GET", "services/{service}/functions/{function}/code", B::none, A::signed_, "fc:GetFunctionCode", fc_get_code},
    {"GET", "code-packages/{item}", B::none, A::own, "", fc_download_code},

    {"GET", "services/{service}/tempCodeBucketToken", B::none, A::signed_, "fc:GetTempCodeBucketToken", fc_temp_code_token},
    {"GET", "tempBucketToken", B::none, A::signed_, "fc:GetTempBucketToken", fc_temp_token},
    {"GET", "accountConfigs", B::none, A::signed_, "fc:GetAccountSettings", fc_account_configs},

    {"GET", "layers", B::none, A::signed_, "fc:ListLayers", fc_list_layers},
    {"POST", "layers/{item}/versions", B::code, A::signed_, "fc:CreateLayerVersion", fc_publish_layer},
    {"GET", "layers/{item}/versions", B::none, A::signed_, "fc:ListLayerVersions", fc_list_layer_versions},
    {"PUT", "layers/{item}/acl", B::optional_json, A::signed_, "fc:PutLayerACL", fc_share_layer},
    {"GET", "layers/{item}/versions/{rest}", B::none, A::signed_, "fc:GetLayerVersion", fc_get_layer},
    {"DELETE", "layers/{item}/versions/{rest}", B::none, A::signed_, "fc:DeleteLayerVersion", fc_delete_layer},
    {"GET", "layerarn/{rest}", B::none, A::signed_, "fc:GetLayerVersion", fc_get_layer_by_arn},

    {"POST", "services/{service}/functions/{function}/triggers", B::json, A::signed_, "fc:CreateTrigger", fc_create_trigger},
    {"GET", "services/{service}/functions/{function}/triggers", B::none, A::signed_, "fc:ListTriggers", fc_list_triggers},
    {"GET", "services/{service}/functions/{function}/triggers/{item}", B::none, A::signed_, "fc:GetTrigger", fc_get_trigger},
    {"PUT", "services/{service}/functions/{function}/triggers/{item}", B::json, A::signed_, "fc:UpdateTrigger", fc_update_trigger},
    {"DELETE", "services/{service}/functions/{function}/triggers/{item}", B::none, A::signed_, "fc:DeleteTrigger", fc_delete_trigger},

    {"PUT", "services/{service}/functions/{function}/async-invoke-config", B::json, A::signed_, "fc:PutFunctionAsyncInvokeConfig", fc_put_async_config},
    {"GET", "services/{service}/functions/{function}/async-invoke-config", B::none, A::signed_, "fc:GetFunctionAsyncInvokeConfig", fc_get_async_config},
    {"DELETE", "services/{service}/functions/{function}/async-invoke-config", B::none, A::signed_, "fc:DeleteFunctionAsyncInvokeConfig", fc_delete_async_config},
    {"GET", "services/{service}/functions/{function}/async-invoke-configs", B::none, A::signed_, "fc:ListFunctionAsyncInvokeConfigs", fc_list_async_configs},
    {"GET", "services/{service}/functions/{function}/stateful-async-invocations", B::none, A::signed_, "fc:ListStatefulAsyncInvocations", fc_list_tasks},
    {"GET", "services/{service}/functions/{function}/stateful-async-invocations/{item}", B::none, A::signed_, "fc:GetStatefulAsyncInvocation", fc_get_task},
    {"PUT", "services/{service}/functions/{function}/stateful-async-invocations/{item}", B::optional_json, A::signed_, "fc:StopStatefulAsyncInvocation", fc_stop_task},
    {"GET", "async-invoke-configs", B::none, A::signed_, "fc:ListFunctionAsyncInvokeConfigs", fc_list_async_configs},

    {"PUT", "services/{service}/functions/{function}/on-demand-config", B::json, A::signed_, "fc:PutFunctionOnDemandConfig", fc_put_on_demand},
    {"GET", "services/{service}/functions/{function}/on-demand-config", B::none, A::signed_, "fc:GetFunctionOnDemandConfig", fc_get_on_demand},
    {"DELETE", "services/{service}/functions/{function}/on-demand-config", B::none, A::signed_, "fc:DeleteFunctionOnDemandConfig", fc_delete_on_demand},
    {"GET", "on-demand-configs", B::none, A::signed_, "fc:ListOnDemandConfigs", fc_list_on_demand},
    {"PUT", "services/{service}/functions/{function}/provision-config", B::json, A::signed_, "fc:PutProvisionConfig", fc_put_provision},
    {"GET", "services/{service}/functions/{function}/provision-config", B::none, A::signed_, "fc:GetProvisionConfig", fc_get_provision},
    {"DELETE", "services/{service}/functions/{function}/provision-config", B::none, A::signed_, "fc:PutProvisionConfig", fc_delete_provision},
    {"GET", "provision-configs", B::none, A::signed_, "fc:ListProvisionConfigs", fc_list_provisions},
    {"GET", "services/{service}/functions/{function}/instances", B::none, A::signed_, "fc:ListInstances", fc_list_instances},

    {"POST", "custom-domains", B::json, A::signed_, "fc:CreateCustomDomain", fc_create_domain},
    {"GET", "custom-domains", B::none, A::signed_, "fc:ListCustomDomains", fc_list_domains},
    {"GET", "custom-domains/{item}", B::none, A::signed_, "fc:GetCustomDomain", fc_get_domain},
    {"PUT", "custom-domains/{item}", B::json, A::signed_, "fc:UpdateCustomDomain", fc_update_domain},
    {"DELETE", "custom-domains/{item}", B::none, A::signed_, "fc:DeleteCustomDomain", fc_delete_domain},

    {"POST", "tag", B::json, A::signed_, "fc:TagResource", fc_tag},
    {"GET", "tag", B::none, A::signed_, "fc:GetResourceTags", fc_get_tags},
    {"DELETE", "tag", B::json, A::signed_, "fc:UntagResource", fc_untag},
    {"GET", "account-settings", B::none, A::signed_, "fc:GetAccountSettings", fc_account_settings},
};

constexpr std::string_view kVersions[] = {"2016-08-15", "2021-04-06"};

std::string_view next_part(std::string_view& path) {
  size_t slash = std::min(path.find('/'), path.size());
  std::string_view part = path.substr(0, slash);
  path.remove_prefix(std::min(slash + 1, path.size()));
  return part;
}

// Whether `path` (raw, below the version) has the form of `pattern`; fills what its {names} stand for.
bool matches(std::string_view pattern, std::string_view path, FcCall& call) {
  std::string service, function, item, rest;
  while (!pattern.empty()) {
    std::string_view want = next_part(pattern);
    if (want == "{rest}") {
      rest = "/" + std::string(path);
      path = {};
      break;
    }
    if (path.empty()) return false;
    std::string_view got = next_part(path);
    if (want == "{service}") service = percent_decode(got);
    else if (want == "{function}") function = percent_decode(got);
    else if (want == "{item}") item = percent_decode(got);
    else if (want != got) return false;
    else continue;
    if (got.empty()) return false;
  }
  if (!path.empty()) return false;
  call.qualifier.clear();
  if (size_t dot = service.find('.'); dot != service.npos) {
    call.qualifier = service.substr(dot + 1);
    service.resize(dot);
  }
  call.service = std::move(service);
  call.function = std::move(function);
  call.item = std::move(item);
  call.rest = std::move(rest);
  return true;
}

}  // namespace

bool is_fc_api_path(std::string_view raw_path) {
  return std::any_of(std::begin(kVersions), std::end(kVersions), [raw_path](std::string_view version) {
    return raw_path.size() > version.size() + 1 && raw_path.substr(1).starts_with(version) && raw_path[version.size() + 1] == '/';
  });
}

FcExpected<const FcRoute*> find_route(FcCall& call) {
  std::string_view path = call.request.raw_path;
  if (!is_fc_api_path(path)) return refuse(400, "PathNotSupported", fmt::format("'{}' is no path of this API", path.substr(0, 200)));
  path.remove_prefix(1);
  call.version = std::string(next_part(path));
  bool trigger = path.starts_with("proxy/");
  if (!trigger && path.ends_with('/')) path.remove_suffix(1);
  bool known = false;
  for (const FcRoute& route : kRoutes) {
    if (!matches(route.pattern, path, call)) continue;
    known = true;
    if (route.method != "*" && route.method != call.request.method) continue;
    if (std::string qualifier = call.parameter("qualifier"); call.qualifier.empty() && !trigger) call.qualifier = qualifier;
    return &route;
  }
  if (known) return refuse(405, "MethodNotAllowed", fmt::format("{} is not supported here", call.request.method));
  return refuse(400, "PathNotSupported", fmt::format("'{}' is no path of this API", call.request.raw_path.substr(0, 200)));
}

}  // namespace mayfly::dialects::aliyun
