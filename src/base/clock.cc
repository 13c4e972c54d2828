#include "base/clock.h"

#include <fmt/format.h>

#include <chrono>
#include <cstring>
#include <ctime>

namespace mayfly {
namespace {

std::tm utc(int64_t wall_us) {
  std::time_t seconds = wall_us / kMicrosPerSecond - (wall_us % kMicrosPerSecond < 0 ? 1 : 0);
  std::tm tm{};
  gmtime_r(&seconds, &tm);
  return tm;
}

std::string format_time(int64_t wall_us, const char* pattern) {
  std::tm tm = utc(wall_us);
  char text[64];
  return {text, std::strftime(text, sizeof text, pattern, &tm)};
}

// Parses all of `text` by a strptime pattern in the C locale, as UTC seconds.
std::optional<int64_t> parse_time(std::string_view text, const char* pattern) {
  std::tm tm{};
  std::string copy(text);
  const char* end = strptime(copy.c_str(), pattern, &tm);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return static_cast<int64_t>(timegm(&tm)) * kMicrosPerSecond;
}

constexpr size_t kDigitsFailed = SIZE_MAX;
// The number that two digits of `text` at `at` make.
size_t two_digits(std::string_view text, size_t at) {
  size_t tens = static_cast<size_t>(text[at] - '0'), ones = static_cast<size_t>(text[at + 1] - '0');
  return tens > 9 || ones > 9 ? kDigitsFailed : tens * 10 + ones;
}

// The one form that clients write, "Fri, 20 Nov 2026 10:00:00 GMT", which every signed request carries: strptime takes a microsecond.
std::optional<int64_t> parse_usual_http_date(std::string_view text) {
  constexpr std::string_view kForm = "Fri, 20 Nov 2026 10:00:00 GMT", kDays = "SunMonTueWedThuFriSat", kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (text.size() != kForm.size()) return std::nullopt;
  for (size_t at : {3u, 4u, 7u, 11u, 16u, 19u, 22u, 25u, 26u, 27u, 28u})
    if (text[at] != kForm[at]) return std::nullopt;
  const size_t weekday = kDays.find(text.substr(0, 3)), month = kMonths.find(text.substr(8, 3));
  if (weekday == kDays.npos || weekday % 3 != 0 || month == kMonths.npos || month % 3 != 0) return std::nullopt;
  const size_t day = two_digits(text, 5), century = two_digits(text, 12), year = two_digits(text, 14), hour = two_digits(text, 17),
               minute = two_digits(text, 20), second = two_digits(text, 23);
  if (day < 1 || day > 31 || century > 99 || year > 99 || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  const std::chrono::sys_days date = std::chrono::year(static_cast<int>(century * 100 + year)) / static_cast<int>(month / 3 + 1) / static_cast<int>(day);
  const auto seconds = date.time_since_epoch() / std::chrono::seconds(1) + static_cast<int64_t>(hour * 3600 + minute * 60 + second);
  return static_cast<int64_t>(seconds) * kMicrosPerSecond;
}

// The fraction and zone after the seconds of an RFC 3339 time, as microseconds to add; nullopt if malformed.
std::optional<int64_t> parse_fraction_and_zone(std::string_view rest) {
  int64_t micros = 0;
  if (!rest.empty() && rest[0] == '.') {
    size_t i = 1;
    for (int64_t unit = 100'000; i < rest.size() && rest[i] >= '0' && rest[i] <= '9'; ++i, unit /= 10) micros += (rest[i] - '0') * unit;
    if (i == 1) return std::nullopt;
    rest.remove_prefix(i);
  }
  if (rest == "Z" || rest == "z") return micros;
  if (rest.size() != 6 || (rest[0] != '+' && rest[0] != '-') || rest[3] != ':') return std::nullopt;
  for (int i : {1, 2, 4, 5})
    if (rest[i] < '0' || rest[i] > '9') return std::nullopt;
  int64_t minutes = ((rest[1] - '0') * 10 + rest[2] - '0') * 60 + (rest[4] - '0') * 10 + rest[5] - '0';
  return micros - (rest[0] == '+' ? 1 : -1) * minutes * 60 * kMicrosPerSecond;
}

}  // namespace

int64_t SystemClock::wall_us() const {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

int64_t SystemClock::mono_us() const {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string iso8601_ms(int64_t wall_us) {
  return fmt::format("{}.{:03}Z", format_time(wall_us, "%Y-%m-%dT%H:%M:%S"), wall_us % kMicrosPerSecond / kMicrosPerMilli);
}
std::string iso8601_s(int64_t wall_us) { return format_time(wall_us, "%Y-%m-%dT%H:%M:%SZ"); }
std::string http_date(int64_t wall_us) { return format_time(wall_us, "%a, %d %b %Y %H:%M:%S GMT"); }
std::string compact_date(int64_t wall_us) { return format_time(wall_us, "%Y%m%dT%H%M%SZ"); }

std::optional<int64_t> parse_iso8601(std::string_view text) {
  constexpr size_t kSeconds = std::string_view("2026-11-20T10:00:00").size();
  if (text.size() <= kSeconds) return std::nullopt;
  auto seconds = parse_time(text.substr(0, kSeconds), "%Y-%m-%dT%H:%M:%S");
  auto rest = parse_fraction_and_zone(text.substr(kSeconds));
  if (!seconds || !rest) return std::nullopt;
  return *seconds + *rest;
}
std::optional<int64_t> parse_http_date(std::string_view text) {
  if (auto usual = parse_usual_http_date(text)) return usual;
  return parse_time(text, "%a, %d %b %Y %H:%M:%S GMT");  // other spellings of the same
}
std::optional<int64_t> parse_compact_date(std::string_view text) { return parse_time(text, "%Y%m%dT%H%M%SZ"); }

}  // namespace mayfly
