#include "flows/fdl.h"

#include "flows/fdl_fields.h"
#include "flows/yaml.h"

namespace mayfly::flows {
namespace {

constexpr std::pair<std::string_view, StepType> kTypes[] = {
    {"pass", StepType::pass}, {"task", StepType::task}, {"choice", StepType::choice}, {"foreach", StepType::foreach}, {"parallel", StepType::parallel},
    {"wait", StepType::wait}, {"succeed", StepType::succeed}, {"fail", StepType::fail}, {"loop", StepType::loop}};
constexpr size_t kMaxNameBytes = 128;  // aliyun-fnf.md section 1
constexpr double kMaxRetries = 1'000'000;  // a number somebody may mean; the year's limit of an execution ends it anyway
constexpr double kMaxIntervalSeconds = 86'400;  // aliyun-fnf.md section 3.2

bool is_name(std::string_view name) {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  if (name.empty() || name.size() > kMaxNameBytes || !letter(name.front())) return false;
  return std::ranges::all_of(name, [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '-'; });
}

// Resolves to a sibling once the whole list is known.
struct PendingGoto {
  ListId list;
  std::string target, where;
  enum class Of { choice, otherwise, handler } of;
  NodeId node;
  size_t index;  // of the branch or the catch entry
};

class Parser {
 public:
  Result<Definition> parse(const json::value& document) {
    MAYFLY_TRY(auto top, Fields::of(document, ""));
    MAYFLY_TRY(std::string version, top.text("version"));
    if (version != "v1" && version != "v1beta1") return bad("version", "must be v1 or v1beta1");
    MAYFLY_TRY(std::string type, top.text("type"));
    if (type != "flow") return bad("type", "must be flow");
    MAYFLY_TRY(out_.inputs, top.mappings("inputMappings"));
    MAYFLY_TRY(out_.outputs, top.mappings("outputMappings"));
    MAYFLY_TRY(out_.timeout_s, top.number("timeoutSeconds", 0, 1, kMaxTimeoutSeconds));
    MAYFLY_TRY(out_.root, steps(top, 0));
    if (out_.root == kNone) return bad("steps", "a flow needs at least one step");
    for (std::string_view known : {"name", "description"}) top.get(known);
    top.warn_unknown(out_.warnings);
    MAYFLY_TRY_VOID(resolve());
    MAYFLY_TRY_VOID(refuse_certain_spin());
    return std::move(out_);
  }

 private:
  // The list in field "steps"; kNone if absent or empty.
  Result<ListId> steps(Fields& fields, int depth) {
    if (depth >= kMaxNesting) return bad(fields.at("steps"), fmt::format("steps nest deeper than {} levels", kMaxNesting));
    MAYFLY_TRY(const json::array* array, fields.array("steps"));
    if (array == nullptr || array->empty()) return kNone;
    auto list = static_cast<ListId>(out_.lists.size());
    out_.lists.emplace_back();
    std::set<std::string, std::less<>> names;
    for (size_t i = 0; i < array->size(); ++i) {
      std::string where = fmt::format("{}[{}]", fields.at("steps"), i);
      MAYFLY_TRY(NodeId node, step((*array)[i], where, list, depth));
      const std::string& name = out_.node(node).name;
      if (!names.insert(name).second) return bad(where + ".name", fmt::format("'{}' names two steps of this list", name));
      auto& siblings = out_.lists[static_cast<size_t>(list)];
      out_.nodes[static_cast<size_t>(node)].position = static_cast<int>(siblings.size());
      if (!siblings.empty()) out_.nodes[static_cast<size_t>(siblings.back())].next = node;
      siblings.push_back(node);
    }
    return list;
  }

  Result<NodeId> step(const json::value& value, const std::string& where, ListId list, int depth) {
    if (out_.nodes.size() >= kMaxNodes) return bad(where, fmt::format("a flow has at most {} steps", kMaxNodes));
    MAYFLY_TRY(auto fields, Fields::of(value, where));
    auto id = static_cast<NodeId>(out_.nodes.size());
    out_.nodes.emplace_back();
    Node node{.where = where, .list = list};
    MAYFLY_TRY(std::string type, fields.text("type"));
    const auto* known = std::ranges::find(kTypes, type, &std::pair<std::string_view, StepType>::first);
    if (known == std::end(kTypes)) return bad(fields.at("type"), type.empty() ? "missing" : fmt::format("'{}' is no step type", type));
    node.type = known->second;
    MAYFLY_TRY(node.name, fields.text("name"));
    if (!is_name(node.name)) return bad(fields.at("name"), "must be 1 to 128 characters [A-Za-z_][A-Za-z0-9_-]*");
    MAYFLY_TRY(node.inputs, fields.mappings("inputMappings"));
    MAYFLY_TRY(node.outputs, fields.mappings("outputMappings"));
    MAYFLY_TRY(node.end, fields.boolean("end", false));
    fields.get("description");
    MAYFLY_TRY_VOID(body(node, fields, id, depth));
    fields.warn_unknown(out_.warnings);
    out_.nodes[static_cast<size_t>(id)] = std::move(node);
    return id;
  }

