#pragma once
// What a function says about its process beyond handler and runtime: how a custom runtime or container is started and reached, and the
// hooks an instance runs through in its life. Vendors send these in many spellings (caPort, CustomRuntimeConfig, instanceLifecycleConfig;
// capitals vary, lists come as lists or as JSON text), the catalogue keeps them in Function::vendor as they came, and this is the one
// place that reads them. validate() refuses what cannot be read, so the accessors always have an answer: a stored row of an older
// release that holds nonsense reads as if nothing had been sent. aliyun-fc.md sections 1.3, 5.1, 5.6 and 8.2.

#include <optional>
#include <string>
#include <vector>

#include "functions/model.h"

namespace mayfly::functions {

constexpr int64_t kDefaultServerPort = 9000;   // aliyun-fc.md section 5.6
constexpr int64_t kMaxHookTimeoutS = 90;       // section 5.1
constexpr int64_t kDefaultHookTimeoutS = 3;    // as a function's own
constexpr size_t kMaxCommandParts = 100;       // of command and args each
constexpr size_t kMaxCommandBytes = 8 * 1024;  // of all parts of one list
constexpr int64_t kMaxHealthCheckS = 120;      // delay and period; also of the thresholds, which are counts

// GET `path` on the server's port; anything from 200 to 399 is healthy.
struct HealthCheck {
  std::string path;
  int64_t initial_delay_s = 0, period_s = 3, timeout_s = 1;
  int64_t failure_threshold = 3, success_threshold = 1;
  bool operator==(const HealthCheck&) const = default;
};

struct CustomRuntime {
  std::vector<std::string> command;  // with its arguments; empty: the package's own "bootstrap"
  int port = static_cast<int>(kDefaultServerPort);
  std::optional<HealthCheck> health_check;
};

struct CustomContainer {
  std::string image;
  std::vector<std::string> command, args;  // empty: the image's own
  int port = static_cast<int>(kDefaultServerPort);
  bool serves_http = true;  // false: a container that is no web server (webServerMode)
  std::optional<HealthCheck> health_check;
};

struct Hook {
  std::string handler;               // of a language runtime; of a custom one it says only that there is a hook
  int64_t timeout_s = kDefaultHookTimeoutS;
  std::vector<std::string> command;  // instead of a handler, where the later API sends one
  bool operator==(const Hook&) const = default;
};

CustomRuntime custom_runtime(const Function& function);
std::optional<CustomContainer> custom_container(const Function& function);
std::optional<Hook> pre_stop(const Function& function);
std::optional<Hook> pre_freeze(const Function& function);
// Function::initializer with initialization_timeout_s, or instanceLifecycleConfig.initializer of the later API, which wins.
std::optional<Hook> initializer(const Function& function);
// How long that may take; of a function without one, its start. Seconds.
int64_t initialization_limit_s(const Function& function);

// Whether everything above can be read; invalid with the member's name otherwise.
Result<void> validate_lifecycle(const Function& function);

}  // namespace mayfly::functions
