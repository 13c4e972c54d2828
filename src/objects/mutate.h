#pragma once
// One object's change of state, atomic against every other writer: read what is there (or guess that nothing is), let a rule make the
// new state, and commit it under the expectation that what was read still stands. A refused commit reads again and asks the rule again.
// Parts that the new state no longer holds go: inline ones in the same commit, blobs after it (a crash between leaves garbage that
// Maintenance::sweep removes).

#include "objects/body.h"

namespace mayfly::objects {

struct Draft {
  StoredObject object;  // parts complete; `manifest` and `sequencer` are filled in by mutate()
  std::vector<std::pair<std::string, std::string>> inline_rows;  // part id -> bytes
};

struct Mutation {
  std::string bucket, key;
  // The guess saves a read for keys that are mostly new; a wrong guess costs one refused commit, which touches no disk.
  enum class Guess { absent, unknown } guess = Guess::unknown;
  std::optional<Change::Kind> tell;  // which change the listener hears of; none for what is not an event
  Caller caller;
  // `previous` (parts complete) is null when there is none.
  std::function<Result<Draft>(const StoredObject* previous)> rule;
  std::function<void(store::Batch&)> with;  // more of the same commit; may be empty
};

io::Task<Result<ObjectInfo>> mutate(Ground ground, io::Loop& loop, Mutation mutation);

// Adds `received` to `draft` as its next part.
void add_part(Draft& draft, const Received& received);

// Removes what `from` holds and `to` does not: inline rows into the batch, blob ids returned for after the commit.
std::vector<std::string> drop_parts(const std::vector<Part>& from, const std::vector<Part>& to, store::Batch& batch);

Change make_change(Change::Kind kind, ObjectInfo object, uint64_t previous_size, const Caller& caller);

// True if the bucket's gate is open: commits that expect it were refused for another reason.
io::Task<bool> gate_open(Ground ground, io::Loop& loop, std::string bucket);

}  // namespace mayfly::objects
