#pragma once
// ShardDispatcher: the pools of the functions whose home is one shard. All members run on that shard's thread.

#include <map>
#include <memory>
#include <string>

#include "dispatch/pool.h"

namespace mayfly::dispatch {

// How a shard reaches the others; both may be called from its thread at any time.
struct ShardHooks {
  std::function<void()> memory_freed;
  std::function<void()> memory_needed;  // no idle instance on this shard could be ended
};

class ShardDispatcher {
 public:
  ShardDispatcher(ShardContext shard, functions::Catalogue& catalogue, const auth::Keyring& keyring, InvocationObserver& observer, Budget& budget, Rng& rng,
                  ShardHooks hooks, DispatchOptions options);

  io::Loop& loop() { return context_.loop; }

  io::Task<Expected<Outcome, InvokeError>> run(Invocation invocation, io::Deadline deadline);
  void refresh();   // the catalogue changed: pools of what is gone or replaced drain
  void consider();  // memory was freed: pools with waiting calls try again
  bool reclaim();   // memory is needed: ends the idle instance of the function unused for longest; false if none is idle
  io::Task<FunctionStatus> status(std::string name);  // "service/function"
  io::Task<Totals> totals();
  io::Task<void> stop(io::Deadline deadline);

 private:
  struct Home {  // one function: its counters and its pools
    Counters counters;
    std::map<std::string, std::unique_ptr<Pool>> pools;  // by qualifier and version
  };

  Pool& pool_for(const std::shared_ptr<const functions::Runnable>& runnable);
  void retire(std::unique_ptr<Pool> pool);
  void sweep();  // drops pools that are drained, and forgets functions that nobody calls
  void schedule_sweep();
  std::vector<Pool*> pools() const;  // serving ones and retired ones

  functions::Catalogue& catalogue_;
  Rng& rng_;
  CredentialCache credentials_;
  io::TaskGroup tasks_;
  PoolContext context_;
  std::map<std::string, Home> homes_;  // by "service/function"; counters stay for the process's life, bounded by the catalogue
  std::vector<std::unique_ptr<Pool>> retired_;
  io::Loop::TimerId sweep_timer_ = 0;
  size_t calls_ = 0;        // running or waiting here
  io::Signal quiet_;        // set while stopping, when calls_ is 0
  bool stopping_ = false;
};

}  // namespace mayfly::dispatch
