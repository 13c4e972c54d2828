#include "flows/state.h"

#include <stdexcept>

namespace mayfly::flows {
namespace {

constexpr size_t kMaxStateDepth = 512;  // kMaxNesting lists of 4 levels each around data of kMaxDataDepth (machine.h), with room

constexpr std::pair<Status, std::string_view> kStatusNames[] = {{Status::starting, "Starting"},   {Status::running, "Running"},
                                                                {Status::stopped, "Stopped"},     {Status::succeeded, "Succeeded"},
                                                                {Status::failed, "Failed"},       {Status::timed_out, "TimedOut"}};

json::object write_list(const ListRun& list);

json::object write_step(const StepRun& step) {
  json::object out{{"i", step.id}, {"n", step.node}, {"p", static_cast<int>(step.phase)}, {"a", step.attempt}};
  if (!step.retried.empty()) out["r"] = json::value_from(step.retried);
  if (step.timer_due_us != 0) {
    out["d"] = step.timer_due_us;
    out["t"] = static_cast<int>(step.timer);
  }
  if (step.branch != kNone) out["b"] = step.branch;
  if (step.caught) out["c"] = true;
  if (!step.results.empty()) out["o"] = step.results;
  if (step.next != 0) out["x"] = step.next;
  if (step.launching) out["l"] = true;
  if (!step.children.empty()) {
    json::array children;
    for (const auto& [index, child] : step.children) children.push_back(write_list(*child));
    out["s"] = std::move(children);
  }
  return out;
}

json::object write_list(const ListRun& list) {
  json::object out{{"i", list.id}, {"l", list.list}, {"x", list.index}};
  if (list.owner == nullptr) out["in"] = *list.input;
  if (const auto* local = list.local.if_object(); local == nullptr || !local->empty()) out["lo"] = list.local;
  if (list.pure_jumps != 0) out["j"] = list.pure_jumps;
  if (list.current) out["c"] = write_step(*list.current);
  return out;
}

std::unique_ptr<ListRun> read_list(const json::value& value, State& state, StepRun* owner);

std::unique_ptr<StepRun> read_step(const json::value& value, State& state, ListRun* parent) {
  auto step = std::make_unique<StepRun>();
  step->parent = parent;
  step->id = value.at("i").as_int64();
  step->node = static_cast<NodeId>(value.at("n").as_int64());
  step->phase = static_cast<StepRun::Phase>(value.at("p").as_int64());
  step->attempt = static_cast<int>(value.at("a").as_int64());
  if (const auto* retried = find(value, "r")) step->retried = json::value_to<std::vector<int64_t>>(*retried);
  step->timer_due_us = int_or(value, "d");
  step->timer = static_cast<TimerKind>(int_or(value, "t", static_cast<int>(TimerKind::task)));
  step->branch = static_cast<int>(int_or(value, "b", kNone));
  step->caught = bool_or(value, "c");
  if (const auto* results = find(value, "o")) step->results = results->as_array();
  step->next = static_cast<size_t>(int_or(value, "x"));
  step->launching = bool_or(value, "l");
  if (const auto* children = find(value, "s"))
    for (const auto& child : children->as_array()) {
      auto list = read_list(child, state, step.get());
      size_t index = list->index;
      step->children[index] = std::move(list);
    }
  state.steps[step->id] = step.get();
  return step;
}

std::unique_ptr<ListRun> read_list(const json::value& value, State& state, StepRun* owner) {
  auto list = std::make_unique<ListRun>();
  list->owner = owner;
  list->id = value.at("i").as_int64();
  list->list = static_cast<ListId>(value.at("l").as_int64());
  list->index = static_cast<size_t>(value.at("x").as_int64());
  if (owner == nullptr) list->input = std::make_shared<const json::value>(value.at("in"));
  if (const auto* local = find(value, "lo")) list->local = *local;
  list->pure_jumps = int_or(value, "j");
  if (const auto* current = find(value, "c")) list->current = read_step(*current, state, list.get());
  state.lists[list->id] = list.get();
  return list;
}

}  // namespace

std::string_view to_string(Status status) {
  for (const auto& [value, name] : kStatusNames)
    if (value == status) return name;
  return "";
}

std::optional<Status> parse_status(std::string_view text) {
  for (const auto& [value, name] : kStatusNames)
    if (name == text) return value;
  return std::nullopt;
}

std::string write_state(const State& state) {
  json::object out{{"flow", state.flow}, {"execution", state.execution}, {"secret", state.secret}, {"status", to_string(state.status)},
                   {"started", state.started_us}, {"sequence", state.sequence}, {"event", state.next_event}, {"list", state.next_list}};
  if (!state.callback_token.empty()) out["callback"] = state.callback_token;
  if (state.flow_timer_us != 0) out["timer"] = state.flow_timer_us;
  if (state.root) out["root"] = write_list(*state.root);
  if (!state.agenda.empty()) {
    json::array agenda;
    for (const auto& item : state.agenda) agenda.push_back({static_cast<int>(item.kind), item.id, item.node});
    out["agenda"] = std::move(agenda);
  }
  return json::serialize(out);
}

State read_state(std::string_view text) {
  json::parse_options options;
  options.max_depth = kMaxStateDepth;
  boost::system::error_code error;
  std::optional<json::value> value = json::parse(text, error, {}, options);
  if (error) throw std::runtime_error("an execution's state row is damaged: " + error.message());
  State state;
  state.flow = string_or(*value, "flow");
  state.execution = string_or(*value, "execution");
  state.secret = string_or(*value, "secret");
  state.callback_token = string_or(*value, "callback");
  state.status = parse_status(string_or(*value, "status")).value_or(Status::running);
  state.started_us = value->at("started").as_int64();
  state.flow_timer_us = int_or(*value, "timer");
  state.sequence = value->at("sequence").as_int64();
  state.next_event = value->at("event").as_int64();
  state.next_list = value->at("list").as_int64();
  if (const auto* root = find(*value, "root")) state.root = read_list(*root, state, nullptr);
  if (const auto* agenda = find(*value, "agenda"))
    for (const auto& item : agenda->as_array())
      state.agenda.push_back({static_cast<Item::Kind>(item.at(0).as_int64()), item.at(1).as_int64(), static_cast<NodeId>(item.at(2).as_int64())});
  return state;
}

}  // namespace mayfly::flows
