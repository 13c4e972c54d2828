#pragma once
// Invoker: "run this function on these bytes", the one door from triggers, flows, the API and the command line to instances. What
// comes back is an Outcome whatever the function did; an InvokeError means that it was not run at all.

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/loop.h"
#include "io/task.h"

namespace mayfly::runtime {
struct Streams;  // instance.h
}

namespace mayfly::dispatch {

enum class InvokeError {
  not_found, throttled, exhausted, unavailable, invalid,
  stopping,  // the server is ending, perhaps in the middle of the run: says nothing about the function; who keeps the call durably leaves it for the next start
  cancelled,  // the caller's own CallWatch ended it, perhaps in the middle of the run
};

}  // namespace mayfly::dispatch

namespace mayfly {

// Why a call was not run, and when it may be tried again.
template <>
struct Failure<dispatch::InvokeError> {
  dispatch::InvokeError code;
  std::string message;
  std::string hint;
  int64_t retry_after_s = 0;  // for throttled, exhausted and unavailable; 0: nothing is known
};

}  // namespace mayfly

namespace mayfly::dispatch {

class CallWatch;  // call_watch.h

struct Target {
  std::string service, function;
  std::string qualifier;  // empty means LATEST
};

struct Invocation {
  std::string request_id;  // 36-character UUID; made by the caller so that it can be answered before the run
  Target target;
  std::string payload;     // raw event bytes
  int retry_count = 0;
  std::string source = "api";  // "api" | "timer" | "oss" | "flow" | "async" | ..., for records
  // For HTTP functions: JSON of {method, path, requestURI, clientIP, host, queries, headers}; empty for events. The reply's `http` has
  // {status, headers}.
  std::string http;
  // For callers that stream: the request's body, and where the reply begins (runtime/instance.h); used on the caller's loop. Shared because
  // an Invocation is a value that records keep; read once. Null: the payload is whole, and the Outcome has the whole reply.
  std::shared_ptr<runtime::Streams> streams{};
  // For callers that may end the run (call_watch.h). Null: nobody will.
  std::shared_ptr<CallWatch> watch{};
};

// Where the time of an invocation went, microseconds.
struct Phases {
  int64_t queued_us = 0;   // waiting for an instance
  int64_t sandbox_us = 0;  // making one (this and the next three are 0 on a warm start): runtime::StartPhases
  int64_t runtime_us = 0;
  int64_t import_us = 0;
  int64_t init_us = 0;
  int64_t run_us = 0;      // the handler
  int64_t reply_us = 0;    // a streamed reply, from its first byte to its last
  int64_t start_us() const { return sandbox_us + runtime_us + import_us + init_us; }
  int64_t total_us() const { return queued_us + start_us() + run_us + reply_us; }
};

struct Outcome {
  enum class Kind {
    ok,
    handled_error,    // the handler raised: body is {errorMessage, errorType, stackTrace}
    unhandled_error,  // the process died, or the initializer failed
    timed_out,        // ran longer than the function's timeout; the instance was killed
    out_of_memory,    // the memory limit killed it
  };
  Kind kind = Kind::ok;
  std::string body;
  std::string http;      // HTTP functions: JSON of {status, headers}
  std::string log_tail;  // the last 4 KiB this invocation printed
  Phases phases;
  int64_t memory_bytes = 0;  // the instance's peak
  bool cold = false;
  std::string instance_id;
  std::string version;       // the version that ran, empty for LATEST
  std::string code_checksum;
};

class Invoker {
 public:
  virtual ~Invoker() = default;
  // Any shard: hops to the function's home shard and back to `loop`. A call that waits for an instance beyond `deadline` is refused
  // as `exhausted`; once started it is bounded by the function's own timeout.
  virtual io::Task<Expected<Outcome, InvokeError>> invoke(io::Loop& loop, Invocation invocation, io::Deadline deadline) = 0;
};

// Told of every invocation, on the function's home shard (records, logs, metrics live behind it).
class InvocationObserver {
 public:
  virtual ~InvocationObserver() = default;
  virtual void started(const Invocation& invocation, const std::string& instance_id) = 0;  // its handler is about to run
  virtual void finished(const Invocation& invocation, const Outcome& outcome, int64_t started_wall_us) = 0;
  // A piece of what a function printed, whole lines; request_id is empty outside an invocation (import, initializer).
  virtual void printed(const Target& target, const std::string& request_id, const std::string& instance_id, std::string text) = 0;
};

}  // namespace mayfly::dispatch
