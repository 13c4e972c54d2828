#pragma once
// The machine: (definition, state, command) -> state', history events, effects. Pure and synchronous: no clock, no store, no chance;
// time comes in with the command, tokens are derived from the state's secret. aliyun-fnf.md sections 2, 3, 4.5, 4.6 and 8.1.
//
// A command runs every pure step it leads to in the same transition (reliability.md R4.2). Two things bound that:
//   a budget of events and bytes: beyond it the rest stays on the state's agenda and the effect `resume` asks for another command;
//   Limits::pure_jumps: a list that jumps backwards that often without a task or wait ending in between fails the execution.
//
// A command that no longer fits (an attempt that timed out, a token used before) changes nothing: accepted is false.
//
// Choices where the language is not documented: `succeed` inside a choice branch or a loop body returns from the enclosing iteration,
// parallel branch or flow, while `end: true` only ends its own list. A choice branch reads the enclosing list's local behind its own.
// An explicit goto wins over `end`. An uncaught failure is StepFailed on every level up, without StepExited.
//
// Events of a step, in order:
//   any      StepEntered {input, local: the parent's}, StepStarted {input: mapped; choice also: choice, notes} ... StepSucceeded {output}, StepExited {local: the parent's, after}
//   task     TaskScheduled {resourceArn|action, parameters, timeout}, TaskStarted, [TaskSubmitted], TaskSucceeded {output} | TaskFailed {error, cause}
//            | TaskTimedOut | TaskSubmitFailed; again from TaskScheduled for each retry
//   foreach  IterationEntered {index, input} ... IterationExited {index, output} for each item; parallel: Branch...
//   caught   StepFailed {error, cause}, StepExited
// ScheduleEventId is the step's StepEntered; for StepEntered itself the enclosing step's, or 1 (ExecutionStarted).

#include "flows/state.h"

namespace mayfly::flows {

constexpr size_t kMaxDataDepth = 64;       // of an input, local or output, as kMaxJsonDepth
constexpr size_t kMaxConcurrent = 100;     // iterations of one foreach at a time (aliyun-fnf.md section 3)

struct Limits {
  // Input, local and output of a step together. The real service stops at 32 KiB, which its users work around; a page of 1,000 object keys
  // of 200 bytes should fit.
  size_t data_bytes = 256 * 1024;
  size_t slice_events = 2'000;             // per commit: one row of history stays readable
  size_t slice_bytes = 4 * 1024 * 1024;
  int64_t pure_jumps = 10'000;
};

struct Command {
  enum class Kind { start, task_done, report, timer, stop, resume };
  enum class Result { succeeded, failed, submitted };
  Kind kind = Kind::resume;
  int64_t now_us = 0;      // wall clock
  std::string output;      // start: the input; task_done, report succeeded: the result; JSON text
  int64_t step = 0;        // task_done, report, timer
  int attempt = 0;         // task_done, timer
  Result result = Result::succeeded;
  std::string error, cause;  // task_done, report failed; stop
  std::string token;         // report
  TimerKind timer = TimerKind::task;
};

struct TaskRef {
  int64_t step = 0;
  int attempt = 0;
};
struct TimerChange {
  bool set = true;  // or drop
  TimerKind kind = TimerKind::task;
  int64_t due_us = 0, step = 0;
  int attempt = 0;
};

// What came of one or several commands, in order.
struct Applied {
  bool accepted = false;  // of the last one
  std::vector<HistoryEvent> events;
  std::vector<TaskRef> tasks;  // to be sent
  std::vector<TimerChange> timers;
  bool resume = false;         // send Command::Kind::resume
  size_t bytes = 0;            // of event details
};

// A state to which `start` is the first command.
State make_state(std::string flow, std::string execution, std::string secret, std::string callback_token);
// What read_state could not read because it is not stored. Call once, after it.
void restore(const Definition& definition, State& state);
void apply(const Definition& definition, State& state, const Command& command, const Limits& limits, Applied& out);

// What a task needs to be sent; nullopt if the step does not wait for that attempt any more.
struct TaskCall {
  std::string resource, action;
  Pattern pattern = Pattern::request_response;
  std::string input;    // JSON object: the mapped input
  json::value params;   // serviceParams with paths resolved; null if absent
  std::string token;
  double timeout_s = 0;
};
std::optional<TaskCall> task_call(const Definition& definition, const State& state, TaskRef task);

// Callback tokens (aliyun-fnf.md section 4.6): base64 of v1#flow#execution#step#random.
struct TokenAddress {
  std::string flow, execution;
  int64_t step = 0;
};
std::string make_token(const State& state, int64_t step, int attempt);
std::optional<TokenAddress> read_token(std::string_view token);

}  // namespace mayfly::flows
