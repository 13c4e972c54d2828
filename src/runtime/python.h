#pragma once
// What makes a sandbox a Python function's: the plan of its zygote, the configuration the zygote gets, and its environment
// (aliyun-fc.md 5.7). Pure functions of the function and the machine, so that they can be read and tested without a sandbox.

#include <string>
#include <vector>

#include "runtime/instance.h"
#include "sandbox/plan.h"

namespace mayfly::runtime {

constexpr const char* kPython = "/usr/bin/python3";  // by absolute path: PATH comes from the function's template (aliyun-fc.md 2.2)
constexpr uint64_t kTmpBytes = 512ull << 20;         // aliyun-fc.md 5.1
constexpr uint64_t kMaxProcesses = 256;              // processes and threads of one instance

bool is_python3(const std::string& runtime);

sandbox::Plan zygote_plan(const StartContext& context, const RuntimeOptions& options, uint32_t host_uid);

// The JSON runtimes/python/zygote.py reads.
std::string zygote_configuration(const StartContext& context, const RuntimeOptions& options, const std::string& seccomp_program);

// The payload of the start frame. `memory_bytes`: the limit where no cgroup holds it, else 0.
std::string start_message(const std::string& instance_id, const auth::Credentials& credentials, uint64_t memory_bytes);

}  // namespace mayfly::runtime
