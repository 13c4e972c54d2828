#pragma once
// ScheduledStarts: flow executions that a schedule's tick causes. The tick's commit writes the start as a message of its own queue; the
// consumer starts the execution, named after the schedule and the tick, and acknowledges. After a crash the same start finds the
// execution it made before. Owned by one loop.
//
// The vendor does not say what input a scheduled execution gets; here {"triggerTime", "triggerName", "payload"}, the payload as JSON.

#include "base/clock.h"
#include "flows/schedules.h"
#include "queues/work_queue.h"

namespace mayfly::server {

class ScheduledStarts {
 public:
  ScheduledStarts(io::Loop& loop, store::Store& store, flows::Flows& flows, const Clock& clock);

  void add(store::Batch& batch, const std::string& flow, const std::string& schedule, const std::string& payload, int64_t tick_us) const;
  void start() { queue_->start(); }
  void wake() { queue_->wake(); }
  io::Task<void> stop() { return queue_->stop(); }

 private:
  io::Task<void> consume(queues::Message message);

  io::Loop& loop_;
  store::Store& store_;
  flows::Flows& flows_;
  const Clock& clock_;
  std::unique_ptr<queues::WorkQueue> queue_;
};

}  // namespace mayfly::server
