#pragma once
// Definitions: compiled definitions by the hash of their text, and flows by name, so that starting an execution reads nothing from the
// store. Shared by all shards behind one mutex that is held for a look-up only, never across a wait. One process owns the store's
// flows (DESIGN 4.4), so what create, update and delete put here is what the store says.

#include <mutex>

#include "flows/definition.h"
#include "flows/rows.h"
#include "store/store.h"

namespace mayfly::flows {

struct Compiled {
  std::string hash, text;
  Definition definition;
};

struct KnownFlow {
  FlowRow row;
  std::shared_ptr<const Compiled> compiled;  // immutable; executions outlive the flow's current version
};

class Definitions {
 public:
  explicit Definitions(store::Store& store) : store_(store) {}

  // Refuses what parse_fdl refuses.
  static Result<std::shared_ptr<const Compiled>> compile(std::string text);

  io::Task<Result<std::shared_ptr<const KnownFlow>>> flow(io::Loop& loop, std::string name);
  // Throws std::runtime_error if the store lacks it or it does not compile any more: an execution cannot go on without.
  io::Task<std::shared_ptr<const Compiled>> definition(io::Loop& loop, std::string hash);
  // After a commit that changed the flow.
  void forget(const std::string& name);

 private:
  static constexpr size_t kMaxKept = 1'000;  // of each kind, some 10 KB apiece; beyond it all are dropped and read again

  void keep(std::shared_ptr<const Compiled> compiled);

  store::Store& store_;
  std::mutex mutex_;
  uint64_t changes_ = 0;  // forget() calls: a flow read before one is not kept after it
  std::unordered_map<std::string, std::shared_ptr<const Compiled>> compiled_;
  std::unordered_map<std::string, std::shared_ptr<const KnownFlow>> flows_;
};

}  // namespace mayfly::flows
