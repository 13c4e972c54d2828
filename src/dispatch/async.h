#pragma once
// Asynchronous invocation: a durable queue in front of the Invoker. Whoever causes a call writes it into his own batch (add_async), so
// that cause and call commit together; consumers on the shards run it and acknowledge it in the batch that records what came of it.
//
//   ok                     -> acknowledged (and the onSuccess destination called, in the same commit)
//   function error         -> again after 1, 2, 4 ... 60 s, maxAsyncRetryAttempts times (default 3), then a dead letter
//   throttled, exhausted,  -> again after 0.5, 1, 2, 4 ... 60 s for up to 5 h (aliyun-fc.md section 7.4), not counted as attempts
//     unavailable
//   stopping               -> left as it is: the next start delivers it again, and the run that was cut short does not count
//   no such function, older than maxAsyncEventAgeInSeconds -> a dead letter at once
//   stopped on request     -> acknowledged: no retry, no destination, no dead letter. A plain call is acknowledged before whoever asked is
//                             answered, so that a crash before the end of its run does not bring it back; a task's record says "Stopping"
//
// A dead letter is a row that stays until it is redriven or purged (async_dead.h); with an onFailure destination that function is called
// too. A call may run more than once (after a crash): functions are told so by the retry count. A call may be sent with an idempotency
// key, so that sending it again queues nothing (async_once.h), and may be a task, whose state can be asked for (async_tasks.h).

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dispatch/async_dead.h"
#include "dispatch/async_policy.h"
#include "dispatch/async_tasks.h"
#include "functions/catalogue.h"

namespace mayfly::dispatch {

constexpr int64_t kSystemRetryLimitUs = 5LL * 3'600 * kMicrosPerSecond;
constexpr int64_t kAsyncWaitUs = 60 * kMicrosPerSecond;  // for an instance, before the call goes back to the queue
constexpr int64_t kAsyncSweepUs = 60 * kMicrosPerSecond;  // between looks for records, keys and letters to forget: none is urgent

struct AsyncOptions {
  size_t max_payload_bytes = 128 * 1024;  // aliyun-fc.md section 6; payloads lie in the queue's rows
  size_t max_tasks = kMaxTasks;           // records of stateful calls
  size_t window = 64;                     // calls in flight per partition: their payloads are in memory
  std::string region = "local", account;  // for the ARNs in destination payloads
  std::function<void(std::exception_ptr)> on_fault{};  // of a delivery, before it is tried again; default: printed
};

// Adds one asynchronous call to `batch`, to run at `due_us` (wall clock) or later. Call AsyncInvoker::wake() after the commit.
void add_async(store::Batch& batch, const Invocation& invocation, int64_t due_us);

enum class AsyncError {
  not_found,   // no such function, task or call
  too_large,   // the payload
  invalid,     // the id or the key has a form that is not allowed
  exists,      // a task with this id is known
  mismatch,    // the idempotency key came with another payload before
  completed,   // the task has ended
  full,        // kMaxTasks are under way
};

struct AsyncRequest {
  Invocation invocation;
  bool stateful = false;  // a task even if the function's configuration does not say so; an id says it too
  std::string task_id;    // empty: a task's id is its request id
  std::string once_key;   // idempotency key; empty: none
};
struct Accepted {
  std::string request_id;  // of the call that runs: an earlier one's if `repeated`
  std::string task_id;     // empty: no task
  bool repeated = false;   // the idempotency key was known
};

struct AsyncCounts {
  uint64_t accepted = 0;  // by submit(): without those that triggers and timers added
  uint64_t succeeded = 0, failed = 0, retried = 0, dead = 0, stopped = 0;
  size_t in_flight = 0;
};
struct AsyncBacklog {
  size_t queued = 0;         // waiting, resting before a retry, or running; counted up to kMaxCountedRows per partition
  int64_t oldest_due_us = 0;  // wall clock; 0: nothing is queued
};
constexpr size_t kMaxCountedRows = 10'000;

class AsyncInvoker {
 public:
  virtual ~AsyncInvoker() = default;
  // Writes the call durably, and lets it run.
  virtual io::Task<Expected<Accepted, AsyncError>> submit(io::Loop& loop, AsyncRequest request) = 0;
  // Stops a task: one that waits is Stopped when this returns, a running one Stopping: its instance is being ended.
  virtual io::Task<Expected<void, AsyncError>> stop_task(io::Loop& loop, Target target, std::string id) = 0;
  // The same for any asynchronous call, by its request id. A plain one leaves no trace: when this returns it
  // has left its queue. A run that ends well all the same still tells its destination. `not_found` also when it has ended.
  virtual io::Task<Expected<void, AsyncError>> cancel(io::Loop& loop, Target target, std::string request_id) = 0;
  virtual void wake() = 0;  // calls were committed; any thread
  virtual io::Task<void> start(io::Loop& loop) = 0;
  virtual io::Task<void> stop(io::Loop& loop) = 0;  // no new calls; returns when running ones have ended
  virtual AsyncCounts counts() const = 0;
  virtual io::Task<AsyncBacklog> backlog(io::Loop& loop) = 0;
  virtual DeadLetters& letters() = 0;
  virtual Tasks& tasks() = 0;
};

// Partition p is worked on loops[p % loops.size()].
std::unique_ptr<AsyncInvoker> make_async_invoker(std::vector<io::Loop*> loops, store::Store& store, Invoker& invoker, const functions::Catalogue& catalogue,
                                                 const functions::Settings& settings, Rng& rng, AsyncOptions options);

}  // namespace mayfly::dispatch