  Result<void> body(Node& node, Fields& fields, NodeId id, int depth) {
    switch (node.type) {
      case StepType::pass:
      case StepType::succeed: return {};
      case StepType::task: return task(node, fields, id, depth);
      case StepType::choice: return choice(node, fields, id, depth);
      case StepType::foreach: return foreach_step(node, fields, id, depth);
      case StepType::parallel: return parallel(node, fields, id, depth);
      case StepType::wait: return wait(node, fields);
      case StepType::fail: return fail_step(node, fields);
      case StepType::loop: return loop(node, fields, id, depth);
    }
    return {};
  }

  Result<void> task(Node& node, Fields& fields, NodeId id, int depth) {
    TaskNode task;
    MAYFLY_TRY(task.resource, fields.text("resourceArn"));
    MAYFLY_TRY(task.action, fields.text("action"));
    if (task.resource.empty() == task.action.empty()) return bad(fields.at("resourceArn"), "a task has either a resourceArn or an action");
    MAYFLY_TRY(std::string pattern, fields.text("pattern", "requestResponse"));
    if (pattern == "sync") task.pattern = Pattern::sync;
    else if (pattern == "waitForCallback") task.pattern = Pattern::wait_for_callback;
    else if (pattern != "requestResponse") return bad(fields.at("pattern"), "must be requestResponse, sync or waitForCallback");
    MAYFLY_TRY(task.timeout_s, fields.number("timeoutSeconds", 0, 1, kMaxTimeoutSeconds));
    if (const json::value* params = fields.get("serviceParams")) {
      if (!params->is_object()) return bad(fields.at("serviceParams"), "must be an object");
      MAYFLY_TRY_VOID(check_params(*params, fields.at("serviceParams")));
      task.params = *params;
    }
    MAYFLY_TRY(auto error_mappings, fields.mappings("errorMappings"));
    if (error_mappings) task.error_mappings = std::move(*error_mappings);
    MAYFLY_TRY(task.retry, retries(fields));
    MAYFLY_TRY_VOID(catches(node, fields, id, depth));
    node.what = std::move(task);
    return {};
  }

  static Result<void> check_params(const json::value& value, const std::string& where) {
    if (const auto* text = value.if_string(); text != nullptr && view(*text).starts_with('$')) {
      if (auto path = Path::parse(view(*text)); !path) return bad(where, path.error().message);
    }
    if (const auto* object = value.if_object())
      for (const auto& member : *object) MAYFLY_TRY_VOID(check_params(member.value(), fmt::format("{}.{}", where, std::string_view(member.key()))));
    if (const auto* array = value.if_array())
      for (size_t i = 0; i < array->size(); ++i) MAYFLY_TRY_VOID(check_params((*array)[i], fmt::format("{}[{}]", where, i)));
    return {};
  }

  Result<std::vector<Retry>> retries(Fields& fields) {
    std::vector<Retry> out;
    MAYFLY_TRY(const json::array* array, fields.array("retry"));
    for (size_t i = 0; array != nullptr && i < array->size(); ++i) {
      MAYFLY_TRY(auto entry, Fields::of((*array)[i], fmt::format("{}[{}]", fields.at("retry"), i)));
      Retry retry;
      MAYFLY_TRY(retry.errors, entry.texts("errors"));
      if (retry.errors.empty()) return bad(entry.at("errors"), "needs at least one error name");
      MAYFLY_TRY(retry.interval_s, entry.number("intervalSeconds", 1, 0, kMaxIntervalSeconds));
      MAYFLY_TRY(double attempts, entry.number("maxAttempts", 3, 0, kMaxRetries));
      retry.max_attempts = static_cast<int64_t>(attempts);
      MAYFLY_TRY(retry.multiplier, entry.number("multiplier", 2, 1, 1000));
      MAYFLY_TRY(retry.max_interval_s, entry.number("maxIntervalSeconds", kMaxIntervalSeconds, 0, kMaxIntervalSeconds));
      entry.warn_unknown(out_.warnings);
      out.push_back(std::move(retry));
    }
    return out;
  }

