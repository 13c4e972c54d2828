// Tasks and plain calls are submitted, run, fail, are stopped and redriven while the power is cut at each commit in turn: what was acknowledged
// is there, a record and its queue never disagree, each task comes to exactly one end, and a stop that was acknowledged holds: of a plain call,
// which has no record, nothing is left, and none of its runs begins afterwards.
#include "store/simulation.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "dispatch/async.h"
#include "dispatch/call_watch.h"
#include "functions/fake_code.h"
#include "io/group.h"
#include "store/keys.h"

namespace mayfly::dispatch {
namespace {

using store::SimFaults;
using store::SimMachine;

constexpr int kTasks = 5;  // per life
constexpr int64_t kPatienceUs = 900 * kMicrosPerSecond;  // simulated: every retry of a life fits into it

// What the observer outside knows of the plain calls, by request id; nothing is noted after a cut.
struct PlainCalls {
  std::set<std::string> sent, in_doubt;      // acknowledged; a cut came before the answer
  std::set<std::string> cancels, cancelled;  // asked for; acknowledged
  std::set<std::string> ended_well;          // runs; of tasks, too
  std::string broken;                        // the first promise that a run broke, in words

  std::set<std::string> all() const {
    std::set<std::string> ids = sent;
    ids.insert(in_doubt.begin(), in_doubt.end());
    return ids;
  }
};

// One life of the rooms. A call's payload says how it ends.
class Rooms final : public Invoker {
 public:
  Rooms(SimMachine& machine, PlainCalls& plain)
      : machine_(machine),
        plain_(plain),
        catalogue_(functions::make_catalogue(machine.store(), code_, machine.loop().clock(), machine.rng())),
        settings_(machine.store(), machine.loop().clock()),
        async_(make_async_invoker({&machine.loop()}, machine.store(), *this, *catalogue_, settings_, machine.rng(), {.on_fault = [](std::exception_ptr) {}})) {}

  AsyncInvoker& async() { return *async_; }

  io::Task<void> open() {
    io::Loop& loop = machine_.loop();
    co_await settings_.load(loop);
    co_await catalogue_->load(loop);
    functions::Service service{.name = "s"};
    auto made = co_await catalogue_->create_service(loop, std::move(service));
    json::object stateful{{"statefulInvocation", true}, {"maxAsyncRetryAttempts", 1}}, plain{{"maxAsyncRetryAttempts", 1}};
    co_await add("f", stateful);
    co_await add("plain", plain);
    co_await async_->start(loop);
  }
  io::Task<void> close() { return async_->stop(machine_.loop()); }

