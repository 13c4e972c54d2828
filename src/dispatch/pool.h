#pragma once
// Pool: the instances of one revision of one function (one qualifier, one version) and the calls that wait for them, on one shard.
//
// A call takes an idle instance, the one used last, so that the others can grow old and end. If nobody is idle it waits in line and, below
// the limits, an instance may be started for it; a freed instance goes to the first in line. How many there should be:
//   by default     as many as calls wait for, never fewer than the provisioned minimum; the first at once, another when those in line
//                  would be served later without it (patience.h); idle ones end after a while (habits.h), and one is started ahead of a
//                  call that is expected;
//   with a scaler  what Knative's autoscaler says (kpa.h).
// A call whose instance ended before it took the call goes back to its place in line. A start that fails while nothing runs fails everybody
// who waits, with its reason; failures in a row suspend the pool (crash_guard.h). An instance that died, timed out or ran out of memory is
// ended and never called again.
//
// States: serving -> draining (revision replaced, or shutdown: idle instances end, waiting calls are sent back, running ones finish)
// -> empty (nothing refers to it; the dispatcher drops it). Calls are pool.cc, instances pool_instances.cc.

#include <list>
#include <map>
#include <memory>
#include <string>

#include "dispatch/budget.h"
#include "dispatch/call_watch.h"
#include "dispatch/crash_guard.h"
#include "dispatch/credentials.h"
#include "dispatch/crowd.h"
#include "dispatch/dispatcher.h"
#include "dispatch/habits.h"
#include "dispatch/kpa.h"
#include "dispatch/limits.h"
#include "dispatch/patience.h"
#include "dispatch/slot.h"
#include "dispatch/waiting_line.h"
#include "io/group.h"
#include "runtime/runtimes.h"

namespace mayfly::dispatch {

constexpr int64_t kRestartPauseUs = 1 * kMicrosPerSecond;  // between failed starts while other instances serve
constexpr int64_t kFreezeAfterUs = 1 * kMicrosPerSecond;   // without a call; a frozen instance's next call pays for its hook and its waking
constexpr size_t kLogTailBytes = 4'096;                    // aliyun-fc.md section 5.8
constexpr size_t kActivatorDepth = 10'000;                 // calls waiting for a scaled-to-zero function, knative-serving.md S4.39
constexpr int64_t kIdleSlackMb = 8;                        // what an idle instance may need beyond the peak it has shown: page tables, its log
constexpr size_t kBreakerDepth = 10;                       // calls waiting per call that may run, S4.18

// What the pools of a shard share; outlives them.
struct PoolContext {
  io::Loop& loop;
  runtime::InstanceFactory& factory;
  Budget& budget;         // of instances' memory
  Budget& waiting_bytes;  // of waiting calls
  Crowd& crowd;
  CredentialCache& credentials;
  InvocationObserver& observer;
  Rng& rng;
  io::TaskGroup& tasks;  // starts and stops of instances
  std::function<void()> memory_freed;   // somebody may have waited for it
  std::function<void()> memory_needed;  // asks for an idle instance of another function to be ended
  std::function<void()> settled;        // a pool's provisioned instances are there, or cannot be had
  std::string account;
  DispatchOptions options;  // with the zeros filled in
};

// Counts of one function.
struct Counters {
  uint64_t invocations = 0, errors = 0, cold_starts = 0, throttled = 0;
  std::string last_error;
};

// What stays of one function across its revisions.
struct FunctionState {
  explicit FunctionState(Budget& budget) : share(budget) {}
  Counters counters;
  Share share;
  struct Past {
    Habits habits;
    int64_t idle_since_us = -1;  // -1: nobody has called yet, or somebody does now
  };
  std::map<std::string, Past> past;  // by qualifier
  std::map<std::string, Patience> patience;
};

class Pool {
 public:
  Pool(PoolContext& context, FunctionState& state, std::shared_ptr<const functions::Runnable> runnable, Limits limits);
  ~Pool();

  const functions::Runnable& runnable() const { return *runnable_; }

  // The whole call: wait, run, answer; nullopt if the pool was replaced meanwhile and the call must be sent to its successor. The errand
  // is the caller's and outlives the task.
  io::Task<std::optional<Expected<Outcome, InvokeError>>> run(Errand& errand);

  void adopt(std::shared_ptr<const functions::Runnable> same) { runnable_ = std::move(same); }  // of the same revision
  void set_limits(Limits limits);
  void follow(const Pool& older);  // takes over what an older revision's scaler knows
  bool keeps_instances() const { return kept() > 0; }
  // The instances that are to be there without calls are ready, or cannot be had.
  bool settled() const { return failed_to_start_ || ready() >= std::min(kept(), instance_limit()); }

  void close() { closing_ = true; }  // shutdown: nothing is started any more
  void drain();     // see above; idempotent
  void refuse_waiting(const Failure<InvokeError>& failure);
  void consider();  // starts what is needed: after memory was freed, or limits changed
  void tend();      // instances that died while idle are removed and, where a minimum is set, replaced
  // Two ways to make room for others, false if there was nothing to do: idle instances are counted with what they were seen to use, until
  // they work again; and the one unused for longest is ended.
  bool squeeze();
  bool evict_one();
  void kill_busy();  // at the end of shutdown's patience: their calls end as `stopping`

