#include "events/schedule.h"

#include <date/tz.h>
#include <fmt/format.h>

#include <charconv>
#include <vector>

#include "base/clock.h"
#include "base/encoding.h"

namespace mayfly::events {
namespace {

constexpr int64_t kSecondsPerDay = 86'400;
constexpr int kSearchDays = 5 * 366;

struct Field {
  const char* name;
  int first, last;
  std::string_view names;  // three letters each, the first one standing for `first`
};
constexpr Field kSecond{"second", 0, 59, ""}, kMinute{"minute", 0, 59, ""}, kHour{"hour", 0, 23, ""}, kDay{"day-of-month", 1, 31, ""},
    kMonth{"month", 1, 12, "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"}, kWeekday{"day-of-week", 0, 7, "SUNMONTUEWEDTHUFRISAT"};

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::optional<int> parse_value(std::string_view text, const Field& field) {
  if (text.size() == 3 && !field.names.empty()) {
    for (size_t i = 0; i * 3 < field.names.size(); ++i)
      if (equals_ignore_case(text, field.names.substr(i * 3, 3))) return field.first + static_cast<int>(i);
  }
  int value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < field.first || value > field.last) return std::nullopt;
  return value;
}

// One field: items separated by commas, each "*", "?", a value or a range, with an optional "/step".
template <size_t N>
bool parse_field(std::string_view text, const Field& field, std::bitset<N>& out) {
  for (std::string_view item : split(text, ',')) {
    int step = 1;
    bool stepped = false;
    if (size_t slash = item.find('/'); slash != std::string_view::npos) {
      auto digits = item.substr(slash + 1);
      auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), step);
      if (error != std::errc() || end != digits.data() + digits.size() || step < 1) return false;
      item = item.substr(0, slash);
      stepped = true;
    }
    int from = field.first, to = field.last;
    if (item != "*" && item != "?") {
      auto ends = split(item, '-');
      auto low = parse_value(ends[0], field);
      auto high = ends.size() == 2 ? parse_value(ends[1], field) : low;
      if (!low || !high || ends.size() > 2 || *low > *high) return false;
      from = *low;
      to = stepped && ends.size() == 1 ? field.last : *high;  // "5/15" means from 5 on
    }
    for (int value = from; value <= to; value += step) out.set(static_cast<size_t>(N == 7 ? value % 7 : value));
  }
  return true;
}

}  // namespace

Expected<Schedule, ScheduleError> Schedule::parse(std::string_view text) {
  text = trim(text);
  if (text.starts_with("@every")) return parse_every(trim(text.substr(6)));
  return parse_cron(text);
}

Expected<Schedule, ScheduleError> Schedule::parse_every(std::string_view text) {
  auto malformed = [&] { return fail(ScheduleError::malformed, fmt::format("'@every {}' is not a duration", text), "write for example '@every 90s' or '@every 1h30m'"); };
  if (text.empty()) return malformed();
  int64_t total_us = 0;
  while (!text.empty()) {
    int64_t count = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    constexpr int64_t kMaxCount = 1'000'000;
    if (error != std::errc() || count < 0 || count > kMaxCount || end == text.data() + text.size()) return malformed();
    int64_t unit = *end == 'h' ? 3600 : *end == 'm' ? 60 : *end == 's' ? 1 : 0;
    if (unit == 0) return malformed();
    total_us += count * unit * kMicrosPerSecond;
    text.remove_prefix(static_cast<size_t>(end - text.data()) + 1);
  }
  if (total_us < kMinEveryUs) return fail(ScheduleError::too_frequent, "the interval of '@every' must be at least one second");
  Schedule schedule;
  schedule.every_us_ = total_us;
  return schedule;
}

