#pragma once
// Pool: the instances of one revision of one function (one qualifier, one version) and the calls that wait for them, on one shard.
//
// A call takes an idle instance, the one used last, so that the others can grow old and end. If nobody is idle it queues and, below the
// limits, an instance is started for it; a freed instance goes to the first in the queue. A start that fails while nothing runs fails
// everybody who waits, with its reason; while others run, they simply serve on and no start is tried for kRestartPauseUs.
// An instance that died, timed out or ran out of memory is ended and never called again.
//
// States: serving -> draining (revision replaced, or shutdown: idle instances end, waiting calls are sent back, running ones finish)
// -> empty (nothing refers to it; the dispatcher drops it).

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "dispatch/budget.h"
#include "dispatch/call_watch.h"
#include "dispatch/credentials.h"
#include "dispatch/dispatcher.h"
#include "io/group.h"
#include "io/sync.h"

namespace mayfly::dispatch {

constexpr int64_t kRestartPauseUs = 1 * kMicrosPerSecond;  // between failed starts while other instances serve
constexpr size_t kLogTailBytes = 4'096;                    // aliyun-fc.md section 5.8

// What the pools of a shard share; outlives them.
struct PoolContext {
  io::Loop& loop;
  runtime::InstanceFactory& factory;
  Budget& budget;
  CredentialCache& credentials;
  InvocationObserver& observer;
  io::TaskGroup& tasks;  // starts and stops of instances
  std::function<void()> memory_freed;   // somebody may have waited for it
  std::function<void()> memory_needed;  // asks for an idle instance of another function to be ended
  std::string account;
  DispatchOptions options;  // with the zeros filled in
};

// Counts of one function, kept across its revisions.
struct Counters {
  uint64_t invocations = 0, errors = 0, cold_starts = 0, throttled = 0;
  std::string last_error;
};

class Pool {
 public:
  // An instance and what the dispatcher knows of it.
  struct Slot {
    std::shared_ptr<runtime::Instance> instance;  // shared with kill(), which may outlive the slot
    size_t busy = 0;
    uint64_t calls = 0;
    int64_t memory_bytes = 0;
    int64_t started_wall_us = 0;
    bool fresh = true;     // nobody was served yet: the next call pays for the start
    bool retired = false;  // ends as soon as nobody is on it
    bool killed = false;   // kill() ends it
    bool cancelled = false;  // and one of its own calls asked for that (call_watch.h), not the shutdown
    std::shared_ptr<std::string> start_log;  // what it printed before its first call
    io::Loop::TimerId idle_timer = 0;
  };

  struct Grant {
    enum class Kind { slot, moved, outcome, refused };
    Kind kind = Kind::refused;
    Slot* slot = nullptr;
    Outcome outcome{};                // Kind::outcome: the start failed in the function's own code
    Failure<InvokeError> failure{};   // Kind::refused
  };

  Pool(PoolContext& context, Counters& counters, std::shared_ptr<const functions::Runnable> runnable);
  ~Pool();

  const functions::Runnable& runnable() const { return *runnable_; }

  // The whole call: wait, run, answer; nullopt if the pool was replaced meanwhile and the call must be sent to its successor.
  io::Task<std::optional<Expected<Outcome, InvokeError>>> run(Invocation invocation, io::Deadline deadline);

  void drain();     // see above; idempotent
  void refuse_waiting(const Failure<InvokeError>& failure);
  void consider();  // start what is needed: after memory was freed
  // Ends the idle instance unused for longest to make room for another function; false if there is none.
  bool evict_one();
  void kill_busy();  // at the end of shutdown's patience: their calls end as `stopping`

  bool draining() const { return draining_; }
  bool empty() const { return users_ == 0 && slots_.empty(); }
  bool waiting() const { return !waiting_.empty(); }
  int64_t last_used_us() const { return last_used_us_; }
  void add_to(FunctionStatus& status) const;

 private:
  struct Waiter;

  io::Task<Grant> acquire(io::Deadline deadline, std::shared_ptr<CallWatch> watch);
  io::Task<void> start_one();
  io::Task<void> stop_instance(std::shared_ptr<runtime::Instance> instance);
  io::Task<void> kill(std::shared_ptr<runtime::Instance> instance);
  void kill_slot(Slot* slot);  // its calls end soon; once
  io::Task<Outcome> serve(Slot* slot, const Invocation& invocation, int64_t waited_us, std::optional<Failure<InvokeError>>& cut_short);
  Grant start_failure(const Failure<runtime::StartError>& failure, const std::string& log) const;
  Slot* find_free();
  size_t instance_limit() const;
  void hand_over(Slot* slot);
  void release(Slot* slot);
  void become_idle(Slot* slot);
  void remove(Slot* slot);
  bool grant_front(Grant grant);
  void printed(const std::string& instance, const std::string& request_id, std::string text);
  Target target() const { return {runnable_->service.name, runnable_->function.name, runnable_->qualifier}; }
  std::string name() const { return runnable_->service.name + "/" + runnable_->function.name; }

  PoolContext& context_;
  Counters& counters_;
  std::shared_ptr<const functions::Runnable> runnable_;
  size_t concurrency_;  // calls on one instance at once
  std::list<std::unique_ptr<Slot>> slots_;  // most recently used first
  std::deque<Waiter*> waiting_;
  std::map<std::string, std::string> tails_;  // request id -> the last it printed
  size_t starting_ = 0;
  size_t users_ = 0;  // coroutines that hold this pool
  int64_t no_start_before_us_ = 0;
  int64_t last_used_us_ = 0;
  bool draining_ = false;
};

}  // namespace mayfly::dispatch
