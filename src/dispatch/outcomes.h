#pragma once
// What the caller of a function reads when the function did not answer (aliyun-fc.md section 6): one JSON object with errorMessage and
// errorType, in words that say what happened and what to change.

#include "base/rng.h"
#include "dispatch/invoker.h"
#include "functions/model.h"
#include "runtime/instance.h"

namespace mayfly::dispatch {

// The reply of an instance as an outcome; log tail, phases and version are the caller's to fill in.
Outcome finished_call(runtime::Reply reply, const functions::Function& function);
// A start that failed in the function's own code: initializer, timed_out or out_of_memory.
Outcome failed_start(const Failure<runtime::StartError>& failure, const functions::Function& function);

}  // namespace mayfly::dispatch
