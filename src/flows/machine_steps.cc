#include <cmath>

#include "flows/fdl.h"
#include "flows/machine_walk.h"

namespace mayfly::flows {

std::shared_ptr<const json::value> overlay(const std::shared_ptr<const json::value>& base, const json::value& over) {
  const auto* members = over.if_object();
  if (members == nullptr || members->empty()) return base;
  json::value merged = *base;
  for (const auto& member : *members) merged.get_object().insert_or_assign(member.key(), member.value());
  return std::make_shared<const json::value>(std::move(merged));
}

// A choice's branch, and the steps of a catch entry, see the enclosing list's local behind their own.
std::vector<const json::value*> locals_of(const Definition& definition, const ListRun& list) {
  std::vector<const json::value*> locals{&list.local};
  for (const StepRun* owner = list.owner; owner != nullptr; owner = owner->parent->owner) {
    if (!owner->caught && definition.node(owner->node).type != StepType::choice) break;
    locals.push_back(&owner->parent->local);
  }
  return locals;
}

json::value resolve(const Source& source, const Scope& scope) {
  if (const auto* constant = std::get_if<json::value>(&source)) return *constant;
  return evaluate(std::get<Path>(source), scope).value_or(json::value(nullptr));
}

bool too_deep(const json::value& value, size_t levels) {
  if (!value.is_structured()) return false;
  if (levels == 0) return true;
  if (const auto* array = value.if_array()) return std::ranges::any_of(*array, [&](const json::value& element) { return too_deep(element, levels - 1); });
  return std::ranges::any_of(value.get_object(), [&](const auto& member) { return too_deep(member.value(), levels - 1); });
}

json::object Walk::map(const Mappings& mappings, const Scope& scope) const {
  json::object out;
  for (const auto& mapping : mappings) out.insert_or_assign(mapping.target, resolve(mapping.source, scope));
  return out;
}

Scope Walk::own_scope(const StepRun& step, const std::string& token) const {
  return {.self = step.input.get(), .input = step.input.get(), .locals = locals_of(definition_, *step.parent),
          .flow = state_.flow, .execution = state_.execution, .token = token};
}

std::shared_ptr<const json::value> Walk::step_input(const StepRun& step) const {
  const ListRun& list = *step.parent;
  const Node& node = this->node(step);
  if (!node.inputs) return overlay(list.input, list.local);
  std::string token = make_token(state_, step.id, step.attempt);
  Scope scope{.self = list.input.get(), .input = list.input.get(), .locals = locals_of(definition_, list),
              .flow = state_.flow, .execution = state_.execution, .token = token};
  return std::make_shared<const json::value>(map(*node.inputs, scope));
}

std::shared_ptr<const json::value> Walk::list_input(const StepRun& owner, size_t index) const {
  const Node& node = this->node(owner);
  if (owner.caught) return owner.input;
  if (const auto* loop = std::get_if<ForeachNode>(&node.what)) {
    json::object members{{loop->item, owner.items->get_array()[index]}};
    if (!loop->index.empty()) members[loop->index] = index;
    return overlay(owner.input, members);
  }
  if (const auto* parallel = std::get_if<ParallelNode>(&node.what)) {
    const auto& inputs = parallel->branches[index].inputs;
    if (inputs) return std::make_shared<const json::value>(map(*inputs, own_scope(owner, "")));
  }
  return owner.input;
}

std::shared_ptr<const json::value> Walk::collection(const StepRun& step) const {
  return std::make_shared<const json::value>(resolve(std::get<ForeachNode>(node(step).what).collection, own_scope(step, "")));
}

size_t Walk::child_count(const StepRun& step) const {
  if (const auto* parallel = std::get_if<ParallelNode>(&node(step).what)) return parallel->branches.size();
  return step.items->get_array().size();
}

void Walk::restore_list(ListRun& list) {
  if (list.owner != nullptr) list.input = list_input(*list.owner, list.index);
  if (list.current) restore_step(*list.current);
}

void Walk::restore_step(StepRun& step) {
  step.input = step_input(step);
  step.input_bytes = to_text(*step.input).size();
  if (node(step).type == StepType::foreach && !step.caught) step.items = collection(step);
  for (auto& [index, child] : step.children) restore_list(*child);
}

void Walk::enter(ListRun& list, NodeId id) {
  auto owned = std::make_unique<StepRun>();
  StepRun& step = *owned;
  step.node = id;
  step.parent = &list;
  list.current = std::move(owned);
  step.id = emit("StepEntered", node(step).name, list.owner != nullptr ? list.owner->id : 1,
                 fmt::format(R"({{"input":{},"local":{}}})", to_text(*list.input), to_text(list.local)));
  state_.steps[step.id] = &step;
  step.input = step_input(step);
  std::string input = to_text(*step.input);
  size_t bytes = step.input_bytes = input.size();
  std::string choice = node(step).type == StepType::choice ? choose(step) : "";
  emit("StepStarted", step, fmt::format(R"({{"input":{}{}}})", input, choice));
  if (fits(step, bytes)) begin(step);
}

void Walk::begin(StepRun& step) {
  static const json::value kEmpty = json::object();
  switch (node(step).type) {
    case StepType::pass: return finish(step, {&kEmpty});
    case StepType::succeed: return finish(step, {&kEmpty}, kNone, Ends::all);
    case StepType::task: return schedule_task(step);
    case StepType::choice: return begin_choice(step);
    case StepType::foreach: return begin_foreach(step);
    case StepType::parallel:
      step.results.resize(child_count(step));
      return launch(step);
    case StepType::wait: return begin_wait(step);
    case StepType::loop: return begin_loop(step, nullptr);
    case StepType::fail: {
      const auto& what = std::get<FailNode>(node(step).what);
      auto text = [&](const Source& source) {
        json::value value = resolve(source, own_scope(step, ""));
        return value.is_string() ? std::string(view(value.get_string())) : value.is_null() ? "" : to_text(value);
      };
      return fail(step, text(what.error), text(what.cause));
    }
  }
}

void Walk::schedule_task(StepRun& step) {
  const auto& task = std::get<TaskNode>(node(step).what);
  step.phase = StepRun::Phase::task;
  out_.tasks.push_back({step.id, step.attempt});
  json::object detail{{task.resource.empty() ? "action" : "resourceArn", task_label(task)}, {"parameters", *step.input}};
  if (task.timeout_s > 0) detail["timeout"] = task.timeout_s;
  emit("TaskScheduled", step, to_text(detail));
  emit("TaskStarted", step, "{}");
  if (task.timeout_s > 0) set_timer(step, TimerKind::task, now_us_ + static_cast<int64_t>(task.timeout_s * kMicrosPerSecond));
}

// Decides which branch of a choice runs; what a reader of the history wants to know about it as JSON members to append.
std::string Walk::choose(StepRun& step) {
  const auto& choice = std::get<ChoiceNode>(node(step).what);
  Scope scope = own_scope(step, "");
  std::vector<std::string> notes;
  for (size_t i = 0; i < choice.branches.size() && step.branch == kNone; ++i) {
    if (choice.branches[i].condition->evaluate(scope, state_.next_event - 1, notes)) step.branch = static_cast<int>(i);
  }
  if (step.branch == kNone && choice.otherwise) step.branch = static_cast<int>(choice.branches.size());
  const Branch* taken = branch_of(step);
  json::value taken_name = taken == nullptr ? json::value(nullptr) : json::value(taken->condition ? taken->condition->text() : "default");
  std::string out = R"(,"choice":)" + to_text(taken_name);
  if (!notes.empty()) out += R"(,"notes":)" + to_text(json::value_from(notes));
  return out;
}

const Branch* Walk::branch_of(const StepRun& step) const {
  if (step.branch == kNone) return nullptr;
  const auto& choice = std::get<ChoiceNode>(node(step).what);
  auto index = static_cast<size_t>(step.branch);
  return index < choice.branches.size() ? &choice.branches[index] : &*choice.otherwise;
}

void Walk::begin_choice(StepRun& step) {
  const Branch* taken = branch_of(step);
  if (taken == nullptr || taken->steps == kNone) {
    static const json::value kEmpty = json::object();
    return finish(step, {&kEmpty}, taken != nullptr ? taken->go_to : kNone);
  }
  ListRun& list = add_list(step, taken->steps, 0);
  state_.agenda.push_back({Item::Kind::enter, list.id, definition_.first(taken->steps)});
}

void Walk::begin_foreach(StepRun& step) {
  step.items = collection(step);
  if (!step.items->is_array()) {
    const auto& source = std::get<ForeachNode>(node(step).what).collection;
    return fail(step, std::string(kRuntimeError), fmt::format("the collection {} is no list", std::get<Path>(source).text()));
  }
  step.results.resize(child_count(step));
  if (step.results.empty()) {
    json::value local = std::move(step.results);
    return finish(step, {&local});
  }
  launch(step);
}

// Starts the next child, and leaves an item for the one after it below that child's work, so that children begin in order.
void Walk::launch(StepRun& step) {
  step.launching = false;
  const size_t count = child_count(step);
  if (step.next >= count || step.children.size() >= kMaxConcurrent) return;
  const auto* parallel = std::get_if<ParallelNode>(&node(step).what);
  const size_t index = step.next++;
  ListRun& list = add_list(step, parallel != nullptr ? parallel->branches[index].steps : std::get<ForeachNode>(node(step).what).steps, index);
  if (step.next < count && step.children.size() < kMaxConcurrent) {
    step.launching = true;
    state_.agenda.push_back({Item::Kind::launch, step.id, kNone});
  }
  emit(parallel != nullptr ? "BranchEntered" : "IterationEntered", step, fmt::format(R"({{"index":{},"input":{}}})", index, to_text(*list.input)));
  state_.agenda.push_back({Item::Kind::enter, list.id, definition_.first(list.list)});
}

ListRun& Walk::add_list(StepRun& owner, ListId list, size_t index) {
  auto run = std::make_unique<ListRun>();
  run->id = state_.next_list++;
  run->list = list;
  run->owner = &owner;
  run->index = index;
  run->input = list_input(owner, index);
  ListRun& out = *run;
  state_.lists[out.id] = &out;
  owner.children[index] = std::move(run);
  return out;
}

void Walk::begin_wait(StepRun& step) {
  const auto& wait = std::get<WaitNode>(node(step).what);
  const std::string error(kRuntimeError);
  int64_t due_us = 0;
  if (wait.duration_s) {
    json::value value = resolve(*wait.duration_s, own_scope(step, ""));
    if (value.is_string()) value = parse_json(view(value.get_string())).value_or(json::value(nullptr));
    double seconds = value.is_number() ? value.to_number<double>() : NAN;
    if (!(seconds >= 0 && seconds <= kMaxWaitSeconds)) {
      return fail(step, error, fmt::format("a wait of {} is not between 0 and {} seconds", to_text(value), kMaxWaitSeconds));
    }
    due_us = now_us_ + static_cast<int64_t>(seconds * kMicrosPerSecond);
  } else {
    json::value value = resolve(*wait.timestamp, own_scope(step, ""));
    auto at = value.is_string() ? parse_iso8601(view(value.get_string())) : std::nullopt;
    if (!at) return fail(step, error, fmt::format("{} is no RFC 3339 time", to_text(value)));
    if (static_cast<double>(*at - now_us_) > kMaxWaitSeconds * kMicrosPerSecond) {
      return fail(step, error, fmt::format("a wait until {} is longer than {} seconds", to_text(value), kMaxWaitSeconds));
    }
    due_us = *at;
  }
  if (due_us <= now_us_) {
    static const json::value kEmpty = json::object();
    return finish(step, {&kEmpty});
  }
  step.phase = StepRun::Phase::waiting;
  set_timer(step, TimerKind::wait, due_us);
}

// `body` is nullptr before the first round; conditions see the step's input and what the rounds so far left in the body's local.
void Walk::begin_loop(StepRun& step, ListRun* body) {
  const auto& loop = std::get<LoopNode>(node(step).what);
  static const json::value kEmpty = json::object();
  const json::value& local = body != nullptr ? body->local : kEmpty;
  auto seen = overlay(step.input, local);
  Scope scope = own_scope(step, "");
  scope.self = seen.get();
  std::vector<std::string> notes;
  bool again = body == nullptr || !loop.after || loop.after->evaluate(scope, state_.next_event - 1, notes);
  if (again && loop.before) again = loop.before->evaluate(scope, state_.next_event - 1, notes);
  if (!again) return finish(step, {&local});
  if (body == nullptr) body = &add_list(step, loop.steps, 0);
  else if (!jumped(*body)) return;
  state_.agenda.push_back({Item::Kind::enter, body->id, definition_.first(loop.steps)});
}

}  // namespace mayfly::flows
