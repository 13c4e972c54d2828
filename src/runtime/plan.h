#pragma once
// What every function's sandbox has in common, whatever runs in it: the plan it is made by, and the environment its code finds
// (aliyun-fc.md 5.7, tencent-scf.md T1.3). Pure functions of the function and the machine, so that they can be read and tested without a
// sandbox.

#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "runtime/instance.h"
#include "runtime/runtimes.h"
#include "sandbox/plan.h"

namespace mayfly::runtime {

constexpr uint64_t kTmpBytes = 512ull << 20;  // aliyun-fc.md 5.1
constexpr uint64_t kMaxProcesses = 1024;      // processes and threads of one instance, aliyun-fc.md section 12
constexpr const char* kInsideRuntimes = "/mayfly";

using Environment = std::map<std::string, std::string>;

// Folders as the code sees them. Without a sandbox everything is where it lies on the host.
struct Places {
  std::string code, layers, runtimes, libraries;
};
Places places(const functions::Runnable& runnable, const RuntimeOptions& options, Contract contract);

// The service in a handler's context: {name, log_project, log_store, qualifier, version_id}.
json::object service_about(const functions::Runnable& runnable);
std::string qualifier_of(const functions::Runnable& runnable);  // "LATEST" when the call named none
// The root of a call's trace, as Jaeger's clients write it; the digits are the request's own, so that a trace can be found by its request.
std::string span_context(const std::string& request_id);

Environment environment(const StartContext& context, const RuntimeOptions& options, Contract contract);
// Of these, the part that says whom to trust. Interpreters read it when they start, which may be before they have a function.
Environment trust_environment(const RuntimeOptions& options);
std::vector<std::string> as_list(const Environment& environment);  // "NAME=value"

// The machine's folders, the platform's files, the door; without program and without the function's own folders.
sandbox::Plan base_plan(const std::string& account, const std::string& region, const std::string& hostname, const RuntimeOptions& options);
constexpr const char* kGenericHost = "function";  // of a sandbox that is made before it is known for whom
uint64_t memory_limit(const functions::Function& function);  // bytes
std::string hostname_of(const functions::Function& function);
// /code and /opt, or where the contract has them.
std::vector<sandbox::Bind> function_binds(const functions::Runnable& runnable, Contract contract);

}  // namespace mayfly::runtime
