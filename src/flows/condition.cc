#include "flows/condition.h"

#include "base/encoding.h"

namespace mayfly::flows {

class ConditionParser {
 public:
  explicit ConditionParser(std::string_view text) : whole_(text), rest_(text) {}

  Expected<Condition, ConditionError> parse() {
    if (whole_.size() > Condition::kMaxBytes) return fail(ConditionError::malformed, fmt::format("a condition is at most {} bytes", Condition::kMaxBytes));
    MAYFLY_TRY([[maybe_unused]] int root, either(0));
    skip_space();
    if (!rest_.empty()) return malformed("an operator or the end");
    out_.text_ = whole_;
    return std::move(out_);
  }

 private:
  using Op = Condition::Op;
  using Index = Expected<int, ConditionError>;

  std::unexpected<Failure<ConditionError>> malformed(std::string_view expected) const {
    return fail(ConditionError::malformed,
                fmt::format("condition '{}': expected {} at character {}", whole_.substr(0, 200), expected, whole_.size() - rest_.size() + 1));
  }
  void skip_space() { rest_ = rest_.substr(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size())); }
  bool take(std::string_view token) {
    skip_space();
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  bool take_word(std::string_view word) {
    skip_space();
    if (!rest_.starts_with(word)) return false;
    if (rest_.size() > word.size() && std::isalnum(static_cast<unsigned char>(rest_[word.size()]))) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  int add(Op op, int left, int right, std::variant<json::value, Path> operand = {}) {
    out_.nodes_.push_back({op, left, right, std::move(operand)});
    return static_cast<int>(out_.nodes_.size()) - 1;
  }

  Index either(int depth) {
    MAYFLY_TRY(int left, both(depth));
    while (take("||")) {
      MAYFLY_TRY(int right, both(depth));
      left = add(Op::either, left, right);
    }
    return left;
  }
  Index both(int depth) {
    MAYFLY_TRY(int left, negation(depth));
    while (take("&&")) {
      MAYFLY_TRY(int right, negation(depth));
      left = add(Op::both, left, right);
    }
    return left;
  }
  Index negation(int depth) {
    if (depth > Condition::kMaxDepth) return malformed("less nesting");
    skip_space();
    if (rest_.starts_with('!') && !rest_.starts_with("!=")) {
      rest_.remove_prefix(1);
      MAYFLY_TRY(int inner, negation(depth + 1));
      return add(Op::negate, inner, -1);
    }
    return comparison(depth);
  }
  Index comparison(int depth) {
    static constexpr std::pair<std::string_view, Op> kOperators[] = {{"==", Op::equal}, {"!=", Op::unequal}, {"<=", Op::less_equal},
                                                                     {">=", Op::greater_equal}, {"<", Op::less}, {">", Op::greater}};
    MAYFLY_TRY(int left, operand(depth));
    for (const auto& [token, op] : kOperators) {
      if (!take(token)) continue;
      MAYFLY_TRY(int right, operand(depth));
      return add(op, left, right);
    }
    return left;
  }
  Index operand(int depth) {
    if (take("(")) {
      MAYFLY_TRY(int inner, either(depth + 1));
      if (!take(")")) return malformed("')'");
      return inner;
    }
    if (take_word("true")) return add(Op::value, -1, -1, json::value(true));
    if (take_word("false")) return add(Op::value, -1, -1, json::value(false));
    if (take_word("null")) return add(Op::value, -1, -1, json::value(nullptr));
    if (rest_.empty()) return malformed("a value");
    if (rest_.front() == '$') {
      auto path = Path::parse_prefix(rest_);
      if (!path) return fail(ConditionError::malformed, fmt::format("condition '{}': {}", whole_.substr(0, 200), path.error().message));
      return add(Op::value, -1, -1, std::move(*path));
    }
    if (rest_.front() == '"' || rest_.front() == '\'' || rest_.front() == '`') return text();
    return number();
  }
  Index text() {
    char quote = rest_.front();
    std::string out;
    size_t at = 1;
    for (; at < rest_.size() && rest_[at] != quote; ++at) {
      if (rest_[at] == '\\' && at + 1 < rest_.size()) ++at;  // a backslash keeps the next character
      out += rest_[at];
    }
    if (at >= rest_.size()) return malformed(fmt::format("a closing {}", quote));
    rest_.remove_prefix(at + 1);
    return add(Op::value, -1, -1, json::value(out));
  }
  Index number() {
    size_t size = 0;
    while (size < rest_.size() && (std::isalnum(static_cast<unsigned char>(rest_[size])) || std::strchr("+-.", rest_[size]) != nullptr)) ++size;
    auto value = parse_json(rest_.substr(0, size));
    if (!value || !value->is_number()) return malformed("a path, a number, a quoted text, true or false");
    rest_.remove_prefix(size);
    return add(Op::value, -1, -1, std::move(*value));
  }

  std::string_view whole_, rest_;
  Condition out_;
};

Expected<Condition, ConditionError> Condition::parse(std::string_view text) { return ConditionParser(text).parse(); }

struct Condition::Evaluation {
  const Condition& condition;
  const Scope& scope;
  int64_t event_id;
  std::vector<std::string>& notes;

  json::value value(int index) {
    const Node& node = condition.nodes_[static_cast<size_t>(index)];
    if (node.op != Op::value) return truth(index);
    if (const auto* constant = std::get_if<json::value>(&node.operand)) return *constant;
    const auto& path = std::get<Path>(node.operand);
    if (auto found = flows::evaluate(path, scope)) return std::move(*found);
    if (path.text() == "$.event_id") return event_id;
    notes.push_back(fmt::format("{} is missing: false", path.text()));
    return nullptr;
  }
  bool is_path(int index) const { return std::holds_alternative<Path>(condition.nodes_[static_cast<size_t>(index)].operand); }

  bool truth(int index) {
    const Node& node = condition.nodes_[static_cast<size_t>(index)];
    switch (node.op) {
      case Op::both: return truth(node.left) && truth(node.right);
      case Op::either: return truth(node.left) || truth(node.right);
      case Op::negate: return !truth(node.left);
      case Op::value: {
        json::value result = value(index);
        return result.is_bool() && result.get_bool();
      }
      default: return compare(node);
    }
  }
  static std::optional<std::string> boolean_text(const json::value& boolean, const json::value& other) {
    if (!boolean.is_bool() || !other.is_string()) return std::nullopt;
    return boolean.get_bool() ? "true" : "false";
  }
  bool compare(const Node& node) {
    json::value left = value(node.left), right = value(node.right);
    // Null is comparable only with the literal null; from a path it makes every comparison false.
    if (left.is_null() || right.is_null()) {
      if (is_path(node.left) && is_path(node.right)) return false;
      const bool literal = (left.is_null() && !is_path(node.left)) || (right.is_null() && !is_path(node.right));
      if (!literal) return false;
      return node.op == Op::equal ? left.is_null() && right.is_null() : node.op == Op::unequal && left.is_null() != right.is_null();
    }
    if (auto text = boolean_text(left, right)) left = json::value(*text);
    if (auto text = boolean_text(right, left)) right = json::value(*text);
    if (left.is_number() && right.is_number()) return ordered(node.op, compare_numbers(left, right));
    if (left.is_string() && right.is_string()) return ordered(node.op, view(left.get_string()) <=> view(right.get_string()));
    if (node.op == Op::equal) return left == right;
    return node.op == Op::unequal && left != right;
  }
  static std::partial_ordering compare_numbers(const json::value& left, const json::value& right) {
    if (left.is_int64() && right.is_int64()) return left.get_int64() <=> right.get_int64();
    return left.to_number<double>() <=> right.to_number<double>();
  }
  static bool ordered(Op op, std::partial_ordering order) {
    switch (op) {
      case Op::equal: return order == 0;
      case Op::unequal: return order != 0;
      case Op::less: return order < 0;
      case Op::less_equal: return order <= 0;
      case Op::greater: return order > 0;
      default: return order >= 0;
    }
  }
};

bool Condition::evaluate(const Scope& scope, int64_t event_id, std::vector<std::string>& notes) const {
  return Evaluation{*this, scope, event_id, notes}.truth(static_cast<int>(nodes_.size()) - 1);
}

}  // namespace mayfly::flows
