#pragma once
// Helpers on Boost.JSON, the JSON library of every room. `json` is its namespace here.

#include <boost/json.hpp>

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mayfly {

namespace json = boost::json;

enum class JsonError { malformed, too_deep };

constexpr size_t kMaxJsonDepth = 64;  // deeper input is refused: recursion in readers is bounded by it

// Parses one whole document; the message of a failure says the byte offset.
Expected<json::value, JsonError> parse_json(std::string_view text);
// The same of a document whose strings may hold any bytes, as HTTP's headers do.
Expected<json::value, JsonError> parse_json_of_bytes(std::string_view text);

// Member `key` of an object, or nullptr if absent or `value` is no object.
const json::value* find(const json::value& value, std::string_view key);
// The same, ignoring ASCII case of the key (the FC dialect's rule, aliyun-fc.md section 1.6).
const json::value* find_ignore_case(const json::value& value, std::string_view key);
const json::value* find_ignore_case(const json::object& object, std::string_view key);

// Member as text / number / bool, or the default when absent, null or of another type.
std::string string_or(const json::value& value, std::string_view key, std::string_view fallback = {});
int64_t int_or(const json::value& value, std::string_view key, int64_t fallback = 0);
bool bool_or(const json::value& value, std::string_view key, bool fallback = false);

std::string_view view(const json::string& text);
std::string to_text(const json::value& value);  // serialised, compact
// Appends `text` as a JSON string, quotes and escapes included. For writers on the path of every call: most texts need no escape, and a
// json::object costs more than all else that such a writer does.
void append_json_string(std::string& out, std::string_view text);

}  // namespace mayfly