  Result<void> catches(Node& node, Fields& fields, NodeId id, int depth) {
    MAYFLY_TRY(const json::array* array, fields.array("catch"));
    for (size_t i = 0; array != nullptr && i < array->size(); ++i) {
      MAYFLY_TRY(auto entry, Fields::of((*array)[i], fmt::format("{}[{}]", fields.at("catch"), i)));
      Catch handler;
      MAYFLY_TRY(handler.errors, entry.texts("errors"));
      if (handler.errors.empty()) return bad(entry.at("errors"), "needs at least one error name");
      MAYFLY_TRY(handler.steps, steps(entry, depth + 1));
      MAYFLY_TRY_VOID(want_goto(entry, {node.list, {}, {}, PendingGoto::Of::handler, id, i}));
      entry.warn_unknown(out_.warnings);
      node.catches.push_back(std::move(handler));
    }
    return {};
  }

  Result<void> want_goto(Fields& fields, PendingGoto pending) {
    MAYFLY_TRY(pending.target, fields.text("goto"));
    pending.where = fields.at("goto");
    if (!pending.target.empty()) gotos_.push_back(std::move(pending));
    return {};
  }

  Result<void> choice(Node& node, Fields& fields, NodeId id, int depth) {
    ChoiceNode choice;
    MAYFLY_TRY(const json::array* array, fields.array("choices"));
    if (array != nullptr && array->size() > kMaxBranches) return bad(fields.at("choices"), fmt::format("at most {} choices", kMaxBranches));
    for (size_t i = 0; array != nullptr && i < array->size(); ++i) {
      MAYFLY_TRY(auto entry, Fields::of((*array)[i], fmt::format("{}[{}]", fields.at("choices"), i)));
      Branch branch;
      MAYFLY_TRY(branch.condition, entry.condition("condition"));
      if (!branch.condition) return bad(entry.at("condition"), "missing");
      MAYFLY_TRY(branch.steps, steps(entry, depth + 1));
      MAYFLY_TRY_VOID(want_goto(entry, {node.list, {}, {}, PendingGoto::Of::choice, id, i}));
      entry.warn_unknown(out_.warnings);
      choice.branches.push_back(std::move(branch));
    }
    if (const json::value* otherwise = fields.get("default")) {
      MAYFLY_TRY(auto entry, Fields::of(*otherwise, fields.at("default")));
      Branch branch;
      MAYFLY_TRY(branch.steps, steps(entry, depth + 1));
      MAYFLY_TRY_VOID(want_goto(entry, {node.list, {}, {}, PendingGoto::Of::otherwise, id, 0}));
      entry.warn_unknown(out_.warnings);
      choice.otherwise = std::move(branch);
    }
    if (choice.branches.empty() && !choice.otherwise) return bad(fields.at("choices"), "a choice needs choices or a default");
    node.what = std::move(choice);
    return {};
  }

  Result<void> foreach_step(Node& node, Fields& fields, NodeId id, int depth) {
    ForeachNode loop;
    const json::value* mapping = fields.get("iterationMapping");
    if (mapping == nullptr) return bad(fields.at("iterationMapping"), "missing");
    MAYFLY_TRY(auto entry, Fields::of(*mapping, fields.at("iterationMapping")));
    MAYFLY_TRY(auto collection, entry.source("collection"));
    if (!collection) return bad(entry.at("collection"), "missing");
    if (const auto* constant = std::get_if<json::value>(&*collection); constant != nullptr && !constant->is_array())
      return bad(entry.at("collection"), "must be a list or a path that begins with '$'");
    loop.collection = std::move(*collection);
    MAYFLY_TRY(loop.item, entry.text("item"));
    if (loop.item.empty()) return bad(entry.at("item"), "missing");
    MAYFLY_TRY(loop.index, entry.text("index"));
    entry.warn_unknown(out_.warnings);
    MAYFLY_TRY(loop.steps, steps(fields, depth + 1));
    if (loop.steps == kNone) return bad(fields.at("steps"), "a foreach needs at least one step");
    MAYFLY_TRY_VOID(catches(node, fields, id, depth));
    node.what = std::move(loop);
    return {};
  }

  Result<void> parallel(Node& node, Fields& fields, NodeId id, int depth) {
    ParallelNode parallel;
    MAYFLY_TRY(const json::array* array, fields.array("branches"));
    if (array == nullptr || array->empty()) return bad(fields.at("branches"), "a parallel needs at least one branch");
    if (array->size() > kMaxBranches) return bad(fields.at("branches"), fmt::format("at most {} branches", kMaxBranches));
    for (size_t i = 0; i < array->size(); ++i) {
      MAYFLY_TRY(auto entry, Fields::of((*array)[i], fmt::format("{}[{}]", fields.at("branches"), i)));
      Branch branch;
      MAYFLY_TRY(branch.inputs, entry.mappings("inputMappings"));
      MAYFLY_TRY(branch.outputs, entry.mappings("outputMappings"));
      MAYFLY_TRY(branch.steps, steps(entry, depth + 1));
      if (branch.steps == kNone) return bad(entry.at("steps"), "a branch needs at least one step");
      entry.warn_unknown(out_.warnings);
      parallel.branches.push_back(std::move(branch));
    }
    MAYFLY_TRY_VOID(catches(node, fields, id, depth));
    node.what = std::move(parallel);
    return {};
  }

