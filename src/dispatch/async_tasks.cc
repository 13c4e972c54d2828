#include "dispatch/async_tasks.h"

#include <algorithm>
#include <array>

#include "base/encoding.h"
#include "base/json.h"
#include "functions/model.h"
#include "store/keys.h"

namespace mayfly::dispatch {
namespace {

constexpr size_t kSweepRows = 500;    // tasks dropped in one commit
constexpr size_t kIndexRows = 1'000;  // read at once by a list
constexpr std::array<std::string_view, 10> kNames{"Enqueued", "Dequeued", "Running", "Succeeded", "Failed", "Stopping", "Stopped", "Expired", "Invalid", "Retrying"};

std::string record_key(const Target& target, const std::string& id) { return store::make_key({"async-task", target.service, target.function, id}); }
std::string payload_key(const Target& target, const std::string& id) { return store::make_key({"async-task-in", target.service, target.function, id}); }
std::string result_key(const Target& target, const std::string& id) { return store::make_key({"async-task-out", target.service, target.function, id}); }
std::string time_key(const Target& target, int64_t started_us, const std::string& id) {
  return store::make_key({"async-task-time", target.service, target.function, store::ordered_int(started_us), id});
}
std::string old_prefix() { return store::make_key({"async-task-old"}); }
std::string old_key(const Target& target, int64_t ended_us, const std::string& id) {
  return store::make_key({"async-task-old", store::ordered_int(ended_us), target.service, target.function, id});
}

std::string_view qualifier_or_latest(const std::string& qualifier) { return qualifier.empty() ? functions::kLatest : std::string_view(qualifier); }

std::string encode(const TaskRecord& task) {
  json::array events;
  for (const TaskEvent& event : task.events) events.push_back({event.id, name_of(event.status), event.at_us, event.detail});
  return to_text(json::object{{"qualifier", task.target.qualifier}, {"request_id", task.request_id}, {"status", name_of(task.status)}, {"started_us", task.started_us},
                              {"ended_us", task.ended_us}, {"due_us", task.due_us}, {"duration_us", task.duration_us}, {"retries", task.retries}, {"error", to_utf8(task.error)},
                              {"instance", task.instance_id}, {"destination", task.destination_status}, {"events", std::move(events)}});
}

std::optional<TaskRecord> decode(const Target& target, const std::string& id, std::string_view row) {
  auto text = parse_json(row);
  auto status = text ? task_status(string_or(*text, "status")) : std::nullopt;
  if (!status) return std::nullopt;
  TaskRecord task{.target = {target.service, target.function, string_or(*text, "qualifier")}, .id = id, .request_id = string_or(*text, "request_id"), .status = *status,
                  .started_us = int_or(*text, "started_us"), .ended_us = int_or(*text, "ended_us"), .due_us = int_or(*text, "due_us"),
                  .duration_us = int_or(*text, "duration_us"), .retries = int_or(*text, "retries"), .error = string_or(*text, "error"),
                  .instance_id = string_or(*text, "instance"), .destination_status = string_or(*text, "destination")};
  if (const json::value* events = find(*text, "events"); events && events->is_array())
    for (const json::value& event : events->get_array()) {
      const json::array& part = event.as_array();
      task.events.push_back({part.at(0).to_number<int64_t>(), task_status(view(part.at(1).as_string())).value_or(*status), part.at(2).to_number<int64_t>(),
                             std::string(view(part.at(3).as_string()))});
    }
  return task;
}

void put(store::Batch& batch, const TaskRecord& task) {
  batch.put(record_key(task.target, task.id), encode(task));
  batch.put(time_key(task.target, task.started_us, task.id), fmt::format("{} {}", name_of(task.status), qualifier_or_latest(task.target.qualifier)));
}

// All rows of the finished task that an async-task-old row is about.
void erase(store::Batch& batch, const store::Entry& old) {
  auto key = store::split_key(old.key);
  MAYFLY_CHECK(key && key->size() == 5 && old.value.size() == 8);
  Target target{(*key)[2], (*key)[3], {}};
  const std::string& id = (*key)[4];
  batch.expect_exists(old.key);
  batch.erase(old.key);
  batch.erase(record_key(target, id));
  batch.erase(payload_key(target, id));
  batch.erase(result_key(target, id));
  batch.erase(time_key(target, store::read_ordered_int(old.value), id));
}

// Whether the index row may be in the answer, by what it says itself.
bool wanted(const TaskQuery& query, const store::Entry& row, const std::string& id) {
  size_t space = row.value.find(' ');
  if (space == row.value.npos || !id.starts_with(query.id_prefix)) return false;
  if (query.status && row.value.substr(0, space) != name_of(*query.status)) return false;
  return query.qualifier.empty() || row.value.substr(space + 1) == query.qualifier;
}

// The part of the index that the query's times and page leave.
store::Range index_range(const TaskQuery& query) {
  Target target{query.service, query.function, {}};
  std::string prefix = store::make_key({"async-task-time", query.service, query.function});
  store::Range range{.first = store::make_key({"async-task-time", query.service, query.function, store::ordered_int(query.from_us)}),
                     .last = store::after_prefix(prefix), .limit = kIndexRows, .reverse = !query.ascending};
  if (query.until_us != INT64_MAX) range.last = store::make_key({"async-task-time", query.service, query.function, store::ordered_int(query.until_us)});
  if (auto after = hex_decode(query.after); after && after->starts_with(prefix)) {
    if (query.ascending) range.first = std::max(range.first, *after + '\0');
    else range.last = std::min(range.last, *after);
  }
  return range;
}

}  // namespace

std::string_view name_of(TaskStatus status) { return kNames[static_cast<size_t>(status)]; }

std::optional<TaskStatus> task_status(std::string_view name) {
  auto at = std::find(kNames.begin(), kNames.end(), name);
  if (at == kNames.end()) return std::nullopt;
  return static_cast<TaskStatus>(at - kNames.begin());
}

bool is_final(TaskStatus status) {
  using enum TaskStatus;
  return status == succeeded || status == failed || status == stopped || status == expired || status == invalid;
}

bool is_task_id(std::string_view id) {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  auto other = [](char c) { return (c >= '0' && c <= '9') || c == '-'; };
  return !id.empty() && id.size() <= kMaxTaskIdBytes && letter(id[0]) && std::all_of(id.begin(), id.end(), [&](char c) { return letter(c) || other(c); });
}

void TaskRecord::happened(TaskStatus now, int64_t wall_us, std::string detail) {
  status = now;
  int64_t next = events.empty() ? 1 : events.back().id + 1;
  if (events.size() >= kMaxTaskEvents) events.erase(events.begin() + 1);
  events.push_back({next, now, wall_us, std::move(detail)});
  if (is_final(now)) ended_us = wall_us;
}

io::Task<void> Tasks::load(io::Loop& loop) {
  std::string first = store::make_key({"async-task-time"}), last = store::after_prefix(first);
  size_t count = 0;
  while (true) {
    auto rows = co_await store_.scan(loop, {.first = first, .last = last, .limit = kIndexRows, .keys_only = true});
    count += rows.size();
    if (rows.size() < kIndexRows) break;
    first = rows.back().key + '\0';
  }
  stored_ = count;
}

io::Task<std::optional<TaskRecord>> Tasks::find(io::Loop& loop, Target target, std::string id, bool with_payload) {
  auto row = co_await store_.get(loop, record_key(target, id));
  auto task = row ? decode(target, id, *row) : std::nullopt;
  if (!task) co_return std::nullopt;
  if (with_payload) task->payload = (co_await store_.get(loop, payload_key(target, id))).value_or("");
  if (with_payload && task->finished()) task->result = (co_await store_.get(loop, result_key(target, id))).value_or("");
  co_return task;
}

io::Task<TaskPage> Tasks::list(io::Loop& loop, TaskQuery query) {
  TaskPage page;
  store::Range range = index_range(query);
  while (true) {
    auto rows = co_await store_.scan(loop, range);
    for (const store::Entry& row : rows) {
      auto key = store::split_key(row.key);
      MAYFLY_CHECK(key && key->size() == 5);
      if (!wanted(query, row, (*key)[4])) continue;
      if (page.tasks.size() == query.limit) co_return page;  // there is one more: `next` is the last one's
      Target target{query.service, query.function, {}};
      auto task = co_await find(loop, target, (*key)[4], query.with_payload);
      if (!task) continue;  // swept meanwhile
      page.tasks.push_back(std::move(*task));
      if (page.tasks.size() == query.limit) page.next = hex_encode(row.key);
    }
    if (rows.size() < range.limit) break;
    if (query.ascending) range.first = rows.back().key + '\0';
    else range.last = rows.back().key;
  }
  page.next.clear();
  co_return page;
}

void Tasks::create(store::Batch& batch, const TaskRecord& task, const std::string& payload) {
  batch.expect_absent(record_key(task.target, task.id));
  put(batch, task);
  batch.put(payload_key(task.target, task.id), payload);
}

void Tasks::update(store::Batch& batch, const TaskRecord& task) { put(batch, task); }

void Tasks::finish(store::Batch& batch, const TaskRecord& task, const std::string& result) {
  MAYFLY_CHECK(task.finished());
  put(batch, task);
  batch.put(old_key(task.target, task.ended_us, task.id), store::ordered_int(task.started_us));
  if (!result.empty() && result.size() <= kMaxKeptResult) batch.put(result_key(task.target, task.id), result);
}

void Tasks::reopen(store::Batch& batch, TaskRecord task, int64_t wall_us, int64_t due_us) {
  batch.erase(old_key(task.target, task.ended_us, task.id));
  batch.erase(result_key(task.target, task.id));
  task.happened(TaskStatus::enqueued, wall_us);
  task.ended_us = 0;
  task.retries = 0;
  task.due_us = due_us;
  put(batch, task);
}

void Tasks::expect(store::Batch& batch, const TaskRecord& as_read) { batch.expect_equals(record_key(as_read.target, as_read.id), encode(as_read)); }
void Tasks::expect_none(store::Batch& batch, const Target& target, const std::string& id) { batch.expect_absent(record_key(target, id)); }

io::Task<bool> Tasks::make_room(io::Loop& loop, store::Batch& batch) {
  auto oldest = co_await store_.scan(loop, {.first = old_prefix(), .last = store::after_prefix(old_prefix()), .limit = 1});
  if (oldest.empty()) co_return false;
  erase(batch, oldest.front());
  co_return true;
}

io::Task<void> Tasks::sweep(io::Loop& loop) {
  std::string until = store::make_key({"async-task-old", store::ordered_int(loop.clock().wall_us() - kTaskRetentionUs)});
  while (true) {
    auto rows = co_await store_.scan(loop, {.first = old_prefix(), .last = until, .limit = kSweepRows});
    if (rows.empty()) co_return;
    store::Batch batch;
    for (const store::Entry& row : rows) erase(batch, row);
    if (co_await store_.commit(loop, std::move(batch)) == store::Commit::refused) co_return;  // somebody else dropped one: at the next sweep
    stored_ -= rows.size();
    if (rows.size() < kSweepRows) co_return;
  }
}

}  // namespace mayfly::dispatch
