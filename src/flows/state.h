#pragma once
// State of one execution between two commits: the tree of step lists that are being walked, each with the step it stands on. What can
// be computed again from the definition is not stored: a step's input follows from its parent's input and local, which cannot change
// while the step runs; an iteration's input follows from its collection. So a row stays small whatever flows through it.
//
// A plain value owned by whoever works the execution (engine's partition); machine.h is the only code that changes it.

#include <deque>
#include <map>
#include <memory>
#include <unordered_map>

#include "flows/definition.h"
#include "flows/flows.h"

namespace mayfly::flows {

struct ListRun;

enum class TimerKind : char {
  flow = 'f',     // the execution's timeoutSeconds
  task = 't',     // a task's timeoutSeconds
  retry = 'r',    // the pause before another try
  wait = 'w',     // a wait step
};

// One step being executed.
struct StepRun {
  enum class Phase : char {
    children = 'c',   // lists below it run
    task = 't',       // its task was sent and has not answered
    submitted = 's',  // the task answered; a report on its token ends the step
    retrying = 'r',   // waits to try again
    waiting = 'w',    // a wait step
  };
  int64_t id = 0;  // its StepEntered event
  NodeId node = kNone;
  ListRun* parent = nullptr;
  std::shared_ptr<const json::value> input;  // not stored
  size_t input_bytes = 0;                    // of its text, counted when the step began; not stored
  Phase phase = Phase::children;
  int attempt = 1;
  std::vector<int64_t> retried;   // retries used, per retry entry
  int64_t timer_due_us = 0;       // 0: none pending
  TimerKind timer = TimerKind::task;
  int branch = kNone;             // choice: the branch that runs, number of branches for default; catch entry when `caught`
  bool caught = false;            // a catch entry's steps run
  json::array results;            // foreach, parallel: outputs by index
  size_t next = 0;                // foreach, parallel: the next child to start
  std::shared_ptr<const json::value> items;  // foreach: the collection, not stored
  bool launching = false;         // an Item::launch for it is on the agenda
  std::map<size_t, std::unique_ptr<ListRun>> children;  // by index
};

// One run of a list of steps: the flow's own, a branch, an iteration.
struct ListRun {
  int64_t id = 0;
  ListId list = kNone;
  StepRun* owner = nullptr;  // nullptr: the flow's own
  size_t index = 0;          // among the owner's children
  std::shared_ptr<const json::value> input;  // stored only for the flow's own
  json::value local = json::object();
  int64_t pure_jumps = 0;  // backward jumps since a task or wait in it last ended (machine.h)
  std::unique_ptr<StepRun> current;
};

// Work left when a transition used up its budget (machine.h); done by the next command.
struct Item {
  enum class Kind : char { enter = 'e', launch = 'l' };
  Kind kind = Kind::enter;
  int64_t id = 0;       // of the list to enter, or of the step whose next child is to start
  NodeId node = kNone;  // enter: the step
};

struct State {
  std::string flow, execution;
  std::string secret;          // hex; task tokens are derived from it
  std::string callback_token;  // told of the end, may be empty
  Status status = Status::running;
  std::string output, error, cause;  // once ended
  int64_t started_us = 0;
  int64_t flow_timer_us = 0;   // due time of the execution's own timeout, 0: none
  int64_t sequence = 0;        // commits so far
  int64_t next_event = 1;
  int64_t next_list = 1;
  std::unique_ptr<ListRun> root;
  std::vector<Item> agenda;    // last first

  // Not stored: everything alive, by id.
  std::unordered_map<int64_t, StepRun*> steps;
  std::unordered_map<int64_t, ListRun*> lists;

  bool ended() const { return status != Status::starting && status != Status::running; }
};

std::string write_state(const State& state);
// Throws std::runtime_error on a row that write_state did not make (a damaged store): there is nothing to go on with.
State read_state(std::string_view text);

std::string_view to_string(Status status);  // "Running", ... as the API spells it
std::optional<Status> parse_status(std::string_view text);

}  // namespace mayfly::flows
