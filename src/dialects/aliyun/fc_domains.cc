// Custom domains: a host name whose paths lead to HTTP functions (aliyun-fc.md section 10). The longest matching route wins; a route
// ending in "*" matches everything that begins with what stands before it. The document is named in lower case, as hosts are compared, and
// keeps the spelling it was created with.

#include <regex.h>

#include <array>

#include "base/encoding.h"
#include "dialects/aliyun/endpoints.h"
#include "dialects/aliyun/fc_fields.h"
#include "dialects/aliyun/fc_operations.h"

namespace mayfly::dialects::aliyun {
namespace {

constexpr size_t kMaxDomainName = 253;  // RFC 1035
constexpr size_t kMaxExpression = 256;  // of a rewrite rule: compiled for each request it is tried on

json::object domain_json(const FcCall& call, const functions::Document& document) {
  json::object out = document.body;
  out["accountId"] = call.account();
  out["apiVersion"] = call.version;
  out["createdTime"] = iso8601_s(document.created_us);
  out["lastModifiedTime"] = iso8601_s(document.modified_us);
  return out;
}

FcExpected<void> read_domain(const json::value& body, json::object& domain) {
  FcFields fields(body);
  std::string protocol;
  fields.text("protocol", protocol);
  const json::object* routes = fields.object("routeConfig");
  const json::object* certificate = fields.object("certConfig");
  if (auto good = fields.done(); !good) return good;
  if (!protocol.empty() && protocol != "HTTP" && protocol != "HTTP,HTTPS" && protocol != "HTTPS")
    return invalid_argument(fmt::format("protocol must be HTTP, HTTPS or \"HTTP,HTTPS\", not '{}'", protocol));
  if (!protocol.empty()) domain["protocol"] = protocol;
  if (routes) domain["routeConfig"] = camel_case(*routes);
  if (certificate) domain["certConfig"] = camel_case(*certificate);
  if (string_or(domain, "protocol").find("HTTPS") != std::string::npos && !find(domain, "certConfig"))
    return invalid_argument("a domain that speaks HTTPS needs a certConfig");
  if (string_or(domain, "protocol") == "HTTP") domain.erase("certConfig");
  return {};
}

bool matches(std::string_view route, std::string_view path) {
  if (route.ends_with('*')) return path.starts_with(route.substr(0, route.size() - 1));
  return route == path;
}

// What stands for "$1" and its like in `replacement` is the group of that number.
std::string fill(std::string_view replacement, const std::vector<std::string_view>& groups) {
  std::string out;
  for (size_t at = 0; at < replacement.size(); ++at) {
    size_t number = at + 1 < replacement.size() && replacement[at] == '$' ? static_cast<size_t>(replacement[at + 1] - '0') : SIZE_MAX;
    if (number > 9) {
      out += replacement[at];
    } else {
      if (number < groups.size()) out += groups[number];
      ++at;
    }
  }
  return out;
}

// The groups of `pattern` in `path`, each '*' one of them, shortest first; the whole is group 0.
bool match_wildcards(std::string_view pattern, std::string_view path, std::vector<std::string_view>& groups) {
  size_t star = pattern.find('*');
  if (star == pattern.npos) return pattern == path;
  if (!path.starts_with(pattern.substr(0, star))) return false;
  path.remove_prefix(star);
  pattern.remove_prefix(star + 1);
  size_t next = pattern.find('*');
  std::string_view literal = pattern.substr(0, next);
  if (next == pattern.npos) {
    if (!path.ends_with(literal)) return false;
    groups.push_back(path.substr(0, path.size() - literal.size()));
    return true;
  }
  size_t end = path.find(literal);
  if (end == path.npos) return false;
  groups.push_back(path.substr(0, end));
  return match_wildcards(pattern, path.substr(end), groups);
}

// POSIX extended expressions, which is what libc has.
bool match_expression(const std::string& pattern, const std::string& path, std::vector<std::string_view>& groups) {
  regex_t expression;
  if (pattern.size() > kMaxExpression || ::regcomp(&expression, pattern.c_str(), REG_EXTENDED) != 0) return false;
  std::array<regmatch_t, 10> found{};
  bool matches = ::regexec(&expression, path.c_str(), found.size(), found.data(), 0) == 0;
  ::regfree(&expression);
  if (!matches) return false;
  groups.clear();
  for (const regmatch_t& each : found)
    groups.push_back(each.rm_so < 0 ? std::string_view() : std::string_view(path).substr(static_cast<size_t>(each.rm_so), static_cast<size_t>(each.rm_eo - each.rm_so)));
  return true;
}

// The path the function sees: the first rule that matches, of the equal ones, then the wildcards, then the expressions.
std::string rewritten(const json::value& route, const std::string& path) {
  const json::value* config = find_ignore_case(route, "rewriteConfig");
  if (!config || !config->is_object()) return path;
  for (std::string_view kind : {"equalRules", "wildcardRules", "regexRules"}) {
    const json::value* rules = find_ignore_case(*config, kind);
    if (!rules || !rules->is_array()) continue;
    for (const auto& rule : rules->get_array()) {
      if (!rule.is_object()) continue;
      std::string match = string_or(rule, "match"), replacement = string_or(rule, "replacement");
      std::vector<std::string_view> groups{path};
      bool fits = kind == "equalRules" ? match == path : kind == "wildcardRules" ? match_wildcards(match, path, groups) : match_expression(match, path, groups);
      if (!fits || match.empty()) continue;
      std::string to = fill(replacement, groups);
      return to.starts_with('/') ? to : "/" + to;
    }
  }
  return path;
}

bool allows_method(const json::value& route, const std::string& method) {
  const json::value* methods = find_ignore_case(route, "methods");
  if (!methods || !methods->is_array() || methods->get_array().empty()) return true;
  for (const auto& each : methods->get_array())
    if (each.is_string() && equals_ignore_case(view(each.get_string()), method)) return true;
  return false;
}

// A domain takes over every path of its host: one that clients use for the APIs would shut them out, or hand their requests to a function.
bool reaches_the_apis(const std::string& name, const http::Request& request) {
  std::string domain = lower(name);
  bool address = domain.find_first_not_of("0123456789.") == domain.npos;
  return address || domain == "localhost" || domain == "aliyuncs.com" || domain.ends_with(".aliyuncs.com") || domain == lower(without_port(request.host));
}

}  // namespace

bool route_domain(FcCall& call, const functions::Document& domain) {
  json::value body = domain.body;
  const json::value* config = find(body, "routeConfig");
  const json::value* routes = config ? find(*config, "routes") : nullptr;
  if (!routes || !routes->is_array()) return false;
  const json::value* best = nullptr;
  size_t longest = 0;
  for (const auto& route : routes->get_array()) {
    std::string path = string_or(route, "path");
    if (!path.empty() && path.size() > longest && matches(path, call.request.raw_path) && allows_method(route, call.request.method)) {
      best = &route;
      longest = path.size();
    }
  }
  if (!best) return false;
  call.service = string_or(*best, "serviceName");
  call.function = string_or(*best, "functionName");
  call.qualifier = string_or(*best, "qualifier");
  call.rest = rewritten(*best, call.request.raw_path);
  call.service_path = false;
  return true;
}

io::Task<FcAnswer> fc_create_domain(FcCall& call) {
  std::string name;
  FcFields fields(call.body);
  fields.required_text("domainName", name);
  if (auto good = fields.done(); !good) co_return std::unexpected(good.error());
  if (name.size() > kMaxDomainName || name.find_first_of("/ :") != name.npos) co_return invalid_argument(fmt::format("'{}' is no domain name", name.substr(0, kMaxDomainName)));
  if (reaches_the_apis(name, call.request)) co_return invalid_argument(fmt::format("'{}' is a name by which this server's own APIs are reached", name));
  json::object domain{{"domainName", name}, {"protocol", "HTTP"}, {"routeConfig", json::object{{"routes", json::array()}}}};
  if (auto good = read_domain(call.body, domain); !good) co_return std::unexpected(good.error());
  FC_CO_TRY(const functions::Document kept, call, "DomainName",
            co_await call.context.settings.put(call.loop, kDomainDocument, lower(name), std::move(domain), functions::Settings::Mode::create));
  co_return json_response(domain_json(call, kept), etag(kept));
}

io::Task<FcAnswer> fc_get_domain(FcCall& call) {
  FC_CO_TRY(const functions::Document kept, call, "DomainName", call.context.settings.get(kDomainDocument, lower(call.item)));
  co_return json_response(domain_json(call, kept), etag(kept));
}

io::Task<FcAnswer> fc_update_domain(FcCall& call) {
  FC_CO_TRY(functions::Document kept, call, "DomainName", call.context.settings.get(kDomainDocument, lower(call.item)));
  json::object domain = kept.body;
  if (auto good = read_domain(call.body, domain); !good) co_return std::unexpected(good.error());
  FC_CO_TRY(kept, call, "DomainName",
            co_await call.context.settings.put(call.loop, kDomainDocument, kept.name, std::move(domain), functions::Settings::Mode::update, call.if_match()));
  co_return json_response(domain_json(call, kept), etag(kept));
}

io::Task<FcAnswer> fc_delete_domain(FcCall& call) {
  FC_CO_TRY_VOID(call, "DomainName", co_await call.context.settings.erase(call.loop, kDomainDocument, lower(call.item), call.if_match()));
  co_return no_content();
}

io::Task<FcAnswer> fc_list_domains(FcCall& call) {
  auto query = list_query(call);
  if (!query) co_return std::unexpected(query.error());
  auto page = call.context.settings.list(kDomainDocument, *query);
  json::array domains;
  for (const auto& document : page.items) domains.push_back(domain_json(call, document));
  co_return json_response({{"customDomains", domains}, {"nextToken", page.next}});
}

}  // namespace mayfly::dialects::aliyun
