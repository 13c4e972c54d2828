#pragma once
// Store: the asynchronous face of an engine, used from any shard. A committer thread owns the engine; each time the disk returns it
// takes everything queued (reads first, then all batches as one durable unit): group commit without a timer (reliability.md R2.4).
// A result reaches the caller only when it is durable: that is the output gate (R4.1). Reads see every commit acknowledged before
// they were asked for.

#include <memory>
#include <string>
#include <vector>

#include "io/loop.h"
#include "io/task.h"
#include "store/engine.h"

namespace mayfly::store {

enum class Commit { done, refused };  // refused: an expectation did not hold; nothing was written

class Store {
 public:
  virtual ~Store() = default;
  // Each resumes on `loop`, which must be the loop of the calling thread.
  virtual io::Task<std::optional<std::string>> get(io::Loop& loop, std::string key) = 0;
  virtual io::Task<std::vector<Entry>> scan(io::Loop& loop, Range range) = 0;
  virtual io::Task<Commit> commit(io::Loop& loop, Batch batch) = 0;
  // Batches that applied since this store was made, for metrics; starts again at 0 with the process, so it is no durable sequencer.
  virtual uint64_t commits() const = 0;
};

// Every entry of a range, page by page; for start-up recovery and small sets.
io::Task<std::vector<Entry>> scan_all(Store& store, io::Loop& loop, std::string first, std::string last);

// Production: a thread around the engine. The destructor finishes what is queued and joins; the loops of its callers must outlive it,
// since the thread may still be leaving their post() when the caller goes on.
std::unique_ptr<Store> make_committer(std::unique_ptr<Engine> engine);
// Tests and simulation: runs the engine on the calling loop; each call completes through a post, so interleavings are explored.
std::unique_ptr<Store> make_inline_store(Engine& engine);

}  // namespace mayfly::store
