#pragma once
// Stateful asynchronous calls, which FC calls tasks (aliyun-fc.md section 7.4): a call with an id of the caller's, whose state can be
// asked for and which can be stopped. A task's record is written in the batch of whatever changed it: with the queue's row when it is
// submitted, with the acknowledgement when it ends; so record and queue never disagree after a crash.
//
// Rows, all below the function's name (s, f):
//   async-task      s f id                    the record, without what follows
//   async-task-in   s f id                    its payload, written once
//   async-task-out  s f id                    what the function answered, written once; absent if empty or larger than kMaxKeptResult
//   async-task-time s f (start, id)           an index for lists; the value is status and qualifier, so that filters read no record
//   async-task-old  (end, s, f, id)           finished tasks, oldest first, for the sweep; the value is the start
// An id is known, and cannot be used again, until its record is swept: kTaskRetentionUs after the task has ended, or earlier when there
// are more than kMaxTasks records.

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "dispatch/async_message.h"
#include "store/store.h"

namespace mayfly::dispatch {

constexpr int64_t kTaskRetentionUs = 7LL * 86'400 * kMicrosPerSecond;  // the vendor's: a task can be asked for during seven days
constexpr size_t kMaxTasks = 100'000;                // records; about 1 KB each besides payloads and results, on disk
constexpr size_t kMaxTaskEvents = 100;               // of one task: five hours of retries; then the oldest but the first go
constexpr size_t kMaxKeptResult = 1 << 20;           // the vendor's limit of returnPayload
constexpr size_t kMaxTaskIdBytes = 128;

enum class TaskStatus { enqueued, dequeued, running, succeeded, failed, stopping, stopped, expired, invalid, retrying };
std::string_view name_of(TaskStatus status);  // "Enqueued"
std::optional<TaskStatus> task_status(std::string_view name);
bool is_final(TaskStatus status);
bool is_task_id(std::string_view id);  // begins with a letter or '_', then also digits and '-'

struct TaskEvent {
  int64_t id = 0;  // 1, 2, 3 ... of its task
  TaskStatus status{};
  int64_t at_us = 0;   // wall clock
  std::string detail;  // JSON, {"Error": ...}, or empty
};

struct TaskRecord {
  Target target;
  std::string id, request_id;
  TaskStatus status = TaskStatus::enqueued;
  int64_t started_us = 0, ended_us = 0;  // wall clock: submitted, ended (0: not yet)
  int64_t due_us = 0;                    // of the queue's row it waits in
  int64_t duration_us = 0;               // of the last run
  int64_t retries = 0;                   // after function errors
  std::string error, instance_id;
  std::string destination_status;        // "Succeeded" once the destination's call is queued; empty: no destination
  std::vector<TaskEvent> events;
  std::string payload, result;           // rows of their own: filled in only where a reader asks

  bool finished() const { return is_final(status); }
  void happened(TaskStatus now, int64_t wall_us, std::string detail = {});  // changes the status and adds the event
};

struct TaskQuery {
  std::string service, function;
  std::string qualifier;                // empty: any; LATEST is the one without
  std::optional<TaskStatus> status;
  int64_t from_us = 0, until_us = INT64_MAX;  // started in [from, until)
  std::string id_prefix;
  bool ascending = false;
  bool with_payload = false;
  size_t limit = 100;
  std::string after;                    // TaskPage::next of the page before
};
struct TaskPage {
  std::vector<TaskRecord> tasks;
  std::string next;  // empty on the last page
};

class Tasks {
 public:
  explicit Tasks(store::Store& store, size_t most = kMaxTasks) : store_(store), most_(most) {}

  io::Task<void> load(io::Loop& loop);  // once, before use
  io::Task<std::optional<TaskRecord>> find(io::Loop& loop, Target target, std::string id, bool with_payload);
  io::Task<TaskPage> list(io::Loop& loop, TaskQuery query);
  size_t stored() const { return stored_; }
  bool full() const { return stored_ >= most_; }

  // Into the batch of whatever happened. create() expects that the id is free; finish() also writes the result.
  static void create(store::Batch& batch, const TaskRecord& task, const std::string& payload);
  static void update(store::Batch& batch, const TaskRecord& task);
  static void finish(store::Batch& batch, const TaskRecord& task, const std::string& result);
  // Finished and given up; lies in the queue again.
  static void reopen(store::Batch& batch, TaskRecord task, int64_t wall_us, int64_t due_us);
  static void expect(store::Batch& batch, const TaskRecord& as_read);  // that nobody has changed it since
  static void expect_none(store::Batch& batch, const Target& target, const std::string& id);  // that there is no such record

  // When full(), makes room for one more in the batch that creates it: drops the oldest finished task. False: all are under way.
  io::Task<bool> make_room(io::Loop& loop, store::Batch& batch);
  void created() { ++stored_; }  // after its commit
  void made_room() { --stored_; }
  // Drops what finished more than kTaskRetentionUs ago.
  io::Task<void> sweep(io::Loop& loop);

 private:
  store::Store& store_;
  const size_t most_;
  std::atomic<size_t> stored_ = 0;
};

}  // namespace mayfly::dispatch
