// Which calls in line are worth another instance: patience.h, alone and in a pool on simulated time (a start takes 50 ms there).

#include "dispatch/patience.h"

#include "dispatch/dispatcher_fixture.h"

namespace mayfly::dispatch {
namespace {

constexpr int64_t kMs = kMicrosPerMilli;

TEST(Patience, IsAsLongAsAStartTakesWithinItsBounds) {
  Patience patience;
  EXPECT_EQ(patience.limit_us(), Patience::kLeastUs) << "of whom nothing is known";
  patience.started(300 * kMs);
  EXPECT_EQ(patience.limit_us(), Patience::kMostUs);
  for (int i = 0; i < 6; ++i) patience.started(8 * kMs);
  EXPECT_NEAR(static_cast<double>(patience.limit_us()), 12.5 * kMs, kMs) << "the first start, which made what the others use, is soon forgotten";
  for (int i = 0; i < 20; ++i) patience.started(1 * kMs);
  EXPECT_EQ(patience.limit_us(), Patience::kLeastUs);
}

TEST(Patience, ExpectsOfACallWhatOthersTookUnlessItIsOfAnotherKind) {
  Patience patience;
  EXPECT_FALSE(patience.knows_runs());
  EXPECT_DOUBLE_EQ(patience.frees_per_us(4'000), 1.0 / 4'000) << "at least what it has taken";
  for (int i = 0; i < 100; ++i) patience.ran(2'000);
  EXPECT_TRUE(patience.knows_runs());
  EXPECT_NEAR(patience.frees_per_us(10), 1.0 / 2'000, 1e-9);
  EXPECT_NEAR(patience.frees_per_us(9'000), 1.0 / 2'000, 1e-9) << "others had the core meanwhile";
  EXPECT_NEAR(patience.frees_per_us(90'000), 1.0 / 90'000, 1e-9);
  for (int i = 0; i < 50; ++i) patience.ran(100'000);
  EXPECT_NEAR(patience.frees_per_us(0), 1.0 / 100'000, 1e-6) << "habits change";
}

TEST(Patience, TriesOneMoreAndKeepsWhatHelps) {
  Patience patience;
  int64_t now_us = 0;
  auto steady = [&](int runs, size_t instances) {
    for (int i = 0; i < runs; ++i) patience.ran(1'000);
    now_us += Patience::kSteadyUs;
    EXPECT_TRUE(patience.saw_enough(now_us));
    return patience.advise(now_us, instances);
  };
  patience.watch(now_us);
  EXPECT_EQ(steady(100, 1), Patience::Advice::one_more);
  patience.tried_one_more(1);
  EXPECT_EQ(steady(180, 2), Patience::Advice::one_more) << "much more was done with two";
  patience.tried_one_more(2);
  EXPECT_EQ(steady(190, 3), Patience::Advice::one_less) << "as much with three";
  EXPECT_EQ(steady(190, 2), Patience::Advice::stay);
  now_us += Patience::kNextTrialUs;
  patience.watch(now_us);
  EXPECT_EQ(steady(190, 2), Patience::Advice::one_more) << "perhaps the calls are others now";
}

TEST(Patience, DoesNotJudgeByAFewCalls) {
  Patience patience;
  patience.watch(0);
  for (uint64_t i = 1; i < Patience::kLeastRuns; ++i) patience.ran(1'000);
  EXPECT_FALSE(patience.saw_enough(10 * Patience::kSteadyUs));
  patience.ran(1'000);
  EXPECT_TRUE(patience.saw_enough(10 * Patience::kSteadyUs));
  EXPECT_FALSE(patience.saw_enough(Patience::kSteadyUs - 1));
}

class PatientPool : public DispatcherTest {
 protected:
  PatientPool() { open({.max_instances_per_function = 6, .memory_budget_mb = 10'000}); }
  // As many calls at the same time, all of them answered.
  void rounds(int count, int at_once, const std::string& payload) {
    std::vector<Result> results;
    for (int i = 0; i < count; ++i) {
      for (int call = 0; call < at_once; ++call) spawn(payload, results);
      loop_.wait(group_.drain());
    }
    EXPECT_EQ(results.size(), static_cast<size_t>(count * at_once));
  }
  std::vector<Result> results_;
};

TEST_F(PatientPool, ACallThatIsServedSoonByARunningInstanceStartsNoOther) {
  invoke("echo");
  rounds(100, 4, "sleep 2");
  EXPECT_EQ(world_.starts, 1u) << "the last of four waits 6 ms, and a start takes 50";
}

TEST_F(PatientPool, LongCallsGetTheirInstancesAtOnceOnceTheyHaveShownIt) {
  invoke("sleep 400");
  for (int call = 0; call < 4; ++call) spawn("sleep 400", results_);
  EXPECT_EQ(world_.starts, 4u);
  int64_t began_us = loop_.now_us();
  loop_.wait(group_.drain());
  EXPECT_EQ(loop_.now_us() - began_us, 450 * kMs) << "a start and a call";
}

TEST_F(PatientPool, OfAFunctionNeverCalledTheFirstInstanceStartsAtOnceAndTheOthersAMomentLater) {
  for (int call = 0; call < 4; ++call) spawn("sleep 400", results_);
  EXPECT_EQ(world_.starts, 1u);
  loop_.run_for(Patience::kMostUs);
  EXPECT_EQ(world_.starts, 4u);
  loop_.wait(group_.drain());
}

TEST_F(PatientPool, ABurstOfShortCallsWakesOneInstanceNotAll) {
  rounds(50, 2, "sleep 1");
  loop_.run_for(600 * kMicrosPerSecond);
  EXPECT_EQ(status().instances.size(), 0u);
  size_t before = world_.starts;
  rounds(1, 6, "sleep 1");
  EXPECT_EQ(world_.starts, before + 1);
}

TEST_F(PatientPool, AnInstanceThatDoesNotComeBackAsItUsuallyDoesIsReplaced) {
  rounds(50, 1, "sleep 2");
  spawn("sleep 9000", results_);
  spawn("sleep 2", results_);
  loop_.run_for(Patience::kMostUs - 1);
  EXPECT_EQ(world_.starts, 1u);
  loop_.run_for(1);
  EXPECT_EQ(world_.starts, 2u) << "a start takes longer than patience lasts at most";
  loop_.run_for(52 * kMs);
  ASSERT_EQ(results_.size(), 1u);
  EXPECT_EQ(results_[0]->phases.queued_us, Patience::kMostUs);
  rounds(20, 1, "sleep 2");
  EXPECT_EQ(world_.starts, 2u);
  loop_.wait(group_.drain());
}

TEST_F(PatientPool, ALineThatIsLongBesideItsCallsStartsAsManyAsItNeeds) {
  rounds(50, 1, "sleep 2");
  for (int call = 0; call < 61; ++call) spawn("sleep 2", results_);
  EXPECT_EQ(world_.starts, 6u) << "120 ms of calls wait, 20 ms of patience for each instance";
  loop_.wait(group_.drain());
  EXPECT_EQ(results_.size(), 61u);
}

io::Task<void> call_again(Invoker& invoker, io::Loop& loop, int calls, std::string payload) {
  for (int i = 0; i < calls; ++i) (void)co_await invoker.invoke(loop, {.request_id = "r", .target = {"s", "f", ""}, .payload = payload, .http = {}}, io::Deadline::never());
}

TEST_F(PatientPool, ALineThatIsNeverEmptyGetsOneInstanceAfterTheOther) {
  invoke("sleep 1");
  for (int client = 0; client < 6; ++client) group_.spawn(call_again(*invoker_, loop_, 2'000, "sleep 1"));
  loop_.run_for(2 * Patience::kSteadyUs);
  EXPECT_EQ(world_.starts, 2u) << "each waits 5 ms only, but there always is one who does";
  loop_.run_for(10 * Patience::kSteadyUs);
  EXPECT_GE(world_.starts, 3u);
  EXPECT_EQ(status().instances.size(), world_.starts) << "each did its share";
  loop_.wait(group_.drain());
}

TEST_F(PatientPool, CallsThatComputeAreNotGivenMoreInstancesThanDoMore) {
  invoke("compute 1");
  for (int client = 0; client < 5; ++client) group_.spawn(call_again(*invoker_, loop_, 2'000, "compute 1"));
  loop_.run_for(9 * kMicrosPerSecond);
  EXPECT_EQ(world_.starts, 2u) << "one was tried";
  EXPECT_EQ(status().instances.size(), 1u) << "and ended: the core did no more with it";
  loop_.wait(group_.drain());
}

TEST_F(PatientPool, WhatIsKeptReadyOrRuledByAScalerIsNoMatterOfPatience) {
  put(kProvisionConfig, {{"target", 3}});
  EXPECT_EQ(world_.starts, 3u);
  put(kScalingConfig, {{"annotations", json::object{{"autoscaling.knative.dev/class", "kpa.autoscaling.knative.dev"}, {"target", "1"}}}}, limits_name("s", "", "g"));
  add("g");
  for (int call = 0; call < 4; ++call) spawn("sleep 1", results_, io::Deadline::never(), "g");
  EXPECT_GE(world_.starts, 3u + 4u);
  loop_.wait(group_.drain());
}

}  // namespace
}  // namespace mayfly::dispatch
