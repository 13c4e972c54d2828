#include "dispatch/async_fixture.h"

namespace mayfly::dispatch {
namespace {

using AsyncTest = AsyncFixture;

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
  EXPECT_EQ(async_->letters().stored(), 1u);
  EXPECT_EQ(letters[0].invocation.payload, "poison");
  EXPECT_EQ(letters[0].reason, R"(it failed 4 times, the last time with {"errorMessage":"no"})");
  EXPECT_EQ(letters[0].attempts, 4);
  EXPECT_EQ(loop_.wait(async_->letters().redrive(loop_, {.id = letters[0].id})), 1u);
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(invoker_.calls.size(), 5u);
  EXPECT_TRUE(dead().empty());
  EXPECT_EQ(loop_.wait(async_->letters().purge(loop_, {.id = letters[0].id})), 0u);
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

TEST_F(AsyncTest, SystemErrorsAreRetriedForFiveHoursThenBecomeADeadLetter) {
  configure({{"maxAsyncRetryAttempts", 0}});
  for (int i = 0; i < 2'000; ++i) invoker_.answers.push_back(fail(InvokeError::throttled, "too many"));
  ASSERT_TRUE(submit());
  loop_.run_for(kSystemRetryLimitUs - 60 * kMicrosPerSecond);
  EXPECT_TRUE(dead().empty());
  size_t tries = invoker_.calls.size();
  EXPECT_GT(tries, 250u);
  for (size_t i = 1; i < 4; ++i) {  // 0.5, 1, 2 s
    int64_t pause_us = invoker_.calls[i].at_us - invoker_.calls[i - 1].at_us;
    EXPECT_GE(pause_us, (kMicrosPerSecond / 2) << (i - 1));
    EXPECT_LT(pause_us, ((kMicrosPerSecond / 2) << (i - 1)) + 100 * kMicrosPerMilli);
  }
  loop_.run_for(180 * kMicrosPerSecond);
  auto letters = dead();
  ASSERT_EQ(letters.size(), 1u);
  EXPECT_EQ(letters[0].attempts, 0);
  EXPECT_GE(letters[0].system_tries, static_cast<int64_t>(tries));
  EXPECT_EQ(letters[0].reason, "too many");
}

TEST_F(AsyncTest, DestinationsAreCalledWithWhatHappened) {
  std::string arn = "acs:fc:r:1:services/s/functions/after";
  configure({{"destinationConfig", json::object{{"onSuccess", json::object{{"destination", arn}}}}}});
  auto accepted = submit("in");
  ASSERT_TRUE(accepted);
  loop_.run_for(5 * kMicrosPerSecond);
  ASSERT_EQ(invoker_.calls.size(), 2u);
  EXPECT_EQ(invoker_.calls[1].invocation.target.function, "after");
  auto event = parse_json(invoker_.calls[1].invocation.payload);
  int64_t timestamp = int_or(*event, "timestamp");
  EXPECT_GT(timestamp, 0);
  EXPECT_EQ(invoker_.calls[1].invocation.payload,
            R"({"timestamp":)" + std::to_string(timestamp) + R"(,"requestContext":{"requestId":")" + accepted->request_id +
                R"(","functionArn":"acs:fc:r:1:services/s.LATEST/functions/f","condition":"Success","approximateInvokeCount":1},"requestPayload":"in",)"
                R"("responseContext":{"statusCode":200,"functionError":""},"responsePayload":"done"})");
}

TEST_F(AsyncTest, AFailureDestinationIsToldTheErrorAndHowOftenItWasTried) {
  std::string arn = "acs:fc:r:1:services/s/functions/after";
  configure({{"maxAsyncRetryAttempts", 1}, {"destinationConfig", json::object{{"onFailure", json::object{{"destination", arn}}}}}});
  invoker_.answers.push_back(failure("first"));
  invoker_.answers.push_back(Outcome{.kind = Outcome::Kind::timed_out, .body = "\xffsecond"});
  ASSERT_TRUE(submit("in"));
  loop_.run_for(30 * kMicrosPerSecond);
  ASSERT_EQ(invoker_.calls.size(), 3u);
  auto event = parse_json(invoker_.calls[2].invocation.payload);
  ASSERT_TRUE(event);
  EXPECT_EQ(string_or(*find(*event, "requestContext"), "condition"), "RetriesExhausted");
  EXPECT_EQ(int_or(*find(*event, "requestContext"), "approximateInvokeCount"), 2);
  EXPECT_EQ(string_or(*find(*event, "responseContext"), "functionError"), "FunctionTimedOut");
  EXPECT_EQ(string_or(*event, "responsePayload"), "\xef\xbf\xbdsecond");
  auto letters = dead();
  ASSERT_EQ(letters.size(), 1u);
  EXPECT_EQ(letters[0].first_error, "first");
  EXPECT_EQ(letters[0].last_error, "\xef\xbf\xbdsecond");
}

