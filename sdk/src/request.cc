#include "mayfly/request.h"

#include <algorithm>

namespace mayfly {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool same_name(std::string_view left, std::string_view right) {
  return left.size() == right.size() && std::equal(left.begin(), left.end(), right.begin(), [](char a, char b) { return lower(a) == lower(b); });
}

// A message may hold one string or a list of them.
std::string_view first_of(const Json& values, std::string_view otherwise) { return values.is_array() ? values[0].text(otherwise) : values.text(otherwise); }

}  // namespace

const Json& Request::parsed() const {
  if (parsed_.is_null()) parsed_ = head_.empty() ? Json::object() : Json::parse(head_);
  return parsed_;
}

std::string_view Request::query(std::string_view name, std::string_view otherwise) const { return first_of(parsed()["queries"][name], otherwise); }

std::string_view Request::header(std::string_view name, std::string_view otherwise) const {
  for (const auto& [key, values] : parsed()["headers"].members())
    if (same_name(key, name)) return first_of(values, otherwise);
  return otherwise;
}

Request::Headers Request::headers() const {
  Headers out;
  for (const auto& [name, values] : parsed()["headers"].members()) {
    if (!values.is_array()) out.emplace_back(name, values.text());
    for (const Json& value : values.items()) out.emplace_back(name, value.text());
  }
  return out;
}

}  // namespace mayfly
