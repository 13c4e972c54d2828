#include "functions/validate.h"

#include <algorithm>

#include "base/encoding.h"
#include "functions/lifecycle.h"

namespace mayfly::functions {
namespace {

std::unexpected<Failure<CatalogueError>> invalid(std::string message) { return fail(CatalogueError::invalid, std::move(message)); }

bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool digit(char c) { return c >= '0' && c <= '9'; }

Result<void> in_range(std::string_view field, int64_t value, int64_t low, int64_t high) {
  if (value < low || value > high) return invalid(fmt::format("{} must be between {} and {}, not {}", field, low, high, value));
  return {};
}

Result<void> validate_description(const std::string& description) {
  if (description.size() > kMaxDescriptionBytes) return invalid(fmt::format("the description is longer than {} bytes", kMaxDescriptionBytes));
  return {};
}

Result<void> validate_environment(const std::map<std::string, std::string>& environment) {
  size_t total = 0;
  for (const auto& [key, value] : environment) {
    bool good = !key.empty() && letter(key[0]) && std::all_of(key.begin(), key.end(), [](char c) { return letter(c) || digit(c); });
    if (!good) return invalid(fmt::format("the environment variable name '{}' must be letters, digits and _, not starting with a digit", key));
    if (value.find('\0') != value.npos) return invalid(fmt::format("the environment variable '{}' holds a zero byte", key));
    total += key.size() + value.size();
  }
  if (total > kMaxEnvironmentBytes) return invalid(fmt::format("the environment variables take {} bytes, more than {}", total, kMaxEnvironmentBytes));
  return {};
}

struct Rule {
  std::vector<std::string> events;
  std::string prefix, suffix;
};

Rule rule_of(const Trigger& trigger) {
  Rule rule;
  json::value config = trigger.config;
  if (const json::value* events = find_ignore_case(config, "events"); events && events->is_array())
    for (const auto& event : events->get_array())
      if (event.is_string()) rule.events.emplace_back(view(event.get_string()));
  const json::value* filter = find_ignore_case(config, "filter");
  const json::value* key = filter ? find_ignore_case(*filter, "key") : nullptr;
  for (auto [name, field] : {std::pair{"prefix", &rule.prefix}, std::pair{"suffix", &rule.suffix}}) {
    const json::value* text = key ? find_ignore_case(*key, name) : nullptr;
    if (text && text->is_string()) *field = std::string(view(text->get_string()));
  }
  return rule;
}

// "oss:ObjectCreated:*" covers "oss:ObjectCreated:PutObject".
bool covers(std::string_view pattern, std::string_view event) {
  if (!pattern.ends_with('*')) return pattern == event;
  pattern.remove_suffix(1);
  return event.starts_with(pattern);
}

}  // namespace

Result<void> validate_name(std::string_view noun, const std::string& name) {
  bool good = !name.empty() && name.size() <= 128 && letter(name[0]) &&
              std::all_of(name.begin(), name.end(), [](char c) { return letter(c) || digit(c) || c == '-'; });
  if (!good) return invalid(fmt::format("the {} name '{}' must be 1 to 128 letters, digits, _ or -, starting with a letter or _", noun, name.substr(0, 200)));
  return {};
}

Result<void> validate(const Service& service) {
  MAYFLY_TRY_VOID(validate_name("service", service.name));
  return validate_description(service.description);
}

Result<void> validate(const Function& function) {
  MAYFLY_TRY_VOID(validate_name("function", function.name));
  MAYFLY_TRY_VOID(validate_description(function.description));
  if (function.runtime.empty()) return invalid("a function needs a runtime");
  bool container = function.runtime == "custom-container";
  if (!container && function.handler.empty()) return invalid("a function needs a handler");
  if (!container && function.code.digest.empty()) return invalid("a function needs code");
  MAYFLY_TRY_VOID(in_range("timeout (seconds)", function.timeout_s, 1, kMaxTimeoutS));
  MAYFLY_TRY_VOID(in_range("initializationTimeout (seconds)", function.initialization_timeout_s, 1, kMaxInitializationTimeoutS));
  MAYFLY_TRY_VOID(in_range("memorySize (MB)", function.memory_mb, kMinMemoryMb, kMaxMemoryMb));
  MAYFLY_TRY_VOID(in_range("instanceConcurrency", function.instance_concurrency, 1, kMaxInstanceConcurrency));
  if (function.layers.size() > kMaxLayersPerFunction) return invalid(fmt::format("a function has at most {} layers, not {}", kMaxLayersPerFunction, function.layers.size()));
  MAYFLY_TRY_VOID(validate_lifecycle(function));
  return validate_environment(function.environment);
}

Result<void> validate(const Trigger& trigger) {
  MAYFLY_TRY_VOID(validate_name("trigger", trigger.name));
  MAYFLY_TRY_VOID(validate_description(trigger.description));
  if (trigger.type.empty()) return invalid("a trigger needs a type");
  json::value config = trigger.config;
  if (trigger.type == "timer") {
    const json::value* cron = find_ignore_case(config, "cronExpression");
    if (!cron || !cron->is_string() || cron->get_string().empty()) return invalid("a timer trigger needs a cronExpression");
  }
  if (trigger.type == "oss") {
    if (rule_of(trigger).events.empty()) return invalid("an oss trigger needs a list of events");
    if (trigger.source_arn.empty()) return invalid("an oss trigger needs the sourceArn of its bucket");
  }
  return {};
}

Result<void> validate(const Alias& alias) {
  MAYFLY_TRY_VOID(validate_name("alias", alias.name));
  if (alias.name == kLatest) return invalid("an alias cannot be called LATEST");
  if (alias.version.empty()) return invalid("an alias needs a version");
  double total = 0;
  for (const auto& [version, weight] : alias.additional_weights) {
    if (!(weight >= 0 && weight <= 1)) return invalid(fmt::format("the weight of version {} must be between 0 and 1, not {}", version, weight));
    total += weight;
  }
  if (total > 1) return invalid(fmt::format("the additional weights of an alias add up to {}, more than 1", total));
  return validate_description(alias.description);
}

bool rules_overlap(const Trigger& a, const Trigger& b) {
  if (a.type != "oss" || b.type != "oss" || a.source_arn != b.source_arn) return false;
  Rule x = rule_of(a), y = rule_of(b);
  bool prefixes = x.prefix.starts_with(y.prefix) || y.prefix.starts_with(x.prefix);
  bool suffixes = x.suffix.ends_with(y.suffix) || y.suffix.ends_with(x.suffix);
  if (!prefixes || !suffixes) return false;
  for (const std::string& left : x.events)
    for (const std::string& right : y.events)
      if (covers(left, right) || covers(right, left)) return true;
  return false;
}

}  // namespace mayfly::functions
