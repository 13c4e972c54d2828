#include "flows/path.h"

namespace mayfly::flows {
namespace {

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || static_cast<unsigned char>(c) >= 0x80;
}

enum class Keys { words, anything };

bool ends_key(char c, Keys keys) {
  if (keys == Keys::words) return !is_word(c);
  return c == '.' || c == '[' || c == ']' || static_cast<unsigned char>(c) < 0x20;
}

auto malformed(std::string_view text, std::string_view why) {
  return fail(PathError::malformed, fmt::format("'{}' is no path: {}", text.substr(0, 200), why));
}

// Reads "[0]", "[*]", "['key']" or "[\"key\"]" at the start of `rest`.
Expected<Path::Segment, PathError> read_bracket(std::string_view& rest) {
  std::string_view whole = rest;
  rest.remove_prefix(1);
  Path::Segment segment;
  if (rest.starts_with("*]")) {
    segment.kind = Path::Segment::Kind::wildcard;
    rest.remove_prefix(2);
    return segment;
  }
  if (!rest.empty() && (rest.front() == '"' || rest.front() == '\'')) {
    size_t end = rest.find(rest.front(), 1);
    if (end == std::string_view::npos || rest.substr(end + 1, 1) != "]") return malformed(whole, "a quoted key ends with a quote and ']'");
    segment.key = rest.substr(1, end - 1);
    rest.remove_prefix(end + 2);
    return segment;
  }
  segment.kind = Path::Segment::Kind::index;
  auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), segment.index);
  if (error != std::errc{} || end == rest.data() + rest.size() || *end != ']') return malformed(whole, "[] holds a number, * or a quoted key");
  rest.remove_prefix(static_cast<size_t>(end - rest.data()) + 1);
  return segment;
}

Expected<Path::Segment, PathError> read_member(std::string_view& rest, Keys keys) {
  std::string_view whole = rest;
  rest.remove_prefix(1);
  Path::Segment segment;
  if (rest.starts_with('*')) {
    segment.kind = Path::Segment::Kind::wildcard;
    rest.remove_prefix(1);
    return segment;
  }
  size_t size = 0;
  while (size < rest.size() && !ends_key(rest[size], keys)) ++size;
  if (size == 0) return malformed(whole, "a key must follow '.'");
  segment.key = rest.substr(0, size);
  rest.remove_prefix(size);
  return segment;
}

Expected<std::vector<Path::Segment>, PathError> read_segments(std::string_view& rest, Keys keys) {
  std::vector<Path::Segment> segments;
  std::string_view whole = rest;
  while (!rest.empty() && (rest.front() == '.' || rest.front() == '[')) {
    if (segments.size() == Path::kMaxSegments) return malformed(whole, fmt::format("more than {} parts", Path::kMaxSegments));
    MAYFLY_TRY(auto segment, rest.front() == '.' ? read_member(rest, keys) : read_bracket(rest));
    segments.push_back(std::move(segment));
  }
  return segments;
}

Path::Root read_root(std::string_view& rest) {
  static constexpr std::pair<std::string_view, Path::Root> kRoots[] = {
      {"$input", Path::Root::input}, {"$local", Path::Root::local}, {"$context", Path::Root::context}};
  for (const auto& [word, root] : kRoots) {
    if (!rest.starts_with(word) || (rest.size() > word.size() && is_word(rest[word.size()]))) continue;
    rest.remove_prefix(word.size());
    return root;
  }
  rest.remove_prefix(1);
  return Path::Root::self;
}

// Everything below `value` that matches segments[from...]; only called once a wildcard has been seen.
void collect(const json::value& value, std::span<const Path::Segment> segments, json::array& out) {
  if (segments.empty()) {
    out.push_back(value);
    return;
  }
  const auto& segment = segments.front();
  auto rest = segments.subspan(1);
  if (segment.kind == Path::Segment::Kind::wildcard) {
    if (const auto* array = value.if_array())
      for (const auto& element : *array) collect(element, rest, out);
    if (const auto* object = value.if_object())
      for (const auto& member : *object) collect(member.value(), rest, out);
  } else if (segment.kind == Path::Segment::Kind::index) {
    const auto* array = value.if_array();
    if (array != nullptr && segment.index < array->size()) collect((*array)[segment.index], rest, out);
  } else if (const auto* member = find(value, segment.key)) {
    collect(*member, rest, out);
  }
}

json::value context_of(const Scope& scope) {
  return {{"execution", {{"name", scope.execution}}}, {"flow", {{"name", scope.flow}}}, {"task", {{"token", scope.token}}}};
}

std::optional<json::value> evaluate_local(const Path& path, const Scope& scope) {
  if (path.segments().empty()) {
    if (scope.locals.empty()) return json::object();
    json::value merged = *scope.locals.back();
    for (size_t i = scope.locals.size() - 1; i-- > 0;) {
      if (!merged.is_object() || !scope.locals[i]->is_object()) merged = *scope.locals[i];
      else
        for (const auto& member : scope.locals[i]->get_object()) merged.get_object().insert_or_assign(member.key(), member.value());
    }
    return merged;
  }
  for (const auto* local : scope.locals)
    if (auto value = path.evaluate(*local)) return value;
  return std::nullopt;
}

}  // namespace

Expected<Path, PathError> Path::parse(std::string_view text) {
  std::string_view rest = text;
  if (!rest.starts_with('$')) return malformed(text, "it must begin with '$'");
  Path path;
  path.root_ = read_root(rest);
  MAYFLY_TRY(path.segments_, read_segments(rest, Keys::anything));
  if (!rest.empty()) return malformed(text, fmt::format("unexpected '{}'", rest.substr(0, 20)));
  path.text_ = text;
  return path;
}

Expected<Path, PathError> Path::parse_prefix(std::string_view& text) {
  std::string_view whole = text;
  if (!text.starts_with('$')) return malformed(text, "it must begin with '$'");
  Path path;
  path.root_ = read_root(text);
  MAYFLY_TRY(path.segments_, read_segments(text, Keys::words));
  path.text_ = whole.substr(0, whole.size() - text.size());
  return path;
}

bool Path::is_reference(std::string_view text) {
  for (std::string_view word : {"$input", "$local", "$context"})
    if (text.starts_with(word) && (text.size() == word.size() || text[word.size()] == '.' || text[word.size()] == '[')) return true;
  return false;
}

std::optional<json::value> Path::evaluate(const json::value& root) const {
  const json::value* at = &root;
  for (size_t i = 0; i < segments_.size(); ++i) {
    const Segment& segment = segments_[i];
    if (segment.kind == Segment::Kind::wildcard) {
      if (!at->is_array() && !at->is_object()) return std::nullopt;
      json::array out;
      collect(*at, std::span(segments_).subspan(i), out);
      return out;
    }
    if (segment.kind == Segment::Kind::index) {
      const auto* array = at->if_array();
      if (array == nullptr || segment.index >= array->size()) return std::nullopt;
      at = &(*array)[segment.index];
    } else {
      at = find(*at, segment.key);
      if (at == nullptr) return std::nullopt;
    }
  }
  return *at;
}

std::optional<json::value> evaluate(const Path& path, const Scope& scope) {
  switch (path.root()) {
    case Path::Root::context: return path.evaluate(context_of(scope));
    case Path::Root::local: return evaluate_local(path, scope);
    case Path::Root::self: return path.evaluate(scope.self != nullptr ? *scope.self : *scope.input);
    case Path::Root::input: return path.evaluate(*scope.input);
  }
  return std::nullopt;
}

}  // namespace mayfly::flows
