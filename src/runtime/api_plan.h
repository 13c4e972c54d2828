#pragma once
// What a program that asks for its calls finds around it: which file is started, and its environment. Pure functions but for a look at
// the package's files. FC: aliyun-fc.md 5.5 and 5.7; Lambda: the vendor's "defined runtime environment variables"; SCF: tencent-scf.md T1.3.

#include <optional>
#include <string>

#include "runtime/plan.h"

namespace mayfly::runtime {

// The program as the sandbox sees it: for FC and go1.x the file that the handler names, else "bootstrap"; for Lambda's other runtimes
// "bootstrap" of the package, then of the layers; for SCF "bootstrap" of the package.
Expected<std::string, StartError> api_program(const functions::Runnable& runnable, const RuntimeOptions& options, Contract contract);

// The function's folders; for Lambda and SCF also bash as /bin/sh, which it is on those clouds' machines: the bootstraps of the vendors'
// own guides begin with #!/bin/sh and use `source` and `set -o pipefail`.
std::vector<sandbox::Bind> api_binds(const functions::Runnable& runnable, Contract contract);

struct ApiAddress {
  std::string instance_id;
  uint16_t port = 0;  // on the loopback inside
};
Environment api_environment(const StartContext& context, const RuntimeOptions& options, Contract contract, const ApiAddress& address, int64_t wall_us);

}  // namespace mayfly::runtime
