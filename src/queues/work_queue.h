#pragma once
// WorkQueue: the durable queue under everything asynchronous (DESIGN 2): deliveries, async calls, flow steps, retries, timers.
// A message is one row, key (queue, due time, id); it is written inside the caller's own batch, so that one commit covers cause and
// effect (DESIGN 4.5), and deleted inside the batch that records what came of it. Leases live in memory (reliability.md R5.1): after
// a crash every message that was not acknowledged is delivered again, so consumers are idempotent.
//
// One WorkQueue object owns one queue and runs on one loop. It calls the consumer for each due message, at most `window` at a time,
// in due order. Producers on other threads call wake() after their commit.

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/rng.h"
#include "io/group.h"
#include "store/store.h"

namespace mayfly::queues {

struct Message {
  std::string queue;
  int64_t due_us = 0;   // wall clock, microseconds; delivered not before
  std::string id;       // unique within (queue, due_us); the producer's idempotency key or a random id
  std::string payload;  // opaque to the queue
};

// Adds the message's row to `batch`.
void add(store::Batch& batch, const Message& message);
// Removes it: the acknowledgement. Expects nothing: acknowledging twice is harmless. acknowledge_once also expects the row to exist,
// which makes the batch a fence: of two workers that handled one message only the first commits.
void acknowledge(store::Batch& batch, const Message& message);
void acknowledge_once(store::Batch& batch, const Message& message);

// The rows of one queue, in due order, for listings and counts; and a row read back (nullopt: not a message's row).
store::Range rows_of(const std::string& queue);
std::optional<Message> read_message(const store::Entry& row);

class WorkQueue {
 public:
  // Handles one message. It must end by committing a batch that acknowledges the message (perhaps re-adding it later); returning
  // without that means "deliver again", after kRedeliverUs. An exception counts as the same and is logged.
  using Consumer = std::function<io::Task<void>(Message)>;

  static constexpr int64_t kRedeliverUs = 1'000'000;  // pause before a message that was not acknowledged is tried again

  virtual ~WorkQueue() = default;
  virtual void start() = 0;                // scans what is stored and begins
  virtual void wake() = 0;                 // something was committed; any thread; a consumer that adds messages calls it too
  virtual io::Task<void> stop() = 0;       // no new deliveries; returns when running consumers have ended
  virtual size_t in_flight() const = 0;
};

struct WorkQueueOptions {
  std::string name;
  size_t window = 256;  // messages handled at once: bounds memory and the work lost to a crash
  std::function<void(std::exception_ptr)> on_fault{};  // of a consumer or of a scan, before the retry; default: printed
};
std::unique_ptr<WorkQueue> make_work_queue(io::Loop& loop, store::Store& store, WorkQueueOptions options, WorkQueue::Consumer consumer);

}  // namespace mayfly::queues
