#include "auth/canonical.h"

#include <algorithm>

#include "auth/sign_oss.h"
#include "base/encoding.h"
#include "base/hash.h"

namespace mayfly::auth {
namespace {

void collect(const std::string& name, const std::string& value, SignedHeaders& out) {
  auto [at, fresh] = out.try_emplace(name, trim(value));
  if (!fresh) at->second.append(",").append(trim(value));
}

}  // namespace

void collect_prefixed(const http::Headers& headers, std::string_view prefix, SignedHeaders& out) {
  for (const auto& [name, value] : headers)
    if (name.size() >= prefix.size() && equals_ignore_case(std::string_view(name).substr(0, prefix.size()), prefix)) collect(lower(name), value, out);
}

void collect_named(const http::Headers& headers, std::string_view name, SignedHeaders& out) {
  if (out.contains(std::string(name))) return;
  for (const auto& [field, value] : headers)
    if (equals_ignore_case(field, name)) collect(std::string(name), value, out);
}

std::string header_lines(const SignedHeaders& headers) {
  std::string out;
  for (const auto& [name, value] : headers) out.append(name).append(":").append(value).append("\n");
  return out;
}

std::string canonical_query(const http::Query& query, Empties empties, std::initializer_list<std::string_view> except) {
  std::vector<std::pair<std::string, std::string>> encoded;
  for (const auto& [name, value] : query) {
    if (std::ranges::find(except, name) != except.end()) continue;
    const bool bare = value.empty() && (empties == Empties::bare || (empties == Empties::subresources_bare && is_oss_subresource(name)));
    encoded.emplace_back(percent_encode(name), bare ? "" : "=" + percent_encode(value));
  }
  std::ranges::sort(encoded);
  std::string out;
  for (const auto& [name, value] : encoded) {
    if (!out.empty()) out.push_back('&');
    out.append(name).append(value);
  }
  return out;
}

bool has_empty_value(const http::Query& query) {
  return std::ranges::any_of(query, [](const auto& parameter) { return parameter.second.empty(); });
}

std::map<std::string, std::string> read_fields(std::string_view text, char separator) {
  std::map<std::string, std::string> fields;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string_view field = trim(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    if (const size_t at = field.find(separator); at != std::string_view::npos) fields.try_emplace(lower(trim(field.substr(0, at))), trim(field.substr(at + 1)));
  }
  return fields;
}

std::vector<std::string> read_names(std::string_view text, char separator) {
  std::vector<std::string> names;
  while (!text.empty() && names.size() < kMaxSignedNames) {
    const size_t at = text.find(separator);
    if (const auto name = trim(text.substr(0, at)); !name.empty()) names.push_back(lower(name));
    text = at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
  }
  std::ranges::sort(names);
  return names;
}

std::string join(const std::vector<std::string>& names, char separator) {
  std::string out;
  for (const auto& name : names) {
    if (&name != &names.front()) out.push_back(separator);
    out += name;
  }
  return out;
}

std::optional<int64_t> read_seconds(std::string_view text) {
  if (text.empty()) return std::nullopt;
  int64_t seconds = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    seconds = std::min(kFarSeconds, seconds * 10 + (c - '0'));
  }
  return seconds;
}

Result<void> check_skew(int64_t date_us, const Clock& clock) {
  const int64_t now_us = clock.wall_us();
  if (date_us > now_us - kMaxSkewUs && date_us < now_us + kMaxSkewUs) return {};
  return fail(AuthError::skewed, "The difference between the request time and the current time is too large.",
              "The server's time is " + iso8601_s(now_us) + ".");
}

Result<Identity> judge(const std::string& sent, const std::vector<Reading>& readings, const Identity& identity) {
  for (const auto& reading : readings)
    if (equals_constant_time(sent, reading.signature)) return identity;
  return fail(AuthError::bad_signature, "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
              readings.empty() ? "" : readings.front().string_to_sign);
}

}  // namespace mayfly::auth
