#pragma once
// How a function's asynchronous calls are treated: its async-invoke-config document, and the destinations it names. A destination is a
// function: it gets, as an asynchronous call of its own, the event of aliyun-fc.md section 7.4 that tells what became of the first one.

#include <optional>
#include <string>

#include "dispatch/async_message.h"
#include "functions/settings.h"

namespace mayfly::dispatch {

// The settings document, by kind and name.
constexpr const char* kAsyncConfig = "async-config";
std::string async_config_name(const std::string& service, const std::string& qualifier, const std::string& function);

struct AsyncPolicy {
  int64_t max_retries = 3;
  int64_t max_age_s = 86'400;
  std::string on_success, on_failure;  // ARN of a function, or empty
  bool stateful = false;               // each call is a task (async_tasks.h)
};
AsyncPolicy async_policy(const functions::Settings& settings, const Target& target);

// "acs:fc:<region>:<account>:services/s.q/functions/f"; nullopt for anything else.
std::optional<Target> destination_target(const std::string& arn);
// Why `arn` cannot be a destination, a sentence that says what can; empty if it can, or if it is empty: no destination.
std::string destination_problem(const std::string& arn);

// What became of a call, for its destination.
struct Ending {
  std::string condition;       // "Success", or the code of what went wrong
  int status = 200;            // of the platform: 200 when the function was run
  std::string function_error;  // its error type; empty if it ended well or was not run
  std::string response;        // what it answered
};
// At most `max_bytes`, as any payload: the vendor's limit for functions, too. What the call was sent and what it answered are cut where both
// do not fit, at a character; each has half of the room, and what the other leaves of its own. The vendor's event has no place to say so.
std::string destination_event(const AsyncMessage& message, const Ending& ending, const std::string& region, const std::string& account, int64_t wall_us,
                              size_t max_bytes);

}  // namespace mayfly::dispatch
