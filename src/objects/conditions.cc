// Conditions and ranges of requests (aliyun-oss.md section 3).
#include <charconv>

#include "base/encoding.h"
#include "objects/objects.h"

namespace mayfly::objects {
namespace {

bool matches(std::string_view tags, std::string_view etag) {
  while (!tags.empty()) {
    size_t comma = tags.find(',');
    std::string_view tag = trim(tags.substr(0, comma));
    if (tag.starts_with("W/")) tag.remove_prefix(2);
    if (tag.size() >= 2 && tag.front() == '"' && tag.back() == '"') tag = tag.substr(1, tag.size() - 2);
    if (tag == "*" || equals_ignore_case(tag, etag)) return true;
    if (comma == std::string_view::npos) return false;
    tags.remove_prefix(comma + 1);
  }
  return false;
}

std::optional<uint64_t> number(std::string_view text) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Result<void> check(const Conditions& conditions, const ObjectInfo& info) {
  int64_t modified_s = info.modified_us / kMicrosPerSecond;
  auto failed = [](std::string_view name) {
    return fail(ObjectsError::precondition_failed, "At least one of the pre-conditions you specified did not hold.", std::string(name));
  };
  if (conditions.match && !matches(*conditions.match, info.etag)) return failed("If-Match");
  if (conditions.unmodified_since_us && modified_s > *conditions.unmodified_since_us / kMicrosPerSecond) return failed("If-Unmodified-Since");
  if (conditions.none_match && matches(*conditions.none_match, info.etag)) return fail(ObjectsError::not_modified, "Not Modified");
  if (conditions.modified_since_us && modified_s <= *conditions.modified_since_us / kMicrosPerSecond) {
    return fail(ObjectsError::not_modified, "Not Modified");
  }
  return {};
}

std::optional<Span> resolve_range(std::string_view range, uint64_t size) {
  range = trim(range);
  if (range.size() < 6 || !equals_ignore_case(range.substr(0, 6), "bytes=")) return std::nullopt;
  range.remove_prefix(6);
  size_t dash = range.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  std::string_view first = trim(range.substr(0, dash)), last = trim(range.substr(dash + 1));
  if (first.empty()) {
    std::optional<uint64_t> count = number(last);
    if (!count || *count == 0 || size == 0) return std::nullopt;
    uint64_t length = std::min(*count, size);
    return Span{size - length, length};
  }
  std::optional<uint64_t> begin = number(first);
  if (!begin || *begin >= size) return std::nullopt;
  if (last.empty()) return Span{*begin, size - *begin};
  std::optional<uint64_t> end = number(last);
  if (!end || *end < *begin) return std::nullopt;
  return Span{*begin, std::min(*end, size - 1) - *begin + 1};
}

}  // namespace mayfly::objects
