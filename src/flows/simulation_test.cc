// One execution that uses everything (tasks, retries, catch, foreach, a backward jump, a wait, a callback, a sub-flow) while the power is
// cut at each commit in turn: it ends Succeeded with the right output, every transition is in its history exactly once, every function
// was called at least once for each of its steps, and nothing is left in the queues.
#include "store/simulation.h"

#include <gtest/gtest.h>

#include "flows/rows.h"
#include "flows/test_world.h"

namespace mayfly::flows::test {
namespace {

using store::SimMachine;

constexpr int64_t kPatienceUs = 60 * kMicrosPerSecond;  // simulated: every wait and retry of a life fits into it

constexpr std::string_view kChild = R"(
version: v1
type: flow
steps:
- {type: task, name: c, resourceArn: 'acs:fc:::services/s/functions/child'})";

constexpr std::string_view kMain = R"(
version: v1
type: flow
steps:
- {type: pass, name: init, outputMappings: [{target: marker, source: ''}]}
- type: task
  name: list
  resourceArn: acs:fc:::services/s/functions/list
  inputMappings: [{target: marker, source: $local.marker}]
  retry: [{errors: [FC.ResourceThrottled], intervalSeconds: 2}]
- type: foreach
  name: each
  iterationMapping: {collection: $.keys, item: key}
  steps:
  - type: task
    name: detect
    resourceArn: acs:fc:::services/s/functions/detect
    catch: [{errors: [FnF.ALL], goto: ignored}]
  - {type: pass, name: ignored}
- {type: choice, name: more, choices: [{condition: $.hasMore, goto: list}]}
- {type: wait, name: rest, duration: 5}
- type: task
  name: ask
  resourceArn: acs:fc:::services/s/functions/ask
  pattern: waitForCallback
  inputMappings: [{target: token, source: $context.task.token}]
- {type: task, name: sub, resourceArn: 'acs:fnf:::flow/child', pattern: sync}
- {type: succeed, name: end, outputMappings: [{target: done, source: true}]})";

class OneExecution final : public store::Scenario {
 public:
  explicit OneExecution(uint64_t) {}

  io::Task<void> live(SimMachine& machine) override {
    auto quiet = [](std::exception_ptr) {};
    Functions functions(machine.loop());
    script(functions);
    Engine engine({.loops = {&machine.loop()}, .store = machine.store(), .invoker = functions, .rng = machine.rng(), .options = {.on_fault = quiet}});
    functions.set_flows(&engine);
    engine.start();
    try {
      co_await work(machine, engine);
    } catch (const store::PowerCut&) {
    }
    co_await functions.drain();
    co_await engine.stop(machine.loop());
    settled_ = machine.power().is_on();
    for (const auto& call : functions.calls()) ++calls_[call.function];
  }

  io::Task<std::string> inspect(SimMachine& machine) override {
    auto row = co_await machine.store().get(machine.loop(), execution_key("main", "run"));
    if (!row) co_return started_ ? "the acknowledged execution is gone" : "";
    auto events = co_await read_events(machine);
    for (size_t i = 0; i < events.size(); ++i)
      if (events[i].id != static_cast<int64_t>(i) + 1) co_return fmt::format("event {} is in place {}", events[i].id, i + 1);
    if (!ended_) co_return "";
    Execution run = read_execution(*row).execution;
    if (run.status != Status::succeeded) co_return fmt::format("it ended {} {}", run.error, run.cause);
    if (run.output != R"({"marker":"","keys":["c"],"hasMore":false,"answer":42,"child":1,"done":true})") co_return "its output is " + run.output;
    std::multiset<std::string> seen;
    for (const auto& event : events) seen.insert(types_of({event}));
    if (auto wrong = compare(seen); !wrong.empty()) co_return wrong;
    for (auto [function, times] : {std::pair{"list", 2}, {"detect", 3}, {"ask", 1}, {"child", 1}})
      if (calls_[function] < times) co_return fmt::format("{} was called {} times", function, calls_[function]);
    if (!std::exchange(settled_, false)) co_return "";
    auto messages = co_await machine.store().scan(machine.loop(), {.first = "q", .last = "r"});
    co_return messages.empty() ? "" : "a message is left: " + messages.front().value;
  }

