#pragma once
// The CORS rules of a bucket, as its configuration document holds them.

#include <optional>
#include <string>
#include <vector>

namespace mayfly::dialects::aliyun {

struct CorsRule {
  std::vector<std::string> origins, methods, headers, exposed;
  std::optional<int> max_age_s;
};
struct CorsRules {
  std::vector<CorsRule> rules;
  bool vary = false;
};
std::optional<CorsRules> parse_cors(std::string_view text);

// The first rule that allows a request with this origin, method and (for a preflight) these headers; nullptr if none does.
const CorsRule* match_cors(const CorsRules& rules, std::string_view origin, std::string_view method, const std::vector<std::string>& headers);

// "*.example.com" against a value; '*' stands for any text, at most once in a pattern.
bool matches_wildcard(std::string_view pattern, std::string_view value);

}  // namespace mayfly::dialects::aliyun
