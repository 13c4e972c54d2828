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

int digit(char c) {
  c = lower(c);
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    bool escape = text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0;
    out += escape ? static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2])) : text[i];
    if (escape) i += 2;
  }
  return out;
}

}  // namespace

const Json& Request::parsed() const {
  if (!parsed_.is_null()) return parsed_;
  parsed_ = head_.empty() ? Json::object() : Json::parse(head_);
  if (std::string_view path = parsed_["path"].text(); path.find('%') != path.npos) parsed_["path"] = percent_decoded(path);
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
