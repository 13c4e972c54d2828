// Functions, their code and their triggers.

#include "dialects/aliyun/fc_fields.h"
#include "dialects/aliyun/fc_json.h"
#include "dialects/aliyun/fc_operations.h"
#include "dispatch/limits.h"
#include "dialects/aliyun/fc_packages.h"

namespace mayfly::dialects::aliyun {
namespace {

constexpr int kMaxTries = 8;  // as for services: changes without If-Match

// Stores the code of the body, if it has any, and points `function` at it.
io::Task<FcExpected<void>> take_code(FcCall& call, functions::Function& function) {
  FcFields fields(call.body);
  const json::value* code = fields.any("code");
  if (!code) co_return FcExpected<void>{};
  auto package = co_await take_package(call, *code, functions::kCodeLimits);
  if (!package) co_return std::unexpected(package.error());
  function.code = std::move(*package);
  co_return FcExpected<void>{};
}

}  // namespace

io::Task<FcAnswer> fc_create_function(FcCall& call) {
  functions::Function function{.service = call.service};
  FcFields fields(call.body);
  fields.required_text("functionName", function.name);
  fields.required_text("runtime", function.runtime);
  if (auto good = fields.done(); !good) co_return std::unexpected(good.error());
  if (auto good = read_function(call.body, function); !good) co_return std::unexpected(good.error());
  FC_CO_TRY([[maybe_unused]] const functions::Service service, call, "Service", call.context.catalogue.service(call.service, ""));
  if (auto good = read_layers(call, function); !good) co_return std::unexpected(good.error());
  if (auto taken = co_await take_code(call, function); !taken) co_return std::unexpected(taken.error());
  FC_CO_TRY(function, call, "Function", co_await call.context.catalogue.create_function(call.loop, std::move(function)));
  call.context.invoker.expect({function.service, function.name, {}});
  co_return json_response(function_json(function), etag(function));
}

io::Task<FcAnswer> fc_get_function(FcCall& call) {
  FC_CO_TRY(const functions::Function function, call, "Function", call.context.catalogue.function(call.service, call.qualifier, call.function));
  co_return json_response(function_json(function), etag(function));
}

io::Task<FcAnswer> fc_update_function(FcCall& call) {
  functions::Function holder;
  for (int tries = 1;; ++tries) {
    FC_CO_TRY(functions::Function function, call, "Function", call.context.catalogue.function(call.service, "", call.function));
    std::string match = call.if_match().empty() ? etag(function) : call.if_match();
    if (auto good = read_function(call.body, function); !good) co_return std::unexpected(good.error());
    if (auto good = read_layers(call, function); !good) co_return std::unexpected(good.error());
    if (tries == 1)
      if (auto taken = co_await take_code(call, holder); !taken) co_return std::unexpected(taken.error());
    if (!holder.code.digest.empty()) function.code = holder.code;
    auto updated = co_await call.context.catalogue.update_function(call.loop, std::move(function), match);
    if (updated) {
      call.context.invoker.expect({updated->service, updated->name, {}});
      co_return json_response(function_json(*updated), etag(*updated));
    }
    bool again = updated.error().code == functions::CatalogueError::precondition && call.if_match().empty() && tries < kMaxTries;
    if (!again) co_return std::unexpected(fc_error(call, updated.error(), "Function"));
  }
}

io::Task<FcAnswer> fc_delete_function(FcCall& call) {
  FC_CO_TRY_VOID(call, "Function", co_await call.context.catalogue.delete_function(call.loop, call.service, call.function, call.if_match()));
  std::string prefix = dispatch::async_config_name(call.service, "", call.function);
  prefix.resize(prefix.rfind('/') + 1);
  for (const auto& document : call.context.settings.list(dispatch::kAsyncConfig, {.prefix = prefix}).items)
    co_await call.context.settings.erase(call.loop, dispatch::kAsyncConfig, document.name);
  for (const char* kind : {dispatch::kOnDemandConfig, dispatch::kProvisionConfig, dispatch::kScalingConfig})
    for (const auto& document : call.context.settings.list(kind, {.prefix = "services/" + call.service + ".", .start = {}, .limit = functions::kMaxDocuments}).items)
      if (document.name.ends_with("/functions/" + call.function)) co_await call.context.settings.erase(call.loop, kind, document.name);
  co_await call.context.settings.erase(call.loop, dispatch::kReservedConfig, call.service + "/" + call.function);
  co_return no_content();
}

io::Task<FcAnswer> fc_list_functions(FcCall& call) {
  auto query = list_query(call);
  if (!query) co_return std::unexpected(query.error());
  FC_CO_TRY(const auto page, call, "Function", call.context.catalogue.functions(call.service, call.qualifier, *query));
  json::array functions;
  for (const auto& function : page.items) functions.push_back(function_json(function));
  co_return json_response({{"functions", functions}, {"nextToken", page.next}});
}

io::Task<FcAnswer> fc_get_code(FcCall& call) {
  FC_CO_TRY(const functions::Function function, call, "Function", call.context.catalogue.function(call.service, call.qualifier, call.function));
  if (function.code.digest.empty()) co_return refuse(404, "FunctionNotFound", "the function runs a container and has no code package");
  co_return json_response({{"url", package_url(call, function.code.digest)}, {"checksum", function.code.checksum}}, etag(function));
}

io::Task<FcAnswer> fc_create_trigger(FcCall& call) {
  functions::Trigger trigger{.service = call.service, .function = call.function};
  FcFields fields(call.body);
  fields.required_text("triggerName", trigger.name);
  fields.required_text("triggerType", trigger.type);
  if (auto good = fields.done(); !good) co_return std::unexpected(good.error());
  if (auto good = read_trigger(call.body, trigger); !good) co_return std::unexpected(good.error());
  FC_CO_TRY(trigger, call, "Trigger", co_await call.context.catalogue.create_trigger(call.loop, std::move(trigger)));
  co_return json_response(trigger_json(trigger, call.version), etag(trigger));
}

io::Task<FcAnswer> fc_get_trigger(FcCall& call) {
  FC_CO_TRY(const functions::Trigger trigger, call, "Trigger", call.context.catalogue.trigger(call.service, call.function, call.item));
  co_return json_response(trigger_json(trigger, call.version), etag(trigger));
}

io::Task<FcAnswer> fc_update_trigger(FcCall& call) {
  for (int tries = 1;; ++tries) {
    FC_CO_TRY(functions::Trigger trigger, call, "Trigger", call.context.catalogue.trigger(call.service, call.function, call.item));
    std::string match = call.if_match().empty() ? etag(trigger) : call.if_match();
    std::string type = trigger.type;
    if (auto good = read_trigger(call.body, trigger); !good) co_return std::unexpected(good.error());
    if (trigger.type != type) co_return invalid_argument("the type of a trigger cannot be changed");
    auto updated = co_await call.context.catalogue.update_trigger(call.loop, std::move(trigger), match);
    if (updated) co_return json_response(trigger_json(*updated, call.version), etag(*updated));
    bool again = updated.error().code == functions::CatalogueError::precondition && call.if_match().empty() && tries < kMaxTries;
    if (!again) co_return std::unexpected(fc_error(call, updated.error(), "Trigger"));
  }
}

io::Task<FcAnswer> fc_delete_trigger(FcCall& call) {
  FC_CO_TRY_VOID(call, "Trigger", co_await call.context.catalogue.delete_trigger(call.loop, call.service, call.function, call.item, call.if_match()));
  co_return no_content();
}

io::Task<FcAnswer> fc_list_triggers(FcCall& call) {
  auto query = list_query(call);
  if (!query) co_return std::unexpected(query.error());
  FC_CO_TRY(const auto page, call, "Trigger", call.context.catalogue.triggers(call.service, call.function, *query));
  json::array triggers;
  for (const auto& trigger : page.items) triggers.push_back(trigger_json(trigger, call.version));
  co_return json_response({{"triggers", triggers}, {"nextToken", page.next}});
}

}  // namespace mayfly::dialects::aliyun
