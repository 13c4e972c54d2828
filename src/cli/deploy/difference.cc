#include "cli/deploy/difference.h"

#include "base/encoding.h"

namespace mayfly::cli {
namespace {

constexpr size_t kShownBytes = 60;  // of a value, on one line of the plan

bool is_empty(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null: return true;
    case json::kind::bool_: return !value.get_bool();
    case json::kind::int64: return value.get_int64() == 0 || value.get_int64() == -1;
    case json::kind::uint64: return value.get_uint64() == 0;
    case json::kind::double_: return value.get_double() == 0;
    case json::kind::string: return value.get_string().empty();
    case json::kind::array: return value.get_array().empty();
    case json::kind::object:
      return std::all_of(value.get_object().begin(), value.get_object().end(), [](const auto& member) { return is_empty(member.value()); });
  }
  return false;
}

bool same(const json::value& wanted, const json::value& present) {
  if (wanted.is_number() && present.is_number()) return wanted.to_number<double>() == present.to_number<double>();
  if (is_empty(wanted) && is_empty(present)) return true;
  if (wanted.kind() != present.kind()) return false;
  if (const json::array* array = wanted.if_array())
    return array->size() == present.get_array().size() && std::equal(array->begin(), array->end(), present.get_array().begin(), same);
  if (const json::object* object = wanted.if_object())
    return std::all_of(object->begin(), object->end(), [&](const auto& member) {
      const json::value* other = find_ignore_case(present, member.key());
      return other == nullptr ? is_empty(member.value()) : same(member.value(), *other);
    });
  return wanted == present;
}

std::string shown(const json::value& value) {
  std::string text = to_text(value);
  return text.size() <= kShownBytes ? text : text.substr(0, kShownBytes) + "...";
}

void compare_environment(const json::object& wanted, const json::value& present, const std::string& path, std::vector<std::string>& found) {
  for (const auto& variable : wanted) {
    const json::value* other = find(present, variable.key());
    if (other == nullptr) found.push_back(fmt::format("{}.{}: added", path, std::string_view(variable.key())));
    else if (*other != variable.value()) found.push_back(fmt::format("{}.{}: changed", path, std::string_view(variable.key())));
  }
  if (const json::object* old = present.if_object())
    for (const auto& variable : *old)
      if (!wanted.contains(variable.key())) found.push_back(fmt::format("{}.{}: removed", path, std::string_view(variable.key())));
}

void compare(const json::object& wanted, const json::value& present, const std::string& path, std::vector<std::string>& found) {
  for (const auto& member : wanted) {
    std::string key(member.key());
    std::string place = path.empty() ? key : path + "." + key;
    const json::value* other = find_ignore_case(present, key);
    const json::value nothing = nullptr;
    if (other == nullptr) other = &nothing;
    if (key == "environmentVariables" && member.value().is_object()) {
      compare_environment(member.value().get_object(), *other, place, found);
    } else if (!same(member.value(), *other)) {
      if (member.value().is_object() && other->is_object()) compare(member.value().get_object(), *other, place, found);
      else found.push_back(fmt::format("{}: {} -> {}", place, shown(*other), shown(member.value())));
    }
  }
}

}  // namespace

std::vector<std::string> differences(const json::value& wanted, const json::value& present) {
  std::vector<std::string> found;
  if (const json::object* object = wanted.if_object()) compare(*object, present, "", found);
  return found;
}

}  // namespace mayfly::cli
