#pragma once
// The dispatcher: from "run this function" to an instance that runs it. A function lives on one home shard (by the hash of its name), so
// its queue and its instances need no lock; callers on other shards hop there and back. On the home shard, each qualifier and version
// that is called has a Pool (pool.h): a bounded first-in first-out queue in front of instances that are made when nobody is idle and
// ended when nobody has called for a while. When a function changes, its pool drains and the waiting calls go to the new one. How many
// instances there are follows from the calls, from what a person asked for (limits.h) and from the function's habits (habits.h).

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "auth/keyring.h"
#include "base/rng.h"
#include "dispatch/invoker.h"
#include "functions/catalogue.h"
#include "functions/settings.h"
#include "runtime/instance.h"

namespace mayfly::dispatch {

struct ShardContext {
  io::Loop& loop;  // an io::Shard, or a simulated loop
  runtime::InstanceFactory& instances;
};

struct DispatchOptions {
  std::string region = "local";
  // Instances of one function beyond the cores only make each other slower; twice that covers those that wait for the network, and two
  // more keep a one-core machine from standing still behind one slow call. 0: 2 * cores + 2.
  size_t max_instances_per_function = 0;
  // Where functions' own limits are (limits.h). Null: none has any.
  functions::Settings* settings = nullptr;
  // What the memory sizes of all instances may add up to, MB. 0: three quarters of the machine's memory.
  int64_t memory_budget_mb = 0;
  size_t max_waiting_per_function = 1'024;     // calls, each with its payload in memory; beyond it: throttled
  // What the payloads of all waiting calls may add up to. 0: a sixteenth of the machine's memory.
  int64_t max_waiting_bytes = 0;
  int64_t idle_us = 60 * kMicrosPerSecond;     // an instance nobody calls for so long is ended, as long as habits.h knows nothing better
  int64_t forget_us = 600 * kMicrosPerSecond;  // a function nobody calls for so long loses its zygote too
  int64_t stop_grace_us = 2 * kMicrosPerSecond;  // between the polite end of an instance and SIGKILL
};

struct InstanceStatus {
  std::string id, qualifier, version;
  size_t busy = 0;  // calls it runs now
  uint64_t calls = 0;
  int64_t memory_bytes = 0;  // peak at its last reply
  int64_t started_wall_us = 0;
};

// Why a function is not tried now (crash_guard.h).
struct Suspension {
  std::string qualifier, why;
  int64_t until_wall_us = 0;
  int failures = 0;  // in a row
};

// What a scaler last decided (kpa.h).
struct ScalerStatus {
  std::string qualifier, mode;  // "serve" | "proxy"
  size_t want = 0;
  int64_t excess_burst = 0;
  bool panic = false;
};

struct FunctionStatus {
  std::vector<InstanceStatus> instances;
  size_t idle = 0, starting = 0, queued = 0;
  size_t minimum = 0, maximum = 0;  // of all qualifiers that run; what is asked for, and the limit
  int64_t reserved_mb = 0;
  uint64_t invocations = 0, errors = 0, cold_starts = 0, throttled = 0;
  std::string last_error;  // of a start or a call; empty if none since the server started
  std::vector<Suspension> suspended;
  std::vector<ScalerStatus> scalers;
};

struct Totals {
  size_t functions = 0, instances = 0, idle = 0, starting = 0, queued = 0, suspended = 0;
  size_t ready = 0;  // made ahead for starts to come: runtime::InstanceFactory::ready
  uint64_t invocations = 0, errors = 0, cold_starts = 0, throttled = 0;
  int64_t memory_reserved_mb = 0, memory_budget_mb = 0;
};

// Dice that an alias of two versions resolves to the one and to the other with (functions::Catalogue::resolve).
constexpr double kAliasWays[] = {0, 0.999'999'999};

class Dispatcher : public Invoker {
 public:
  // Catalogue and settings are loaded: starts what is to be there before it is called. Later changes of either are noticed.
  virtual void open() {}
  // Any thread: `target` has been created or changed and may be called soon; its first start finds an interpreter ready.
  virtual void expect(const Target&) {}
  // Any thread: what a call to `target` would be refused with for lack of room, so that its body need not be read; nullopt: come in.
  virtual std::optional<Failure<InvokeError>> crowded(const Target&) const { return std::nullopt; }
  // As seen now, all qualifiers together; empty if it never ran here.
  virtual io::Task<FunctionStatus> status(io::Loop& loop, std::string service, std::string function) = 0;
  virtual io::Task<Totals> totals(io::Loop& loop) = 0;
  // Refuses new calls as `stopping`, lets running ones end until the deadline, then ends every instance and with it their calls, as
  // `stopping` too. Call once, before the loops stop; the factories are stopped by their owner afterwards.
  virtual io::Task<void> stop(io::Loop& loop, io::Deadline deadline) = 0;
};

// All references must outlive the dispatcher; `rng` must be safe from every shard.
std::unique_ptr<Dispatcher> make_invoker(std::vector<ShardContext> shards, functions::Catalogue& catalogue, const auth::Keyring& keyring,
                                         InvocationObserver& observer, Rng& rng, DispatchOptions options);

}  // namespace mayfly::dispatch
