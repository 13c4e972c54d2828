#pragma once
// The inside of machine.h: one Walk applies one command to a state. Steps and lists are named by id on the agenda, so that work for
// something that was cancelled meanwhile finds nothing and is dropped.

#include "flows/machine.h"

namespace mayfly::flows {

class Walk {
 public:
  Walk(const Definition& definition, State& state, const Limits& limits, int64_t now_us, Applied& out)
      : definition_(definition), state_(state), limits_(limits), now_us_(now_us), out_(out) {}

  void start(const Command& command);
  bool task_done(const Command& command);
  bool report(const Command& command);
  bool timer(const Command& command);
  bool stop(const Command& command);
  void run_agenda();

  void restore_list(ListRun& list);

 private:
  enum class Ends { list, all };  // what a finished step ends besides itself: nothing more than its list says, or (succeed) every choice and loop around it too

  // machine.cc: ends of things
  int64_t emit(std::string_view type, std::string_view step, int64_t schedule, std::string detail);
  int64_t emit(std::string_view type, const StepRun& step, std::string detail);
  void end_execution(Status status, std::string output, std::string error, std::string cause);
  void finish(StepRun& step, std::vector<const json::value*> locals, NodeId go_to = kNone, Ends ends = Ends::list);
  void leave(StepRun& step, NodeId go_to, Ends ends);
  void list_done(ListRun& list, Ends ends);
  void child_done(ListRun& list);
  void fail(StepRun& step, const std::string& error, const std::string& cause);
  void task_failed(StepRun& step, std::string_view event, const std::string& error, const std::string& cause);
  void task_succeeded(StepRun& step, const std::string& output);
  void progressed(StepRun& step);
  void forget(ListRun& list);
  void forget(StepRun& step);
  void set_timer(StepRun& step, TimerKind kind, int64_t due_us);
  void drop_timer(StepRun& step);
  bool jumped(ListRun& list);
  bool fits(const StepRun& step, size_t bytes);

  // machine_steps.cc: beginnings of things
  void enter(ListRun& list, NodeId id);
  void begin(StepRun& step);
  std::string choose(StepRun& step);
  const Branch* branch_of(const StepRun& step) const;  // of a choice; nullptr if none was taken
  void begin_choice(StepRun& step);
  void begin_foreach(StepRun& step);
  void begin_wait(StepRun& step);
  void begin_loop(StepRun& step, ListRun* body);
  void schedule_task(StepRun& step);
  void launch(StepRun& step);
  ListRun& add_list(StepRun& owner, ListId list, size_t index);
  std::shared_ptr<const json::value> step_input(const StepRun& step) const;
  std::shared_ptr<const json::value> list_input(const StepRun& owner, size_t index) const;
  std::shared_ptr<const json::value> collection(const StepRun& step) const;
  void restore_step(StepRun& step);

  const Node& node(const StepRun& step) const { return definition_.node(step.node); }
  Scope own_scope(const StepRun& step, const std::string& token) const;
  json::object map(const Mappings& mappings, const Scope& scope) const;
  size_t child_count(const StepRun& step) const;

  const Definition& definition_;
  State& state_;
  const Limits& limits_;
  int64_t now_us_;
  Applied& out_;
};

// `base` with every top-level member of `over`; shares `base` if there are none.
std::shared_ptr<const json::value> overlay(const std::shared_ptr<const json::value>& base, const json::value& over);
// The locals a place in `list` sees, innermost first.
std::vector<const json::value*> locals_of(const Definition& definition, const ListRun& list);
json::value resolve(const Source& source, const Scope& scope);
bool too_deep(const json::value& value, size_t levels = kMaxDataDepth);

constexpr std::string_view kRuntimeError = "FnF.RuntimeError";
constexpr std::string_view kInvalidLocal = "FnF.InvalidLocal";
constexpr std::string_view kTaskTimeout = "FnF.TaskTimeout";

}  // namespace mayfly::flows
