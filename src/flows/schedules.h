#pragma once
// Schedules: "start this flow at these times" (aliyun-fnf.md section 6). Rows only: whoever runs them (the timer source of the events
// room) reads all() at start and after a change, and starts executions by itself. Any shard.
//
//   fl c  flow, schedule    the schedule, JSON

#include <functional>

#include "base/rng.h"
#include "flows/flows.h"
#include "store/store.h"

namespace mayfly::flows {

struct Schedule {
  std::string id, flow, name;
  std::string cron;           // as given: "0 * * * * *" or "@every 10m"
  std::string payload;        // JSON text; the execution's input is made from it
  std::string description;
  bool enabled = false;
  int64_t created_us = 0, modified_us = 0;
};

struct ScheduleChange {
  std::string flow, name;
  std::optional<std::string> cron, payload, description;  // absent: keep, or the default
  std::optional<bool> enabled;
};

class Schedules {
 public:
  // Says what is wrong with a cron expression, "" if nothing; the cron parser lives on a higher floor.
  using CheckCron = std::function<std::string(const std::string& cron)>;

  Schedules(store::Store& store, Rng& rng, CheckCron check_cron = {}) : store_(store), rng_(rng), check_cron_(std::move(check_cron)) {}

  io::Task<Result<Schedule>> create(io::Loop& loop, ScheduleChange change);  // flow_not_found, schedule_exists
  io::Task<Result<Schedule>> update(io::Loop& loop, ScheduleChange change);
  io::Task<Result<void>> remove(io::Loop& loop, std::string flow, std::string name);
  io::Task<Result<Schedule>> describe(io::Loop& loop, std::string flow, std::string name);
  io::Task<Page<Schedule>> list(io::Loop& loop, std::string flow, std::string next, size_t limit);
  // Every schedule of every flow, also disabled ones; those of a deleted flow are left out.
  io::Task<std::vector<Schedule>> all(io::Loop& loop);

 private:
  Result<void> check(const ScheduleChange& change) const;

  store::Store& store_;
  Rng& rng_;
  CheckCron check_cron_;
};

}  // namespace mayfly::flows
