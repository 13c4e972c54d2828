#include "auth/policy.h"

#include <algorithm>
#include <array>

#include "base/encoding.h"

namespace mayfly::auth {
namespace {

constexpr size_t kMaxItems = 1'000;  // actions, resources, values in one list: bounds evaluation

auto malformed(std::string message) { return fail(PolicyError::malformed, std::move(message)); }

enum class Case { keep, lower };
// A string or a list of strings; nullopt if it is neither, or has an empty or too many entries.
std::optional<std::vector<std::string>> read_strings(const json::value& value, Case letters) {
  std::vector<std::string> out;
  auto add = [&](const json::value& item) {
    if (!item.is_string() || item.get_string().empty()) return false;
    out.push_back(letters == Case::lower ? lower(view(item.get_string())) : std::string(view(item.get_string())));
    return true;
  };
  if (!value.is_array()) return add(value) ? std::optional(out) : std::nullopt;
  if (value.get_array().empty() || value.get_array().size() > kMaxItems) return std::nullopt;
  for (const auto& item : value.get_array())
    if (!add(item)) return std::nullopt;
  return out;
}

// "Principal": "*", a list, or {"Service": [...], "RAM": [...]}.
Expected<void, PolicyError> read_principals(const json::value& value, Statement& out) {
  auto take = [&](const json::value& part) {
    auto names = read_strings(part, Case::keep);
    if (names) out.principals.insert(out.principals.end(), names->begin(), names->end());
    return names.has_value();
  };
  if (!value.is_object()) {
    if (!take(value)) return malformed("Principal must be a name, a list of names or an object of lists.");
    return {};
  }
  for (const auto& member : value.get_object())
    if (!take(member.value())) return malformed("Principal." + std::string(member.key()) + " must be a name or a list of names.");
  return {};
}

Expected<void, PolicyError> read_conditions(const json::value& value, Statement& out) {
  if (!value.is_object()) return malformed("Condition must be an object.");
  for (const auto& operation : value.get_object()) {
    const std::string name(operation.key());
    if (!operation.value().is_object()) return malformed("Condition." + name + " must be an object.");
    for (const auto& test : operation.value().get_object()) {
      auto values = read_strings(test.value(), Case::keep);
      if (!values) return malformed("Condition." + name + "." + std::string(test.key()) + " must be a text or a list of texts.");
      out.conditions.push_back({lower(name), lower(std::string_view(test.key())), std::move(*values)});
    }
  }
  return {};
}

// Exactly one of `name` and "Not" + `name`, into `in` or `out`.
Expected<void, PolicyError> read_pair(const json::value& statement, const std::string& name, Case letters, std::vector<std::string>& in,
                                      std::vector<std::string>& out) {
  const json::value* positive = find(statement, name);
  const json::value* negative = find(statement, "Not" + name);
  if ((positive == nullptr) == (negative == nullptr)) return malformed("A statement must have either " + name + " or Not" + name + ".");
  auto values = read_strings(positive != nullptr ? *positive : *negative, letters);
  if (!values) return malformed(name + " must be a text or a non-empty list of texts.");
  (positive != nullptr ? in : out) = std::move(*values);
  return {};
}

Expected<Statement, PolicyError> read_statement(const json::value& value, NeedsResource needs) {
  if (!value.is_object()) return malformed("A statement must be an object.");
  Statement out;
  const std::string effect = string_or(value, "Effect");
  if (effect != "Allow" && effect != "Deny") return malformed("Effect must be Allow or Deny.");
  out.effect = effect == "Allow" ? Effect::allow : Effect::deny;
  MAYFLY_TRY_VOID(read_pair(value, "Action", Case::lower, out.actions, out.not_actions));
  if (needs == NeedsResource::yes) {
    MAYFLY_TRY_VOID(read_pair(value, "Resource", Case::keep, out.resources, out.not_resources));
  } else {
    out.resources = {"*"};
  }
  if (const json::value* principal = find(value, "Principal")) MAYFLY_TRY_VOID(read_principals(*principal, out));
  if (const json::value* condition = find(value, "Condition")) MAYFLY_TRY_VOID(read_conditions(*condition, out));
  return out;
}

bool version_is_known(const json::value* version) {
  if (version == nullptr) return false;
  return (version->is_string() && view(version->get_string()) == "1") || (version->is_int64() && version->get_int64() == 1);
}

// ---- conditions

enum class Judged { holds, fails, unknown };

struct Network {
  uint32_t address = 0;
  int bits = 32;
};
// "10.0.0.1" or "10.0.0.0/8".
std::optional<Network> read_network(std::string_view text) {
  Network out;
  auto number = [&](uint32_t most) -> std::optional<uint32_t> {
    uint32_t value = 0;
    size_t digits = 0;
    while (digits < text.size() && digits < 4 && text[digits] >= '0' && text[digits] <= '9') value = value * 10 + static_cast<uint32_t>(text[digits++] - '0');
    if (digits == 0 || value > most) return std::nullopt;
    text.remove_prefix(digits);
    return value;
  };
  for (int part = 0; part < 4; ++part) {
    if (part > 0) {
      if (!text.starts_with('.')) return std::nullopt;
      text.remove_prefix(1);
    }
    auto octet = number(255);
    if (!octet) return std::nullopt;
    out.address = out.address << 8 | *octet;
  }
  if (text.starts_with('/')) {
    text.remove_prefix(1);
    auto bits = number(32);
    if (!bits) return std::nullopt;
    out.bits = static_cast<int>(*bits);
  }
  return text.empty() ? std::optional(out) : std::nullopt;
}

Judged in_network(const std::string& pattern, const std::string& value) {
  auto network = read_network(pattern), address = read_network(value);
  if (!network || !address) return Judged::unknown;
  return network->bits == 0 || (network->address ^ address->address) >> (32 - network->bits) == 0 ? Judged::holds : Judged::fails;
}

using Compare = Judged (*)(const std::string& pattern, const std::string& value);
Judged judged(bool holds) { return holds ? Judged::holds : Judged::fails; }
Judged equal(const std::string& pattern, const std::string& value) { return judged(pattern == value); }
Judged equal_any_case(const std::string& pattern, const std::string& value) { return judged(equals_ignore_case(pattern, value)); }
Judged like(const std::string& pattern, const std::string& value) { return judged(wildcard_matches(pattern, value)); }

struct Operation {
  std::string_view name;
  Compare compare;
  bool negative;
};
constexpr std::array kOperations = {
    Operation{"stringequals", equal, false}, Operation{"stringnotequals", equal, true}, Operation{"stringequalsignorecase", equal_any_case, false},
    Operation{"stringlike", like, false},    Operation{"stringnotlike", like, true},    Operation{"ipaddress", in_network, false},
    Operation{"notipaddress", in_network, true}};

Judged judge_condition(const Condition& condition, const Access& access) {
  auto operation = std::ranges::find(kOperations, condition.operation, &Operation::name);
  if (operation == kOperations.end()) return Judged::unknown;
  bool present = false, any = false, unknown = false;
  for (const auto& [key, value] : access.context) {
    if (!equals_ignore_case(key, condition.key)) continue;
    present = true;
    for (const auto& pattern : condition.values) {
      const Judged one = operation->compare(pattern, value);
      any = any || one == Judged::holds;
      unknown = unknown || one == Judged::unknown;
    }
  }
  if (!present) return operation->negative ? Judged::unknown : Judged::fails;
  if (any) return judged(!operation->negative);
  return unknown ? Judged::unknown : judged(operation->negative);
}

bool conditions_hold(const Statement& statement, const Access& access) {
  return std::ranges::all_of(statement.conditions, [&](const Condition& condition) {
    const Judged result = judge_condition(condition, access);
    return result == Judged::holds || (result == Judged::unknown && statement.effect == Effect::deny);
  });
}

// The first four of "acs:service:region:account:relative", and the rest; false if there are fewer.
bool split_arn(std::string_view arn, std::array<std::string_view, 5>& parts) {
  for (size_t i = 0; i < 4; ++i) {
    const size_t colon = arn.find(':');
    if (colon == std::string_view::npos) return false;
    parts[i] = arn.substr(0, colon);
    arn.remove_prefix(colon + 1);
  }
  parts[4] = arn;
  return true;
}

}  // namespace

bool wildcard_matches(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool resource_matches(std::string_view pattern, std::string_view resource) {
  std::array<std::string_view, 5> wanted, actual;
  if (!split_arn(pattern, wanted) || !split_arn(resource, actual)) return wildcard_matches(pattern, resource);
  for (size_t i : {size_t{2}, size_t{3}})  // region, account: unsaid on either side is any
    if (!wanted[i].empty() && !actual[i].empty() && actual[i] != "*" && !wildcard_matches(wanted[i], actual[i])) return false;
  return wildcard_matches(wanted[0], actual[0]) && wildcard_matches(wanted[1], actual[1]) && wildcard_matches(wanted[4], actual[4]);
}

bool statement_matches(const Statement& statement, const Access& access) {
  const std::string action = lower(access.action);
  auto is_action = [&](const std::string& pattern) { return wildcard_matches(pattern, action); };
  auto is_resource = [&](const std::string& pattern) { return resource_matches(pattern, access.resource); };
  if (!statement.actions.empty() ? std::ranges::none_of(statement.actions, is_action) : std::ranges::any_of(statement.not_actions, is_action)) return false;
  if (!statement.resources.empty() ? std::ranges::none_of(statement.resources, is_resource) : std::ranges::any_of(statement.not_resources, is_resource))
    return false;
  return conditions_hold(statement, access);
}

Verdict evaluate(const PolicyDocument& document, const Access& access) {
  Verdict verdict = Verdict::silent;
  for (const auto& statement : document.statements) {
    if (!statement_matches(statement, access)) continue;
    if (statement.effect == Effect::deny) return Verdict::denied;
    verdict = Verdict::allowed;
  }
  return verdict;
}

Expected<PolicyDocument, PolicyError> policy_from_json(const json::value& document, NeedsResource needs) {
  if (!document.is_object()) return malformed("A policy document must be a JSON object.");
  if (!version_is_known(find(document, "Version"))) return malformed("The policy document's Version must be \"1\".");
  const json::value* statements = find(document, "Statement");
  if (statements == nullptr || (!statements->is_array() && !statements->is_object())) return malformed("The policy document must have a Statement list.");
  PolicyDocument out;
  if (statements->is_object()) {
    MAYFLY_TRY(Statement only, read_statement(*statements, needs));
    out.statements.push_back(std::move(only));
    return out;
  }
  if (statements->get_array().empty()) return malformed("The policy document must have at least one statement.");
  if (statements->get_array().size() > kMaxStatements) return malformed("The policy document has more than 200 statements.");
  for (const auto& value : statements->get_array()) {
    MAYFLY_TRY(Statement statement, read_statement(value, needs));
    out.statements.push_back(std::move(statement));
  }
  return out;
}

Expected<PolicyDocument, PolicyError> parse_policy(std::string_view text, NeedsResource needs) {
  if (text.size() > kMaxPolicyBytes) return malformed("The policy document is larger than 16 KiB.");
  auto document = parse_json(text);
  if (!document) return malformed("The policy document is not JSON: " + document.error().message);
  return policy_from_json(*document, needs);
}

}  // namespace mayfly::auth
