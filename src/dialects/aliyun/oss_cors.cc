#include "dialects/aliyun/oss_cors.h"

#include <charconv>

#include "base/encoding.h"
#include "dialects/aliyun/oss_operations.h"

namespace mayfly::dialects::aliyun {
namespace {

std::vector<std::string> texts(const pugi::xml_node& parent, const char* name) {
  std::vector<std::string> out;
  for (pugi::xml_node child : parent.children(name)) out.emplace_back(trim(child.text().get()));
  return out;
}

std::vector<std::string> split_list(std::string_view list) {
  std::vector<std::string> out;
  while (!list.empty()) {
    size_t comma = list.find(',');
    if (std::string_view item = trim(list.substr(0, comma)); !item.empty()) out.emplace_back(item);
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  return out;
}

std::string join(const std::vector<std::string>& items) { return fmt::format("{}", fmt::join(items, ", ")); }

std::optional<CorsRules> rules_of(const objects::Bucket& bucket) {
  const json::value* stored = bucket.configuration.if_contains("cors");
  return stored ? parse_cors(view(stored->as_string())) : std::nullopt;
}

void allow_origin(const CorsRules& rules, const CorsRule& rule, const std::string& origin, http::Headers& headers) {
  bool any = std::ranges::find(rule.origins, "*") != rule.origins.end();
  headers.set("Access-Control-Allow-Origin", any ? "*" : origin);
  headers.set("Access-Control-Allow-Methods", join(rule.methods));
  if (!rule.exposed.empty()) headers.set("Access-Control-Expose-Headers", join(rule.exposed));
  if (!any || rules.vary) headers.set("Vary", "Origin");
}

}  // namespace

std::optional<CorsRules> parse_cors(std::string_view text) {
  auto document = parse_xml(text, "CORSConfiguration");
  if (!document) return std::nullopt;
  CorsRules rules;
  pugi::xml_node root = document->document_element();
  rules.vary = equals_ignore_case(trim(root.child("ResponseVary").text().get()), "true");
  for (pugi::xml_node node : root.children("CORSRule")) {
    CorsRule rule{.origins = texts(node, "AllowedOrigin"), .methods = texts(node, "AllowedMethod"), .headers = texts(node, "AllowedHeader"),
                  .exposed = texts(node, "ExposeHeader"), .max_age_s = {}};
    if (pugi::xml_node age = node.child("MaxAgeSeconds")) {
      std::string_view digits = trim(age.text().get());
      int value = 0;
      auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
      if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
      rule.max_age_s = value;
    }
    rules.rules.push_back(std::move(rule));
  }
  return rules;
}

bool matches_wildcard(std::string_view pattern, std::string_view value) {
  size_t star = pattern.find('*');
  if (star == std::string_view::npos) return equals_ignore_case(pattern, value);
  std::string_view before = pattern.substr(0, star), after = pattern.substr(star + 1);
  return value.size() >= before.size() + after.size() && equals_ignore_case(value.substr(0, before.size()), before) &&
         equals_ignore_case(value.substr(value.size() - after.size()), after);
}

const CorsRule* match_cors(const CorsRules& rules, std::string_view origin, std::string_view method, const std::vector<std::string>& headers) {
  auto any = [](const std::vector<std::string>& patterns, std::string_view value) {
    return std::ranges::any_of(patterns, [value](const std::string& pattern) { return matches_wildcard(pattern, value); });
  };
  for (const CorsRule& rule : rules.rules) {
    bool allowed = any(rule.origins, origin) && any(rule.methods, method);
    if (allowed && std::ranges::all_of(headers, [&](const std::string& header) { return any(rule.headers, header); })) return &rule;
  }
  return nullptr;
}

OssTask preflight(OssCall& call) {
  std::string origin = call.header("Origin"), method = call.header("Access-Control-Request-Method");
  if (origin.empty() || method.empty()) co_return refuse(400, "InvalidRequest", "A preflight request names its origin and method.");
  if (call.bucket.empty()) co_return access_denied("CORSResponse: There is no bucket to ask.");
  MAYFLY_CO_TRY(objects::Bucket bucket, co_await load_bucket(call));
  std::optional<CorsRules> rules = rules_of(bucket);
  std::vector<std::string> asked = split_list(call.header("Access-Control-Request-Headers"));
  const CorsRule* rule = rules ? match_cors(*rules, origin, method, asked) : nullptr;
  if (rule == nullptr) co_return refuse(403, "AccessForbidden", "CORSResponse: This CORS request is not allowed.");
  http::Response response;
  allow_origin(*rules, *rule, origin, response.headers);
  if (!asked.empty()) response.headers.set("Access-Control-Allow-Headers", join(asked));
  if (rule->max_age_s) response.headers.set("Access-Control-Max-Age", std::to_string(*rule->max_age_s));
  co_return response;
}

io::Task<void> add_cors_headers(OssCall& call, http::Response& response) {
  const std::string* origin = call.request.headers.find("Origin");
  if (origin == nullptr || call.bucket.empty() || call.request.method == "OPTIONS") co_return;
  OssExpected<objects::Bucket> bucket = co_await load_bucket(call);
  if (!bucket) co_return;
  std::optional<CorsRules> rules = rules_of(*bucket);
  const CorsRule* rule = rules ? match_cors(*rules, *origin, call.request.method, {}) : nullptr;
  if (rule != nullptr) allow_origin(*rules, *rule, *origin, response.headers);
}

}  // namespace mayfly::dialects::aliyun
