#pragma once
// A node's worth of flows on one simulated loop, for tests: a store that outlives a crash, an engine that does not, and functions that
// answer by script.
//
// A script is a list of replies per function; each call takes the next one and the last one stays:
//   {"a":1}              the function's result
//   !Type some words     it raised an error of that type
//   #throttled #exhausted #unavailable #not_found #stopping #died #oom #timeout
//   report FIELD {...}   it reports success on the token in FIELD of its input; its own result is {}
//   reportfail FIELD Type words
// "@3s" before any of them: after that time (a report: the function returns at once and reports later).

#include "flows/engine.h"
#include "io/sim_loop.h"
#include "store/memory_engine.h"

namespace mayfly::flows::test {

struct Call {
  std::string function, qualifier, payload;
  int64_t at_us = 0;  // since the world began
};

class Functions final : public dispatch::Invoker {
 public:
  // A report that fails with an exception (the power is cut) is dropped without a word.
  explicit Functions(io::Loop& loop) : loop_(loop), group_(loop, [](std::exception_ptr) {}), began_us_(loop.now_us()) {}
  void script(const std::string& function, std::string reply) { replies_[function].push_back(std::move(reply)); }
  // The reply as a function of the input, instead of a list.
  void answer(const std::string& function, std::function<std::string(const json::value&)> reply) { answers_[function] = std::move(reply); }
  void set_flows(Flows* flows) { flows_ = flows; }
  const std::vector<Call>& calls() const { return calls_; }
  io::Task<void> drain() { return group_.drain(); }

  io::Task<Expected<dispatch::Outcome, dispatch::InvokeError>> invoke(io::Loop& loop, dispatch::Invocation invocation, io::Deadline deadline) override;

 private:
  std::string next_reply(const std::string& function, const std::string& payload);
  io::Task<void> report(int64_t delay_us, std::string token, std::string reply);

  io::Loop& loop_;
  io::TaskGroup group_;
  int64_t began_us_;
  Flows* flows_ = nullptr;
  std::map<std::string, std::deque<std::string>> replies_;
  std::map<std::string, std::function<std::string(const json::value&)>> answers_;
  std::vector<Call> calls_;
};

class World {
 public:
  explicit World(PartitionOptions options = {}) : options_(options), functions_(loop_) { boot(); }
  ~World() { halt(); }

  io::SimLoop& loop() { return loop_; }
  Functions& functions() { return functions_; }
  Engine& flows() { return *engine_; }
  store::Store& store() { return *store_; }

  void boot();
  void halt();  // an orderly stop; rows stay
  void restart() {
    halt();
    boot();
  }

  Flow create(std::string name, std::string definition);
  Execution run(std::string flow, std::string input = "{}", std::string name = "run");  // starts it and waits for its end
  std::vector<HistoryEvent> history(std::string flow, std::string name = "run");

 private:
  PartitionOptions options_;
  io::SimLoop loop_;
  std::unique_ptr<store::Engine> rows_ = store::make_memory_engine();
  std::unique_ptr<store::Store> store_;
  SeededRng rng_{7};
  Functions functions_;
  std::unique_ptr<Engine> engine_;
};

// "Type(step) Type ..." of a history.
std::string types_of(const std::vector<HistoryEvent>& events);
// "3s", "1.5s", "200ms", "2h" as microseconds.
int64_t parse_span(std::string_view text);

}  // namespace mayfly::flows::test
