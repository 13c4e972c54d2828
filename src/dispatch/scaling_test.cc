// How many instances there are, and who is refused: limits, provisioned and reserved instances, the scaler, suspension, habits, lines.

#include "dispatch/dispatcher_fixture.h"
#include "dispatch/pool.h"

namespace mayfly::dispatch {
namespace {

constexpr int64_t kSecond = kMicrosPerSecond;

class ScalingTest : public DispatcherTest {};

TEST_F(ScalingTest, ACallThatItsInstanceNeverTookGoesToAnotherAndKeepsItsPlace) {
  open({.max_instances_per_function = 1, .memory_budget_mb = 1'000});
  world_.never_taken = 1;
  std::vector<Result> results;
  for (std::string payload : {"sleep 10", "sleep 11", "sleep 12"}) spawn(payload, results);
  loop_.wait(group_.drain());
  EXPECT_EQ(world_.order, (std::vector<std::string>{"sleep 10", "sleep 11", "sleep 12"}));
  EXPECT_EQ(world_.starts, 2u);
  for (const Result& result : results) EXPECT_TRUE(result);
  EXPECT_EQ(status().errors, 0u);
}

TEST_F(ScalingTest, AnInstanceThatNobodyCallsIsFrozenAndEndsInItsTimeAllTheSame) {
  open({.idle_us = 10 * kSecond});
  std::vector<Result> results;
  for (int i = 0; i < 3; ++i) {  // each within the second after the one before
    spawn("echo", results);
    loop_.run_for(kFreezeAfterUs * 9 / 10);
  }
  EXPECT_EQ(world_.freezes, 0u);
  loop_.run_for(5 * kSecond);
  EXPECT_EQ(world_.freezes, 1u) << "once is enough";
  spawn("echo", results);
  loop_.run_for(2 * kSecond);
  EXPECT_EQ(world_.freezes, 2u);
  EXPECT_EQ(world_.starts, 1u);
  loop_.run_for(7 * kSecond);
  EXPECT_EQ(running(), 1u);
  loop_.run_for(2 * kSecond);
  EXPECT_EQ(running(), 0u);
}

TEST_F(ScalingTest, AFunctionThatMayBeCalledSoonIsExpectedUnlessItIsGone) {
  invoker_->expect({"s", "f", ""});
  invoker_->expect({"s", "never", ""});
  loop_.run_for(kSecond);
  EXPECT_EQ(world_.expected, (std::vector<std::string>{"f"}));
}

TEST_F(ScalingTest, AServerOfAnotherPlatformGoesOnBesideItsCalls) {
  functions::Function changed = make("f");
  changed.runtime = "of-watchdog";
  update(changed);
  std::vector<Result> results;
  spawn("echo", results);
  loop_.run_for(5 * kSecond);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(world_.freezes, 0u);
}

TEST_F(ScalingTest, ACallThatIsNeverTakenKeepsItsDeadline) {
  world_.start_us = 40'000;
  world_.never_taken = 3;
  std::vector<Result> results;
  spawn("echo", results, io::Deadline::after_us(loop_, 100'000));
  loop_.run_for(100'000);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].error().code, InvokeError::exhausted);
  EXPECT_NE(results[0].error().message.find("queued 100 ms"), std::string::npos);
}

TEST_F(ScalingTest, TheLineIsStrictlyFirstInFirstOutAlsoAcrossUpdates) {
  open({.max_instances_per_function = 2, .memory_budget_mb = 1'000, .max_waiting_per_function = 1'000});
  std::vector<Result> results;
  std::vector<std::string> sent;
  for (int i = 0; i < 300; ++i) {
    sent.push_back(fmt::format("sleep {}", 1 + (i * 7) % 23 + 1'000 * (i == 150)));
    spawn(sent.back(), results);
    if (i % 100 != 99) continue;
    loop_.run_for(100'000);
    functions::Function changed = make("f");
    changed.timeout_s = 9 + i;
    update(changed);
  }
  loop_.wait(group_.drain());
  EXPECT_EQ(world_.order, sent);
  for (const Result& result : results) EXPECT_TRUE(result);
}

TEST_F(ScalingTest, ARefusalSaysWhenToComeBack) {
  open({.max_instances_per_function = 1, .memory_budget_mb = 1'000, .max_waiting_per_function = 20});
  std::vector<Result> first, refused;
  for (int i = 0; i < 21; ++i) spawn("sleep 1000", first);
  loop_.run_for(5 * kSecond);
  for (int i = 0; i < 20; ++i) spawn("sleep 1000", refused);
  ASSERT_FALSE(refused.empty());
  EXPECT_EQ(refused[0].error().code, InvokeError::throttled);
  EXPECT_GE(refused[0].error().retry_after_s, 15) << "about one call a second";
  EXPECT_LE(refused[0].error().retry_after_s, 40);
  EXPECT_TRUE(invoker_->crowded({"s", "f", ""})) << "the body of another need not be read";
  EXPECT_FALSE(invoker_->crowded({"s", "g", ""}));
  loop_.run_for(8 * kSecond);
  EXPECT_FALSE(invoker_->crowded({"s", "f", ""})) << "there is room again";
  loop_.wait(group_.drain());
}

TEST_F(ScalingTest, WhatWaitsIsBoundedInBytes) {
  open({.max_instances_per_function = 1, .memory_budget_mb = 1'000, .max_waiting_bytes = 1 << 20});
  std::vector<Result> results;
  for (int i = 0; i < 3; ++i) spawn(std::string(700'000, 'x'), results);
  ASSERT_EQ(results.size(), 2u);
  for (const Result& result : results) EXPECT_EQ(result.error().code, InvokeError::throttled);
  EXPECT_FALSE(invoker_->crowded({"s", "f", ""})) << "a small call still finds room";
  loop_.wait(group_.drain());
}

TEST_F(ScalingTest, CrashesInARowSuspendTheFunctionAndSayWhy) {
  for (int i = 0; i < CrashGuard::kCallsTolerated; ++i) EXPECT_EQ(invoke("die")->kind, Outcome::Kind::unhandled_error);
  size_t starts = world_.starts;
  Result refused = invoke("echo");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, InvokeError::unavailable);
  EXPECT_GE(refused.error().retry_after_s, 1);
  EXPECT_NE(refused.error().message.find("s/f is suspended until 20"), std::string::npos) << refused.error().message;
  EXPECT_NE(refused.error().message.find("Process exited unexpectedly"), std::string::npos);
  EXPECT_NE(refused.error().message.find("it last printed: importing"), std::string::npos);
  EXPECT_EQ(world_.starts, starts) << "answered at once";
  ASSERT_EQ(status().suspended.size(), 1u);
  EXPECT_EQ(status().suspended[0].failures, CrashGuard::kCallsTolerated);
  EXPECT_EQ(loop_.wait(invoker_->totals(loop_)).suspended, 1u);
  loop_.run_for(2 * kSecond);
  EXPECT_TRUE(invoke("echo")) << "one try is let through";
  EXPECT_TRUE(status().suspended.empty());
}

TEST_F(ScalingTest, AnUpdateEndsASuspensionAtOnce) {
  world_.start_failure = {runtime::StartError::initializer, R"({"errorMessage":"no module named cv9","errorType":"ImportError"})", ""};
  for (int i = 0; i < CrashGuard::kStartsTolerated; ++i) EXPECT_TRUE(invoke("echo"));
  Result refused = invoke("echo");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("no module named cv9; it last printed: importing"), std::string::npos) << refused.error().message;
  world_.start_failure.reset();
  functions::Function changed = make("f");
  changed.timeout_s = 9;
  update(changed);
  EXPECT_TRUE(invoke("echo"));
}

TEST_F(ScalingTest, ProvisionedInstancesAreThereBeforeTheirCallsAndSurviveIdleness) {
  put(kProvisionConfig, provision(2));
  loop_.run_for(60'000);
  EXPECT_EQ(running(), 2u);
  EXPECT_EQ(status().minimum, 2u);
  loop_.run_for(2'000 * kSecond);
  EXPECT_EQ(running(), 2u);
  Result warm = invoke("echo");
  EXPECT_FALSE(warm->cold);
  EXPECT_EQ(warm->phases.start_us(), 0);
  EXPECT_EQ(warm->log_tail, "");
  EXPECT_EQ(world_.starts, 2u);
  put(kProvisionConfig, provision(0));
  loop_.run_for(120 * kSecond);
  EXPECT_EQ(running(), 0u);
}

TEST_F(ScalingTest, AProvisionedInstanceThatDiesIsReplaced) {
  put(kProvisionConfig, provision(1));
  loop_.run_for(60'000);
  factory_.last->die();
  loop_.run_for(2 * kSecond);
  EXPECT_EQ(running(), 1u);
  EXPECT_EQ(world_.starts, 2u);
}

TEST_F(ScalingTest, ProvisionedInstancesOfANewRevisionAreReadyBeforeTheOldOnesDrain) {
  put(kProvisionConfig, provision(2));
  loop_.run_for(60'000);
  functions::Function changed = make("f");
  changed.timeout_s = 9;
  update(changed);
  loop_.run_for(20'000);
  Result meanwhile = invoke("revision");
  EXPECT_EQ(meanwhile->body, "3");
  EXPECT_FALSE(meanwhile->cold);
  loop_.run_for(60'000);
  Result later = invoke("revision");
  EXPECT_EQ(later->body, "9");
  EXPECT_FALSE(later->cold);
  loop_.run_for(5 * kSecond);
  EXPECT_EQ(running(), 2u);
  EXPECT_EQ(world_.running, 2u);
}

TEST_F(ScalingTest, ARevisionThatDoesNotStartTakesOverAllTheSame) {
  put(kProvisionConfig, provision(1));
  loop_.run_for(60'000);
  world_.start_failure = {runtime::StartError::initializer, R"({"errorMessage":"broken"})", ""};
  functions::Function changed = make("f");
  changed.timeout_s = 9;
  update(changed);
  loop_.run_for(100'000);
  EXPECT_EQ(invoke("echo")->kind, Outcome::Kind::unhandled_error) << "what was deployed is what answers";
}

TEST_F(ScalingTest, TheProvisionOfAnAliasIsSharedOutByItsWeights) {
  EXPECT_TRUE(loop_.wait(catalogue_->publish(loop_, "s", "")));
  functions::Function changed = make("f");
  changed.timeout_s = 9;
  update(changed);
  EXPECT_TRUE(loop_.wait(catalogue_->publish(loop_, "s", "")));
  EXPECT_TRUE(loop_.wait(catalogue_->create_alias(loop_, "s", {.name = "prod", .version = "1", .additional_weights = {{"2", 0.25}}})));
  open({.max_instances_per_function = 8, .memory_budget_mb = 10'000});
  put(kProvisionConfig, provision(4), limits_name("s", "prod", "f"));
  loop_.run_for(60'000);
  std::map<std::string, int> versions;
  for (const InstanceStatus& each : status().instances) ++versions[each.version];
  EXPECT_EQ(versions, (std::map<std::string, int>{{"1", 3}, {"2", 1}}));
}

TEST_F(ScalingTest, ReservedMemoryIsGivenToNobodyElse) {
  open({.max_instances_per_function = 4, .memory_budget_mb = 350});
  add("g");
  put(kReservedConfig, {{"instances", 2}}, "s/f");
  std::vector<Result> results, mine;
  for (int i = 0; i < 3; ++i) spawn("sleep 5000", results, io::Deadline::never(), "g");
  loop_.run_for(kSecond);
  EXPECT_EQ(status("g").instances.size(), 1u) << "350 MB less 200 reserved";
  for (int i = 0; i < 2; ++i) spawn("sleep 10", mine);
  loop_.run_for(kSecond);
  EXPECT_EQ(mine.size(), 2u);
  EXPECT_EQ(status("f").reserved_mb, 200);
  EXPECT_TRUE(loop_.wait(settings_.erase(loop_, kReservedConfig, "s/f")));
  loop_.run_for(70 * kSecond);
  EXPECT_EQ(results.size(), 3u);
  EXPECT_EQ(loop_.wait(invoker_->totals(loop_)).memory_reserved_mb, 0);
}

TEST_F(ScalingTest, ATrackingPolicyMovesTheMinimumWithTheLoad) {
  open({.max_instances_per_function = 10, .memory_budget_mb = 10'000});
  put(kProvisionConfig, {{"target", 1},
                         {"targetTrackingPolicies", json::array{json::object{{"name", "p"}, {"metricType", "ProvisionedConcurrencyUtilization"}, {"metricTarget", 0.5},
                                                                             {"minCapacity", 1}, {"maxCapacity", 5}}}}});
  loop_.run_for(kSecond);
  EXPECT_EQ(status().minimum, 1u);
  std::vector<Result> results;
  for (int i = 0; i < 2; ++i) spawn("sleep 2900", results);
  loop_.run_for(2'500'000);
  EXPECT_EQ(status().minimum, 3u) << "1.5 in flight on average so far, at a utilization of one half";
  loop_.run_for(200 * kSecond);
  EXPECT_EQ(status().minimum, 1u);
  EXPECT_EQ(running(), 1u);
}

TEST_F(ScalingTest, TheScalerMakesAndEndsInstances) {
  open({.max_instances_per_function = 20, .memory_budget_mb = 10'000});
  scaling({{"autoscaling.knative.dev/target", "1"}, {"autoscaling.knative.dev/target-utilization-percentage", "100"}});
  loop_.run_for(kSecond);
  EXPECT_EQ(running(), 1u) << "initial-scale";
  loop_.run_for(70 * kSecond);
  EXPECT_EQ(running(), 0u) << "nobody called for a stable window";
  std::vector<Result> results;
  for (int i = 0; i < 5; ++i) spawn("sleep 2000", results);
  loop_.run_for(100'000);
  EXPECT_EQ(running(), 5u) << "decided at once, not at a tick";
  ASSERT_EQ(status().scalers.size(), 1u);
  EXPECT_TRUE(status().scalers[0].panic);
  loop_.run_for(30 * kSecond);
  EXPECT_EQ(results.size(), 5u);
  EXPECT_EQ(running(), 5u) << "panic holds for a stable window";
  loop_.run_for(200 * kSecond);
  EXPECT_EQ(running(), 0u);
  EXPECT_TRUE(invoke("echo")) << "held until an instance is there";
}

TEST_F(ScalingTest, TheScalersBoundsHold) {
  open({.max_instances_per_function = 20, .memory_budget_mb = 10'000});
  scaling({{"target", 1}, {"min-scale", 2}, {"max-scale", 3}});
  loop_.run_for(300 * kSecond);
  EXPECT_EQ(running(), 2u);
  std::vector<Result> results;
  for (int i = 0; i < 8; ++i) spawn("sleep 1000", results);
  loop_.run_for(2'500'000);
  EXPECT_EQ(running(), 3u);
  loop_.wait(group_.drain());
}

TEST_F(ScalingTest, BeyondTenWaitingPerInstanceTheScalersLineIsFull) {
  open({.max_instances_per_function = 1, .memory_budget_mb = 10'000});
  scaling({{"target", 1}});
  invoke("echo");
  std::vector<Result> results;
  for (int i = 0; i < 12; ++i) spawn("sleep 100", results);
  ASSERT_EQ(results.size(), 1u) << "one runs, ten wait";
  EXPECT_EQ(results[0].error().code, InvokeError::exhausted);
  EXPECT_EQ(results[0].error().message, "pending request queue full");
  loop_.wait(group_.drain());
}

TEST_F(ScalingTest, AnUpdateKeepsTheScale) {
  open({.max_instances_per_function = 20, .memory_budget_mb = 10'000});
  scaling({{"target", 1}, {"target-utilization-percentage", 100}});
  std::vector<Result> results;
  for (int i = 0; i < 4; ++i) spawn("sleep 1000", results);
  loop_.run_for(100'000);
  functions::Function changed = make("f");
  changed.timeout_s = 9;
  update(changed);
  loop_.run_for(100'000);
  EXPECT_EQ(world_.starts, 8u) << "as many of the new revision at once";
  loop_.wait(group_.drain());
}

TEST_F(ScalingTest, AFunctionThatIsCalledEveryFiveMinutesIsStartedAhead) {
  int cold = 0;
  for (int i = 0; i < 20; ++i) {
    cold += invoke("echo")->cold;
    loop_.run_for(300 * kSecond);
  }
  EXPECT_LE(cold, 1 + Habits::kLeastSamples);
  EXPECT_GE(cold, Habits::kLeastSamples) << "until the habit is known";
  EXPECT_FALSE(invoke("echo")->cold);
  loop_.run_for(60 * kSecond);
  EXPECT_EQ(running(), 0u) << "not kept in between";
}

TEST_F(ScalingTest, OnlyTheCallThatAStartWasForPaysForIt) {
  functions::Function function = make("c");
  function.runtime = "custom";
  function.instance_concurrency = 10;
  EXPECT_TRUE(loop_.wait(catalogue_->create_function(loop_, function)));
  std::vector<Result> results;
  for (int i = 0; i < 3; ++i) spawn("sleep 100", results, io::Deadline::never(), "c");
  loop_.wait(group_.drain());
  int cold = 0;
  for (const Result& result : results) {
    cold += result->cold;
    EXPECT_EQ(result->phases.start_us(), result->cold ? 50'000 : 0);
    EXPECT_EQ(result->phases.queued_us, result->cold ? 0 : 50'000);
  }
  EXPECT_EQ(cold, 1);
}

io::Task<void> call_steadily(Invoker& invoker, io::Loop& loop, int calls, std::vector<std::pair<int64_t, std::string>>& answers, int& failed) {
  for (int i = 0; i < calls; ++i) {
    int64_t began_us = loop.now_us();
    auto outcome = co_await invoker.invoke(loop, {.request_id = "r", .target = {"s", "f", ""}, .payload = "revision", .http = {}}, io::Deadline::never());
    if (outcome && outcome->kind == Outcome::Kind::ok) answers.emplace_back(began_us, outcome->body);
    else ++failed;
    co_await io::sleep_us(loop, 700);
  }
}

TEST_F(ScalingTest, UpdatesUnderLoadDropNoCallAndAnswerFromTheNewRevisionAfterTheirAcknowledgement) {
  open({.max_instances_per_function = 4, .memory_budget_mb = 10'000});
  std::vector<std::pair<int64_t, std::string>> answers;
  int failed = 0;
  for (int client = 0; client < 8; ++client) group_.spawn(call_steadily(*invoker_, loop_, 3'000, answers, failed));
  std::vector<std::pair<int64_t, int64_t>> acknowledged{{0, 3}};  // when, which
  for (int64_t revision = 10; revision < 30; ++revision) {
    loop_.run_for(97'000);
    functions::Function changed = make("f");
    changed.timeout_s = revision;
    update(changed);
    acknowledged.emplace_back(loop_.now_us(), revision);
  }
  loop_.wait(group_.drain());
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(answers.size(), 24'000u);
  for (const auto& [began_us, answer] : answers) {
    int64_t current = 0;
    for (const auto& [at_us, revision] : acknowledged)
      if (at_us < began_us) current = revision;
    EXPECT_GE(std::stoll(answer), current);
  }
}

struct Tally {
  std::vector<int64_t> took_us;
  size_t refused = 0, most_waiting = 0;
};

io::Task<void> offer(Invoker& invoker, io::Loop& loop, int64_t patience_us, Tally& tally) {
  int64_t began_us = loop.now_us();
  auto outcome = co_await invoker.invoke(loop, {.request_id = "r", .target = {"s", "f", ""}, .payload = "sleep 10", .http = {}}, io::Deadline::after_us(loop, patience_us));
  if (outcome) tally.took_us.push_back(loop.now_us() - began_us);
  else ++tally.refused;
}

TEST_F(ScalingTest, UnderTenTimesTheLoadAsMuchIsDoneAndWhoIsAcceptedWaitsNoLongerThanTheDeadline) {
  constexpr int64_t kPatienceUs = 2 * kSecond, kSeconds = 8;
  open({.max_instances_per_function = 2, .memory_budget_mb = 1'000, .max_waiting_per_function = 1'024});
  Tally tally;
  for (int64_t i = 0; i < kSeconds * 2'000; ++i) {  // two instances of 10 ms a call do 200 in a second
    group_.spawn(offer(*invoker_, loop_, kPatienceUs, tally));
    loop_.run_for(500);
    if (i % 1'000 == 0) tally.most_waiting = std::max(tally.most_waiting, status().queued);
  }
  auto done = static_cast<int64_t>(tally.took_us.size());
  EXPECT_GE(done, kSeconds * 200 * 9 / 10);
  loop_.wait(group_.drain());
  EXPECT_LE(tally.most_waiting, 1'024u);
  EXPECT_LE(*std::max_element(tally.took_us.begin(), tally.took_us.end()), kPatienceUs + 10'000);
  EXPECT_EQ(tally.took_us.size() + tally.refused, static_cast<size_t>(kSeconds * 2'000));
  EXPECT_EQ(world_.order.size(), tally.took_us.size()) << "nothing is run for a caller who is gone";
}

}  // namespace
}  // namespace mayfly::dispatch
