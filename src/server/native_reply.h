#pragma once
// Answers of Mayfly's own API, and the parameters of its requests.

#include <charconv>
#include <string>
#include <string_view>

#include "base/json.h"
#include "http/message.h"

namespace mayfly::server {

inline http::Response reply(int status, const json::value& body) {
  http::Response response;
  response.status = status;
  response.headers.set("Content-Type", "application/json");
  response.body = to_text(body) + "\n";
  return response;
}

inline http::Response error(int status, std::string_view code, std::string_view message) {
  return reply(status, json::object{{"ErrorCode", code}, {"ErrorMessage", message}});
}

inline std::string value_of(const http::Query& query, std::string_view name) {
  const std::string* value = http::find(query, name);
  return value == nullptr ? std::string() : *value;
}

inline uint64_t number_of(const http::Query& query, std::string_view name, uint64_t fallback) {
  std::string text = value_of(query, name);
  uint64_t number = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failed == std::errc() && end == text.data() + text.size() ? number : fallback;
}

}  // namespace mayfly::server
