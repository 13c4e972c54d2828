#include "functions/observing.h"

#include "base/json.h"

namespace mayfly::functions {

LogTarget log_target(const Service& service) {
  const json::value* config = service.vendor.if_contains("logConfig");
  if (!config) return {};
  return {.project = string_or(*config, "project"), .store = string_or(*config, "logstore")};
}

std::string tracing_endpoint(const Service& service) {
  const json::value* config = service.vendor.if_contains("tracingConfig");
  if (!config || string_or(*config, "type") != "Jaeger") return {};
  const json::value* params = find(*config, "params");
  return params ? string_or(*params, "endpoint") : std::string();
}

}  // namespace mayfly::functions
