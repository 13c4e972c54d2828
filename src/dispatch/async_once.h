#pragma once
// Remembers the idempotency keys of asynchronous calls: who sends a call again with the key of one that was accepted gets that one's
// request id, and nothing is queued. A key belongs to one function, is written in the batch that queues the call, and is forgotten
// kRememberUs later, or earlier when there are more than kMaxKeys (the oldest first).
//
// Rows: async-once (s, f, key) -> {request_id, digest of the payload, until}; async-once-age (until, s, f, key), for forgetting.

#include <atomic>
#include <optional>
#include <string>

#include "dispatch/invoker.h"
#include "store/store.h"

namespace mayfly::dispatch {

constexpr int64_t kRememberUs = 24LL * 3'600 * kMicrosPerSecond;  // longer than clients retry; AWS and the vendors of queues keep minutes to a day
constexpr size_t kMaxKeys = 1'000'000;     // about 300 bytes each, on disk
constexpr size_t kMaxKeyBytes = 255;

class OnceKeys {
 public:
  explicit OnceKeys(store::Store& store) : store_(store) {}

  io::Task<void> load(io::Loop& loop);  // once, before use
  size_t stored() const { return stored_; }

  struct Seen {
    std::string request_id;
    bool same_payload = false;
  };
  // The call that was accepted with this key, if it is remembered; otherwise adds to `batch` that this call has it now, so that of two
  // that try at once one is refused.
  io::Task<std::optional<Seen>> look(io::Loop& loop, const Invocation& call, std::string key, store::Batch& batch);
  void added() { ++stored_; }           // after the commit of a batch that look() added to
  io::Task<void> sweep(io::Loop& loop);  // what is out of date or too much

 private:
  store::Store& store_;
  std::atomic<size_t> stored_ = 0;
};

}  // namespace mayfly::dispatch