TEST_F(AsyncTest, ADestinationsEventIsNoLargerThanAnyPayload) {
  constexpr size_t kLimit = 128 * 1024, kMuch = 1 << 20;
  configure({{"destinationConfig", json::object{{"onSuccess", json::object{{"destination", "acs:fc:r:1:services/s/functions/after"}}}}}});
  std::string butterfly = "\xf0\x9f\xa6\x8b", butterflies;
  while (butterflies.size() < kMuch) butterflies += butterfly;
  for (const std::string& request : {std::string("in"), std::string(kLimit, '"')}) {
    for (const std::string& response : {std::string(kMuch, 'x'), std::string(kMuch, '\x01'), std::string(kMuch, '\xff'), butterflies}) {
      invoker_.calls.clear();
      invoker_.answers.push_back(Outcome{.body = response});
      ASSERT_TRUE(submit(request));
      loop_.run_for(kMicrosPerSecond);
      ASSERT_EQ(invoker_.calls.size(), 2u);
      const std::string& text = invoker_.calls[1].invocation.payload;
      EXPECT_LE(text.size(), kLimit);
      EXPECT_GT(text.size(), kLimit - 16);  // and no smaller than the characters at the cuts make it
      auto event = parse_json(text);
      ASSERT_TRUE(event);
      std::string told = string_or(*event, "responsePayload"), asked = string_or(*event, "requestPayload");
      EXPECT_EQ(request.substr(0, asked.size()), asked);
      EXPECT_GT(asked.size(), std::min(request.size(), kLimit / 5) - 1);
      if (response[0] == '\xff') EXPECT_TRUE(told.starts_with("\xef\xbf\xbd"));
      else EXPECT_EQ(response.substr(0, told.size()), told);
      if (response == butterflies) EXPECT_EQ(told.size() % butterfly.size(), 0u);
    }
  }
}

TEST_F(AsyncTest, WhatFitsIntoADestinationsEventIsWhole) {
  configure({{"maxAsyncRetryAttempts", 0}, {"destinationConfig", json::object{{"onFailure", json::object{{"destination", "acs:fc:r:1:services/s/functions/after"}}}}}});
  std::string body(100 * 1024, 'x'), request(20 * 1024, 'r');
  invoker_.answers.push_back(failure(body));
  ASSERT_TRUE(submit(request));
  loop_.run_for(kMicrosPerSecond);
  ASSERT_EQ(invoker_.calls.size(), 2u);
  auto event = parse_json(invoker_.calls[1].invocation.payload);
  ASSERT_TRUE(event);
  EXPECT_EQ(string_or(*event, "responsePayload"), body);
  EXPECT_EQ(string_or(*event, "requestPayload"), request);
}

TEST_F(AsyncTest, OnlyFunctionsAreDestinations) {
  for (const char* good : {"", "acs:fc:r:1:services/s/functions/f", "acs:fc:::services/s.prod/functions/f"}) EXPECT_EQ(destination_problem(good), "") << good;
  EXPECT_EQ(destination_target("acs:fc:::services/s.prod/functions/f")->qualifier, "prod");
  for (const char* bad : {"acs:mns:r:1:/queues/q/messages", "acs:mns:r:1:/topics/t/messages", "acs:eventbridge:r:1:eventbus/b", "f", "acs:fc:r:1:services//functions/f",
                          "acs:fc:r:1:services/s/functions/f/x"})
    EXPECT_NE(destination_problem(bad).find("a destination is a function"), std::string::npos) << bad;
}

TEST_F(AsyncTest, AWaitingCallIsCancelledByItsRequestId) {
  invoker_.answers.push_back(failure());
  auto accepted = submit();
  loop_.run_for(kMicrosPerMilli);  // it failed, and rests before its retry
  EXPECT_TRUE(loop_.wait(async_->cancel(loop_, {"s", "f", ""}, accepted->request_id)));
  loop_.run_for(60 * kMicrosPerSecond);
  EXPECT_EQ(invoker_.calls.size(), 1u);
  EXPECT_TRUE(dead().empty());
  EXPECT_EQ(async_->counts().stopped, 1u);
  EXPECT_EQ(loop_.wait(async_->cancel(loop_, {"s", "f", ""}, accepted->request_id)).error().code, AsyncError::not_found);
}

TEST_F(AsyncTest, ARunningCallIsCancelledByItsRequestId) {
  auto accepted = submit("hang");
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(loop_.wait(async_->backlog(loop_)).queued, 1u);
  EXPECT_TRUE(loop_.wait(async_->cancel(loop_, {"s", "f", ""}, accepted->request_id)));
  loop_.run_for(60 * kMicrosPerSecond);
  EXPECT_EQ(invoker_.calls.size(), 1u);
  EXPECT_EQ(loop_.wait(async_->backlog(loop_)).queued, 0u);
  EXPECT_TRUE(dead().empty());
}

