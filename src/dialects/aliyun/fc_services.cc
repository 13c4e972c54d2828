// Services, their versions and their aliases.

#include "dialects/aliyun/fc_fields.h"
#include "dialects/aliyun/fc_json.h"
#include "dialects/aliyun/fc_operations.h"

namespace mayfly::dialects::aliyun {
namespace {

// A change without If-Match is made from what was read just before; if somebody else was faster it is made again, at most so often.
constexpr int kMaxTries = 8;

bool again(const FcCall& call, const Failure<functions::CatalogueError>& failure, int tries) {
  return failure.code == functions::CatalogueError::precondition && call.if_match().empty() && tries < kMaxTries;
}

// Functions of a service run with the rights of its role: who is bound by policies may only hand on a role that they allow.
FcExpected<void> check_role(const FcCall& call, const std::string& before, const std::string& role) {
  if (role.empty() || role == before || call.identity.kind == auth::Identity::Kind::root) return {};
  if (call.context.authorizer.allows(call.identity, {"ram:PassRole", role})) return {};
  return refuse(403, "AccessDenied", fmt::format("the caller is not authorized to do ram:PassRole on {}", role));
}

}  // namespace

io::Task<FcAnswer> fc_create_service(FcCall& call) {
  functions::Service service;
  FcFields fields(call.body);
  fields.required_text("serviceName", service.name);
  if (auto good = fields.done(); !good) co_return std::unexpected(good.error());
  if (auto good = read_service(call.body, service); !good) co_return std::unexpected(good.error());
  if (auto may = check_role(call, "", service.role); !may) co_return std::unexpected(may.error());
  FC_CO_TRY(service, call, "Service", co_await call.context.catalogue.create_service(call.loop, std::move(service)));
  co_return json_response(service_json(service), etag(service));
}

io::Task<FcAnswer> fc_get_service(FcCall& call) {
  FC_CO_TRY(const functions::Service service, call, "Service", call.context.catalogue.service(call.service, call.qualifier));
  co_return json_response(service_json(service), etag(service));
}

io::Task<FcAnswer> fc_update_service(FcCall& call) {
  for (int tries = 1;; ++tries) {
    FC_CO_TRY(functions::Service service, call, "Service", call.context.catalogue.service(call.service, ""));
    std::string match = call.if_match().empty() ? etag(service) : call.if_match();
    std::string role = service.role;
    if (auto good = read_service(call.body, service); !good) co_return std::unexpected(good.error());
    if (auto may = check_role(call, role, service.role); !may) co_return std::unexpected(may.error());
    auto updated = co_await call.context.catalogue.update_service(call.loop, std::move(service), match);
    if (updated) co_return json_response(service_json(*updated), etag(*updated));
    if (!again(call, updated.error(), tries)) co_return std::unexpected(fc_error(call, updated.error(), "Service"));
  }
}

io::Task<FcAnswer> fc_delete_service(FcCall& call) {
  FC_CO_TRY_VOID(call, "Service", co_await call.context.catalogue.delete_service(call.loop, call.service, call.if_match()));
  co_return no_content();
}

io::Task<FcAnswer> fc_list_services(FcCall& call) {
  auto query = list_query(call);
  if (!query) co_return std::unexpected(query.error());
  auto page = call.context.catalogue.services(*query);
  json::array services;
  for (const auto& service : page.items) services.push_back(service_json(service));
  co_return json_response({{"services", services}, {"nextToken", page.next}});
}

io::Task<FcAnswer> fc_publish_version(FcCall& call) {
  std::string description;
  if (!call.bytes.empty()) {
    FcFields fields(call.body);
    fields.text("description", description);
    if (auto good = fields.done(); !good) co_return std::unexpected(good.error());
  }
  if (!call.if_match().empty()) {
    FC_CO_TRY(const functions::Service service, call, "Service", call.context.catalogue.service(call.service, ""));
    if (etag(service) != call.if_match()) co_return refuse(412, "PreconditionFailed", "the service was changed since it was read");
  }
  FC_CO_TRY(const functions::Version version, call, "Version", co_await call.context.catalogue.publish(call.loop, call.service, description));
  co_return json_response(version_json(version));
}

io::Task<FcAnswer> fc_list_versions(FcCall& call) {
  auto query = list_query(call);
  if (!query) co_return std::unexpected(query.error());
  auto order = call.parameter("direction") == "FORWARD" ? functions::Order::oldest_first : functions::Order::newest_first;
  FC_CO_TRY(const auto page, call, "Version", call.context.catalogue.versions(call.service, *query, order));
  json::array versions;
  for (const auto& version : page.items) versions.push_back(version_json(version));
  co_return json_response({{"versions", versions}, {"nextToken", page.next}, {"direction", order == functions::Order::oldest_first ? "FORWARD" : "BACKWARD"}});
}

io::Task<FcAnswer> fc_delete_version(FcCall& call) {
  FC_CO_TRY_VOID(call, "Version", co_await call.context.catalogue.delete_version(call.loop, call.service, call.item));
  co_return no_content();
}

io::Task<FcAnswer> fc_create_alias(FcCall& call) {
  functions::Alias alias;
  FcFields fields(call.body);
  fields.required_text("aliasName", alias.name);
  if (auto good = fields.done(); !good) co_return std::unexpected(good.error());
  if (auto good = read_alias(call.body, alias); !good) co_return std::unexpected(good.error());
  auto made = co_await call.context.catalogue.create_alias(call.loop, call.service, std::move(alias));
  if (!made) {  // the only thing that can be missing besides the service is a version it names
    bool missing = made.error().code == functions::CatalogueError::not_found;
    co_return std::unexpected(fc_error(call, made.error(), missing ? "Version" : "Alias"));
  }
  co_return json_response(alias_json(*made), etag(*made));
}

io::Task<FcAnswer> fc_get_alias(FcCall& call) {
  FC_CO_TRY(const functions::Alias alias, call, "Alias", call.context.catalogue.alias(call.service, call.item));
  co_return json_response(alias_json(alias), etag(alias));
}

io::Task<FcAnswer> fc_update_alias(FcCall& call) {
  for (int tries = 1;; ++tries) {
    FC_CO_TRY(functions::Alias alias, call, "Alias", call.context.catalogue.alias(call.service, call.item));
    std::string match = call.if_match().empty() ? etag(alias) : call.if_match();
    if (auto good = read_alias(call.body, alias); !good) co_return std::unexpected(good.error());
    auto updated = co_await call.context.catalogue.update_alias(call.loop, call.service, std::move(alias), match);
    if (updated) co_return json_response(alias_json(*updated), etag(*updated));
    bool missing = updated.error().code == functions::CatalogueError::not_found;
    if (!again(call, updated.error(), tries)) co_return std::unexpected(fc_error(call, updated.error(), missing ? "Version" : "Alias"));
  }
}

io::Task<FcAnswer> fc_delete_alias(FcCall& call) {
  FC_CO_TRY_VOID(call, "Alias", co_await call.context.catalogue.delete_alias(call.loop, call.service, call.item, call.if_match()));
  co_return no_content();
}

io::Task<FcAnswer> fc_list_aliases(FcCall& call) {
  auto query = list_query(call);
  if (!query) co_return std::unexpected(query.error());
  FC_CO_TRY(const auto page, call, "Alias", call.context.catalogue.aliases(call.service, *query));
  json::array aliases;
  for (const auto& alias : page.items) aliases.push_back(alias_json(alias));
  co_return json_response({{"aliases", aliases}, {"nextToken", page.next}});
}

}  // namespace mayfly::dialects::aliyun