 private:
  // A function knows its page and object, so it answers the same however often it is asked.
  static void script(Functions& functions) {
    functions.answer("list", [](const json::value& input) {
      return string_or(input, "marker").empty() ? R"({"keys":["a","b"],"hasMore":true,"marker":"b"})" : R"({"keys":["c"],"hasMore":false,"marker":""})";
    });
    functions.answer("detect", [](const json::value& input) { return string_or(input, "key") == "b" ? "!error it is no picture" : "@1s {}"; });
    functions.script("ask", R"(@2s report token {"answer":42})");
    functions.script("child", R"({"child":1})");
  }

  io::Task<void> work(SimMachine& machine, Engine& engine) {
    io::Loop& loop = machine.loop();
    for (auto [name, text] : {std::pair{"child", kChild}, {"main", kMain}}) {
      Flow flow{.name = name, .definition = std::string(text)};
      auto made = co_await engine.create_flow(loop, std::move(flow));  // from an earlier life perhaps
    }
    StartRequest request{.flow = "main", .name = "run", .origin = "test"};
    auto started = co_await engine.start(loop, std::move(request));
    if (started) started_ = true;
    auto patience = io::Deadline::after_us(loop, kPatienceUs);
    while (machine.power().is_on() && !patience.passed(loop)) {
      auto run = co_await engine.describe(loop, "main", "run", io::Deadline::after_us(loop, kMicrosPerSecond));
      if (!run) co_await io::sleep_us(loop, kMicrosPerSecond);
      if (run && run->status != Status::running) {
        ended_ = true;
        co_return;
      }
    }
  }

  static io::Task<std::vector<HistoryEvent>> read_events(SimMachine& machine) {
    std::vector<HistoryEvent> out;
    auto rows = co_await store::scan_all(machine.store(), machine.loop(), history_key("main", "run", 0), history_key("main", "run", INT64_MAX));
    for (const auto& row : rows)
      for (auto& event : read_history(row.value)) out.push_back(std::move(event));
    co_return out;
  }

  static std::string compare(const std::multiset<std::string>& seen) {
    static const std::pair<const char*, size_t> kExpected[] = {
        {"ExecutionStarted", 1}, {"ExecutionSucceeded", 1}, {"StepEntered(init)", 1}, {"StepEntered(list)", 2}, {"TaskScheduled(list)", 2},
        {"TaskSucceeded(list)", 2}, {"IterationEntered(each)", 3}, {"IterationExited(each)", 3}, {"TaskScheduled(detect)", 3}, {"TaskSucceeded(detect)", 2},
        {"TaskFailed(detect)", 1}, {"StepExited(detect)", 3}, {"StepExited(ignored)", 3}, {"StepExited(more)", 2}, {"StepSucceeded(rest)", 1},
        {"TaskSucceeded(ask)", 1}, {"TaskSucceeded(sub)", 1}, {"StepExited(end)", 1}};
    for (const auto& [event, times] : kExpected)
      if (seen.count(event) != times) return fmt::format("{} happened {} times", event, seen.count(event));
    for (const char* event : {"TaskSubmitted(ask)", "TaskSubmitted(sub)"})  // after a crash the report may come first
      if (seen.count(event) > 1) return fmt::format("{} happened {} times", event, seen.count(event));
    return "";
  }

  std::map<std::string, int> calls_;
  bool started_ = false, ended_ = false;
  bool settled_ = false;  // the last life stopped in good order
};

std::unique_ptr<store::Scenario> make_one(uint64_t seed) { return std::make_unique<OneExecution>(seed); }

TEST(FlowSimulation, AnExecutionSurvivesACutAtEveryCommit) {
  auto report = store::simulate(store::seeds_from_environment({.seeds = 12}), make_one);
  EXPECT_EQ(report.broken, "");
  EXPECT_GT(report.cuts, 12U * 20U);
  fmt::print("{} runs, {} cuts\n", report.runs, report.cuts);
}

TEST(FlowSimulation, AnOpenOutputGateIsFound) {
  auto report = store::simulate({.seeds = 12, .faults = store::SimFaults{.acknowledge_before_commit = true}}, make_one);
  EXPECT_NE(report.broken, "");
  fmt::print("{}\n", report.broken);
}

}  // namespace
}  // namespace mayfly::flows::test
