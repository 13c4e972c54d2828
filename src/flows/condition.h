#pragma once
// Condition: the boolean language of choice and loop steps (aliyun-fnf.md section 3.1), parsed once into a small tree.
//
//   or   = and ("||" and)*          and = not ("&&" not)*        not = "!" not | comparison
//   comparison = operand (("==" | "!=" | "<" | "<=" | ">" | ">=") operand)?
//   operand = path | number | "text" | 'text' | `text` | true | false | null | "(" or ")"
//
// Evaluation never fails. A comparison with a missing path (or null) is false and leaves a note; numbers compare as numbers, strings by
// bytes; a boolean against the strings "true" and "false" compares its text; other mixed types are unequal and unordered; only JSON
// true is true on its own.

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"
#include "flows/path.h"

namespace mayfly::flows {

enum class ConditionError { malformed };

class Condition {
 public:
  static constexpr size_t kMaxBytes = 4096;  // no real condition is near; bounds the tree
  static constexpr int kMaxDepth = 64;       // parentheses and "!"; bounds recursion

  static Expected<Condition, ConditionError> parse(std::string_view text);

  // `event_id` answers $.event_id where the input has no such member. `notes` receives one sentence per missing path.
  bool evaluate(const Scope& scope, int64_t event_id, std::vector<std::string>& notes) const;
  const std::string& text() const { return text_; }

 private:
  friend class ConditionParser;
  enum class Op { value, negate, both, either, equal, unequal, less, less_equal, greater, greater_equal };
  struct Node {
    Op op = Op::value;
    int left = -1, right = -1;  // indices into nodes_
    std::variant<json::value, Path> operand;
  };
  struct Evaluation;

  std::vector<Node> nodes_;  // children before parents; the root is the last
  std::string text_;
};

}  // namespace mayfly::flows
