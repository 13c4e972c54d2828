#include "flows/schedules.h"

#include <stdexcept>

#include "flows/rows.h"
#include "store/keys.h"

namespace mayfly::flows {
namespace {

constexpr size_t kMaxNameBytes = 128;          // as of flows
constexpr size_t kMaxCronBytes = 256;          // a cron expression has seven fields
constexpr size_t kMaxPayloadBytes = 256 * 1024;  // as an execution's input

std::string schedule_key(const std::string& flow, const std::string& name) { return store::make_key({"fl", "c", flow, name}); }

std::string write(const Schedule& schedule) {
  return to_text(json::object{{"id", schedule.id}, {"flow", schedule.flow}, {"name", schedule.name}, {"cron", schedule.cron}, {"payload", schedule.payload},
                              {"description", schedule.description}, {"enabled", schedule.enabled}, {"created", schedule.created_us},
                              {"modified", schedule.modified_us}});
}

Schedule read(std::string_view text) {
  auto value = parse_json(text);
  if (!value) throw std::runtime_error("a schedule's row is damaged: " + value.error().message);
  return {.id = string_or(*value, "id"), .flow = string_or(*value, "flow"), .name = string_or(*value, "name"), .cron = string_or(*value, "cron"),
          .payload = string_or(*value, "payload"), .description = string_or(*value, "description"), .enabled = bool_or(*value, "enabled"),
          .created_us = int_or(*value, "created"), .modified_us = int_or(*value, "modified")};
}

auto not_found(const std::string& flow, const std::string& name) {
  return fail(FlowError::schedule_not_found, fmt::format("schedule '{}' of flow '{}' does not exist", name, flow));
}

void merge(Schedule& schedule, ScheduleChange change) {
  if (change.cron) schedule.cron = std::move(*change.cron);
  if (change.payload) schedule.payload = std::move(*change.payload);
  if (change.description) schedule.description = std::move(*change.description);
  if (change.enabled) schedule.enabled = *change.enabled;
}

}  // namespace

Result<void> Schedules::check(const ScheduleChange& change) const {
  if (change.name.empty() || change.name.size() > kMaxNameBytes) return fail(FlowError::invalid_argument, "a schedule's name is 1 to 128 characters");
  if (change.cron && change.cron->size() > kMaxCronBytes) return fail(FlowError::invalid_argument, "CronExpression is too long");
  if (change.payload && change.payload->size() > kMaxPayloadBytes) {
    return fail(FlowError::too_large, fmt::format("Payload is {} bytes, the limit is {}", change.payload->size(), kMaxPayloadBytes));
  }
  if (change.cron && check_cron_) {
    if (std::string wrong = check_cron_(*change.cron); !wrong.empty()) return fail(FlowError::invalid_argument, "CronExpression: " + wrong);
  }
  return {};
}

io::Task<Result<Schedule>> Schedules::create(io::Loop& loop, ScheduleChange change) {
  MAYFLY_CO_TRY_VOID(check(change));
  Schedule schedule{.id = uuid(rng_), .flow = change.flow, .name = change.name, .cron = {}, .payload = {}, .description = {}};
  schedule.created_us = schedule.modified_us = loop.clock().wall_us();
  merge(schedule, std::move(change));
  store::Batch batch;
  batch.expect_exists(flow_key(schedule.flow));
  batch.expect_absent(schedule_key(schedule.flow, schedule.name));
  batch.put(schedule_key(schedule.flow, schedule.name), write(schedule));
  if (co_await store_.commit(loop, std::move(batch)) == store::Commit::done) co_return schedule;
  if (!co_await store_.get(loop, flow_key(schedule.flow))) co_return fail(FlowError::flow_not_found, fmt::format("flow '{}' does not exist", schedule.flow));
  co_return fail(FlowError::schedule_exists, fmt::format("schedule '{}' of flow '{}' already exists", schedule.name, schedule.flow));
}

io::Task<Result<Schedule>> Schedules::update(io::Loop& loop, ScheduleChange change) {
  MAYFLY_CO_TRY_VOID(check(change));
  const std::string key = schedule_key(change.flow, change.name);
  auto row = co_await store_.get(loop, key);
  if (!row) co_return not_found(change.flow, change.name);
  Schedule schedule = read(*row);
  merge(schedule, std::move(change));
  schedule.modified_us = loop.clock().wall_us();
  store::Batch batch;
  batch.expect_equals(key, std::move(*row));
  batch.put(key, write(schedule));
  if (co_await store_.commit(loop, std::move(batch)) == store::Commit::done) co_return schedule;
  co_return fail(FlowError::schedule_not_found, fmt::format("schedule '{}' was changed or deleted meanwhile", schedule.name));
}

io::Task<Result<void>> Schedules::remove(io::Loop& loop, std::string flow, std::string name) {
  store::Batch batch;
  batch.expect_exists(schedule_key(flow, name));
  batch.erase(schedule_key(flow, name));
  if (co_await store_.commit(loop, std::move(batch)) == store::Commit::refused) co_return not_found(flow, name);
  co_return Result<void>{};
}

io::Task<Result<Schedule>> Schedules::describe(io::Loop& loop, std::string flow, std::string name) {
  auto row = co_await store_.get(loop, schedule_key(flow, name));
  if (!row) co_return not_found(flow, name);
  co_return read(*row);
}

io::Task<Page<Schedule>> Schedules::list(io::Loop& loop, std::string flow, std::string next, size_t limit) {
  limit = std::max<size_t>(limit, 1);
  const std::string all = store::make_key({"fl", "c", flow});
  auto rows = co_await store_.scan(loop, {.first = next.empty() ? all : schedule_key(flow, next), .last = store::after_prefix(all), .limit = limit + 1});
  Page<Schedule> page;
  for (const auto& row : rows) {
    Schedule schedule = read(row.value);
    if (page.items.size() == limit) page.next = schedule.name;
    else page.items.push_back(std::move(schedule));
  }
  co_return page;
}

io::Task<std::vector<Schedule>> Schedules::all(io::Loop& loop) {
  const std::string prefix = store::make_key({"fl", "c"});
  std::vector<Schedule> out;
  std::map<std::string, bool> exists;
  for (const auto& row : co_await store::scan_all(store_, loop, prefix, store::after_prefix(prefix))) {
    Schedule schedule = read(row.value);
    auto [known, first] = exists.try_emplace(schedule.flow, false);
    if (first) known->second = (co_await store_.get(loop, flow_key(schedule.flow))).has_value();
    if (known->second) out.push_back(std::move(schedule));
  }
  co_return out;
}

}  // namespace mayfly::flows
