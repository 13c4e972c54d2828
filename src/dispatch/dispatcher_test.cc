#include "dispatch/dispatcher_fixture.h"

namespace mayfly::dispatch {
namespace {

TEST_F(DispatcherTest, AWarmInstanceIsReusedAndKeepsItsState) {
  Result first = invoke("count"), second = invoke("count");
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->body, "1");
  EXPECT_EQ(second->body, "2");
  EXPECT_TRUE(first->cold);
  EXPECT_EQ(first->phases.start_us(), 50'000);
  EXPECT_FALSE(second->cold);
  EXPECT_EQ(second->phases.start_us(), 0);
  EXPECT_EQ(second->code_checksum, "77");
  EXPECT_EQ(world_.starts, 1u);
  EXPECT_EQ(recorder_.ids, (std::vector<std::string>{"r1", "r2"}));
  EXPECT_EQ(recorder_.begun, recorder_.ids);
}

TEST_F(DispatcherTest, ScalesOutUpToTheLimitAndServesInOrder) {
  std::vector<Result> results;
  for (int i = 0; i < 6; ++i) spawn("sleep " + std::to_string(10 + i), results);
  loop_.wait(group_.drain());
  EXPECT_EQ(results.size(), 6u);
  EXPECT_EQ(world_.peak, 2u);
  EXPECT_EQ(world_.order, (std::vector<std::string>{"sleep 10", "sleep 11", "sleep 12", "sleep 13", "sleep 14", "sleep 15"}));
}

TEST_F(DispatcherTest, AFunctionsOwnLimitLowersTheGeneralOne) {
  put(kOnDemandConfig, {{"maximumInstanceCount", 1}});
  open({.max_instances_per_function = 3});
  std::vector<Result> results;
  for (int i = 0; i < 4; ++i) spawn("sleep 10", results);
  loop_.wait(group_.drain());
  EXPECT_EQ(world_.peak, 1u);
  EXPECT_EQ(results.size(), 4u);
}

TEST_F(DispatcherTest, AWaitingCallIsRefusedAtItsDeadline) {
  std::vector<Result> results, late;
  for (int i = 0; i < 2; ++i) spawn("sleep 1000", results);
  spawn("echo", late, io::Deadline::after_us(loop_, 100'000));
  loop_.run_for(200'000);
  ASSERT_EQ(late.size(), 1u);
  ASSERT_FALSE(late[0]);
  EXPECT_EQ(late[0].error().code, InvokeError::exhausted);
  loop_.wait(group_.drain());
  EXPECT_TRUE(results[0] && results[1]);
  EXPECT_EQ(status().throttled, 1u);
}

TEST_F(DispatcherTest, AFullQueueThrottles) {
  open({.max_instances_per_function = 1, .memory_budget_mb = 1'000, .max_waiting_per_function = 2});
  std::vector<Result> results;
  for (int i = 0; i < 3; ++i) spawn("echo", results);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].error().code, InvokeError::throttled);
  loop_.wait(group_.drain());
  EXPECT_EQ(results.size(), 3u);
}

TEST_F(DispatcherTest, AnIdleInstanceEndsAndAForgottenFunctionLosesItsZygote) {
  invoke("echo");
  EXPECT_EQ(status().idle, 1u);
  loop_.run_for(61 * kMicrosPerSecond);
  EXPECT_EQ(status().instances.size(), 0u);
  EXPECT_EQ(world_.stops, 1u);
  EXPECT_EQ(world_.forgotten, 0u);
  loop_.run_for(700 * kMicrosPerSecond);
  EXPECT_EQ(world_.forgotten, 1u);
  EXPECT_EQ(loop_.wait(invoker_->totals(loop_)).memory_reserved_mb, 0);
  EXPECT_TRUE(invoke("echo"));
}

TEST_F(DispatcherTest, ACrashIsOneClearErrorAndTheNextCallGetsAFreshInstance) {
  Result died = invoke("die");
  ASSERT_TRUE(died);
  EXPECT_EQ(died->kind, Outcome::Kind::unhandled_error);
  EXPECT_EQ(died->body,
            R"j({"errorMessage":"Process exited unexpectedly before completing request (duration: 12ms, maxMemoryUsage: 0MB)","errorType":"UnhandledInvocationError"})j");
  EXPECT_EQ(invoke("count")->body, "1");
  EXPECT_EQ(world_.starts, 2u);
  EXPECT_EQ(status().errors, 1u);
}

TEST_F(DispatcherTest, ACallThatNeverStartedGoesToAnotherInstance) {
  invoke("echo");
  factory_.last->die();
  Result next = invoke("count");
  ASSERT_TRUE(next);
  EXPECT_EQ(next->kind, Outcome::Kind::ok);
  EXPECT_EQ(world_.starts, 2u);
}

TEST_F(DispatcherTest, ATimeoutNamesTheLimitAndThatItIsTheDefault) {
  Result late = invoke("hang");
  ASSERT_TRUE(late);
  EXPECT_EQ(late->kind, Outcome::Kind::timed_out);
  EXPECT_EQ(late->body, R"j({"errorMessage":"Function timed out after 3 seconds (queued 0 ms, starting 50 ms, run 3000 ms); that is the default: raise the function's timeout if it needs longer","errorType":"FunctionTimedOut"})j");
  EXPECT_EQ(invoke("count")->body, "1");
}

TEST_F(DispatcherTest, AHandledErrorKeepsTheInstance) {
  EXPECT_EQ(invoke("raise")->kind, Outcome::Kind::handled_error);
  EXPECT_EQ(invoke("count")->body, "2");
}

TEST_F(DispatcherTest, AFailedInitializerIsTheAnswerToEverybodyWhoWaits) {
  world_.start_failure = {runtime::StartError::initializer, R"({"errorMessage":"no module named cv9","errorType":"ImportError","stackTrace":[]})", ""};
  std::vector<Result> results;
  for (int i = 0; i < 3; ++i) spawn("echo", results);
  loop_.wait(group_.drain());
  for (const Result& result : results) {
    ASSERT_TRUE(result);
    EXPECT_EQ(result->kind, Outcome::Kind::unhandled_error);
    EXPECT_NE(result->body.find("ImportError"), std::string::npos);
    EXPECT_EQ(result->log_tail, "importing\n");
  }
  EXPECT_EQ(loop_.wait(invoker_->totals(loop_)).memory_reserved_mb, 0);
  world_.start_failure.reset();
  EXPECT_TRUE(invoke("echo"));
}

TEST_F(DispatcherTest, AStartThatTookTooLongSaysWhereItsTimeWent) {
  open({.max_instances_per_function = 1, .memory_budget_mb = 1'000});
  world_.start_us = 13'000'000;
  world_.start_failure = {runtime::StartError::timed_out, "Function initialization timed out after 13 seconds: importing its code has not ended", "",
                          {.sandbox_us = 2'000, .runtime_us = 198'000, .import_us = 12'800'000}};
  std::vector<Result> results;
  spawn("echo", results);
  loop_.run_for(10'000'000);
  spawn("echo", results);
  loop_.wait(group_.drain());
  ASSERT_EQ(results.size(), 2u);
  for (const Result& result : results) {
    EXPECT_EQ(result->kind, Outcome::Kind::timed_out);
    EXPECT_TRUE(result->cold);
    EXPECT_EQ(result->body, R"j({"errorMessage":"Function initialization timed out after 13 seconds: importing its code has not ended (sandbox 2 ms, runtime 198 ms, import 12800 ms, init 0 ms); raise initializationTimeout if importing and initializing need longer","errorType":"FunctionTimedOut"})j");
  }
  EXPECT_EQ(results[0]->phases.sandbox_us, 2'000);
  EXPECT_EQ(results[0]->phases.runtime_us, 198'000);
  EXPECT_EQ(results[0]->phases.import_us, 12'800'000);
  EXPECT_EQ(results[0]->phases.queued_us, 0);
  EXPECT_EQ(results[1]->phases.import_us, 3'000'000) << "of what it waited for";
  EXPECT_EQ(results[1]->phases.total_us(), 3'000'000);
  EXPECT_EQ(recorder_.outcomes[0].phases.import_us, 12'800'000) << "records and logs have it too";
}

TEST_F(DispatcherTest, AFailedStartThatSaysNothingOfItsPhasesWasTheMachines) {
  world_.start_failure = {runtime::StartError::timed_out, "the interpreter was not ready in time", ""};
  Result late = invoke("echo");
  EXPECT_EQ(late->body, R"({"errorMessage":"Function initialization timed out after 3 seconds: the interpreter was not ready in time; raise initializationTimeout if importing and initializing need longer","errorType":"FunctionTimedOut"})");
  EXPECT_EQ(late->phases.sandbox_us, 50'000);
}

TEST_F(DispatcherTest, AMissingRuntimeOrSandboxIsNotTheFunctionsFault) {
  world_.start_failure = {runtime::StartError::unsupported, "no runtime 'cobol'", ""};
  EXPECT_EQ(invoke("echo").error().code, InvokeError::invalid);
  world_.start_failure = {runtime::StartError::sandbox, "clone3 refused", ""};
  EXPECT_EQ(invoke("echo").error().code, InvokeError::unavailable);
  EXPECT_EQ(status().last_error, "clone3 refused");
}

TEST_F(DispatcherTest, AnUnknownFunctionIsNotFound) {
  Result result = invoke("echo", "g");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, InvokeError::not_found);
}

TEST_F(DispatcherTest, AnUpdateDrainsTheOldRevisionAndMovesWhoWaits) {
  open({.max_instances_per_function = 1, .memory_budget_mb = 1'000});
  std::vector<Result> results;
  for (std::string payload : {"sleep 100", "count", "count"}) spawn(payload, results);
  loop_.run_for(60'000);  // the first runs
  functions::Function changed = make("f");
  changed.timeout_s = 9;
  update(changed);
  loop_.wait(group_.drain());
  ASSERT_EQ(results.size(), 3u);
  EXPECT_EQ(world_.starts, 2u);
  EXPECT_EQ(results[0]->instance_id, "i2");
  EXPECT_EQ(results[1]->body, "2");
  EXPECT_EQ(results[2]->instance_id, "i1");
  loop_.run_for(5 * kMicrosPerSecond);
  EXPECT_EQ(world_.forgotten, 1u);
  EXPECT_EQ(status().instances.size(), 1u);
}

TEST_F(DispatcherTest, ADeletedFunctionLosesItsIdleInstancesAtOnce) {
  invoke("echo");
  EXPECT_TRUE(loop_.wait(catalogue_->delete_function(loop_, "s", "f", "")));
  loop_.run_for(5 * kMicrosPerSecond);
  EXPECT_EQ(world_.running, 0u);
  EXPECT_EQ(world_.forgotten, 1u);
}

TEST_F(DispatcherTest, IdleInstancesCountWithWhatTheyUseWhenMemoryIsShort) {
  open({.max_instances_per_function = 2, .memory_budget_mb = 150});
  add("g");
  EXPECT_TRUE(invoke("echo", "f"));
  EXPECT_TRUE(invoke("echo", "g"));
  EXPECT_EQ(status("f").instances.size(), 1u) << "10 MB of its 100, and some slack";
  std::vector<Result> results;
  spawn("sleep 100", results, io::Deadline::never(), "g");
  spawn("echo", results, io::Deadline::never(), "f");  // both at work would be 200 MB
  loop_.run_for(50'000);
  EXPECT_TRUE(results.empty());
  loop_.wait(group_.drain());
  ASSERT_EQ(results.size(), 2u);
  EXPECT_TRUE(results[0] && results[1]);
  EXPECT_EQ(results[1]->body, "echo");
  EXPECT_FALSE(results[1]->cold);
  EXPECT_EQ(world_.starts, 2u);
  loop_.run_for(130 * kMicrosPerSecond);
  EXPECT_EQ(loop_.wait(invoker_->totals(loop_)).memory_reserved_mb, 0);
}

TEST_F(DispatcherTest, MemoryIsTakenFromIdleFunctionsWhenItIsShort) {
  open({.max_instances_per_function = 2, .memory_budget_mb = 110});
  add("g");
  EXPECT_TRUE(invoke("echo", "f"));
  EXPECT_TRUE(invoke("echo", "g"));  // ends the idle instance of f
  EXPECT_EQ(status("f").instances.size(), 0u);
  EXPECT_EQ(status("g").instances.size(), 1u);
  std::vector<Result> results;
  spawn("sleep 100", results, io::Deadline::never(), "g");
  spawn("echo", results, io::Deadline::never(), "f");  // nothing is idle: waits for g to end its call
  loop_.wait(group_.drain());
  ASSERT_EQ(results.size(), 2u);
  EXPECT_TRUE(results[1]);
  EXPECT_EQ(world_.peak, 1u);
}

TEST_F(DispatcherTest, CallsCarryCredentialsOfTheServicesRole) {
  invoke("echo");
  auth::Credentials first = world_.last_credentials;
  auto known = keyring_.find(first.access_key_id, first.security_token, loop_.clock());
  ASSERT_TRUE(known);
  EXPECT_EQ(known->identity.role, "painter");
  EXPECT_EQ(known->secret, first.access_key_secret);
  invoke("echo");
  EXPECT_EQ(world_.last_credentials.access_key_id, first.access_key_id);
  loop_.run_for(1'900 * kMicrosPerSecond);
  invoke("echo");
  EXPECT_NE(world_.last_credentials.access_key_id, first.access_key_id);
}

TEST_F(DispatcherTest, WhatAStartBringsStaysGoodForADay) {
  invoke("echo");
  loop_.run_for(18 * 3'600 * kMicrosPerSecond);
  EXPECT_TRUE(keyring_.find(world_.start_credentials.access_key_id, world_.start_credentials.security_token, loop_.clock()));
  EXPECT_FALSE(keyring_.find(world_.last_credentials.access_key_id, world_.last_credentials.security_token, loop_.clock())) << "a call's are short-lived";
}

TEST_F(DispatcherTest, TheLogTailBelongsToItsCall) {
  Result first = invoke("print hello"), second = invoke("print again");
  EXPECT_EQ(first->log_tail, "importing\nhello\n");
  EXPECT_EQ(second->log_tail, "again\n");
  EXPECT_EQ(recorder_.lines, (std::vector<std::string>{":importing\n", "r1:hello\n", "r2:again\n"}));
}

TEST_F(DispatcherTest, ConcurrencyPacksCallsOntoOneInstance) {
  functions::Function function = make("c");
  function.runtime = "custom";
  function.instance_concurrency = 10;
  EXPECT_TRUE(loop_.wait(catalogue_->create_function(loop_, function)));
  std::vector<Result> results;
  for (int i = 0; i < 10; ++i) spawn("sleep 100", results, io::Deadline::never(), "c");
  loop_.wait(group_.drain());
  EXPECT_EQ(world_.starts, 1u);
  EXPECT_EQ(results.size(), 10u);
}

io::Task<void> stop_at(Dispatcher& dispatcher, io::Loop& loop, io::Deadline deadline) { co_await dispatcher.stop(loop, deadline); }

TEST_F(DispatcherTest, StoppingLetsCallsEndAndRefusesTheRest) {
  std::vector<Result> results;
  for (std::string payload : {"sleep 200", "hang", "echo"}) spawn(payload, results);
  loop_.run_for(100'000);
  group_.spawn(stop_at(*invoker_, loop_, io::Deadline::after_us(loop_, 500'000)));
  spawn("echo", results);
  loop_.wait(group_.drain());
  ASSERT_EQ(results.size(), 4u);
  EXPECT_EQ(results[0].error().code, InvokeError::stopping);
  EXPECT_EQ(results[1].error().code, InvokeError::stopping);
  EXPECT_EQ(results[2]->body, "sleep 200");
  EXPECT_EQ(results[3].error().code, InvokeError::stopping) << "killed by the shutdown, not by the function";
  EXPECT_EQ(world_.running, 0u);
  invoker_.reset();
}

}  // namespace
}  // namespace mayfly::dispatch
