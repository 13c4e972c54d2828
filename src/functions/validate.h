#pragma once
// What the catalogue accepts, whoever asks. These are the core's limits (aliyun-fc.md section 12, generous by default); a dialect may
// demand more of its callers. Every refusal is one sentence that names the field, the value and the rule.

#include <vector>

#include "functions/model.h"

namespace mayfly::functions {

constexpr int64_t kMinMemoryMb = 16, kMaxMemoryMb = 32 * 1024;
constexpr int64_t kMaxTimeoutS = 86'400;
constexpr int64_t kMaxInitializationTimeoutS = 3'600;  // model loading; the vendor's 300 s is the dialect's business
constexpr int64_t kMaxInstanceConcurrency = 1'000;
constexpr size_t kMaxEnvironmentBytes = 64 * 1024;     // half of what execve leaves for one process
constexpr size_t kMaxDescriptionBytes = 4'096;
constexpr size_t kMaxTriggersPerFunction = 50;
constexpr size_t kMaxFunctionsPerService = 1'000;
constexpr size_t kMaxLayersPerFunction = 50;           // a merged folder is made by reading the tree of each

// [A-Za-z_][A-Za-z0-9_-]{0,127}; `noun` is for the message.
Result<void> validate_name(std::string_view noun, const std::string& name);
Result<void> validate(const Service& service);
Result<void> validate(const Function& function);
Result<void> validate(const Trigger& trigger);
Result<void> validate(const Alias& alias);

// Two object-notification rules of one bucket overlap if they share an event and both their prefixes and their suffixes overlap
// (aliyun-fc.md section 11).
bool rules_overlap(const Trigger& a, const Trigger& b);

}  // namespace mayfly::functions
