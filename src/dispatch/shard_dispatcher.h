#pragma once
// ShardDispatcher: the pools of the functions whose home is one shard. All members run on that shard's thread.

#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "dispatch/pool.h"

namespace mayfly::dispatch {

// How a shard reaches the others; all may be called from its thread at any time.
struct ShardHooks {
  std::function<void()> memory_freed;
  std::function<void()> memory_needed;  // no idle instance on this shard could be ended
  std::function<bool(const std::string& service, const std::string& function)> is_home;
};

// What the shards of a node share; outlives them.
struct NodeParts {
  functions::Catalogue& catalogue;
  const auth::Keyring& keyring;
  InvocationObserver& observer;
  Budget& budget;
  Budget& waiting_bytes;
  Crowd& crowd;
  Rng& rng;
};

class ShardDispatcher {
 public:
  ShardDispatcher(ShardContext shard, NodeParts node, ShardHooks hooks, DispatchOptions options);

  io::Loop& loop() { return context_.loop; }

  io::Task<Expected<Outcome, InvokeError>> run(Invocation invocation, io::Deadline deadline);
  void refresh();          // the catalogue changed: pools of what is gone or replaced drain
  void settings_changed(); // limits did
  void expect(const Target& target);  // Dispatcher::expect
  void consider();  // memory was freed: pools with waiting calls try again
  bool reclaim();   // memory is needed: idle instances count less, or the one of the function unused for longest ends; false if none is idle
  io::Task<FunctionStatus> status(std::string name);  // "service/function"
  io::Task<Totals> totals();
  io::Task<void> stop(io::Deadline deadline);

 private:
  // The pool of one qualifier and version. While a new revision's provisioned instances start, the old one still serves.
  struct Place {
    std::unique_ptr<Pool> pool, next;
  };
  struct Home {  // one function
    explicit Home(Budget& budget) : state(budget) {}
    FunctionState state;
    std::map<std::string, Place> places;  // by qualifier and version
    std::map<std::string, uint64_t> begun;  // the revision that was started ahead last, by the same
  };

  using Places = std::map<std::string, Place>;

  Home& home_of(const std::string& name);
  Pool& pool_for(const std::shared_ptr<const functions::Runnable>& runnable);
  std::unique_ptr<Pool> make_pool(Home& home, const std::shared_ptr<const functions::Runnable>& runnable);
  Limits limits_of(const functions::Runnable& runnable) const;
  void renew(Home& home, Place& place, const std::shared_ptr<const functions::Runnable>& runnable);
  void replace(Place& place, std::unique_ptr<Pool> next);
  void promote();          // successors that are ready take over
  void start_ahead();      // pools of what is to be there without calls
  void start_ahead(const std::shared_ptr<const functions::Runnable>& runnable);
  void reserve();
  void retire(std::unique_ptr<Pool> pool);
  struct Pace {
    bool any = false, soon = false;  // whether to come back, and whether within kSweepSoonUs
  };
  void sweep();  // drops pools that are drained, forgets functions that nobody calls, replaces provisioned instances that died
  void sweep_places(Places& places, int64_t unused_since_us, Pace& pace);
  void schedule_sweep(bool soon);
  std::vector<Pool*> pools() const;  // serving ones, coming ones and retired ones

  functions::Catalogue& catalogue_;
  Rng& rng_;
  CredentialCache credentials_;
  io::TaskGroup tasks_;
  ShardHooks hooks_;
  PoolContext context_;
  // By "service/function"; counters stay for the process's life, bounded by the catalogue.
  std::unordered_map<std::string, std::unique_ptr<Home>> homes_;
  // The way from what the catalogue resolves to its pool, for calls; an entry goes with its pool, which keeps the runnable alive.
  std::unordered_map<const functions::Runnable*, Pool*> by_runnable_;
  std::vector<std::unique_ptr<Pool>> retired_;
  io::Loop::TimerId sweep_timer_ = 0;
  int64_t sweep_at_us_ = 0;
  uint64_t next_ticket_ = 1;
  size_t calls_ = 0;        // running or waiting here
  io::Signal quiet_;        // set while stopping, when calls_ is 0
  bool promoting_ = false;  // posted
  bool stopping_ = false;
};

}  // namespace mayfly::dispatch
