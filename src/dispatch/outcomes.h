#pragma once
// What the caller of a function reads when the function did not answer (aliyun-fc.md section 6): one JSON object with errorMessage and
// errorType, in words that say what happened, where the time went and what to change.

#include "base/rng.h"
#include "dispatch/invoker.h"
#include "functions/model.h"
#include "runtime/instance.h"

namespace mayfly::dispatch {

// The reply of an instance as an outcome. `phases` are those before the run; log tail and version are the caller's to fill in.
Outcome finished_call(runtime::Reply reply, Phases phases, const functions::Function& function);
// A start that failed in the function's own code: initializer, timed_out or out_of_memory. With the phases it went through.
Outcome failed_start(const Failure<runtime::StartError>& failure, const functions::Function& function);
// For a call that waited for a part of a start only: what came before is not its time. What waited longer was queued.
void fit_start(Phases& phases, int64_t waited_us);
Phases start_phases(const runtime::StartPhases& started);

// Appends `text` to what is kept of a log, its last kLogTailBytes.
void keep_tail(std::string& tail, std::string_view text);

// "queued 0 ms, starting 12 ms, run 3000 ms"
std::string time_spent(const Phases& phases);

// Why a function is suspended: `message` (an error's JSON, or text) and the last lines that were printed.
std::string crash_reason(std::string_view message, std::string_view printed);

}  // namespace mayfly::dispatch
