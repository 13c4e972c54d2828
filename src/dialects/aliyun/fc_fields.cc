#include "dialects/aliyun/fc_fields.h"

namespace mayfly::dialects::aliyun {

FcFields::FcFields(const json::value& value, std::string_view what) : value_(value) {
  if (!value.is_object()) problem_ = fmt::format("{} must be a JSON object", what);
}

const json::value* FcFields::any(std::string_view key) const {
  const json::value* found = find_ignore_case(value_, key);
  return found && !found->is_null() ? found : nullptr;
}

void FcFields::wrong(std::string_view key, std::string_view expected) {
  if (problem_.empty()) problem_ = fmt::format("{} must be {}", key, expected);
}

void FcFields::text(std::string_view key, std::string& out) {
  const json::value* found = any(key);
  if (!found) return;
  if (!found->is_string()) return wrong(key, "a string");
  out = std::string(view(found->get_string()));
}

void FcFields::required_text(std::string_view key, std::string& out) {
  text(key, out);
  if (out.empty()) wrong(key, "sent");
}

void FcFields::number(std::string_view key, int64_t& out, int64_t low, int64_t high) {
  const json::value* found = any(key);
  if (!found) return;
  if (!found->is_int64()) return wrong(key, "a whole number");
  int64_t number = found->get_int64();
  if (number < low || number > high) return wrong(key, fmt::format("between {} and {}, not {}", low, high, number));
  out = number;
}

void FcFields::boolean(std::string_view key, bool& out) {
  const json::value* found = any(key);
  if (!found) return;
  if (!found->is_bool()) return wrong(key, "true or false");
  out = found->get_bool();
}

void FcFields::text_map(std::string_view key, std::map<std::string, std::string>& out) {
  const json::object* found = object(key);
  if (!found) return;
  out.clear();
  for (const auto& member : *found) {
    if (!member.value().is_string()) return wrong(key, "an object of strings");
    out[std::string(member.key())] = std::string(view(member.value().get_string()));
  }
}

void FcFields::number_map(std::string_view key, std::map<std::string, double>& out) {
  const json::object* found = object(key);
  if (!found) return;
  out.clear();
  for (const auto& member : *found) {
    if (!member.value().is_number()) return wrong(key, "an object of numbers");
    out[std::string(member.key())] = member.value().to_number<double>();
  }
}

const json::object* FcFields::object(std::string_view key) {
  const json::value* found = any(key);
  if (found && !found->is_object()) wrong(key, "an object");
  return found ? found->if_object() : nullptr;
}

const json::array* FcFields::array(std::string_view key) {
  const json::value* found = any(key);
  if (found && !found->is_array()) wrong(key, "a list");
  return found ? found->if_array() : nullptr;
}

FcExpected<void> FcFields::done() const {
  if (!problem_.empty()) return invalid_argument(problem_);
  return {};
}

json::value camel_case(const json::value& value) {
  if (const json::array* array = value.if_array()) {
    json::array out;
    for (const auto& item : *array) out.push_back(camel_case(item));
    return out;
  }
  const json::object* object = value.if_object();
  if (!object) return value;
  json::object out;
  for (const auto& member : *object) {
    std::string key(member.key());
    if (!key.empty() && key[0] >= 'A' && key[0] <= 'Z') key[0] = static_cast<char>(key[0] - 'A' + 'a');
    out[key] = camel_case(member.value());
  }
  return out;
}

}  // namespace mayfly::dialects::aliyun