  io::Task<Expected<Outcome, InvokeError>> invoke(io::Loop& loop, Invocation call, io::Deadline) override {
    co_await io::sleep_us(loop, 50'000);
    if (call.watch) call.watch->started("i1");
    if (machine_.power().is_on() && plain_.cancelled.contains(call.request_id) && !call.watch->cancelled()) plain_.broken = call.request_id + " was cancelled and runs";
    io::Signal ended(loop);
    CallWatch::Guard guard(call.watch, loop, [&ended] { ended.set(); });
    if (co_await ended.wait(io::Deadline::after_us(loop, 200'000)) == io::Wait::done) co_return fail(InvokeError::cancelled, "stopped");
    if (call.payload == "busy" && call.retry_count == 0 && machine_.rng().next() % 2 == 0) co_return fail(InvokeError::exhausted, "full");
    if (call.payload == "fail") co_return Outcome{.kind = Outcome::Kind::handled_error, .body = "no"};
    if (machine_.power().is_on()) plain_.ended_well.insert(call.request_id);
    co_return Outcome{.body = "done"};
  }

 private:
  io::Task<void> add(std::string name, json::object config) {
    functions::Function function{.service = "s", .name = name, .runtime = "python3", .handler = "i.h", .code = {"d", "1", 1}};
    auto created = co_await catalogue_->create_function(machine_.loop(), std::move(function));
    auto configured = co_await settings_.put(machine_.loop(), kAsyncConfig, async_config_name("s", "", name), std::move(config), functions::Settings::Mode::either);
  }

  SimMachine& machine_;
  PlainCalls& plain_;
  functions::FakeCodeStore code_;
  std::unique_ptr<functions::Catalogue> catalogue_;
  functions::Settings settings_;
  std::unique_ptr<AsyncInvoker> async_;
};

class TotalTasks final : public store::Scenario {
 public:
  explicit TotalTasks(uint64_t seed) : rng_(seed) {}

  io::Task<void> live(SimMachine& machine) override {
    Rooms rooms(machine, plain_);
    bool opened = false;
    try {
      co_await rooms.open();
      opened = true;
      co_await work(machine, rooms);
    } catch (const store::PowerCut&) {
    }
    if (opened) co_await rooms.close();
    settled_ = opened && machine.power().is_on();
  }

  io::Task<std::string> inspect(SimMachine& machine) override {
    io::Loop& loop = machine.loop();
    std::map<std::string, int> queued, dead;
    for (const auto& row : co_await store::scan_all(machine.store(), loop, "q", "r")) ++queued[queues::read_message(row)->id];
    DeadLetters letters(machine.store(), [] {});
    LetterQuery every{.limit = 10'000};
    for (const DeadLetter& letter : co_await letters.list(loop, every)) ++dead[letter.invocation.request_id];
    Tasks tasks(machine.store());
    TaskQuery all{.service = "s", .function = "f", .status = {}, .limit = 10'000};
    auto page = co_await tasks.list(loop, all);
    std::set<std::string> found, requests;
    for (const TaskRecord& task : page.tasks) {
      found.insert(task.id);
      requests.insert(task.request_id);
      if (std::string problem = judge(task, queued[task.request_id], dead[task.request_id]); !problem.empty()) co_return task.id + " " + problem + history(task);
    }
    for (const auto& [request_id, times] : queued)
      if (times > 0 && !requests.contains(request_id) && !plain_.all().contains(request_id)) co_return request_id + " is queued and no task";
    for (const auto& [id, kind] : sent_)
      if (accepted_.at(id) > 1) co_return id + " was accepted twice";
      else if (!found.contains(id)) co_return id + " was acknowledged and is not there";
    for (const std::string& id : plain_.all())
      if (std::string problem = judge_plain(id, queued[id], dead[id]); !problem.empty()) co_return id + " " + problem;
    if (!plain_.broken.empty()) co_return plain_.broken;
    settled_ = false;
    co_return "";
  }

 private:
  static std::string history(const TaskRecord& task) {
    std::string text;
    for (const TaskEvent& event : task.events) text += fmt::format(", {} at {} ms {}", name_of(event.status), event.at_us / kMicrosPerMilli, event.detail);
    return text;
  }

  std::string judge(const TaskRecord& task, int queued, int dead) const {
    if (!sent_.contains(task.id) && !in_doubt_.contains(task.id)) return "was never sent";
    if (queued != (task.finished() ? 0 : 1)) return fmt::format("is {} and queued {} times", name_of(task.status), queued);
    if (dead != (task.status == TaskStatus::failed ? 1 : 0)) return fmt::format("is {} and has {} dead letters", name_of(task.status), dead);
    int ends = 0;
    for (const TaskEvent& event : task.events) ends += is_final(event.status) ? 1 : 0;
    if (!redriven_ && ends != (task.finished() ? 1 : 0)) return fmt::format("is {} and ended {} times", name_of(task.status), ends);
    using enum TaskStatus;
    if (stops_.contains(task.id) && task.status != stopping && task.status != stopped && task.status != succeeded)
      return fmt::format("was stopped and is {}", name_of(task.status));
    if (settled_ && !task.finished()) return fmt::format("was left {}", name_of(task.status));
    return {};
  }

  std::string judge_plain(const std::string& id, int queued, int dead) const {
    if (queued + dead > 1) return fmt::format("is queued {} times and has {} dead letters", queued, dead);
    if (queued + dead > 0 && plain_.cancelled.contains(id)) return queued > 0 ? "was cancelled and is queued" : "was cancelled and has a dead letter";
    bool may_be_gone = !plain_.sent.contains(id) || plain_.cancels.contains(id) || plain_.ended_well.contains(id);
    if (queued + dead == 0 && !may_be_gone) return "was acknowledged and is not there";
    if (settled_ && queued > 0) return "was left queued";
    return {};
  }

  io::Task<void> work(SimMachine& machine, Rooms& rooms) {
    io::Loop& loop = machine.loop();
    for (int at = 0; at < kTasks; ++at) {
      std::string id = "t" + std::to_string(next_++), kind = std::array{"ok", "fail", "busy"}[rng_.below(3)];
      in_doubt_.insert(id);
      io::TaskGroup senders(loop, [](std::exception_ptr) {});
      size_t at_once = 1 + rng_.below(2);
      for (size_t sender = 0; sender < at_once; ++sender) senders.spawn(submit(rooms, loop, id, kind, sender));
      co_await senders.drain();
      if (!machine.power().is_on()) co_return;
      if (rng_.below(2) == 0) co_await io::sleep_us(loop, static_cast<int64_t>(rng_.below(300'000)));
      if (rng_.below(3) == 0 && co_await stop(rooms, loop, id)) stops_.insert(id);
      if (rng_.below(2) == 0) co_await call_plainly(machine, rooms);
    }
    auto patience = io::Deadline::after_us(loop, kPatienceUs);
    while (machine.power().is_on() && !patience.passed(loop) && (co_await rooms.async().backlog(loop)).queued > 0) co_await io::sleep_us(loop, 500'000);
    if (rng_.below(4) != 0) co_return;
    redriven_ = true;
    co_await rooms.async().letters().redrive(loop, {.limit = 3});
    while (machine.power().is_on() && !patience.passed(loop) && (co_await rooms.async().backlog(loop)).queued > 0) co_await io::sleep_us(loop, 500'000);
  }

  // Of several with one id, one is accepted.
  io::Task<void> submit(Rooms& rooms, io::Loop& loop, std::string id, std::string kind, size_t sender) {
    std::string request_id = fmt::format("{}-from-{}", id, sender);
    AsyncRequest request{.invocation = {.request_id = request_id, .target = {"s", "f", ""}, .payload = kind, .http = {}}, .task_id = id, .once_key = "k-" + request_id};
    auto accepted = co_await rooms.async().submit(loop, std::move(request));
    if (!accepted) co_return;
    in_doubt_.erase(id);
    sent_[id] = kind;
    ++accepted_[id];
  }

  // A call without a record, which may be cancelled while it waits, runs or rests.
  io::Task<void> call_plainly(SimMachine& machine, Rooms& rooms) {
    io::Loop& loop = machine.loop();
    Target target{"s", "plain", ""};
    std::string id = "p" + std::to_string(next_++), kind = std::array{"ok", "fail", "busy"}[rng_.below(3)];
    plain_.in_doubt.insert(id);
    AsyncRequest request{.invocation = {.request_id = id, .target = target, .payload = kind, .http = {}}, .task_id = {}, .once_key = {}};
    auto accepted = co_await rooms.async().submit(loop, std::move(request));
    plain_.in_doubt.erase(id);
    if (!accepted) co_return;
    plain_.sent.insert(id);
    if (rng_.below(2) == 0) co_await io::sleep_us(loop, static_cast<int64_t>(rng_.below(300'000)));
    if (rng_.below(2) != 0) co_return;
    plain_.cancels.insert(id);
    auto cancelled = co_await rooms.async().cancel(loop, target, id);
    if (cancelled && machine.power().is_on()) plain_.cancelled.insert(id);
  }

  static io::Task<bool> stop(Rooms& rooms, io::Loop& loop, std::string id) {
    Target target{"s", "f", ""};
    auto stopped = co_await rooms.async().stop_task(loop, target, id);
    co_return stopped.has_value();
  }

  SeededRng rng_;
  int next_ = 0;
  std::map<std::string, std::string> sent_;  // acknowledged
  std::map<std::string, int> accepted_;      // how often
  std::set<std::string> in_doubt_;           // a cut came before the answer
  std::set<std::string> stops_;              // acknowledged stops
  PlainCalls plain_;
  bool redriven_ = false;
  bool settled_ = false;  // the last life ended in good order, with time enough for everything
};

std::unique_ptr<store::Scenario> make_total_tasks(uint64_t seed) { return std::make_unique<TotalTasks>(seed); }

TEST(AsyncSimulation, TasksAndTheirQueueAgreeWithACutAtEveryCommit) {
  auto report = store::simulate(store::seeds_from_environment({.seeds = 30}), make_total_tasks);
  EXPECT_EQ(report.broken, "");
  EXPECT_GT(report.cuts, report.runs / 2);
  fmt::print("{} runs, {} cuts\n", report.runs, report.cuts);
}

TEST(AsyncSimulation, AnOpenOutputGateIsFoundWithin500Seeds) {
  auto report = store::simulate({.seeds = 500, .faults = SimFaults{.acknowledge_before_commit = true}}, make_total_tasks);
  EXPECT_NE(report.broken, "");
  fmt::print("{}\n", report.broken);
}

TEST(AsyncSimulation, AFenceThatAlwaysHoldsIsFoundWithin500Seeds) {
  auto report = store::simulate({.seeds = 500, .cuts_per_seed = 8, .faults = SimFaults{.ignore_expectations = true}}, make_total_tasks);
  EXPECT_NE(report.broken, "");
  fmt::print("{}\n", report.broken);
}

}  // namespace
}  // namespace mayfly::dispatch
