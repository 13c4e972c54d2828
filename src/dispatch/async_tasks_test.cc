#include "dispatch/async_tasks.h"

#include "dispatch/async_fixture.h"

namespace mayfly::dispatch {
namespace {

using TasksTest = AsyncFixture;

TEST_F(TasksTest, ATaskTellsWhatHappenedToIt) {
  invoker_.waits_us = kMicrosPerSecond;
  auto accepted = submit_task("film-7", "in");
  ASSERT_TRUE(accepted);
  EXPECT_EQ(accepted->task_id, "film-7");
  EXPECT_EQ(status("film-7"), "Enqueued");
  loop_.run_for(kMicrosPerSecond / 2);
  EXPECT_EQ(status("film-7"), "Dequeued");
  loop_.run_for(2 * kMicrosPerSecond);
  auto record = task("film-7");
  ASSERT_TRUE(record);
  EXPECT_EQ(record->status, TaskStatus::succeeded);
  EXPECT_EQ(history("film-7"), "Enqueued Dequeued Running Succeeded");
  EXPECT_EQ(record->request_id, accepted->request_id);
  EXPECT_EQ(record->payload, "in");
  EXPECT_EQ(record->result, "done");
  EXPECT_EQ(record->instance_id, "instance-1");
  EXPECT_EQ(record->duration_us, 5'000);
  EXPECT_GT(record->ended_us, record->started_us);
  EXPECT_EQ(record->retries, 0);
}

TEST_F(TasksTest, AnIdIsTakenOnceUntilItIsForgotten) {
  ASSERT_TRUE(submit_task("a"));
  EXPECT_EQ(submit_task("a").error().code, AsyncError::exists);
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(submit_task("a").error().code, AsyncError::exists);
  EXPECT_EQ(invoker_.calls.size(), 1u);
  EXPECT_EQ(async_->tasks().stored(), 1u);
  close();
  open();
  EXPECT_EQ(async_->tasks().stored(), 1u);
  loop_.run_for(kTaskRetentionUs + 2 * kAsyncSweepUs);
  EXPECT_EQ(status("a"), "unknown");
  for (const char* room : {"async-task", "async-task-in", "async-task-out", "async-task-time", "async-task-old"}) EXPECT_EQ(rows(room), 0u) << room;
  EXPECT_EQ(async_->tasks().stored(), 0u);
  EXPECT_TRUE(submit_task("a"));
}

TEST_F(TasksTest, IdsHaveAForm) {
  for (const char* bad : {"1a", "-a", "a b", "a.b", "a/b"}) EXPECT_EQ(submit_task(bad).error().code, AsyncError::invalid) << bad;
  EXPECT_EQ(submit_task(std::string(129, 'x')).error().code, AsyncError::invalid);
  EXPECT_TRUE(submit_task(std::string(128, 'x')));
  EXPECT_TRUE(submit_task("_A-1"));
}

TEST_F(TasksTest, AConfigurationMakesEveryCallATaskAlsoOnesOfTriggers) {
  configure({{"statefulInvocation", true}});
  auto accepted = submit();
  ASSERT_TRUE(accepted);
  EXPECT_EQ(accepted->task_id, accepted->request_id);
  store::Batch batch;
  add_async(batch, {.request_id = "of-a-timer", .target = {"s", "f", ""}, .payload = "tick", .source = "timer", .http = {}}, loop_.clock().wall_us());
  EXPECT_EQ(loop_.wait(store_->commit(loop_, batch)), store::Commit::done);
  async_->wake();
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(status(accepted->request_id), "Succeeded");
  EXPECT_EQ(history("of-a-timer"), "Enqueued Dequeued Running Succeeded");
  EXPECT_EQ(task("of-a-timer")->payload, "tick");
  EXPECT_EQ(async_->tasks().stored(), 2u);
}

TEST_F(TasksTest, RetriesAndTheFinalFailureAreRecorded) {
  configure({{"maxAsyncRetryAttempts", 1}});
  invoker_.answers.push_back(fail(InvokeError::exhausted, "full"));
  invoker_.answers.push_back(failure("first"));
  invoker_.answers.push_back(failure("second"));
  ASSERT_TRUE(submit_task("t"));
  loop_.run_for(60 * kMicrosPerSecond);
  auto record = task("t");
  EXPECT_EQ(history("t"), "Enqueued Dequeued Enqueued Dequeued Running Retrying Dequeued Running Failed");
  EXPECT_EQ(record->retries, 1);
  EXPECT_EQ(record->error, "second");
  EXPECT_EQ(record->result, "second");
  EXPECT_EQ(record->events.back().detail, R"({"Error":"HandledInvocationError"})");
  ASSERT_EQ(dead().size(), 1u);
  EXPECT_EQ(dead()[0].task_id, "t");
}

TEST_F(TasksTest, ARedrivenTaskLivesAgain) {
  configure({{"maxAsyncRetryAttempts", 0}});
  invoker_.answers.push_back(failure());
  ASSERT_TRUE(submit_task("t", "in"));
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(status("t"), "Failed");
  EXPECT_EQ(loop_.wait(async_->letters().redrive(loop_, {})), 1u);
  EXPECT_EQ(status("t"), "Enqueued");
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(history("t"), "Enqueued Dequeued Running Failed Enqueued Dequeued Running Succeeded");
  EXPECT_EQ(invoker_.calls.at(1).invocation.payload, "in");
  EXPECT_EQ(rows("async-task-old"), 1u);
}

TEST_F(TasksTest, ACallThatIsTooOldExpiresAndOneWithoutAFunctionIsInvalid) {
  configure({{"maxAsyncEventAgeInSeconds", 3}});
  for (int i = 0; i < 10; ++i) invoker_.answers.push_back(fail(InvokeError::throttled, "busy"));
  ASSERT_TRUE(submit_task("old"));
  loop_.run_for(60 * kMicrosPerSecond);
  EXPECT_EQ(status("old"), "Expired");
  invoker_.answers.clear();
  invoker_.answers.push_back(fail(InvokeError::not_found, "function 'f' does not exist"));
  ASSERT_TRUE(submit_task("orphan"));
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(status("orphan"), "Invalid");
  EXPECT_EQ(task("orphan")->error, "function 'f' does not exist");
}

TEST_F(TasksTest, AWaitingTaskStopsAtOnceAndNeverRuns) {
  invoker_.answers.push_back(failure());
  ASSERT_TRUE(submit_task("t"));
  loop_.run_for(kMicrosPerMilli);
  ASSERT_EQ(status("t"), "Retrying");
  EXPECT_TRUE(stop("t"));
  EXPECT_EQ(status("t"), "Stopped");
  loop_.run_for(60 * kMicrosPerSecond);
  EXPECT_EQ(invoker_.calls.size(), 1u);
  EXPECT_EQ(history("t"), "Enqueued Dequeued Running Retrying Stopped");
  EXPECT_EQ(stop("t").error().code, AsyncError::completed);
  EXPECT_EQ(stop("nobody").error().code, AsyncError::not_found);
  EXPECT_TRUE(dead().empty());
}

TEST_F(TasksTest, ARunningTaskIsStoppingAndThenStopped) {
  ASSERT_TRUE(submit_task("t", "hang"));
  loop_.run_for(kMicrosPerSecond);
  ASSERT_EQ(status("t"), "Running");
  EXPECT_EQ(task("t")->instance_id, "instance-1");
  EXPECT_TRUE(stop("t"));
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(history("t"), "Enqueued Dequeued Running Stopping Stopped");
  EXPECT_TRUE(dead().empty());
  EXPECT_EQ(async_->counts().stopped, 1u);
  loop_.run_for(60 * kMicrosPerSecond);
  EXPECT_EQ(invoker_.calls.size(), 1u);
}

TEST_F(TasksTest, ATaskThatEndsWellBeforeTheStopReachesItKeepsItsResult) {
  invoker_.waits_us = kMicrosPerSecond;
  ASSERT_TRUE(submit_task("t"));
  loop_.run_for(kMicrosPerSecond / 2);
  EXPECT_TRUE(stop("t"));
  loop_.run_for(2 * kMicrosPerSecond);
  EXPECT_EQ(history("t"), "Enqueued Dequeued Stopping Succeeded");
}

TEST_F(TasksTest, ATaskWhoseStopACrashInterruptedIsStoppedAfterTheStart) {
  close();
  AsyncMessage message{.invocation = call("in"), .task_id = "t", .since_us = loop_.clock().wall_us(), .reason = {}};
  TaskRecord record{.target = {"s", "f", ""}, .id = "t", .request_id = message.invocation.request_id, .started_us = message.since_us, .due_us = message.since_us};
  for (TaskStatus each : {TaskStatus::enqueued, TaskStatus::dequeued, TaskStatus::running, TaskStatus::stopping}) record.happened(each, message.since_us);
  store::Batch batch;  // as a life left it that ended between the stop and the end of the run
  Tasks::create(batch, record, "in");
  queues::add(batch, queue_message(message, message.since_us));
  EXPECT_EQ(loop_.wait(store_->commit(loop_, std::move(batch))), store::Commit::done);
  open();
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(history("t"), "Enqueued Dequeued Running Stopping Stopped");
  EXPECT_TRUE(invoker_.calls.empty());
  EXPECT_EQ(rows("q"), 0u);
}

TEST_F(TasksTest, ATriggersTaskThatALifeBeforeBeganIsStoppedByItsRequestId) {
  close();
  int64_t due_us = loop_.clock().wall_us() + 60 * kMicrosPerSecond;
  AsyncMessage message{.invocation = call("tick"), .task_id = {}, .since_us = due_us, .reason = {}};  // its row knows of no task
  std::string id = message.invocation.request_id;
  TaskRecord record{.target = {"s", "f", ""}, .id = id, .request_id = id, .started_us = due_us, .due_us = due_us};
  for (TaskStatus each : {TaskStatus::enqueued, TaskStatus::dequeued}) record.happened(each, due_us);
  store::Batch batch;
  Tasks::create(batch, record, "tick");
  queues::add(batch, queue_message(message, due_us));
  EXPECT_EQ(loop_.wait(store_->commit(loop_, std::move(batch))), store::Commit::done);
  open();
  EXPECT_TRUE(cancel(id));
  EXPECT_EQ(status(id), "Stopped");
  EXPECT_EQ(rows("q"), 0u);
  loop_.run_for(120 * kMicrosPerSecond);
  EXPECT_TRUE(invoker_.calls.empty());
}

TEST_F(TasksTest, ATriggersCallThatIsCancelledAfterTheQueueHasReadItBecomesNoTask) {
  configure({{"statefulInvocation", true}});
  close();
  window_ = 1;
  open();
  ASSERT_TRUE(submit_task("first", "hang"));
  loop_.run_for(kMicrosPerMilli);
  store::Batch batch;
  add_async(batch, {.request_id = "of-a-timer", .target = {"s", "f", ""}, .payload = "tick", .source = "timer", .http = {}}, loop_.clock().wall_us());
  EXPECT_EQ(loop_.wait(store_->commit(loop_, batch)), store::Commit::done);
  async_->wake();
  loop_.run_for(kMicrosPerMilli);
  EXPECT_TRUE(cancel("of-a-timer"));
  EXPECT_TRUE(stop("first"));
  loop_.run_for(60 * kMicrosPerSecond);
  EXPECT_EQ(invoker_.calls.size(), 1u);
  EXPECT_EQ(status("of-a-timer"), "unknown");
  EXPECT_EQ(async_->tasks().stored(), 1u);
}

class ManyTasks : public AsyncFixture {
 protected:
  // As many records as there may be, as lives before left them.
  void fill(TaskStatus status) {
    close();
    max_tasks_ = 100;
    store::Batch batch;
    for (size_t i = 0; i < max_tasks_; ++i) {
      std::string name = "t" + std::to_string(i);
      TaskRecord record{.target = {"s", "f", ""}, .id = name, .request_id = name, .started_us = static_cast<int64_t>(i)};
      record.happened(status, loop_.clock().wall_us() + static_cast<int64_t>(i));
      Tasks::create(batch, record, "");
      if (record.finished()) Tasks::finish(batch, record, "");
    }
    EXPECT_EQ(loop_.wait(store_->commit(loop_, std::move(batch))), store::Commit::done);
    open();
  }
};

TEST_F(ManyTasks, TheOldestFinishedOnesGo) {
  fill(TaskStatus::succeeded);
  EXPECT_TRUE(submit_task("new"));
  EXPECT_EQ(async_->tasks().stored(), max_tasks_);
  EXPECT_EQ(status("t0"), "unknown");
  EXPECT_EQ(status("t1"), "Succeeded");
  EXPECT_EQ(rows("async-task-time"), max_tasks_);
}

TEST_F(ManyTasks, ThatAreAllUnderWayLetNoneIn) {
  fill(TaskStatus::running);
  EXPECT_EQ(submit_task("new").error().code, AsyncError::full);
  configure({{"statefulInvocation", true}});
  store::Batch batch;
  add_async(batch, {.request_id = "tick", .target = {"s", "f", ""}, .payload = "of a timer", .source = "timer", .http = {}}, loop_.clock().wall_us());
  EXPECT_EQ(loop_.wait(store_->commit(loop_, batch)), store::Commit::done);
  async_->wake();
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(invoker_.calls.size(), 1u);
  EXPECT_EQ(async_->tasks().stored(), max_tasks_);
}

class TaskLists : public AsyncFixture {
 protected:
  TaskLists() {
    for (std::string id : {"a1", "a2", "b1", "b2", "b3"}) {
      if (id == "b2") invoker_.answers.push_back(fail(InvokeError::not_found, "gone"));
      EXPECT_TRUE(submit_task(id));
      loop_.run_for(kMicrosPerSecond);
    }
  }
  std::string ids(TaskQuery query) {
    query.service = "s";
    query.function = "f";
    TaskPage page = loop_.wait(async_->tasks().list(loop_, std::move(query)));
    next_ = page.next;
    std::string text;
    for (const TaskRecord& each : page.tasks) text += (text.empty() ? "" : " ") + each.id;
    return text;
  }
  std::string next_;
};

TEST_F(TaskLists, AreSortedByTimeAndFiltered) {
  EXPECT_EQ(ids({}), "b3 b2 b1 a2 a1");
  EXPECT_EQ(ids({.ascending = true}), "a1 a2 b1 b2 b3");
  EXPECT_EQ(ids({.id_prefix = "b"}), "b3 b2 b1");
  EXPECT_EQ(ids({.status = TaskStatus::invalid}), "b2");
  EXPECT_EQ(ids({.status = TaskStatus::running}), "");
  EXPECT_EQ(ids({.qualifier = "LATEST", .limit = 1}), "b3");
  EXPECT_EQ(ids({.qualifier = "prod"}), "");
  int64_t second = task("a2")->started_us, fourth = task("b2")->started_us;
  EXPECT_EQ(ids({.from_us = second, .until_us = fourth, .ascending = true}), "a2 b1");
  EXPECT_EQ(ids({.from_us = second, .until_us = fourth}), "b1 a2");
}

TEST_F(TaskLists, ComeInPages) {
  EXPECT_EQ(ids({.limit = 2}), "b3 b2");
  EXPECT_EQ(ids({.limit = 2, .after = next_}), "b1 a2");
  EXPECT_EQ(ids({.limit = 2, .after = next_}), "a1");
  EXPECT_EQ(next_, "");
  EXPECT_EQ(ids({.ascending = true, .limit = 5}), "a1 a2 b1 b2 b3");
  EXPECT_EQ(next_, "");
  EXPECT_EQ(ids({.id_prefix = "a", .ascending = true, .limit = 1}), "a1");
  EXPECT_EQ(ids({.id_prefix = "a", .ascending = true, .limit = 1, .after = next_}), "a2");
  EXPECT_EQ(next_, "");
}

TEST(TaskRecord, KeepsTheFirstAndTheLastEvents) {
  TaskRecord record;
  for (size_t i = 0; i < 3 * kMaxTaskEvents; ++i) record.happened(i == 0 ? TaskStatus::enqueued : TaskStatus::retrying, static_cast<int64_t>(i));
  EXPECT_EQ(record.events.size(), kMaxTaskEvents);
  EXPECT_EQ(record.events.front().status, TaskStatus::enqueued);
  EXPECT_EQ(record.events.back().id, static_cast<int64_t>(3 * kMaxTaskEvents));
}

}  // namespace
}  // namespace mayfly::dispatch
