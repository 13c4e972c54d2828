// Instances that are to be there without calls, the memory they may have, and how both follow what a person changes.

#include "dispatch/budget.h"
#include "dispatch/dispatcher_fixture.h"
#include "dispatch/habits.h"

namespace mayfly::dispatch {
namespace {

constexpr int64_t kSecond = kMicrosPerSecond;

class KeptInstances : public DispatcherTest {
 protected:
  void change(int64_t timeout_s) {
    functions::Function changed = make("f");
    changed.timeout_s = timeout_s;
    update(changed);
  }
  void publish_two() {
    EXPECT_TRUE(loop_.wait(catalogue_->publish(loop_, "s", "")));
    change(9);
    EXPECT_TRUE(loop_.wait(catalogue_->publish(loop_, "s", "")));
  }
  std::map<std::string, int> versions() {
    std::map<std::string, int> out;
    for (const InstanceStatus& each : status().instances) ++out[each.version];
    return out;
  }
};

TEST_F(KeptInstances, ANewRevisionTakesOverAlsoWhereMemoryHoldsNotBoth) {
  open({.max_instances_per_function = 8, .memory_budget_mb = 350});
  put(kProvisionConfig, provision(4));
  loop_.run_for(kSecond);
  EXPECT_EQ(running(), 3u);
  change(9);
  loop_.run_for(10 * kSecond);
  EXPECT_EQ(invoke("revision")->body, "9");
  EXPECT_EQ(running(), 3u);
}

TEST_F(KeptInstances, TheScalersLeastOfANewRevisionAreReadyBeforeTheOldOnesDrain) {
  open({.max_instances_per_function = 8, .memory_budget_mb = 10'000});
  scaling({{"target", 1}, {"min-scale", 2}});
  loop_.run_for(kSecond);
  change(9);
  loop_.run_for(20'000);
  Result meanwhile = invoke("revision");
  EXPECT_EQ(meanwhile->body, "3");
  EXPECT_FALSE(meanwhile->cold);
  loop_.run_for(kSecond);
  EXPECT_EQ(invoke("revision")->body, "9");
}

TEST_F(KeptInstances, WhatScaledToZeroIsNotWokenByChangesOfOthers) {
  scaling({{"target", 1}});
  loop_.run_for(kSecond);
  EXPECT_EQ(running(), 1u) << "initial-scale";
  loop_.run_for(1'000 * kSecond);
  EXPECT_EQ(running(), 0u);
  add("other");
  put(kProvisionConfig, provision(0), limits_name("s", "", "other"));
  loop_.run_for(kSecond);
  EXPECT_EQ(world_.starts, 1u);
  change(9);
  loop_.run_for(kSecond);
  EXPECT_EQ(world_.starts, 2u) << "a new revision begins with its initial scale";
}

TEST_F(KeptInstances, AnAliasFollowsItsWeightsAndItsMaximumIsForAllItsVersions) {
  publish_two();
  EXPECT_TRUE(loop_.wait(catalogue_->create_alias(loop_, "s", {.name = "prod", .version = "1", .additional_weights = {{"2", 0.25}}})));
  open({.max_instances_per_function = 8, .memory_budget_mb = 10'000});
  put(kProvisionConfig, provision(4), limits_name("s", "prod", "f"));
  put(kOnDemandConfig, {{"maximumInstanceCount", 4}}, limits_name("s", "prod", "f"));
  loop_.run_for(kSecond);
  EXPECT_EQ(versions(), (std::map<std::string, int>{{"1", 3}, {"2", 1}}));
  EXPECT_EQ(status().maximum, 4u);
  EXPECT_TRUE(loop_.wait(catalogue_->update_alias(loop_, "s", {.name = "prod", .version = "1", .additional_weights = {{"2", 0.75}}}, "")));
  loop_.run_for(200 * kSecond);
  EXPECT_EQ(versions(), (std::map<std::string, int>{{"1", 1}, {"2", 3}}));
}

TEST_F(KeptInstances, AFullLineOfOneVersionRefusesNobodyWhoMayGetTheOther) {
  publish_two();
  EXPECT_TRUE(loop_.wait(catalogue_->create_alias(loop_, "s", {.name = "prod", .version = "1", .additional_weights = {{"2", 0.5}}})));
  open({.max_instances_per_function = 1, .memory_budget_mb = 10'000, .max_waiting_per_function = 10});
  std::vector<Result> results;
  auto send = [&](const std::string& payload) {
    Invocation invocation = call(payload);
    invocation.target.qualifier = "prod";
    group_.spawn(collect(*invoker_, loop_, std::move(invocation), io::Deadline::never(), results));
  };
  EXPECT_TRUE(loop_.wait(catalogue_->update_alias(loop_, "s", {.name = "prod", .version = "2", .additional_weights = {}}, "")));
  for (int i = 0; i < 12; ++i) send("sleep 10000");
  EXPECT_TRUE(invoker_->crowded({"s", "f", "prod"})) << "there is no other version";
  EXPECT_TRUE(loop_.wait(catalogue_->update_alias(loop_, "s", {.name = "prod", .version = "1", .additional_weights = {{"2", 0.1}}}, "")));
  EXPECT_FALSE(invoker_->crowded({"s", "f", "prod"}));
  loop_.wait(group_.drain());
}

TEST_F(KeptInstances, APolicyThatFollowsAnotherBegins) {
  open({.max_instances_per_function = 10, .memory_budget_mb = 10'000});
  int64_t now_us = loop_.clock().wall_us();
  auto policy = [](const char* name, int64_t least, int64_t from_us, int64_t until_us) {
    return json::object{{"name", name}, {"metricType", "ProvisionedConcurrencyUtilization"}, {"metricTarget", 0.5}, {"minCapacity", least}, {"maxCapacity", 9},
                        {"startTime", iso8601_s(from_us)}, {"endTime", iso8601_s(until_us)}};
  };
  int64_t change_us = now_us + 100 * kSecond;
  json::array policies{policy("day", 5, now_us - kSecond, change_us), policy("night", 1, change_us, now_us + 900 * kSecond)};
  put(kProvisionConfig, {{"target", 0}, {"targetTrackingPolicies", std::move(policies)}});
  loop_.run_for(50 * kSecond);
  EXPECT_EQ(status().minimum, 5u);
  loop_.run_for(300 * kSecond);
  EXPECT_EQ(status().minimum, 1u);
}

TEST_F(KeptInstances, ReservedMemoryThatIsFreeAgainGoesToTheCallThatWaitsForIt) {
  open({.max_instances_per_function = 4, .memory_budget_mb = 350});
  add("g");
  put(kReservedConfig, {{"instances", 1}}, "s/f");
  std::vector<Result> others, mine;
  for (int i = 0; i < 2; ++i) spawn("sleep 300000", others, io::Deadline::never(), "g");
  loop_.run_for(kSecond);
  EXPECT_TRUE(invoke("echo"));
  world_.stop_us = 2 * kSecond;
  change(9);
  spawn("revision", mine, io::Deadline::after_us(loop_, 30 * kSecond));
  loop_.run_for(5 * kSecond);
  ASSERT_EQ(mine.size(), 1u) << "waits though its own memory is free";
  EXPECT_EQ(mine[0]->body, "9");
  loop_.wait(group_.drain());
}

TEST(Share, ItsOwnMemoryThatIsFreeAgainIsToldThoughNobodyElseMayHaveIt) {
  Budget budget(350);
  Share share(budget);
  share.reserve(100);
  EXPECT_TRUE(share.take(100));
  EXPECT_TRUE(share.give_back(100));
  EXPECT_TRUE(share.take(100) && share.take(50));
  EXPECT_FALSE(share.give_back(50)) << "nobody was refused any of what is common";
}

TEST_F(KeptInstances, ACallTakesTheInstanceThatIsPaidForBeforeOneThatWasSqueezed) {
  open({.max_instances_per_function = 4, .memory_budget_mb = 350});
  for (const char* name : {"g", "h"}) add(name);
  put(kProvisionConfig, provision(2));
  loop_.run_for(kSecond);
  put(kProvisionConfig, provision(0));
  invoke("sleep 10");  // says what it needs of its memory; the other never did
  std::vector<Result> others;
  for (const char* name : {"g", "h"}) spawn("sleep 40000", others, io::Deadline::never(), name);
  loop_.run_for(kSecond);
  EXPECT_EQ(status("h").instances.size(), 1u) << "where one was squeezed";
  std::vector<Result> mine;
  spawn("echo", mine);
  loop_.run_for(kSecond);
  ASSERT_EQ(mine.size(), 1u);
  EXPECT_EQ(running(), 2u);
  loop_.wait(group_.drain());
}

TEST_F(KeptInstances, ProvisionedInstancesAreNotSqueezed) {
  open({.max_instances_per_function = 4, .memory_budget_mb = 250});
  add("g");
  put(kProvisionConfig, provision(1));
  loop_.run_for(kSecond);
  invoke("sleep 10");
  std::vector<Result> others;
  for (int i = 0; i < 2; ++i) spawn("sleep 20000", others, io::Deadline::never(), "g");
  loop_.run_for(kSecond);
  EXPECT_EQ(status("g").instances.size(), 1u);
  EXPECT_FALSE(invoke("echo")->cold);
  loop_.wait(group_.drain());
}

TEST_F(KeptInstances, AHabitIsLearntThoughThePoolWasForgottenInBetween) {
  int cold = 0;
  for (int i = 0; i < 20; ++i) {
    cold += invoke("echo")->cold;
    loop_.run_for(900 * kSecond);  // more than DispatchOptions::forget_us
  }
  EXPECT_LE(cold, 1 + Habits::kLeastSamples);
}

TEST_F(KeptInstances, ShutdownDoesNotWaitForACallThatNoInstanceTook) {
  std::vector<Result> results;
  spawn("refuse", results);
  loop_.run_for(world_.start_us + FakeInstance::kRefusalUs / 2);
  int64_t began_us = loop_.now_us();
  loop_.wait(invoker_->stop(loop_, io::Deadline::after_us(loop_, kSecond)));
  EXPECT_LT(loop_.now_us() - began_us, 2 * kSecond);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].error().code, InvokeError::stopping);
  invoker_.reset();
}

}  // namespace
}  // namespace mayfly::dispatch