Expected<Schedule, ScheduleError> Schedule::parse_cron(std::string_view text) {
  Schedule schedule;
  Cron& cron = schedule.cron_;
  for (std::string_view prefix : {"CRON_TZ=", "TZ="}) {
    if (!text.starts_with(prefix)) continue;
    size_t space = text.find(' ');
    cron.zone = text.substr(prefix.size(), space == std::string_view::npos ? space : space - prefix.size());
    text = space == std::string_view::npos ? std::string_view{} : trim(text.substr(space));
    try {
      date::locate_zone(cron.zone);
    } catch (const std::runtime_error&) {
      return fail(ScheduleError::unknown_zone, fmt::format("time zone '{}' is not known", cron.zone), "use a name such as Asia/Shanghai");
    }
    break;
  }
  std::vector<std::string_view> fields;
  for (std::string_view part : split(text, ' '))
    if (!part.empty()) fields.push_back(part);
  if (fields.size() != 6) {
    return fail(ScheduleError::malformed, fmt::format("a cron expression has 6 fields (second minute hour day-of-month month day-of-week); this one has {}", fields.size()),
                "write for example '0 */5 * * * *' or '@every 5m'");
  }
  auto bad = [&](const Field& field, std::string_view value) { return fail(ScheduleError::malformed, fmt::format("'{}' is not a valid {} field", value, field.name)); };
  if (!parse_field(fields[0], kSecond, cron.seconds)) return bad(kSecond, fields[0]);
  if (!parse_field(fields[1], kMinute, cron.minutes)) return bad(kMinute, fields[1]);
  if (!parse_field(fields[2], kHour, cron.hours)) return bad(kHour, fields[2]);
  if (!parse_field(fields[3], kDay, cron.days)) return bad(kDay, fields[3]);
  if (!parse_field(fields[4], kMonth, cron.months)) return bad(kMonth, fields[4]);
  if (!parse_field(fields[5], kWeekday, cron.weekdays)) return bad(kWeekday, fields[5]);
  cron.any_day = fields[3] == "*" || fields[3] == "?";
  cron.any_weekday = fields[5] == "*" || fields[5] == "?";
  if (!schedule.next_local(cron, 0)) return fail(ScheduleError::never, "this cron expression never ticks");
  return schedule;
}

bool Schedule::Cron::matches_day(unsigned year, unsigned month, unsigned day) const {
  if (!months.test(month)) return false;
  date::weekday weekday{date::sys_days{date::year(static_cast<int>(year)) / month / day}};
  bool day_ok = days.test(day), weekday_ok = weekdays.test(weekday.c_encoding());
  if (any_day) return weekday_ok;
  if (any_weekday) return day_ok;
  return day_ok || weekday_ok;
}

// The first matching second strictly after a local time, both as seconds since 1970 in the schedule's own zone.
std::optional<int64_t> Schedule::next_local(const Cron& cron, int64_t after_local_s) const {
  int64_t start = after_local_s + 1;
  int64_t day = start / kSecondsPerDay;
  for (int i = 0; i < kSearchDays; ++i, ++day) {
    date::year_month_day ymd{date::sys_days{date::days{day}}};
    if (!cron.matches_day(static_cast<unsigned>(static_cast<int>(ymd.year())), static_cast<unsigned>(ymd.month()), static_cast<unsigned>(ymd.day()))) continue;
    int64_t from = std::max<int64_t>(0, start - day * kSecondsPerDay);
    for (int64_t second = from; second < kSecondsPerDay;) {
      auto hour = static_cast<size_t>(second / 3600), minute = static_cast<size_t>(second / 60 % 60);
      if (!cron.hours.test(hour)) {
        second = static_cast<int64_t>(hour + 1) * 3600;
      } else if (!cron.minutes.test(minute)) {
        second = second / 60 * 60 + 60;
      } else if (!cron.seconds.test(static_cast<size_t>(second % 60))) {
        ++second;
      } else {
        return day * kSecondsPerDay + second;
      }
    }
  }
  return std::nullopt;
}

std::optional<int64_t> Schedule::next(int64_t after_us, int64_t anchor_us) const {
  if (every_us_ > 0) {
    int64_t passed = after_us < anchor_us ? 0 : (after_us - anchor_us) / every_us_;
    return anchor_us + (passed + 1) * every_us_;
  }
  int64_t after_s = after_us / kMicrosPerSecond;
  if (cron_.zone.empty()) {
    auto next = next_local(cron_, after_s);
    return next ? std::optional(*next * kMicrosPerSecond) : std::nullopt;
  }
  const date::time_zone* zone = date::locate_zone(cron_.zone);
  auto local = zone->to_local(date::sys_seconds{std::chrono::seconds(after_s)});
  for (int64_t at = local.time_since_epoch().count();;) {
    auto next = next_local(cron_, at);
    if (!next) return std::nullopt;
    at = *next;
    date::local_seconds tick{std::chrono::seconds(at)};
    auto info = zone->get_info(tick);
    if (info.result == date::local_info::nonexistent) continue;
    int64_t utc_s = (tick.time_since_epoch() - info.first.offset).count();
    if (utc_s > after_s) return utc_s * kMicrosPerSecond;
  }
}

}  // namespace mayfly::events
