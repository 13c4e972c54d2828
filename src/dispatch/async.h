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
//
// A dead letter is a row that stays until it is redelivered or dropped, at most kMaxDeadLetters of them; with an onFailure destination
// that function is called too. A call may run more than once (after a crash): functions are told so by the retry count.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dispatch/invoker.h"
#include "functions/catalogue.h"
#include "functions/settings.h"
#include "queues/work_queue.h"

namespace mayfly::dispatch {

constexpr size_t kAsyncPartitions = 16;  // queues, by function: a flood of one function holds up at most the others of its queue; part of the stored layout
constexpr size_t kMaxDeadLetters = 10'000;  // then the oldest go
constexpr int64_t kSystemRetryLimitUs = 5LL * 3'600 * kMicrosPerSecond;
constexpr int64_t kAsyncWaitUs = 60 * kMicrosPerSecond;  // for an instance, before the call goes back to the queue

struct AsyncOptions {
  size_t max_payload_bytes = 128 * 1024;  // aliyun-fc.md section 6; payloads lie in the queue's rows
  size_t window = 64;                     // calls in flight per partition: their payloads are in memory
  std::string region = "local", account;  // for the ARNs in destination payloads
  std::function<void(std::exception_ptr)> on_fault{};  // of a delivery, before it is tried again; default: printed
};

// Adds one asynchronous call to `batch`, to run at `due_us` (wall clock) or later. Call AsyncInvoker::wake() after the commit.
void add_async(store::Batch& batch, const Invocation& invocation, int64_t due_us);

// How a function's asynchronous calls are treated: its async-invoke-config.
struct AsyncPolicy {
  int64_t max_retries = 3;
  int64_t max_age_s = 86'400;
  std::string on_success, on_failure;  // ARN of a function, or empty
};
// The settings document of kind kAsyncConfig that holds it.
constexpr const char* kAsyncConfig = "async-config";
std::string async_config_name(const std::string& service, const std::string& qualifier, const std::string& function);
AsyncPolicy async_policy(const functions::Settings& settings, const Target& target);

struct DeadLetter {
  std::string id;  // for redeliver and drop
  Invocation invocation;
  std::string reason;  // a sentence
  int64_t attempts = 0;
  int64_t since_us = 0, died_us = 0;  // wall clock: first enqueued, given up
};

struct AsyncCounts {
  uint64_t succeeded = 0, failed = 0, retried = 0, dead = 0;
  size_t in_flight = 0;
};

class AsyncInvoker {
 public:
  virtual ~AsyncInvoker() = default;
  // Checks the size and that the function exists, writes the call durably, and lets it run.
  virtual io::Task<Expected<void, InvokeError>> submit(io::Loop& loop, Invocation invocation) = 0;
  virtual void wake() = 0;  // calls were committed; any thread
  virtual io::Task<void> start(io::Loop& loop) = 0;
  virtual io::Task<void> stop(io::Loop& loop) = 0;  // no new calls; returns when running ones have ended
  virtual AsyncCounts counts() const = 0;

  virtual io::Task<std::vector<DeadLetter>> dead_letters(io::Loop& loop, std::string after_id, size_t limit) = 0;  // oldest first
  virtual io::Task<bool> redeliver(io::Loop& loop, std::string id) = 0;  // as new; false if there is no such letter
  virtual io::Task<bool> drop(io::Loop& loop, std::string id) = 0;
};

// Partition p is worked on loops[p % loops.size()].
std::unique_ptr<AsyncInvoker> make_async_invoker(std::vector<io::Loop*> loops, store::Store& store, Invoker& invoker, const functions::Catalogue& catalogue,
                                                 const functions::Settings& settings, Rng& rng, AsyncOptions options);

}  // namespace mayfly::dispatch
