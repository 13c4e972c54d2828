#pragma once
// Definition: a flow as the machine runs it: one table of nodes (steps) and one of lists, whatever language it was written in (fdl.h).
// Immutable once made; shared by every execution that started from the same text.

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/json.h"
#include "flows/condition.h"
#include "flows/path.h"

namespace mayfly::flows {

using NodeId = int;
using ListId = int;
constexpr int kNone = -1;

// A mapping's right side: a constant, or a path.
using Source = std::variant<json::value, Path>;
struct Mapping {
  std::string target;
  Source source;
};
using Mappings = std::vector<Mapping>;

struct Retry {
  std::vector<std::string> errors;
  double interval_s = 1;
  int64_t max_attempts = 3;  // retries after the first try
  double multiplier = 2;
  double max_interval_s = 86'400;
};

struct Catch {
  std::vector<std::string> errors;
  ListId steps = kNone;   // run before going on (the vendor's editor schema)
  NodeId go_to = kNone;   // a sibling; kNone: the step ends and its list continues
};

enum class Pattern { request_response, sync, wait_for_callback };

struct TaskNode {
  std::string resource, action;  // exactly one is set
  Pattern pattern = Pattern::request_response;
  double timeout_s = 0;          // 0: none. Counts for each try.
  json::value params;            // serviceParams, null if absent; strings that begin with '$' in it are paths
  Mappings error_mappings;
  std::vector<Retry> retry;
};
struct Branch {  // of a choice or a parallel
  std::optional<Condition> condition;  // choice only; absent in `default`
  ListId steps = kNone;
  NodeId go_to = kNone;
  std::optional<Mappings> inputs, outputs;  // parallel only
};
struct ChoiceNode {
  std::vector<Branch> branches;
  std::optional<Branch> otherwise;
};
struct ForeachNode {
  Source collection;
  std::string item, index;  // index: "" if not asked for
  ListId steps = kNone;
};
struct ParallelNode {
  std::vector<Branch> branches;
};
struct WaitNode {
  std::optional<Source> duration_s;  // exactly one is set
  std::optional<Source> timestamp;
};
struct FailNode {
  Source error, cause;
};
struct LoopNode {
  std::optional<Condition> before, after;
  ListId steps = kNone;
};

enum class StepType { pass, task, choice, foreach, parallel, wait, succeed, fail, loop };

struct Node {
  StepType type = StepType::pass;
  std::string name;
  std::string where;   // "steps[2].choices[0].steps[1]"
  ListId list = kNone;
  int position = 0;    // within its list
  NodeId next = kNone;
  bool end = false;
  std::optional<Mappings> inputs, outputs;
  std::vector<Catch> catches;  // task, foreach, parallel, loop
  std::variant<std::monostate, TaskNode, ChoiceNode, ForeachNode, ParallelNode, WaitNode, FailNode, LoopNode> what;
};

struct Definition {
  std::vector<Node> nodes;
  std::vector<std::vector<NodeId>> lists;
  ListId root = kNone;
  std::optional<Mappings> inputs, outputs;
  double timeout_s = 0;                // 0: none
  std::vector<std::string> warnings;   // fields nobody reads, each with its path

  const Node& node(NodeId id) const { return nodes[static_cast<size_t>(id)]; }
  NodeId first(ListId list) const { return lists[static_cast<size_t>(list)].front(); }
};

constexpr size_t kMaxNodes = 10'000;            // steps of one definition, all lists together
constexpr int kMaxNesting = 24;                 // lists within lists: bounds the machine's recursion
constexpr size_t kMaxBranches = 100;            // aliyun-fnf.md section 3
constexpr double kMaxWaitSeconds = 2 * 86'400;  // aliyun-fnf.md section 3
constexpr double kMaxTimeoutSeconds = 366 * 86'400.0;  // an execution lives at most a year (section 8.2)

}  // namespace mayfly::flows
