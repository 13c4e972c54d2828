#pragma once
// Dead letters: asynchronous calls that were given up, each a row until somebody runs it again (redrive) or forgets it (purge). At most
// kMaxDeadLetters of them; beyond that the oldest go, so that a function that always fails cannot fill the disk.
// Row: async-dead (time of death, request id) -> the message (async_message.h), in the batch that acknowledges it.

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "dispatch/async_message.h"
#include "store/store.h"

namespace mayfly::dispatch {

constexpr size_t kMaxDeadLetters = 10'000;

struct DeadLetter {
  std::string id;  // for a LetterQuery
  Invocation invocation;
  std::string task_id;  // of a stateful call
  std::string reason;   // a sentence
  std::string first_error, last_error;
  int64_t attempts = 0;  // runs that ended in a function error
  int64_t system_tries = 0;
  int64_t since_us = 0, died_us = 0;  // wall clock: first enqueued, given up
};

// Which letters; all of what is given must hold.
struct LetterQuery {
  std::string id;                          // exactly this one
  std::string service, function;           // empty: any
  int64_t died_from_us = 0, died_until_us = INT64_MAX;  // given up in [from, until), wall clock
  std::string after;                       // the id of the last one of the page before
  size_t limit = 100;
};

class DeadLetters {
 public:
  // `redriven` is called after a commit put calls back into their queues.
  DeadLetters(store::Store& store, std::function<void()> redriven) : store_(store), redriven_(std::move(redriven)) {}

  io::Task<void> load(io::Loop& loop);  // once, before use
  size_t stored() const { return stored_; }

  io::Task<std::vector<DeadLetter>> list(io::Loop& loop, LetterQuery query);  // oldest first
  // Runs the letters again as new calls with the same request id and payload, and gives them up; purge only does the latter. How many.
  io::Task<size_t> redrive(io::Loop& loop, LetterQuery query);
  io::Task<size_t> purge(io::Loop& loop, LetterQuery query);

  // Into the batch that acknowledges the call: its letter, and the removal of the oldest if there are too many. Then added(), after the commit.
  io::Task<bool> bury(io::Loop& loop, store::Batch& batch, AsyncMessage message);  // true if one was removed
  void added(bool one_was_removed) {
    if (!one_was_removed) ++stored_;
  }
  io::Task<void> sweep(io::Loop& loop);  // counts again and removes what is too much: several were buried at once

 private:
  enum class Fate { run_again, forget };
  io::Task<size_t> end(io::Loop& loop, LetterQuery query, Fate fate);
  io::Task<size_t> end_some(io::Loop& loop, std::vector<DeadLetter> letters, Fate fate);

  store::Store& store_;
  std::function<void()> redriven_;
  std::atomic<size_t> stored_ = 0;
};

}  // namespace mayfly::dispatch