  Result<void> wait(Node& node, Fields& fields) {
    WaitNode wait;
    MAYFLY_TRY(wait.duration_s, fields.source("duration"));
    MAYFLY_TRY(wait.timestamp, fields.source("timestamp"));
    if (wait.duration_s.has_value() == wait.timestamp.has_value()) return bad(fields.at("duration"), "a wait has either a duration or a timestamp");
    if (wait.duration_s) {
      if (const auto* constant = std::get_if<json::value>(&*wait.duration_s)) {
        if (!constant->is_number() || constant->to_number<double>() < 0 || constant->to_number<double>() > kMaxWaitSeconds)
          return bad(fields.at("duration"), fmt::format("must be 0 to {} seconds or a path that begins with '$'", kMaxWaitSeconds));
      }
    } else if (const auto* constant = std::get_if<json::value>(&*wait.timestamp)) {
      if (!constant->is_string() || !parse_iso8601(view(constant->get_string())))
        return bad(fields.at("timestamp"), "must be an RFC 3339 time or a path that begins with '$'");
    }
    node.what = std::move(wait);
    return {};
  }

  Result<void> fail_step(Node& node, Fields& fields) {
    FailNode out{json::value(""), json::value("")};
    for (auto [field, into] : {std::pair{"error", &out.error}, std::pair{"cause", &out.cause}}) {
      MAYFLY_TRY(auto source, fields.source(field));
      if (source) *into = std::move(*source);
    }
    node.what = std::move(out);
    return {};
  }

  Result<void> loop(Node& node, Fields& fields, NodeId id, int depth) {
    LoopNode loop;
    MAYFLY_TRY(loop.before, fields.condition("preCondition"));
    MAYFLY_TRY(loop.after, fields.condition("postCondition"));
    if (!loop.before && !loop.after) return bad(fields.at("preCondition"), "a loop needs a preCondition or a postCondition");
    MAYFLY_TRY(loop.steps, steps(fields, depth + 1));
    if (loop.steps == kNone) return bad(fields.at("steps"), "a loop needs at least one step");
    MAYFLY_TRY_VOID(catches(node, fields, id, depth));
    node.what = std::move(loop);
    return {};
  }

  Result<void> resolve() {
    for (const auto& pending : gotos_) {
      NodeId target = kNone;
      for (NodeId sibling : out_.lists[static_cast<size_t>(pending.list)])
        if (out_.node(sibling).name == pending.target) target = sibling;
      if (target == kNone) return bad(pending.where, fmt::format("no sibling step named '{}'", pending.target));
      Node& node = out_.nodes[static_cast<size_t>(pending.node)];
      if (pending.of == PendingGoto::Of::handler) node.catches[pending.index].go_to = target;
      else if (pending.of == PendingGoto::Of::otherwise) std::get<ChoiceNode>(node.what).otherwise->go_to = target;
      else std::get<ChoiceNode>(node.what).branches[pending.index].go_to = target;
    }
    return {};
  }

  // Where a step leads for certain without doing anything that takes time or can fail; kNone if that depends or the list ends.
  NodeId certain_successor(const Node& node) const {
    if (node.end) return kNone;
    if (node.type == StepType::pass) return node.next;
    if (const auto* choice = std::get_if<ChoiceNode>(&node.what); choice != nullptr && choice->branches.empty() && choice->otherwise->steps == kNone)
      return choice->otherwise->go_to != kNone ? choice->otherwise->go_to : node.next;
    return kNone;
  }

  // A goto cycle of steps that only pass on can never end: refused here. What only may spin is bounded when it runs (machine.h).
  Result<void> refuse_certain_spin() const {
    for (const auto& pending : gotos_) {
      NodeId at = pending.node;
      for (size_t steps = 0; at != kNone && steps <= out_.nodes.size(); ++steps) {
        at = certain_successor(out_.node(at));
        if (at == pending.node) return bad(pending.where, "this loop has no task, wait or condition and would never end");
      }
    }
    return {};
  }

  Definition out_;
  std::vector<PendingGoto> gotos_;
};

}  // namespace

std::string task_label(const TaskNode& task) { return task.resource.empty() ? task.action : task.resource; }

Result<Definition> parse_fdl(std::string_view text) {
  size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return bad("", "the definition is empty");
  if (text[start] == '{' && text.size() <= kMaxYamlBytes) {
    if (auto document = parse_json(text)) return Parser().parse(*document);
  }
  auto document = yaml_to_json(text);
  if (!document) return bad("", document.error().message);
  return Parser().parse(*document);
}

}  // namespace mayfly::flows