  bool draining() const { return draining_; }
  bool empty() const { return users_ == 0 && slots_.empty(); }
  bool waiting() const { return !line_.empty(); }
  bool expects_calls() const { return prewarm_timer_ != 0; }
  int64_t last_used_us() const { return last_used_us_; }
  void add_to(FunctionStatus& status) const;

 private:
  class Visit;
  struct Served {
    Outcome outcome{};
    bool taken = true;  // false: nothing of the call has run
    std::optional<Failure<InvokeError>> cut_short{};  // the platform ended the instance before it answered
  };

  // pool.cc
  std::optional<Grant> without_waiting(const Errand& errand);
  io::Task<Grant> acquire(Errand& errand);
  io::Task<Served> serve(Grant grant, const Errand& errand);
  void account_for(Slot* slot, runtime::Reply::Kind kind, int64_t began_us, const Served& served);
  Expected<Outcome, InvokeError> finish(const Errand& errand, Served served);
  Grant refusal(InvokeError code, std::string message, std::string hint);
  Grant overflow();
  std::optional<Grant> suspended() const;
  void refuse_if_suspended();
  void arrived();
  void departed();
  void line_moved();
  void printed(const std::string& instance, const std::string& request_id, std::string text);
  std::string name() const { return runnable_->service.name + "/" + runnable_->function.name; }

  // pool_instances.cc
  size_t missing() const;
  void no_memory_for_kept();
  int64_t start_due_us(int64_t now_us) const;
  void watch_line();
  void retire_one();
  void apply_limits();
  std::optional<size_t> ruling_policy() const;
  size_t instance_limit() const;
  size_t kept() const;  // how many are there without calls
  size_t ready() const;
  bool scaler_rules() const { return limits_.kpa.has_value(); }
  void scale();
  void end_surplus();
  void arm(io::Loop::TimerId& timer, int64_t at_us, void (Pool::*then)());
  void disarm(io::Loop::TimerId& timer);
  void tick();
  void prewarm();
  void went_idle();
  void let_idle_ones_go();
  io::Task<void> start_one();
  void start_failed(int64_t began_us, const Failure<runtime::StartError>& failure, const std::string& log);
  Grant start_failure(const Failure<runtime::StartError>& failure, const std::string& log) const;
  io::Task<void> stop_instance(std::shared_ptr<runtime::Instance> instance, int64_t charged_mb);
  io::Task<void> kill(std::shared_ptr<runtime::Instance> instance);
  void kill_slot(Slot* slot);  // its calls end soon; once
  enum class Squeezed { no, too };
  Slot* find_free(Squeezed squeezed);
  Slot* take_free();
  bool afford(Slot& slot);
  void hand_over(Slot* slot);
  void release(Slot* slot, bool fresh = false);
  void become_idle(Slot* slot, int64_t keep_us);
  void arm_idle(Slot* slot, int64_t at_us);
  void expire(Slot* slot);
  io::Task<void> freeze(std::shared_ptr<runtime::Instance> instance);
  void remove(Slot* slot);
  void give_back_memory(int64_t mb);

  PoolContext& context_;
  FunctionState& state_;
  Counters& counters_ = state_.counters;
  FunctionState::Past& past_;
  Patience& patience_;
  std::shared_ptr<const functions::Runnable> runnable_;
  const size_t concurrency_ = runtime::concurrency_of(runnable_->function);  // calls on one instance at once
  const bool freezes_ = runtime::freezes(runnable_->function);
  Limits limits_;
  size_t minimum_ = 0;  // what limits_ and their tracking ask for at this moment
  std::unique_ptr<Kpa> scaler_;  // rules the number, or the minimum
  std::optional<size_t> ruling_;  // the tracking policy that it follows, if it is the minimum
  std::list<std::unique_ptr<Slot>> slots_;  // most recently used first
  WaitingLine line_{context_.options.max_waiting_per_function, context_.waiting_bytes};
  CrashGuard guard_;
  struct Tail {  // of a call that runs, in its frame: the last it printed
    const std::string& request_id;
    std::string text;
  };
  std::vector<Tail*> tails_;
  size_t starting_ = 0, prewarming_ = 0;
  size_t in_flight_ = 0;  // calls here, waiting or running
  size_t users_ = 0;      // coroutines that hold this pool
  int64_t no_start_before_us_ = 0;
  int64_t last_used_us_ = context_.loop.now_us();
  io::Loop::TimerId retry_timer_ = 0, tick_timer_ = 0, prewarm_timer_ = 0, patience_timer_ = 0, watch_timer_ = 0;
  int64_t last_started_us_ = 0;  // an instance became ready
  bool one_more_ = false;        // is to be tried
  bool draining_ = false, closing_ = false;
  bool crowded_ = false;  // the Crowd was told
  bool failed_to_start_ = false;  // or could not, for lack of memory
  bool short_of_memory_ = false;  // the last time that an instance was to be started without a call for it
  bool unsupported_ = false;  // the last start failed because this machine lacks the runtime
};

}  // namespace mayfly::dispatch
