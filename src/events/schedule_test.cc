#include "events/schedule.h"

#include <gtest/gtest.h>

#include "base/clock.h"

namespace mayfly::events {
namespace {

int64_t at(const char* text) { return *parse_iso8601(text); }

std::string next(const char* expression, const char* after) {
  auto schedule = Schedule::parse(expression);
  if (!schedule) return schedule.error().message;
  auto tick = schedule->next(at(after), at("2026-01-01T00:00:00Z"));
  return tick ? iso8601_s(*tick) : "never";
}

TEST(Schedule, TicksAtTheNextMatchingSecond) {
  struct Case { const char *expression, *after, *expected; };
  for (const Case& c : std::initializer_list<Case>{
           {"0 * * * * *", "2026-11-20T10:00:00Z", "2026-11-20T10:01:00Z"},
           {"0 * * * * *", "2026-11-20T09:59:59.999Z", "2026-11-20T10:00:00Z"},
           {"*/15 * * * * *", "2026-11-20T10:00:16Z", "2026-11-20T10:00:30Z"},
           {"5/20 * * * * *", "2026-11-20T10:00:26Z", "2026-11-20T10:00:45Z"},
           {"0 0 4 1 * *", "2026-11-20T10:00:00Z", "2026-12-01T04:00:00Z"},
           {"0 30 9 ? * MON-FRI", "2026-11-20T10:00:00Z", "2026-11-23T09:30:00Z"},
           {"0 0 0 29 FEB *", "2026-11-20T10:00:00Z", "2028-02-29T00:00:00Z"},
           {"0 0 0 * * 7", "2026-11-20T10:00:00Z", "2026-11-22T00:00:00Z"},
           {"0 0 0 13 * FRI", "2026-11-14T00:00:00Z", "2026-11-20T00:00:00Z"},
           {"CRON_TZ=Asia/Shanghai 0 0 4 1 * *", "2026-11-20T10:00:00Z", "2026-11-30T20:00:00Z"},
           {"@every 5m", "2026-01-01T00:07:00Z", "2026-01-01T00:10:00Z"},
           {"@every 1h30m", "2026-01-01T01:30:00Z", "2026-01-01T03:00:00Z"},
       })
    EXPECT_EQ(next(c.expression, c.after), c.expected) << c.expression;
}

TEST(Schedule, SkipsLocalTimesThatDoNotExistAndTicksOnceWhenTheyRepeat) {
  // New York jumps from 02:00 to 03:00 on 2027-03-14 and from 02:00 back to 01:00 on 2026-11-01.
  EXPECT_EQ(next("CRON_TZ=America/New_York 0 30 2 * * *", "2027-03-13T08:00:00Z"), "2027-03-15T06:30:00Z");
  EXPECT_EQ(next("CRON_TZ=America/New_York 0 30 1 * * *", "2026-11-01T05:00:00Z"), "2026-11-01T05:30:00Z");
  EXPECT_EQ(next("CRON_TZ=America/New_York 0 30 1 * * *", "2026-11-01T05:30:00Z"), "2026-11-02T06:30:00Z");
}

TEST(Schedule, SaysWhatIsWrong) {
  for (auto bad : {"", "* * * * *", "60 * * * * *", "0 0 24 * * *", "0 0 0 0 * *", "0 0 0 * 13 *", "0 0 0 * * FOO", "*/0 * * * * *", "5-1 * * * * *", "@every",
                   "@every 5", "@every -5m", "@every 5x", "@every 0s", "CRON_TZ=Mars/Base 0 0 0 * * *", "0 0 0 30 FEB ?", "99999999999999999999 * * * * *"}) {
    auto schedule = Schedule::parse(bad);
    ASSERT_FALSE(schedule) << bad;
    EXPECT_FALSE(schedule.error().message.empty());
  }
}

}  // namespace
}  // namespace mayfly::events
