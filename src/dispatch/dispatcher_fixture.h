#pragma once
// For tests: a dispatcher on a simulated loop, a catalogue and settings in memory, and instances that are a script (fake_instances.h).

#include <gtest/gtest.h>

#include <filesystem>

#include "dispatch/dispatcher.h"
#include "dispatch/fake_instances.h"
#include "dispatch/limits.h"
#include "functions/fake_code.h"
#include "io/group.h"
#include "io/sim_loop.h"
#include "store/memory_engine.h"
#include "sys/file.h"

namespace mayfly::dispatch {

using Result = Expected<Outcome, InvokeError>;

struct Recorder final : InvocationObserver {
  void started(const Invocation& invocation, const std::string&) override { begun.push_back(invocation.request_id); }
  void finished(const Invocation& invocation, const Outcome& outcome, int64_t) override {
    ids.push_back(invocation.request_id);
    outcomes.push_back(outcome);
  }
  void printed(const Target&, const std::string& request_id, const std::string&, std::string text) override { lines.push_back(request_id + ":" + text); }
  std::vector<std::string> begun, ids, lines;
  std::vector<Outcome> outcomes;
};

inline std::string make_folder() {
  std::string pattern = std::filesystem::temp_directory_path().string() + "/mayfly-dispatch-XXXXXX";
  return ::mkdtemp(pattern.data());
}

inline io::Task<void> collect(Invoker& invoker, io::Loop& loop, Invocation invocation, io::Deadline deadline, std::vector<Result>& out) {
  out.push_back(co_await invoker.invoke(loop, std::move(invocation), deadline));
}

class DispatcherTest : public ::testing::Test {
 protected:
  DispatcherTest() {
    loop_.wait(catalogue_->load(loop_));
    loop_.wait(settings_.load(loop_));
    EXPECT_TRUE(loop_.wait(catalogue_->create_service(loop_, {.name = "s", .role = "acs:ram::1:role/painter"})));
    add("f");
    open({.max_instances_per_function = 2, .memory_budget_mb = 1'000});
  }
  ~DispatcherTest() override {
    if (invoker_) loop_.wait(invoker_->stop(loop_, io::Deadline::after_us(loop_, 0)));
    sys::remove_tree(folder_);
  }
  void open(DispatchOptions options) {
    options.settings = &settings_;
    if (invoker_) loop_.wait(invoker_->stop(loop_, io::Deadline::never()));
    loop_.run_for(0);  // what changes have posted to the one that goes
    invoker_ = make_invoker({{loop_, factory_}}, *catalogue_, keyring_, recorder_, rng_, options);
  }
  functions::Function make(const std::string& name) {
    return {.service = "s", .name = name, .runtime = "python3", .handler = "i.h", .memory_mb = 100, .code = {"d", "77", 1}};
  }
  void add(const std::string& name) { EXPECT_TRUE(loop_.wait(catalogue_->create_function(loop_, make(name)))); }
  void update(functions::Function function) { EXPECT_TRUE(loop_.wait(catalogue_->update_function(loop_, std::move(function), ""))); }
  Invocation call(const std::string& payload, const std::string& function = "f") {
    return {.request_id = "r" + std::to_string(++ids_), .target = {"s", function, ""}, .payload = payload, .http = {}};
  }
  Result invoke(const std::string& payload, const std::string& function = "f") {
    return loop_.wait(invoker_->invoke(loop_, call(payload, function), io::Deadline::never()));
  }
  void spawn(const std::string& payload, std::vector<Result>& out, io::Deadline deadline = io::Deadline::never(), const std::string& function = "f") {
    group_.spawn(collect(*invoker_, loop_, call(payload, function), deadline, out));
  }
  void put(const char* kind, json::object body, const std::string& name = limits_name("s", "", "f")) {
    EXPECT_TRUE(loop_.wait(settings_.put(loop_, kind, name, std::move(body), functions::Settings::Mode::either)));
    loop_.run_for(0);
  }
  json::object provision(int64_t target) { return {{"target", target}}; }
  void scaling(json::object annotations) {
    annotations["autoscaling.knative.dev/class"] = "kpa.autoscaling.knative.dev";
    put(kScalingConfig, {{"annotations", std::move(annotations)}});
  }
  size_t running() { return status().instances.size(); }
  FunctionStatus status(const std::string& function = "f") { return loop_.wait(invoker_->status(loop_, "s", function)); }

  io::SimLoop loop_;
  SeededRng rng_{3};
  std::string folder_ = make_folder();
  auth::Keyring keyring_ = auth::Keyring::open(folder_, rng_);
  std::unique_ptr<store::Engine> engine_ = store::make_memory_engine();
  std::unique_ptr<store::Store> store_ = store::make_inline_store(*engine_);
  functions::FakeCodeStore code_;
  std::unique_ptr<functions::Catalogue> catalogue_ = functions::make_catalogue(*store_, code_, loop_.clock(), rng_);
  functions::Settings settings_{*store_, loop_.clock()};
  FakeWorld world_;
  FakeFactory factory_{loop_, world_};
  Recorder recorder_;
  std::unique_ptr<Dispatcher> invoker_;
  io::TaskGroup group_{loop_};
  int ids_ = 0;
};

}  // namespace mayfly::dispatch
