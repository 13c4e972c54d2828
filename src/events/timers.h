#pragma once
// Timers: durable ticks. Each timer has one row (its specification and next tick) and one message in the "timers" work queue, due at
// that tick. A tick is ONE commit: the message acknowledged, what the tick causes, the row moved on and the next message added. So a
// crash neither loses a tick nor doubles one. Ticks that passed while the server was down, or faster than it could follow, collapse
// into one: a timer never piles up (aliyun-fc.md section 4).
//
// What should tick is given by reconcile(): at start and whenever triggers or schedules change. Owned by one loop.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "events/schedule.h"
#include "queues/work_queue.h"

namespace mayfly::events {

struct TimerSpec {
  std::string key;      // unique: "fc/service/function/trigger", "fnf/flow/schedule"
  std::string cron;     // schedule text, already validated
  std::string action;   // opaque to Timers: what fire() needs to know
  bool operator==(const TimerSpec&) const = default;
};

class Timers {
 public:
  // Adds the effects of one tick to `batch`; called again for the same tick if the commit is refused, so it must be pure.
  using Fire = std::function<void(store::Batch& batch, const TimerSpec& spec, int64_t tick_us)>;
  using Fired = std::function<void()>;  // after a tick is durable: wake whoever consumes its effects

  Timers(io::Loop& loop, store::Store& store, const Clock& clock, Fire fire, Fired fired);
  ~Timers();

  void start();
  // Makes the stored timers equal to `wanted`: new and changed ones start counting now, others go on undisturbed.
  io::Task<void> reconcile(std::vector<TimerSpec> wanted);
  io::Task<void> stop();

 private:
  io::Task<void> tick(queues::Message message);
  void add_next(store::Batch& batch, const TimerSpec& spec, int64_t anchor_us);

  io::Loop& loop_;
  store::Store& store_;
  const Clock& clock_;
  Fire fire_;
  Fired fired_;
  std::unique_ptr<queues::WorkQueue> queue_;
};

}  // namespace mayfly::events
