#pragma once
// What makes a sandbox a Python function's: the plan of its zygote, which is the same for all functions (what is a function's own is mounted
// when the interpreter runs), and the configuration the zygote gets (aliyun-fc.md 5.2). Pure functions of the function and the machine,
// like plan.h.

#include <string>

#include "runtime/plan.h"

namespace mayfly::runtime {

sandbox::Plan zygote_plan(const RuntimeOptions& options);

// The JSON runtimes/python/zygote.py reads.
std::string zygote_configuration(const StartContext& context, const RuntimeOptions& options, const std::string& seccomp_program);

// The payload of the start frame of a zygote's fork: {instance_id, memory_bytes: the limit where no cgroup holds it, else 0, credentials:
// [id, secret, token], request_id: of the function's initializer, "" without one}.
std::string start_message(const std::string& instance_id, const auth::Credentials& credentials, uint64_t memory_bytes, const std::string& initializer_id);

}  // namespace mayfly::runtime
