#pragma once
// Schedule: when a timer ticks (aliyun-fc.md section 4). Two forms:
//   "[CRON_TZ=Zone ]second minute hour day-of-month month day-of-week"   six fields, UTC unless a zone is named;
//   "@every 1h30m"                                                       a Go-style duration, counted from the timer's creation.
// Fields take * ? , - / and the names JAN..DEC, SUN..SAT; 7 is Sunday too. Undocumented by the vendor and decided here: when both day
// fields are restricted a day matches if either does (as Vixie cron does). In a zone with summer time, local times that do not exist are
// skipped and local times that occur twice tick once, at the first. Immutable value.

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mayfly::events {

enum class ScheduleError { malformed, unknown_zone, too_frequent, never };

constexpr int64_t kMinEveryUs = 1'000'000;  // the real service asks for a minute; second-level timers were its users' wish

class Schedule {
 public:
  static Expected<Schedule, ScheduleError> parse(std::string_view text);

  // The first tick strictly after `after_us` (wall clock). `anchor_us` is where @every counts from. nullopt: no tick within 5 years
  // (30 February).
  std::optional<int64_t> next(int64_t after_us, int64_t anchor_us) const;

 private:
  struct Cron {
    std::bitset<60> seconds, minutes;
    std::bitset<24> hours;
    std::bitset<32> days;
    std::bitset<13> months;
    std::bitset<7> weekdays;
    bool any_day = true, any_weekday = true;
    std::string zone;  // empty: UTC
    bool matches_day(unsigned year, unsigned month, unsigned day) const;
  };
  static Expected<Schedule, ScheduleError> parse_every(std::string_view text);
  static Expected<Schedule, ScheduleError> parse_cron(std::string_view text);
  std::optional<int64_t> next_local(const Cron& cron, int64_t after_local_s) const;

  int64_t every_us_ = 0;  // > 0: the @every form
  Cron cron_;
};

}  // namespace mayfly::events
