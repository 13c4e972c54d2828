#include "dispatch/async.h"

#include <gtest/gtest.h>

#include <deque>

#include "dispatch/async_message.h"
#include "functions/fake_code.h"
#include "io/sim_loop.h"
#include "store/memory_engine.h"

namespace mayfly::dispatch {
namespace {

// Answers from a list; then "ok".
struct ScriptedInvoker final : Invoker {
  io::Task<Expected<Outcome, InvokeError>> invoke(io::Loop& loop, Invocation invocation, io::Deadline) override {
    calls.push_back({invocation, loop.clock().wall_us()});
    if (answers.empty()) co_return Outcome{.body = "done"};
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
};

class AsyncTest : public ::testing::Test {
 protected:
  AsyncTest() {
    loop_.wait(catalogue_->load(loop_));
    loop_.wait(settings_.load(loop_));
    EXPECT_TRUE(loop_.wait(catalogue_->create_service(loop_, {.name = "s"})));
    for (std::string name : {"f", "after"})
      EXPECT_TRUE(loop_.wait(catalogue_->create_function(loop_, {.service = "s", .name = name, .runtime = "python3", .handler = "i.h", .code = {"d", "1", 1}})));
    open();
  }
  ~AsyncTest() override { close(); }
  void open() {
    async_ = make_async_invoker({&loop_}, *store_, invoker_, *catalogue_, settings_, rng_, {.region = "r", .account = "1"});
    loop_.wait(async_->start(loop_));
  }
  void close() {
    if (async_) loop_.wait(async_->stop(loop_));
    async_.reset();
  }
  Expected<void, InvokeError> submit(std::string payload = "p", std::string function = "f") {
    return loop_.wait(async_->submit(loop_, {.request_id = uuid(rng_), .target = {"s", function, ""}, .payload = payload, .source = "async", .http = {}}));
  }
  void configure(json::object body) {
    EXPECT_TRUE(loop_.wait(settings_.put(loop_, kAsyncConfig, async_config_name("s", "", "f"), std::move(body), functions::Settings::Mode::either)));
  }
  std::vector<DeadLetter> dead() { return loop_.wait(async_->dead_letters(loop_, "", 100)); }
  static Outcome failure() { return {.kind = Outcome::Kind::handled_error, .body = R"({"errorMessage":"no"})"}; }

