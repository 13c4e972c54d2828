#pragma once
// For tests of asynchronous invocation: a catalogue with the functions s/f and s/after on a simulated loop, and an invoker that answers
// what the test says.

#include <gtest/gtest.h>

#include <deque>

#include "dispatch/async.h"
#include "dispatch/call_watch.h"
#include "functions/fake_code.h"
#include "io/group.h"
#include "io/sim_loop.h"
#include "store/keys.h"
#include "store/memory_engine.h"

namespace mayfly::dispatch {

// Answers from a list; then "done". A call whose payload begins with "hang" runs until it is cancelled, and `end_takes_us` longer.
struct ScriptedInvoker final : Invoker {
  io::Task<Expected<Outcome, InvokeError>> invoke(io::Loop& loop, Invocation invocation, io::Deadline) override {
    calls.push_back({invocation, loop.clock().wall_us()});
    if (waits_us > 0) co_await io::sleep_us(loop, waits_us);
    if (invocation.watch) invocation.watch->started("instance-1");
    if (invocation.payload.starts_with("hang")) {
      io::Signal ended(loop);
      CallWatch::Guard guard(invocation.watch, loop, [&ended] { ended.set(); });
      co_await ended.wait();
      if (end_takes_us > 0) co_await io::sleep_us(loop, end_takes_us);
      co_return fail(InvokeError::cancelled, "the invocation was stopped on request");
    }
    if (answers.empty()) co_return Outcome{.body = "done", .phases = {.run_us = 5'000}, .instance_id = "instance-1"};
    auto answer = std::move(answers.front());
    answers.pop_front();
    co_return answer;
  }
  struct Seen {
    Invocation invocation;
    int64_t at_us;
  };
  std::vector<Seen> calls;
  std::deque<Expected<Outcome, InvokeError>> answers;
  int64_t waits_us = 0;  // for an instance
  int64_t end_takes_us = 0;
};

class AsyncFixture : public ::testing::Test {
 protected:
  AsyncFixture() {
    loop_.wait(catalogue_->load(loop_));
    loop_.wait(settings_.load(loop_));
    EXPECT_TRUE(loop_.wait(catalogue_->create_service(loop_, {.name = "s"})));
    for (std::string name : {"f", "after"})
      EXPECT_TRUE(loop_.wait(catalogue_->create_function(loop_, {.service = "s", .name = name, .runtime = "python3", .handler = "i.h", .code = {"d", "1", 1}})));
    open();
  }
  ~AsyncFixture() override { close(); }
  void open() {
    async_ = make_async_invoker({&loop_}, *store_, invoker_, *catalogue_, settings_, rng_, {.max_tasks = max_tasks_, .window = window_, .region = "r", .account = "1"});
    loop_.wait(async_->start(loop_));
  }
  void close() {
    if (async_) loop_.wait(async_->stop(loop_));
    async_.reset();
  }
  Invocation call(std::string payload = "p", std::string function = "f") {
    return {.request_id = uuid(rng_), .target = {"s", function, ""}, .payload = std::move(payload), .source = "async", .http = {}};
  }
  Expected<Accepted, AsyncError> submit(std::string payload = "p", std::string function = "f") {
    return loop_.wait(async_->submit(loop_, {.invocation = call(std::move(payload), std::move(function)), .task_id = {}, .once_key = {}}));
  }
  Expected<Accepted, AsyncError> submit_task(std::string id, std::string payload = "p") {
    return loop_.wait(async_->submit(loop_, {.invocation = call(std::move(payload)), .task_id = std::move(id), .once_key = {}}));
  }
  Expected<Accepted, AsyncError> submit_once(std::string key, std::string payload = "p", std::string function = "f") {
    return loop_.wait(async_->submit(loop_, {.invocation = call(std::move(payload), std::move(function)), .task_id = {}, .once_key = std::move(key)}));
  }
  void configure(json::object body) {
    EXPECT_TRUE(loop_.wait(settings_.put(loop_, kAsyncConfig, async_config_name("s", "", "f"), std::move(body), functions::Settings::Mode::either)));
  }
  std::vector<DeadLetter> dead(LetterQuery query = {}) { return loop_.wait(async_->letters().list(loop_, std::move(query))); }
  std::optional<TaskRecord> task(std::string id) { return loop_.wait(async_->tasks().find(loop_, {"s", "f", ""}, std::move(id), true)); }
  std::string status(std::string id) {
    auto found = task(std::move(id));
    return found ? std::string(name_of(found->status)) : "unknown";
  }
  // "Enqueued Dequeued ..."
  std::string history(std::string id) {
    std::string text;
    int64_t next = 1;
    for (const TaskEvent& event : task(std::move(id))->events) {
      EXPECT_EQ(event.id, next++);
      text += (text.empty() ? "" : " ") + std::string(name_of(event.status));
    }
    return text;
  }
  Expected<void, AsyncError> cancel(std::string request_id) { return loop_.wait(async_->cancel(loop_, {"s", "f", ""}, std::move(request_id))); }
  Expected<void, AsyncError> stop(std::string id) { return loop_.wait(async_->stop_task(loop_, {"s", "f", ""}, std::move(id))); }
  static Outcome failure(std::string body = R"({"errorMessage":"no"})") { return {.kind = Outcome::Kind::handled_error, .body = std::move(body)}; }
  size_t rows(std::string room) {
    std::string prefix = store::make_key({std::move(room)});
    return loop_.wait(store_->scan(loop_, {.first = prefix, .last = store::after_prefix(prefix), .limit = 1'000'000})).size();
  }

  io::SimLoop loop_;
  SeededRng rng_{5};
  std::unique_ptr<store::Engine> engine_ = store::make_memory_engine();
  std::unique_ptr<store::Store> store_ = store::make_inline_store(*engine_);
  functions::FakeCodeStore code_;
  std::unique_ptr<functions::Catalogue> catalogue_ = functions::make_catalogue(*store_, code_, loop_.clock(), rng_);
  functions::Settings settings_{*store_, loop_.clock()};
  ScriptedInvoker invoker_;
  size_t max_tasks_ = kMaxTasks, window_ = AsyncOptions().window;
  std::unique_ptr<AsyncInvoker> async_;
};

}  // namespace mayfly::dispatch
