#include "base/json.h"

#include "base/encoding.h"

namespace mayfly {

namespace {

Expected<json::value, JsonError> parse(std::string_view text, json::parse_options options) {
  options.max_depth = kMaxJsonDepth;
  json::stream_parser parser({}, options);
  boost::system::error_code error;
  size_t used = parser.write_some(text.data(), text.size(), error);
  if (!error && used < text.size()) error = json::error::extra_data;
  if (!error) parser.finish(error);
  if (error == json::error::too_deep) return fail(JsonError::too_deep, fmt::format("JSON nests deeper than {} levels", kMaxJsonDepth));
  if (error) return fail(JsonError::malformed, fmt::format("JSON is malformed at byte {}: {}", used, error.message()));
  return parser.release();
}

}  // namespace

Expected<json::value, JsonError> parse_json(std::string_view text) { return parse(text, {}); }

Expected<json::value, JsonError> parse_json_of_bytes(std::string_view text) {
  json::parse_options options;
  options.allow_invalid_utf8 = true;
  return parse(text, options);
}

const json::value* find(const json::value& value, std::string_view key) {
  const json::object* object = value.if_object();
  return object == nullptr ? nullptr : object->if_contains(key);
}

const json::value* find_ignore_case(const json::value& value, std::string_view key) {
  const json::object* object = value.if_object();
  return object == nullptr ? nullptr : find_ignore_case(*object, key);
}

const json::value* find_ignore_case(const json::object& object, std::string_view key) {
  if (const json::value* exact = object.if_contains(key)) return exact;
  for (const auto& member : object)
    if (equals_ignore_case({member.key().data(), member.key().size()}, key)) return &member.value();
  return nullptr;
}

std::string string_or(const json::value& value, std::string_view key, std::string_view fallback) {
  const json::value* member = find(value, key);
  return std::string(member != nullptr && member->is_string() ? view(member->get_string()) : fallback);
}

int64_t int_or(const json::value& value, std::string_view key, int64_t fallback) {
  const json::value* member = find(value, key);
  if (member == nullptr || !member->is_number()) return fallback;
  boost::system::error_code error;
  auto number = member->to_number<int64_t>(error);
  return error ? fallback : number;
}

bool bool_or(const json::value& value, std::string_view key, bool fallback) {
  const json::value* member = find(value, key);
  return member != nullptr && member->is_bool() ? member->get_bool() : fallback;
}

std::string_view view(const json::string& text) { return {text.data(), text.size()}; }
std::string to_text(const json::value& value) { return json::serialize(value); }

void append_json_string(std::string& out, std::string_view text) {
  bool special = false;  // without an early end the compiler looks at many bytes at a time
  for (unsigned char c : text) special |= (c < 0x20) | (c == '"') | (c == '\\');
  if (special) {
    out += json::serialize(json::string_view(text.data(), text.size()));
    return;
  }
  out += '"';
  out += text;
  out += '"';
}

}  // namespace mayfly
