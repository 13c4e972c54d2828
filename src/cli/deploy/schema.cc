#include "cli/deploy/schema.h"

#include <fmt/ranges.h>

#include "base/encoding.h"

namespace mayfly::cli {

Schema anything() { return {}; }
Schema text() { return {.kind = Schema::Kind::text, .what = "a text"}; }
Schema word(std::vector<std::string> words) {
  std::string what = fmt::format("one of {}", fmt::join(words, ", "));
  return {.kind = Schema::Kind::text, .what = std::move(what), .words = std::move(words)};
}
Schema integer(int64_t least, int64_t most) {
  std::string what = least == INT64_MIN  ? "an integer"
                     : most == INT64_MAX ? fmt::format("an integer, at least {}", least)
                                         : fmt::format("an integer from {} to {}", least, most);
  return {.kind = Schema::Kind::integer, .what = std::move(what), .least = least, .most = most};
}
Schema boolean() { return {.kind = Schema::Kind::boolean, .what = "true or false"}; }
Schema scalar() { return {.kind = Schema::Kind::scalar, .what = "a text, number, true or false"}; }
Schema object(std::vector<Schema::Member> members) {
  return {.kind = Schema::Kind::object, .what = "a map", .members = std::move(members)};
}
Schema list(Schema item) { return {.kind = Schema::Kind::list, .what = "a list", .inner = {std::move(item)}}; }
Schema map_of(Schema item) { return {.kind = Schema::Kind::map, .what = "a map", .inner = {std::move(item)}}; }
Schema one_of(std::string what, std::vector<Schema> alternatives) {
  return {.kind = Schema::Kind::one_of, .what = std::move(what), .inner = std::move(alternatives)};
}

namespace {

using Kind = Schema::Kind;

void check(const json::value& value, const Schema& schema, const std::string& path, std::vector<std::string>& found);

// Insertions, deletions and substitutions that turn one name into the other, case aside.
size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, substituted}));
    }
  }
  return row[b.size()];
}

// The known member that was probably meant, for "did you mean"; empty if none is near.
std::string nearest(std::string_view name, const std::vector<Schema::Member>& members) {
  constexpr size_t kLongest = 64;  // no property's name comes near it
  if (name.size() > kLongest) return {};
  for (const Schema::Member& member : members)
    if (edit_distance(lower(name), lower(member.name)) <= (member.name.size() > 4 ? 2u : 1u)) return member.name;
  return {};
}

void check_object(const json::object& value, const Schema& schema, const std::string& path, std::vector<std::string>& found) {
  for (const auto& entry : value) {
    std::string_view name(entry.key());
    auto known = std::find_if(schema.members.begin(), schema.members.end(), [&](const auto& member) { return member.name == name; });
    std::string place = fmt::format("{}.{}", path, name);
    if (known != schema.members.end()) {
      check(entry.value(), known->schema, place, found);
      continue;
    }
    std::string meant = nearest(name, schema.members);
    found.push_back(place + ": unknown property" + (meant.empty() ? "" : "; did you mean " + meant + "?"));
  }
  for (const Schema::Member& member : schema.members)
    if (member.required && !value.contains(member.name)) found.push_back(fmt::format("{}: the property {} is missing", path, member.name));
}

bool fits(const json::value& value, const Schema& schema) {
  switch (schema.kind) {
    case Kind::anything: return true;
    case Kind::text:
      return value.is_string() &&
             (schema.words.empty() || std::find(schema.words.begin(), schema.words.end(), view(value.get_string())) != schema.words.end());
    case Kind::integer: return value.is_int64() && value.get_int64() >= schema.least && value.get_int64() <= schema.most;
    case Kind::boolean: return value.is_bool();
    case Kind::scalar: return value.is_string() || value.is_number() || value.is_bool();
    case Kind::object:
    case Kind::map: return value.is_object();
    case Kind::list: return value.is_array();
    case Kind::one_of: return true;
  }
  return true;
}

void check(const json::value& value, const Schema& schema, const std::string& path, std::vector<std::string>& found) {
  if (!fits(value, schema)) {
    found.push_back(fmt::format("{}: should be {}", path, schema.what));
    return;
  }
  switch (schema.kind) {
    case Kind::object: return check_object(value.get_object(), schema, path, found);
    case Kind::list:
      for (size_t i = 0; i < value.get_array().size(); ++i) check(value.get_array()[i], schema.inner[0], fmt::format("{}[{}]", path, i), found);
      return;
    case Kind::map:
      for (const auto& entry : value.get_object())
        check(entry.value(), schema.inner[0], fmt::format("{}.{}", path, std::string_view(entry.key())), found);
      return;
    case Kind::one_of: {
      // The complaints of the alternative that has the value's own shape say more than "none of them".
      for (const Schema& alternative : schema.inner) {
        if (!fits(value, alternative)) continue;
        check(value, alternative, path, found);
        return;
      }
      found.push_back(fmt::format("{}: should be {}", path, schema.what));
      return;
    }
    default: return;
  }
}

}  // namespace

std::vector<std::string> complaints(const json::value& value, const Schema& schema, const std::string& path) {
  std::vector<std::string> found;
  check(value, schema, path, found);
  return found;
}

}  // namespace mayfly::cli
