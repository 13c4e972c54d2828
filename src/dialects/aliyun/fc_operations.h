#pragma once
// The operations of the FC dialect, one function each, as the table in fc_routes.cc names them. The call outlives the task.

#include "dialects/aliyun/fc_call.h"

namespace mayfly::dialects::aliyun {

using FcOperation = io::Task<FcAnswer> (*)(FcCall& call);

// fc_services.cc
io::Task<FcAnswer> fc_create_service(FcCall& call);
io::Task<FcAnswer> fc_get_service(FcCall& call);
io::Task<FcAnswer> fc_update_service(FcCall& call);
io::Task<FcAnswer> fc_delete_service(FcCall& call);
io::Task<FcAnswer> fc_list_services(FcCall& call);
io::Task<FcAnswer> fc_publish_version(FcCall& call);
io::Task<FcAnswer> fc_list_versions(FcCall& call);
io::Task<FcAnswer> fc_delete_version(FcCall& call);
io::Task<FcAnswer> fc_create_alias(FcCall& call);
io::Task<FcAnswer> fc_get_alias(FcCall& call);
io::Task<FcAnswer> fc_update_alias(FcCall& call);
io::Task<FcAnswer> fc_delete_alias(FcCall& call);
io::Task<FcAnswer> fc_list_aliases(FcCall& call);

// fc_functions.cc
io::Task<FcAnswer> fc_create_function(FcCall& call);
io::Task<FcAnswer> fc_get_function(FcCall& call);
io::Task<FcAnswer> fc_update_function(FcCall& call);
io::Task<FcAnswer> fc_delete_function(FcCall& call);
io::Task<FcAnswer> fc_list_functions(FcCall& call);
io::Task<FcAnswer> fc_get_code(FcCall& call);
io::Task<FcAnswer> fc_create_trigger(FcCall& call);
io::Task<FcAnswer> fc_get_trigger(FcCall& call);
io::Task<FcAnswer> fc_update_trigger(FcCall& call);
io::Task<FcAnswer> fc_delete_trigger(FcCall& call);
io::Task<FcAnswer> fc_list_triggers(FcCall& call);

// fc_packages.cc
io::Task<FcAnswer> fc_download_code(FcCall& call);
io::Task<FcAnswer> fc_temp_code_token(FcCall& call);
io::Task<FcAnswer> fc_temp_token(FcCall& call);
io::Task<FcAnswer> fc_account_configs(FcCall& call);

// fc_layers.cc
io::Task<FcAnswer> fc_publish_layer(FcCall& call);
io::Task<FcAnswer> fc_get_layer(FcCall& call);
io::Task<FcAnswer> fc_get_layer_by_arn(FcCall& call);
io::Task<FcAnswer> fc_list_layers(FcCall& call);
io::Task<FcAnswer> fc_list_layer_versions(FcCall& call);
io::Task<FcAnswer> fc_delete_layer(FcCall& call);
io::Task<FcAnswer> fc_share_layer(FcCall& call);

// fc_invoke.cc
bool is_async(const FcCall& call);  // an invocation that is asked to be kept and answered at once
io::Task<FcAnswer> fc_invoke(FcCall& call);

// fc_proxy.cc
// Whether an HTTP trigger lets the request in: asked before its body is read, so that strangers fill no memory. Decides whether it streams.
FcExpected<void> fc_admit_proxy(FcCall& call);
io::Task<FcAnswer> fc_proxy(FcCall& call);  // HTTP triggers: call.rest is the path the function sees

// fc_async_tasks.cc
io::Task<FcAnswer> fc_invoke_async(FcCall& call, dispatch::Invocation invocation);  // 202, and call.request_id is that of the call that runs
io::Task<FcAnswer> fc_list_tasks(FcCall& call);
io::Task<FcAnswer> fc_get_task(FcCall& call);
io::Task<FcAnswer> fc_stop_task(FcCall& call);

// fc_settings.cc
io::Task<FcAnswer> fc_put_async_config(FcCall& call);
io::Task<FcAnswer> fc_get_async_config(FcCall& call);
io::Task<FcAnswer> fc_delete_async_config(FcCall& call);
io::Task<FcAnswer> fc_list_async_configs(FcCall& call);
io::Task<FcAnswer> fc_put_on_demand(FcCall& call);
io::Task<FcAnswer> fc_get_on_demand(FcCall& call);
io::Task<FcAnswer> fc_delete_on_demand(FcCall& call);
io::Task<FcAnswer> fc_list_on_demand(FcCall& call);
io::Task<FcAnswer> fc_list_instances(FcCall& call);
io::Task<FcAnswer> fc_tag(FcCall& call);
io::Task<FcAnswer> fc_get_tags(FcCall& call);
io::Task<FcAnswer> fc_untag(FcCall& call);
io::Task<FcAnswer> fc_account_settings(FcCall& call);

// fc_provision.cc
io::Task<FcAnswer> fc_put_provision(FcCall& call);
io::Task<FcAnswer> fc_get_provision(FcCall& call);
io::Task<FcAnswer> fc_delete_provision(FcCall& call);
io::Task<FcAnswer> fc_list_provisions(FcCall& call);

// fc_domains.cc
io::Task<FcAnswer> fc_create_domain(FcCall& call);
io::Task<FcAnswer> fc_get_domain(FcCall& call);
io::Task<FcAnswer> fc_update_domain(FcCall& call);
io::Task<FcAnswer> fc_delete_domain(FcCall& call);
io::Task<FcAnswer> fc_list_domains(FcCall& call);
constexpr const char* kDomainDocument = "custom-domain";  // the kind of its settings document
// Fills service, qualifier, function and rest of a request on a custom domain; false if no route of it matches.
bool route_domain(FcCall& call, const functions::Document& domain);

}  // namespace mayfly::dialects::aliyun
