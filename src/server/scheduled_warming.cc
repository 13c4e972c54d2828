#include "server/scheduled_warming.h"

#include <spdlog/spdlog.h>

#include "dispatch/limits.h"
#include "events/schedule.h"

namespace mayfly::server {
namespace {

constexpr int64_t kLookUs = 60 * kMicrosPerSecond;  // between looks at the wall clock, which may jump
constexpr int kMaxMissed = 10'000;                  // ticks of one action walked through after a pause; older ones cannot be the latest due
constexpr int64_t kRecentUs = 3'600 * kMicrosPerSecond;

// The latest moment up to `now_us` at which the action was due after `after_us`.
std::optional<int64_t> last_due(const json::value& action, int64_t after_us, int64_t now_us) {
  std::optional<int64_t> last;
  for (int64_t from_us : {after_us, std::max(after_us, now_us - kRecentUs)}) {
    int64_t at_us = from_us;
    for (int ticks = 0; ticks < kMaxMissed; ++ticks) {
      auto due = next_due(action, at_us);
      if (!due || *due > now_us) return last;
      last = at_us = *due;
    }
  }
  return last;
}

struct Change {
  int64_t at_us = INT64_MIN, target = 0;
};

}  // namespace

std::optional<int64_t> next_due(const json::value& action, int64_t after_us) {
  std::string expression = string_or(action, "scheduleExpression");
  auto from = parse_iso8601(string_or(action, "startTime")), until = parse_iso8601(string_or(action, "endTime"));
  if (from) after_us = std::max(after_us, *from - 1);
  std::optional<int64_t> due;
  if (expression.starts_with("cron(") && expression.ends_with(')')) {
    auto schedule = events::Schedule::parse(expression.substr(5, expression.size() - 6));
    if (schedule) due = schedule->next(after_us, from.value_or(0));
  } else if (expression.starts_with("at(") && expression.ends_with(')')) {
    std::string time = expression.substr(3, expression.size() - 4);
    due = parse_iso8601(time);
    if (!due) due = parse_iso8601(time + "Z");
    if (due && *due <= after_us) due.reset();
  }
  if (due && until && *due > *until) due.reset();
  return due;
}

ScheduledWarming::ScheduledWarming(io::Loop& loop, functions::Settings& settings, const Clock& clock)
    : loop_(loop), settings_(settings), clock_(clock), tasks_(loop), wake_(loop) {}

void ScheduledWarming::start() { tasks_.spawn(run()); }

void ScheduledWarming::changed() { wake_.set(); }

io::Task<void> ScheduledWarming::stop() {
  stopping_ = true;
  wake_.set();
  co_await tasks_.drain();
}

io::Task<void> ScheduledWarming::run() {
  while (!stopping_) {
    wake_.reset();
    int64_t next_us = co_await act();
    if (stopping_) break;
    if (next_us == INT64_MAX) {
      co_await wake_.wait();
    } else {
      co_await wake_.wait(io::Deadline::after_us(loop_, std::clamp<int64_t>(next_us - clock_.wall_us(), 0, kLookUs)));
    }
  }
}

io::Task<int64_t> ScheduledWarming::act() {
  int64_t now_us = clock_.wall_us(), next_us = INT64_MAX;
  auto page = settings_.list(dispatch::kProvisionConfig, {.prefix = {}, .start = {}, .limit = functions::kMaxDocuments});
  for (const functions::Document& document : page.items) {
    const json::value* actions = document.body.if_contains("scheduledActions");
    if (!actions || !actions->is_array()) continue;
    Change latest;
    for (const json::value& action : actions->get_array()) {
      auto due = last_due(action, document.modified_us, now_us);
      if (due && *due > latest.at_us) latest = {*due, int_or(action, "target")};
      if (auto coming = next_due(action, std::max(now_us, document.modified_us))) next_us = std::min(next_us, *coming);
    }
    if (latest.at_us == INT64_MIN) continue;
    json::object body = document.body;
    body["target"] = latest.target;
    auto put = co_await settings_.put(loop_, dispatch::kProvisionConfig, document.name, std::move(body), functions::Settings::Mode::update, functions::etag(document));
    // Refused: somebody changed or removed it at this moment, and what he wrote is newer than the action.
    if (put) spdlog::info("provisioned instances of {}: {} as scheduled", document.name, latest.target);
  }
  co_return next_us;
}

}  // namespace mayfly::server
