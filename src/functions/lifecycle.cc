#include "functions/lifecycle.h"

#include "functions/validate.h"

namespace mayfly::functions {
namespace {

using Path = std::string_view;  // of a member, for messages

std::unexpected<Failure<CatalogueError>> wrong(Path what, std::string_view expected) {
  return fail(CatalogueError::invalid, fmt::format("{} must be {}", what, expected));
}

// A member in any case; absent when it is null.
const json::value* member(const json::value* object, std::string_view key) {
  const json::value* found = object ? find_ignore_case(*object, key) : nullptr;
  return found && !found->is_null() ? found : nullptr;
}

Result<const json::value*> object_member(const json::value* object, std::string_view key) {
  const json::value* found = member(object, key);
  if (found && !found->is_object()) return wrong(key, "an object");
  return found;
}

Result<std::string> text(const json::value* object, std::string_view key, Path where) {
  const json::value* found = member(object, key);
  if (!found) return std::string();
  if (!found->is_string()) return wrong(fmt::format("{}.{}", where, key), "a string");
  return std::string(view(found->get_string()));
}

Result<int64_t> number(const json::value* object, std::string_view key, Path where, int64_t fallback, int64_t low, int64_t high) {
  const json::value* found = member(object, key);
  if (!found) return fallback;
  std::string name = where.empty() ? std::string(key) : fmt::format("{}.{}", where, key);
  if (!found->is_int64()) return wrong(name, "a whole number");
  int64_t value = found->get_int64();
  if (value < low || value > high) return wrong(name, fmt::format("between {} and {}, not {}", low, high, value));
  return value;
}

// A list of strings, sent as one or as the JSON text of one; text that is no list is one word.
Result<std::vector<std::string>> words(const json::value* object, std::string_view key, Path where) {
  const json::value* found = member(object, key);
  std::vector<std::string> out;
  if (!found) return out;
  std::string name = fmt::format("{}.{}", where, key);
  json::value parsed;
  if (found->is_string()) {
    std::string_view sent = view(found->get_string());
    if (sent.empty()) return out;
    if (sent.front() != '[') return std::vector<std::string>{std::string(sent)};
    auto value = parse_json(sent);
    if (!value) return wrong(name, "a list of strings, or the JSON text of one");
    parsed = std::move(*value);
    found = &parsed;
  }
  const json::array* list = found->if_array();
  if (!list) return wrong(name, "a list of strings");
  size_t bytes = 0;
  for (const json::value& each : *list) {
    if (!each.is_string()) return wrong(name, "a list of strings");
    std::string word(view(each.get_string()));
    bytes += word.size();
    if (word.find('\0') != word.npos) return wrong(name, "without zero bytes");
    out.push_back(std::move(word));
  }
  if (out.size() > kMaxCommandParts || bytes > kMaxCommandBytes)
    return wrong(name, fmt::format("at most {} words of {} bytes together", kMaxCommandParts, kMaxCommandBytes));
  return out;
}

Result<std::optional<HealthCheck>> read_health_check(const json::value* config, std::string_view key) {
  MAYFLY_TRY(const json::value* sent, object_member(config, key));
  if (!sent) return std::nullopt;
  HealthCheck check;
  MAYFLY_TRY(check.path, text(sent, "httpGetUrl", key));
  if (check.path.empty()) return std::nullopt;  // clients send the whole object with empty members
  if (check.path.front() != '/') return wrong(fmt::format("{}.httpGetUrl", key), "a path that begins with /");
  MAYFLY_TRY(check.initial_delay_s, number(sent, "initialDelaySeconds", key, check.initial_delay_s, 0, kMaxHealthCheckS));
  MAYFLY_TRY(check.period_s, number(sent, "periodSeconds", key, check.period_s, 1, kMaxHealthCheckS));
  MAYFLY_TRY(check.timeout_s, number(sent, "timeoutSeconds", key, check.timeout_s, 1, kMaxHealthCheckS));
  MAYFLY_TRY(check.failure_threshold, number(sent, "failureThreshold", key, check.failure_threshold, 1, kMaxHealthCheckS));
  MAYFLY_TRY(check.success_threshold, number(sent, "successThreshold", key, check.success_threshold, 1, kMaxHealthCheckS));
  return check;
}

// The port of either kind of server: its own configuration's, or the function's caPort.
Result<int> read_port(const json::value& vendor, const json::value* config, Path where) {
  MAYFLY_TRY(const int64_t shared, number(&vendor, "caPort", "", kDefaultServerPort, 1, 65'535));
  MAYFLY_TRY(const int64_t own, number(config, "port", where, shared, 1, 65'535));
  return static_cast<int>(own);
}

// The function's own customHealthCheckConfig (2021-04-06), or the one inside the configuration (2023-03-30).
Result<std::optional<HealthCheck>> health_check_of(const json::value& vendor, const json::value* config) {
  MAYFLY_TRY(auto inner, read_health_check(config, "healthCheckConfig"));
  if (inner) return inner;
  return read_health_check(&vendor, "customHealthCheckConfig");
}

Result<CustomRuntime> read_runtime(const json::value& vendor) {
  constexpr std::string_view kName = "customRuntimeConfig";
  CustomRuntime runtime;
  MAYFLY_TRY(const json::value* config, object_member(&vendor, kName));
  MAYFLY_TRY(runtime.command, words(config, "command", kName));
  MAYFLY_TRY(auto arguments, words(config, "args", kName));
  if (runtime.command.empty() && !arguments.empty()) runtime.command.push_back("./bootstrap");
  for (std::string& each : arguments) runtime.command.push_back(std::move(each));
  MAYFLY_TRY(runtime.port, read_port(vendor, config, kName));
  MAYFLY_TRY(runtime.health_check, health_check_of(vendor, config));
  return runtime;
}

Result<std::optional<CustomContainer>> read_container(const json::value& vendor) {
  constexpr std::string_view kName = "customContainerConfig";
  MAYFLY_TRY(const json::value* config, object_member(&vendor, kName));
  if (!config) return std::nullopt;
  CustomContainer container;
  MAYFLY_TRY(container.image, text(config, "image", kName));
  if (container.image.empty()) return std::nullopt;
  MAYFLY_TRY(container.command, words(config, "entrypoint", kName));  // the later API's word; its "command" are the arguments
  bool later = !container.command.empty();
  MAYFLY_TRY(auto command, words(config, "command", kName));
  (later ? container.args : container.command) = std::move(command);
  MAYFLY_TRY(auto arguments, words(config, "args", kName));
  for (std::string& each : arguments) container.args.push_back(std::move(each));
  if (const json::value* mode = member(config, "webServerMode")) {
    if (!mode->is_bool()) return wrong(fmt::format("{}.webServerMode", kName), "true or false");
    container.serves_http = mode->get_bool();
  }
  MAYFLY_TRY(container.port, read_port(vendor, config, kName));
  MAYFLY_TRY(container.health_check, health_check_of(vendor, config));
  return container;
}

Result<std::optional<Hook>> read_hook(const json::value& vendor, std::string_view key, int64_t max_timeout_s) {
  MAYFLY_TRY(const json::value* config, object_member(&vendor, "instanceLifecycleConfig"));
  MAYFLY_TRY(const json::value* sent, object_member(config, key));
  std::string where = fmt::format("instanceLifecycleConfig.{}", key);
  Hook hook;
  MAYFLY_TRY(hook.handler, text(sent, "handler", where));
  MAYFLY_TRY(hook.command, words(sent, "command", where));
  if (hook.handler.empty() && hook.command.empty()) return std::nullopt;  // section 3: an empty handler is none, whatever its timeout
  MAYFLY_TRY(hook.timeout_s, number(sent, "timeout", where, kDefaultHookTimeoutS, 1, max_timeout_s));
  return hook;
}

}  // namespace

CustomRuntime custom_runtime(const Function& function) { return read_runtime(function.vendor).value_or(CustomRuntime()); }
std::optional<CustomContainer> custom_container(const Function& function) { return read_container(function.vendor).value_or(std::nullopt); }
std::optional<Hook> pre_stop(const Function& function) { return read_hook(function.vendor, "preStop", kMaxHookTimeoutS).value_or(std::nullopt); }
std::optional<Hook> pre_freeze(const Function& function) { return read_hook(function.vendor, "preFreeze", kMaxHookTimeoutS).value_or(std::nullopt); }

std::optional<Hook> initializer(const Function& function) {
  if (auto sent = read_hook(function.vendor, "initializer", kMaxInitializationTimeoutS).value_or(std::nullopt)) return sent;
  if (function.initializer.empty()) return std::nullopt;
  return Hook{.handler = function.initializer, .timeout_s = function.initialization_timeout_s, .command = {}};
}

int64_t initialization_limit_s(const Function& function) {
  auto hook = initializer(function);
  return hook ? hook->timeout_s : function.initialization_timeout_s;
}

Result<void> validate_lifecycle(const Function& function) {
  const json::value vendor = function.vendor;
  MAYFLY_TRY([[maybe_unused]] auto runtime, read_runtime(vendor));
  MAYFLY_TRY(const auto container, read_container(vendor));
  if (function.runtime == "custom-container" && !container) return wrong("customContainerConfig.image", "sent");
  MAYFLY_TRY([[maybe_unused]] auto stop, read_hook(vendor, "preStop", kMaxHookTimeoutS));
  MAYFLY_TRY([[maybe_unused]] auto freeze, read_hook(vendor, "preFreeze", kMaxHookTimeoutS));
  MAYFLY_TRY([[maybe_unused]] auto start, read_hook(vendor, "initializer", kMaxInitializationTimeoutS));
  return {};
}

}  // namespace mayfly::functions
