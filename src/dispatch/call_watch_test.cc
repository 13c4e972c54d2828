#include "dispatch/call_watch.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "dispatch/dispatcher.h"
#include "dispatch/fake_instances.h"
#include "functions/fake_code.h"
#include "io/group.h"
#include "io/sim_loop.h"
#include "store/memory_engine.h"
#include "sys/file.h"

namespace mayfly::dispatch {
namespace {

using Answer = Expected<Outcome, InvokeError>;

struct Silent final : InvocationObserver {
  void started(const Invocation&, const std::string&) override {}
  void finished(const Invocation&, const Outcome& outcome, int64_t) override { bodies.push_back(outcome.body); }
  void printed(const Target&, const std::string&, const std::string&, std::string) override {}
  std::vector<std::string> bodies;
};

std::string make_folder() {
  std::string pattern = std::filesystem::temp_directory_path().string() + "/mayfly-watch-XXXXXX";
  return ::mkdtemp(pattern.data());
}

io::Task<void> collect(Invoker& invoker, io::Loop& loop, Invocation invocation, std::vector<Answer>& out) {
  out.push_back(co_await invoker.invoke(loop, std::move(invocation), io::Deadline::never()));
}

class CallWatchTest : public ::testing::Test {
 protected:
  CallWatchTest() {
    loop_.wait(catalogue_->load(loop_));
    EXPECT_TRUE(loop_.wait(catalogue_->create_service(loop_, {.name = "s"})));
    for (int64_t at_once : {1, 3})
      EXPECT_TRUE(loop_.wait(catalogue_->create_function(
          loop_, {.service = "s", .name = "takes" + std::to_string(at_once), .runtime = "custom", .handler = "h", .instance_concurrency = at_once, .code = {"d", "1", 1}})));
    invoker_ = make_invoker({{loop_, factory_}}, *catalogue_, keyring_, observer_, rng_, {.max_instances_per_function = 1, .memory_budget_mb = 1'000});
  }
  ~CallWatchTest() override {
    loop_.wait(invoker_->stop(loop_, io::Deadline::after_us(loop_, 0)));
    sys::remove_tree(folder_);
  }
  std::shared_ptr<CallWatch> watch() {
    return std::make_shared<CallWatch>([this](const std::string& instance) { started_.push_back(instance); });
  }
  std::shared_ptr<CallWatch> begin(const std::string& payload, std::vector<Answer>& out, const std::string& function = "takes1") {
    auto watched = watch();
    group_.spawn(collect(*invoker_, loop_, {.request_id = "r" + std::to_string(++ids_), .target = {"s", function, ""}, .payload = payload, .http = {}, .watch = watched}, out));
    return watched;
  }

  io::SimLoop loop_;
  SeededRng rng_{3};
  std::string folder_ = make_folder();
  auth::Keyring keyring_ = auth::Keyring::open(folder_, rng_);
  std::unique_ptr<store::Engine> engine_ = store::make_memory_engine();
  std::unique_ptr<store::Store> store_ = store::make_inline_store(*engine_);
  functions::FakeCodeStore code_;
  std::unique_ptr<functions::Catalogue> catalogue_ = functions::make_catalogue(*store_, code_, loop_.clock(), rng_);
  FakeWorld world_;
  FakeFactory factory_{loop_, world_};
  Silent observer_;
  std::unique_ptr<Dispatcher> invoker_;
  io::TaskGroup group_{loop_};
  std::vector<std::string> started_;
  int ids_ = 0;
};

TEST_F(CallWatchTest, EndsARunningCallAndItsInstance) {
  std::vector<Answer> out;
  auto watched = begin("hang", out);
  loop_.run_for(kMicrosPerSecond);
  ASSERT_TRUE(out.empty());
  EXPECT_EQ(started_, std::vector<std::string>{"i1"});
  watched->cancel();
  watched->cancel();
  loop_.run_for(10 * kMicrosPerMilli);
  ASSERT_EQ(out.size(), 1u);
  ASSERT_FALSE(out[0]);
  EXPECT_EQ(out[0].error().code, InvokeError::cancelled);
  EXPECT_EQ(world_.stops, 1u);
  EXPECT_EQ(observer_.bodies, std::vector<std::string>{R"({"errorMessage":"the invocation was stopped on request","errorType":"InvocationEnded"})"});
  auto status = loop_.wait(invoker_->status(loop_, "s", "takes1"));
  EXPECT_EQ(status.errors, 0u);
  EXPECT_EQ(status.last_error, "");
  begin("next", out);
  loop_.run_for(kMicrosPerSecond);
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[1]->body, "next");
}

TEST_F(CallWatchTest, TakesAWaitingCallOutOfTheQueue) {
  std::vector<Answer> first, second, third;
  begin("sleep 2000", first);
  auto watched = begin("never", second);
  begin("third", third);
  loop_.run_for(kMicrosPerSecond);
  watched->cancel();
  loop_.run_for(10 * kMicrosPerMilli);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].error().code, InvokeError::cancelled);
  loop_.run_for(5 * kMicrosPerSecond);
  ASSERT_TRUE(first.size() == 1 && first[0] && third.size() == 1 && third[0]);
  EXPECT_EQ(world_.order, (std::vector<std::string>{"sleep 2000", "third"}));
  EXPECT_EQ(world_.starts, 1u);
}

TEST_F(CallWatchTest, ACallCancelledBeforeItIsMadeNeverRuns) {
  std::vector<Answer> out;
  auto watched = watch();
  watched->cancel();
  group_.spawn(collect(*invoker_, loop_, {.request_id = "r", .target = {"s", "takes1", ""}, .payload = "x", .http = {}, .watch = watched}, out));
  loop_.run_for(kMicrosPerSecond);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].error().code, InvokeError::cancelled);
  EXPECT_TRUE(world_.order.empty());
}

TEST_F(CallWatchTest, CancellingAfterTheAnswerChangesNothing) {
  std::vector<Answer> out;
  auto watched = begin("x", out);
  loop_.run_for(kMicrosPerSecond);
  ASSERT_TRUE(out.size() == 1 && out[0]);
  watched->cancel();
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(world_.stops, 0u);
}

TEST_F(CallWatchTest, OtherCallsOnTheInstanceMayBeTriedAgain) {
  std::vector<Answer> stopped, neighbour;
  auto watched = begin("hang", stopped, "takes3");
  begin("sleep 2500", neighbour, "takes3");
  loop_.run_for(kMicrosPerSecond);
  ASSERT_EQ(started_.size(), 2u);
  watched->cancel();
  loop_.run_for(10 * kMicrosPerMilli);
  ASSERT_TRUE(stopped.size() == 1 && neighbour.size() == 1);
  EXPECT_EQ(stopped[0].error().code, InvokeError::cancelled);
  EXPECT_EQ(neighbour[0].error().code, InvokeError::unavailable);
}

}  // namespace
}  // namespace mayfly::dispatch
