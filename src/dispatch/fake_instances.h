#pragma once
// For tests: instances that are a script. What a function does is its payload: "echo" answers, "sleep N" answers after N ms, "compute N"
// after N ms of the one core that all have, "raise" is a handled error, "die" ends the process, "hang" never answers by itself, "count"
// answers how many calls this instance had, "print X" prints a line first, "revision" answers the function's timeout, after 3 ms, "refuse"
// is not taken, which is known after 50 ms. How a start goes is set on the factory.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "io/sync.h"
#include "runtime/instance.h"

namespace mayfly::dispatch {

struct FakeWorld {
  int64_t start_us = 50'000;  // how long a start takes
  int64_t stop_us = 0;
  std::optional<Failure<runtime::StartError>> start_failure;
  size_t never_taken = 0;  // so many calls find that their instance ended before it took them
  int64_t core_free_us = 0;  // when all that was asked to "compute" until now will have
  size_t starts = 0, running = 0, peak = 0, stops = 0, freezes = 0, forgotten = 0;
  std::vector<std::string> expected;  // functions that may be started soon
  std::vector<std::string> order;  // payloads in the order their calls began
  auth::Credentials last_credentials, start_credentials;  // of the last call, of the last start
};

class FakeInstance final : public runtime::Instance {
 public:
  static constexpr int64_t kRevisionUs = 3'000, kRefusalUs = 50'000;
  FakeInstance(io::Loop& loop, FakeWorld& world, std::string id, runtime::StartContext context)
      : loop_(loop), world_(world), id_(std::move(id)), context_(std::move(context)), ended_(loop) {
    ++world_.running;
    world_.peak = std::max(world_.peak, world_.running);
  }
  ~FakeInstance() override { --world_.running; }
  const std::string& id() const override { return id_; }
  bool alive() const override { return !ended_.is_set(); }
  runtime::StartPhases phases() const override { return {.sandbox_us = world_.start_us}; }
  void die() { ended_.set(); }

  io::Task<runtime::Reply> call(runtime::Call call) override {
    if (world_.never_taken > 0) {
      --world_.never_taken;
      ended_.set();
      co_return runtime::Reply{.kind = runtime::Reply::Kind::not_started};
    }
    world_.order.push_back(call.payload);
    world_.last_credentials = call.credentials;
    ++calls_;
    using Kind = runtime::Reply::Kind;
    if (call.payload.starts_with("print ")) context_.printed(id_, call.request_id, call.payload.substr(6) + "\n");
    if (call.payload == "revision") co_await io::sleep_us(loop_, kRevisionUs);
    if (call.payload == "revision") co_return runtime::Reply{.body = std::to_string(context_.runnable->function.timeout_s)};
    if (call.payload == "count") co_return runtime::Reply{.body = std::to_string(calls_)};
    if (call.payload == "refuse") {
      co_await io::sleep_us(loop_, kRefusalUs);
      ended_.set();
      co_return runtime::Reply{.kind = runtime::Reply::Kind::not_started};
    }
    if (call.payload == "raise") co_return runtime::Reply{.kind = Kind::handled_error, .body = R"({"errorMessage":"no"})"};
    if (call.payload == "die") {
      ended_.set();
      co_return runtime::Reply{.kind = Kind::died, .run_us = 12'000};
    }
    int64_t now_us = loop_.now_us();
    if (call.payload.starts_with("compute ")) {
      world_.core_free_us = std::max(now_us, world_.core_free_us) + std::stoll(call.payload.substr(8)) * 1'000;
      co_await io::sleep_until(loop_, world_.core_free_us);
      co_return runtime::Reply{.body = call.payload, .run_us = loop_.now_us() - now_us};
    }
    int64_t wait_us = call.payload.starts_with("sleep ") ? std::stoll(call.payload.substr(6)) * 1'000 : call.payload == "hang" ? INT64_MAX / 2 : 1;
    int64_t began_us = loop_.now_us();
    io::Deadline done{began_us + wait_us};
    if (co_await ended_.wait(done.sooner(call.deadline)) == io::Wait::done) co_return runtime::Reply{.kind = Kind::died};
    if (call.deadline.at_us <= done.at_us) {
      ended_.set();
      co_return runtime::Reply{.kind = Kind::timed_out, .run_us = loop_.now_us() - began_us};
    }
    co_return runtime::Reply{.body = call.payload, .run_us = wait_us, .memory_bytes = 10 << 20};
  }
  io::Task<void> freeze() override {
    ++world_.freezes;
    co_return;
  }
  io::Task<void> stop(io::Deadline) override {
    ++world_.stops;
    ended_.set();
    if (world_.stop_us > 0) co_await io::sleep_us(loop_, world_.stop_us);
    co_return;
  }

 private:
  io::Loop& loop_;
  FakeWorld& world_;
  std::string id_;
  runtime::StartContext context_;
  io::Signal ended_;
  int calls_ = 0;
};

class FakeFactory final : public runtime::InstanceFactory {
 public:
  FakeFactory(io::Loop& loop, FakeWorld& world) : loop_(loop), world_(world) {}
  io::Task<Expected<std::unique_ptr<runtime::Instance>, runtime::StartError>> start(runtime::StartContext context) override {
    ++world_.starts;
    world_.start_credentials = context.credentials;
    std::string id = "i" + std::to_string(world_.starts);
    context.printed(id, "", "importing\n");
    co_await io::sleep_us(loop_, world_.start_us);
    if (world_.start_failure) co_return std::unexpected(*world_.start_failure);
    auto made = std::make_unique<FakeInstance>(loop_, world_, id, std::move(context));
    last = made.get();
    co_return std::unique_ptr<runtime::Instance>(std::move(made));
  }
  void expect(const functions::Runnable& runnable) override { world_.expected.push_back(runnable.function.name); }
  io::Task<void> forget(std::string, uint64_t) override {
    ++world_.forgotten;
    co_return;
  }
  io::Task<void> stop() override { co_return; }

  FakeInstance* last = nullptr;

 private:
  io::Loop& loop_;
  FakeWorld& world_;
};

}  // namespace mayfly::dispatch