  io::SimLoop loop_;
  SeededRng rng_{5};
  std::unique_ptr<store::Engine> engine_ = store::make_memory_engine();
  std::unique_ptr<store::Store> store_ = store::make_inline_store(*engine_);
  functions::FakeCodeStore code_;
  std::unique_ptr<functions::Catalogue> catalogue_ = functions::make_catalogue(*store_, code_, loop_.clock(), rng_);
  functions::Settings settings_{*store_, loop_.clock()};
  ScriptedInvoker invoker_;
  std::unique_ptr<AsyncInvoker> async_;
};

TEST_F(AsyncTest, RunsWhatWasSubmittedOnceWithItsBytes) {
  std::string bytes("\0\xff\n{", 4);
  ASSERT_TRUE(submit(bytes));
  loop_.run_for(10 * kMicrosPerSecond);
  ASSERT_EQ(invoker_.calls.size(), 1u);
  EXPECT_EQ(invoker_.calls[0].invocation.payload, bytes);
  EXPECT_EQ(invoker_.calls[0].invocation.retry_count, 0);
  EXPECT_EQ(async_->counts().succeeded, 1u);
}

TEST_F(AsyncTest, AnAcknowledgedSubmissionSurvivesARestart) {
  close();
  store::Batch batch;
  add_async(batch, {.request_id = "r", .target = {"s", "f", ""}, .payload = "p", .http = {}}, loop_.clock().wall_us());
  EXPECT_EQ(loop_.wait(store_->commit(loop_, batch)), store::Commit::done);
  open();
  loop_.run_for(kMicrosPerSecond);
  ASSERT_EQ(invoker_.calls.size(), 1u);
  close();
  open();
  loop_.run_for(10 * kMicrosPerSecond);
  EXPECT_EQ(invoker_.calls.size(), 1u);
}

TEST_F(AsyncTest, FunctionErrorsAreRetriedThreeTimesThenBecomeADeadLetter) {
  for (int i = 0; i < 4; ++i) invoker_.answers.push_back(failure());
  ASSERT_TRUE(submit("poison"));
  loop_.run_for(60 * kMicrosPerSecond);
  ASSERT_EQ(invoker_.calls.size(), 4u);
  EXPECT_EQ(invoker_.calls[3].invocation.retry_count, 3);
  EXPECT_GE(invoker_.calls[2].at_us - invoker_.calls[1].at_us, 2 * kMicrosPerSecond);
  auto letters = dead();
  ASSERT_EQ(letters.size(), 1u);
  EXPECT_EQ(letters[0].invocation.payload, "poison");
  EXPECT_EQ(letters[0].reason, R"(it failed 4 times, the last time with {"errorMessage":"no"})");
  EXPECT_TRUE(loop_.wait(async_->redeliver(loop_, letters[0].id)));
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(invoker_.calls.size(), 5u);
  EXPECT_TRUE(dead().empty());
  EXPECT_FALSE(loop_.wait(async_->drop(loop_, letters[0].id)));
}

TEST_F(AsyncTest, SystemErrorsAreRetriedWithoutCountingAsAttempts) {
  for (int i = 0; i < 6; ++i) invoker_.answers.push_back(fail(InvokeError::exhausted, "full"));
  invoker_.answers.push_back(failure());
  ASSERT_TRUE(submit());
  loop_.run_for(120 * kMicrosPerSecond);
  ASSERT_EQ(invoker_.calls.size(), 8u);
  EXPECT_EQ(invoker_.calls[6].invocation.retry_count, 0);
  EXPECT_EQ(invoker_.calls[7].invocation.retry_count, 1);
  EXPECT_EQ(async_->counts().succeeded, 1u);
}

TEST_F(AsyncTest, ACallThatAShutdownCutShortIsLeftAsItWasForTheNextStart) {
  configure({{"maxAsyncRetryAttempts", 0}});
  invoker_.answers.push_back(fail(InvokeError::stopping, "the server is shutting down"));
  ASSERT_TRUE(submit());
  loop_.run_for(100 * kMicrosPerMilli);
  ASSERT_EQ(invoker_.calls.size(), 1u);
  close();
  open();
  loop_.run_for(10 * kMicrosPerSecond);
  ASSERT_EQ(invoker_.calls.size(), 2u);
  EXPECT_EQ(invoker_.calls[1].invocation.request_id, invoker_.calls[0].invocation.request_id);
  EXPECT_EQ(invoker_.calls[1].invocation.retry_count, 0);
  EXPECT_EQ(async_->counts().succeeded, 1u);
  EXPECT_EQ(async_->counts().retried, 0u);
  EXPECT_TRUE(dead().empty());
}

TEST_F(AsyncTest, TheConfigurationLimitsRetriesAndAge) {
  configure({{"maxAsyncRetryAttempts", 0}});
  invoker_.answers.push_back(failure());
  ASSERT_TRUE(submit());
  loop_.run_for(60 * kMicrosPerSecond);
  EXPECT_EQ(invoker_.calls.size(), 1u);
  EXPECT_EQ(dead().size(), 1u);
  configure({{"maxAsyncEventAgeInSeconds", 3}});
  for (int i = 0; i < 50; ++i) invoker_.answers.push_back(fail(InvokeError::throttled, "busy"));
  ASSERT_TRUE(submit());
  loop_.run_for(60 * kMicrosPerSecond);
  EXPECT_LT(invoker_.calls.size(), 8u);
  EXPECT_EQ(dead().size(), 2u);
}

TEST_F(AsyncTest, ADeletedFunctionsCallsDieAtOnce) {
  invoker_.answers.push_back(fail(InvokeError::not_found, "function 'f' does not exist"));
  ASSERT_TRUE(submit());
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(dead().at(0).reason, "function 'f' does not exist");
}

TEST_F(AsyncTest, DestinationsAreCalledWithWhatHappened) {
  std::string arn = "acs:fc:r:1:services/s/functions/after";
  configure({{"destinationConfig", json::object{{"onSuccess", json::object{{"destination", arn}}}}}});
  ASSERT_TRUE(submit("in"));
  loop_.run_for(5 * kMicrosPerSecond);
  ASSERT_EQ(invoker_.calls.size(), 2u);
  EXPECT_EQ(invoker_.calls[1].invocation.target.function, "after");
  auto event = parse_json(invoker_.calls[1].invocation.payload);
  EXPECT_EQ(string_or(*event, "requestPayload"), "in");
  EXPECT_EQ(string_or(*event, "responsePayload"), "done");
  EXPECT_EQ(string_or(*find(*event, "requestContext"), "condition"), "Success");
}

TEST_F(AsyncTest, RefusesLargePayloadsAndUnknownFunctions) {
  EXPECT_EQ(submit(std::string(128 * 1024 + 1, 'x')).error().code, InvokeError::invalid);
  EXPECT_TRUE(submit(std::string(128 * 1024, 'x')));
  EXPECT_EQ(submit("p", "nobody").error().code, InvokeError::not_found);
}

TEST(AsyncMessage, IsReadBackAsWritten) {
  AsyncMessage message{.invocation = {.request_id = "r", .target = {"s", "f", "q"}, .payload = "a\nb", .source = "oss", .http = {}}, .since_us = 5, .attempts = 2, .reason = "x"};
  auto read = decode_async(encode(message));
  ASSERT_TRUE(read);
  EXPECT_EQ(encode(*read), encode(message));
  EXPECT_EQ(read->invocation.retry_count, 2);
  EXPECT_FALSE(decode_async("nothing"));
}

}  // namespace
}  // namespace mayfly::dispatch