TEST_F(AsyncTest, ARunningCallHasLeftItsQueueWhenItsCancelIsAnswered) {
  invoker_.end_takes_us = kMicrosPerSecond;
  auto accepted = submit("hang");
  loop_.run_for(kMicrosPerSecond);
  ASSERT_EQ(rows("q"), 1u);
  EXPECT_TRUE(cancel(accepted->request_id));
  EXPECT_EQ(rows("q"), 0u);  // so a process that ends here does not leave it to the next
  EXPECT_EQ(async_->counts().in_flight, 1u);
  EXPECT_TRUE(cancel(accepted->request_id));
  loop_.run_for(60 * kMicrosPerSecond);
  EXPECT_EQ(async_->counts().in_flight, 0u);
  EXPECT_EQ(async_->counts().stopped, 1u);
  EXPECT_EQ(invoker_.calls.size(), 1u);
  EXPECT_TRUE(dead().empty());
  EXPECT_EQ(cancel(accepted->request_id).error().code, AsyncError::not_found);
}

TEST_F(AsyncTest, ACallThatEndsWellBeforeItsCancelReachesItStillTellsItsDestination) {
  configure({{"destinationConfig", json::object{{"onSuccess", json::object{{"destination", "acs:fc:r:1:services/s/functions/after"}}}}}});
  invoker_.waits_us = kMicrosPerSecond;
  auto accepted = submit("in");
  loop_.run_for(kMicrosPerSecond / 2);
  EXPECT_TRUE(cancel(accepted->request_id));
  loop_.run_for(10 * kMicrosPerSecond);
  ASSERT_EQ(invoker_.calls.size(), 2u);
  EXPECT_EQ(invoker_.calls[1].invocation.target.function, "after");
  EXPECT_EQ(rows("q"), 0u);
}

TEST_F(AsyncTest, ACallThatFailsAfterItsCancelIsNotTriedAgain) {
  invoker_.waits_us = kMicrosPerSecond;
  invoker_.answers.push_back(failure());
  auto accepted = submit();
  loop_.run_for(kMicrosPerSecond / 2);
  EXPECT_TRUE(cancel(accepted->request_id));
  loop_.run_for(60 * kMicrosPerSecond);
  EXPECT_EQ(invoker_.calls.size(), 1u);
  EXPECT_EQ(rows("q"), 0u);
  EXPECT_TRUE(dead().empty());
  EXPECT_EQ(async_->counts().stopped, 1u);
}

TEST_F(AsyncTest, ACallThatIsCancelledAfterTheQueueHasReadItNeverRuns) {
  close();
  window_ = 1;
  open();
  auto first = submit("hang");
  loop_.run_for(kMicrosPerMilli);
  auto second = submit();
  loop_.run_for(kMicrosPerMilli);
  ASSERT_EQ(invoker_.calls.size(), 1u);
  EXPECT_TRUE(cancel(second->request_id));
  EXPECT_TRUE(cancel(first->request_id));
  loop_.run_for(60 * kMicrosPerSecond);
  EXPECT_EQ(invoker_.calls.size(), 1u);
  EXPECT_EQ(async_->counts().stopped, 2u);
  EXPECT_EQ(rows("q"), 0u);
  ASSERT_TRUE(submit());  // and the queue goes on
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(invoker_.calls.size(), 2u);
}

TEST_F(AsyncTest, TheBacklogSaysHowMuchWaitsAndForHowLong) {
  for (int i = 0; i < 5; ++i) invoker_.answers.push_back(fail(InvokeError::exhausted, "full"));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(submit());
  int64_t now_us = loop_.clock().wall_us();
  loop_.run_for(100 * kMicrosPerMilli);
  AsyncBacklog backlog = loop_.wait(async_->backlog(loop_));
  EXPECT_EQ(backlog.queued, 5u);
  EXPECT_GE(backlog.oldest_due_us, now_us);
  loop_.run_for(60 * kMicrosPerSecond);
  backlog = loop_.wait(async_->backlog(loop_));
  EXPECT_EQ(backlog.queued, 0u);
  EXPECT_EQ(backlog.oldest_due_us, 0);
  EXPECT_EQ(async_->counts().accepted, 5u);
}

TEST_F(AsyncTest, RefusesLargePayloadsAndUnknownFunctions) {
  EXPECT_EQ(submit(std::string(128 * 1024 + 1, 'x')).error().code, AsyncError::too_large);
  EXPECT_TRUE(submit(std::string(128 * 1024, 'x')));
  EXPECT_EQ(submit("p", "nobody").error().code, AsyncError::not_found);
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
