#include "flows/machine.h"

#include <cmath>

#include "base/encoding.h"
#include "base/hash.h"
#include "flows/machine_walk.h"

namespace mayfly::flows {
namespace {

bool matches(const std::vector<std::string>& errors, const std::string& error) {
  return std::ranges::any_of(errors, [&](const std::string& entry) { return entry == "FnF.ALL" || entry == error || entry == "FC." + error; });
}

std::string failure_detail(const std::string& error, const std::string& cause) {
  return to_text(json::object{{"error", error}, {"cause", cause}});
}

}  // namespace

int64_t Walk::emit(std::string_view type, std::string_view step, int64_t schedule, std::string detail) {
  int64_t id = state_.next_event++;
  out_.bytes += detail.size();
  out_.events.push_back({.id = id, .schedule_id = schedule, .step = std::string(step), .type = std::string(type), .detail = std::move(detail), .time_us = now_us_});
  return id;
}

int64_t Walk::emit(std::string_view type, const StepRun& step, std::string detail) {
  return emit(type, node(step).name, step.id, std::move(detail));
}

void Walk::set_timer(StepRun& step, TimerKind kind, int64_t due_us) {
  step.timer = kind;
  step.timer_due_us = due_us;
  out_.timers.push_back({.set = true, .kind = kind, .due_us = due_us, .step = step.id, .attempt = step.attempt});
}

void Walk::drop_timer(StepRun& step) {
  if (step.timer_due_us == 0) return;
  out_.timers.push_back({.set = false, .kind = step.timer, .due_us = step.timer_due_us, .step = step.id, .attempt = step.attempt});
  step.timer_due_us = 0;
}

void Walk::forget(ListRun& list) {
  if (list.current) forget(*list.current);
  state_.lists.erase(list.id);
}

void Walk::forget(StepRun& step) {
  for (auto& [index, child] : step.children) forget(*child);
  drop_timer(step);
  state_.steps.erase(step.id);
}

void Walk::end_execution(Status status, std::string output, std::string error, std::string cause) {
  if (state_.root) forget(*state_.root);
  if (state_.flow_timer_us != 0) out_.timers.push_back({.set = false, .kind = TimerKind::flow, .due_us = state_.flow_timer_us});
  state_.flow_timer_us = 0;
  state_.root.reset();
  state_.agenda.clear();
  state_.status = status;
  std::string detail = status == Status::succeeded ? fmt::format(R"({{"output":{}}})", output) : failure_detail(error, cause);
  state_.output = std::move(output);
  state_.error = std::move(error);
  state_.cause = std::move(cause);
  emit(fmt::format("Execution{}", to_string(status)), "", 1, std::move(detail));
}

// False, and the execution has failed, if a step's data is beyond the limit. `bytes` is the text of what it is about to hold.
bool Walk::fits(const StepRun& step, size_t bytes) {
  if (bytes <= limits_.data_bytes && !too_deep(*step.input)) return true;
  std::string why = bytes <= limits_.data_bytes ? fmt::format("nests deeper than {} levels", kMaxDataDepth)
                                                : fmt::format("is {} bytes, the limit is {}", bytes, limits_.data_bytes);
  end_execution(Status::failed, "", std::string(kRuntimeError), fmt::format("the data of step '{}' {}", node(step).name, why));
  return false;
}

// The step succeeded; `locals` are what `$local` means in its output mappings, innermost first.
void Walk::finish(StepRun& step, std::vector<const json::value*> locals, NodeId go_to, Ends ends) {
  const Node& node = this->node(step);
  json::value output = json::object();
  if (node.outputs) {
    std::string token = make_token(state_, step.id, step.attempt);
    output = map(*node.outputs, {.self = step.input.get(), .input = step.input.get(), .locals = locals,
                                 .flow = state_.flow, .execution = state_.execution, .token = token});
  } else if (node.type != StepType::foreach && node.type != StepType::parallel) {
    output = *locals.front();
  }
  emit("StepSucceeded", step, fmt::format(R"({{"output":{}}})", to_text(output)));
  json::object& local = step.parent->local.get_object();
  for (const auto& member : output.get_object()) local.insert_or_assign(member.key(), member.value());
  leave(step, go_to, ends);
}

// The step is over: its list goes on at `go_to`, at the next step, or ends.
void Walk::leave(StepRun& step, NodeId go_to, Ends ends) {
  const Node& node = this->node(step);
  ListRun& list = *step.parent;
  std::string local = to_text(list.local);
  size_t bytes = step.input_bytes + local.size();
  emit("StepExited", step, fmt::format(R"({{"local":{}}})", local));
  if (!fits(step, too_deep(list.local) ? SIZE_MAX : bytes)) return;
  forget(step);
  list.current.reset();
  const NodeId next = go_to != kNone ? go_to : node.end || ends == Ends::all ? kNone : node.next;
  if (next == kNone) return list_done(list, ends);
  if (go_to != kNone && definition_.node(go_to).position <= node.position && !jumped(list)) return;
  state_.agenda.push_back({Item::Kind::enter, list.id, next});
}

// Counts a backward jump; false, and the execution has failed, when nothing but jumping has happened for too long.
bool Walk::jumped(ListRun& list) {
  if (++list.pure_jumps <= limits_.pure_jumps) return true;
  end_execution(Status::failed, "", std::string(kRuntimeError),
                fmt::format("a loop jumped back {} times without a task or wait in it", limits_.pure_jumps));
  return false;
}

void Walk::progressed(StepRun& step) {
  for (StepRun* at = &step; at != nullptr; at = at->parent->owner) at->parent->pure_jumps = 0;
}

void Walk::list_done(ListRun& list, Ends ends) {
  if (list.owner == nullptr) {
    json::value output = list.local;
    if (definition_.outputs) {
      output = map(*definition_.outputs, {.self = list.input.get(), .input = list.input.get(), .locals = {&list.local},
                                          .flow = state_.flow, .execution = state_.execution, .token = {}});
    }
    return end_execution(Status::succeeded, to_text(output), "", "");
  }
  StepRun& owner = *list.owner;
  const Node& node = this->node(owner);
  if (!owner.caught && (node.type == StepType::foreach || node.type == StepType::parallel)) return child_done(list);
  if (!owner.caught && node.type == StepType::loop && ends == Ends::list) return begin_loop(owner, &list);
  auto locals = locals_of(definition_, list);
  if (owner.caught) {
    json::object& local = owner.parent->local.get_object();
    for (const auto& member : list.local.get_object()) local.insert_or_assign(member.key(), member.value());
    return leave(owner, ends == Ends::all ? kNone : node.catches[static_cast<size_t>(owner.branch)].go_to, ends);
  }
  const Branch* branch = node.type == StepType::choice ? branch_of(owner) : nullptr;
  finish(owner, std::move(locals), branch != nullptr && ends == Ends::list ? branch->go_to : kNone, ends);
}

// An iteration or a parallel branch has ended.
void Walk::child_done(ListRun& list) {
  StepRun& owner = *list.owner;
  const size_t index = list.index;
  const auto* parallel = std::get_if<ParallelNode>(&node(owner).what);
  json::value output = list.local;
  if (parallel != nullptr && parallel->branches[index].outputs) {
    output = map(*parallel->branches[index].outputs, {.self = list.input.get(), .input = list.input.get(), .locals = {&list.local},
                                                      .flow = state_.flow, .execution = state_.execution, .token = {}});
  }
  emit(parallel != nullptr ? "BranchExited" : "IterationExited", owner, fmt::format(R"({{"index":{},"output":{}}})", index, to_text(output)));
  owner.results[index] = std::move(output);
  forget(list);
  owner.children.erase(index);
  if (owner.next == child_count(owner) && owner.children.empty()) {
    json::value local = std::move(owner.results);
    return finish(owner, {&local});
  }
  if (owner.launching || owner.next == child_count(owner)) return;
  owner.launching = true;
  state_.agenda.push_back({Item::Kind::launch, owner.id, kNone});
}

// Retries are used up or do not apply.
void Walk::fail(StepRun& step, const std::string& error, const std::string& cause) {
  const Node& node = this->node(step);
  emit("StepFailed", step, failure_detail(error, cause));
  for (auto& [index, child] : step.children) forget(*child);
  step.children.clear();
  drop_timer(step);
  if (step.caught || std::ranges::none_of(node.catches, [&](const Catch& entry) { return matches(entry.errors, error); })) {
    StepRun* owner = step.parent->owner;
    if (owner != nullptr) return fail(*owner, error, cause);
    return end_execution(Status::failed, "", error, cause);
  }
  auto entry = std::ranges::find_if(node.catches, [&](const Catch& candidate) { return matches(candidate.errors, error); });
  step.phase = StepRun::Phase::children;
  step.caught = true;
  step.branch = static_cast<int>(entry - node.catches.begin());
  if (const auto* task = std::get_if<TaskNode>(&node.what)) {
    json::value local{{"error", error}, {"cause", cause}};
    json::object& into = step.parent->local.get_object();
    for (auto& member : map(task->error_mappings, {.self = step.input.get(), .input = step.input.get(), .locals = {&local},
                                                   .flow = state_.flow, .execution = state_.execution, .token = {}}))
      into.insert_or_assign(member.key(), member.value());
  }
  if (entry->steps == kNone) return leave(step, entry->go_to, Ends::list);
  ListRun& list = add_list(step, entry->steps, 0);
  state_.agenda.push_back({Item::Kind::enter, list.id, definition_.first(entry->steps)});
}

void Walk::task_failed(StepRun& step, std::string_view event, const std::string& error, const std::string& cause) {
  drop_timer(step);
  emit(event, step, failure_detail(error, cause));
  const auto& retries = std::get<TaskNode>(node(step).what).retry;
  auto entry = std::ranges::find_if(retries, [&](const Retry& candidate) { return matches(candidate.errors, error); });
  if (entry == retries.end()) return fail(step, error, cause);
  step.retried.resize(retries.size());
  int64_t& used = step.retried[static_cast<size_t>(entry - retries.begin())];
  if (used >= entry->max_attempts) return fail(step, error, cause);
  double pause_s = std::min(entry->interval_s * std::pow(entry->multiplier, static_cast<double>(used)), entry->max_interval_s);
  ++used;
  ++step.attempt;
  step.phase = StepRun::Phase::retrying;
  set_timer(step, TimerKind::retry, now_us_ + static_cast<int64_t>(pause_s * kMicrosPerSecond));
}

void Walk::task_succeeded(StepRun& step, const std::string& output) {
  auto local = parse_json(output);
  if (!local || !local->is_object()) {
    return task_failed(step, "TaskFailed", std::string(kInvalidLocal), fmt::format("the result is no JSON object: {}", output.substr(0, 200)));
  }
  drop_timer(step);
  std::string text = to_text(*local);
  size_t bytes = step.input_bytes + text.size();
  emit("TaskSucceeded", step, fmt::format(R"({{"output":{}}})", text));
  if (fits(step, bytes)) finish(step, {&*local});
}

void Walk::start(const Command& command) {
  emit("ExecutionStarted", "", 0, fmt::format(R"({{"input":{}}})", command.output));
  state_.started_us = now_us_;
  json::value input = parse_json(command.output).value_or(json::object());
  if (definition_.inputs) {
    input = map(*definition_.inputs, {.self = &input, .input = &input, .flow = state_.flow, .execution = state_.execution, .token = {}});
  }
  if (definition_.timeout_s > 0) {
    state_.flow_timer_us = now_us_ + static_cast<int64_t>(definition_.timeout_s * kMicrosPerSecond);
    out_.timers.push_back({.set = true, .kind = TimerKind::flow, .due_us = state_.flow_timer_us});
  }
  state_.root = std::make_unique<ListRun>();
  state_.root->id = state_.next_list++;
  state_.root->list = definition_.root;
  state_.root->input = std::make_shared<const json::value>(std::move(input));
  state_.lists[state_.root->id] = state_.root.get();
  state_.agenda.push_back({Item::Kind::enter, state_.root->id, definition_.first(definition_.root)});
}

bool Walk::task_done(const Command& command) {
  auto found = state_.steps.find(command.step);
  if (found == state_.steps.end() || found->second->phase != StepRun::Phase::task || found->second->attempt != command.attempt) return false;
  StepRun& step = *found->second;
  const auto& task = std::get<TaskNode>(node(step).what);
  progressed(step);
  if (command.result == Command::Result::failed) {
    task_failed(step, task.pattern == Pattern::request_response ? "TaskFailed" : "TaskSubmitFailed", command.error, command.cause);
  } else if (command.result == Command::Result::submitted || task.pattern == Pattern::wait_for_callback) {
    step.phase = StepRun::Phase::submitted;
    emit("TaskSubmitted", step, "{}");
  } else {
    task_succeeded(step, command.output);
  }
  return true;
}

bool Walk::report(const Command& command) {
  auto found = state_.steps.find(command.step);
  if (found == state_.steps.end()) return false;
  StepRun& step = *found->second;
  const auto* task = std::get_if<TaskNode>(&node(step).what);
  if (task == nullptr || task->pattern == Pattern::request_response) return false;
  if (step.phase != StepRun::Phase::task && step.phase != StepRun::Phase::submitted) return false;
  if (!equals_constant_time(make_token(state_, step.id, step.attempt), command.token)) return false;
  progressed(step);
  if (command.result == Command::Result::failed) task_failed(step, "TaskFailed", command.error, command.cause);
  else task_succeeded(step, command.output);
  return true;
}

bool Walk::timer(const Command& command) {
  if (command.timer == TimerKind::flow) {
    if (state_.flow_timer_us == 0 || now_us_ < state_.flow_timer_us) return false;
    state_.flow_timer_us = 0;
    end_execution(Status::timed_out, "", std::string(kTaskTimeout), "the execution ran longer than the flow's timeoutSeconds");
    return true;
  }
  auto found = state_.steps.find(command.step);
  if (found == state_.steps.end()) return false;
  StepRun& step = *found->second;
  if (step.timer_due_us == 0 || step.timer != command.timer || step.attempt != command.attempt) return false;
  step.timer_due_us = 0;
  progressed(step);
  static const json::value kEmpty = json::object();
  switch (command.timer) {
    case TimerKind::wait: finish(step, {&kEmpty}); break;
    case TimerKind::retry:
      step.input = step_input(step);  // a new try has a new token
      schedule_task(step);
      break;
    default:
      task_failed(step, "TaskTimedOut", std::string(kTaskTimeout),
                  fmt::format("no result within {} seconds", std::get<TaskNode>(node(step).what).timeout_s));
  }
  return true;
}

bool Walk::stop(const Command& command) {
  end_execution(Status::stopped, "", command.error, command.cause);
  return true;
}

void Walk::run_agenda() {
  while (!state_.agenda.empty() && !state_.ended()) {
    if (out_.events.size() >= limits_.slice_events || out_.bytes >= limits_.slice_bytes) {
      out_.resume = true;
      return;
    }
    Item item = state_.agenda.back();
    state_.agenda.pop_back();
    if (item.kind == Item::Kind::enter) {
      if (auto list = state_.lists.find(item.id); list != state_.lists.end()) enter(*list->second, item.node);
    } else if (auto step = state_.steps.find(item.id); step != state_.steps.end() && step->second->phase == StepRun::Phase::children && !step->second->caught) {
      launch(*step->second);
    }
  }
}

State make_state(std::string flow, std::string execution, std::string secret, std::string callback_token) {
  State state;
  state.flow = std::move(flow);
  state.execution = std::move(execution);
  state.secret = std::move(secret);
  state.callback_token = std::move(callback_token);
  return state;
}

void restore(const Definition& definition, State& state) {
  Applied nothing;
  Limits limits;
  if (state.root && !state.ended()) Walk(definition, state, limits, 0, nothing).restore_list(*state.root);
}

void apply(const Definition& definition, State& state, const Command& command, const Limits& limits, Applied& out) {
  out.accepted = false;
  if (state.ended()) return;
  Walk walk(definition, state, limits, command.now_us, out);
  switch (command.kind) {
    case Command::Kind::start:
      walk.start(command);
      out.accepted = true;
      break;
    case Command::Kind::task_done: out.accepted = walk.task_done(command); break;
    case Command::Kind::report: out.accepted = walk.report(command); break;
    case Command::Kind::timer: out.accepted = walk.timer(command); break;
    case Command::Kind::stop: out.accepted = walk.stop(command); break;
    case Command::Kind::resume: out.accepted = !state.agenda.empty(); break;
  }
  if (out.accepted) walk.run_agenda();
}

}  // namespace mayfly::flows
