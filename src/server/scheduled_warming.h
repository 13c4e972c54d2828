#pragma once
// ScheduledWarming: provisioned instances by the time of day. A provision-config (dispatch/limits.h) may have scheduledActions: a cron
// expression or one moment, and the target from then on. When an action is due its target becomes the document's; the dispatcher follows
// the document. Whatever changed the target last rules: a person or an action. Actions that became due while the server was down are made
// up for at start: the latest of them. Owned by one loop.

#include "base/clock.h"
#include "functions/settings.h"
#include "io/group.h"
#include "io/sync.h"

namespace mayfly::server {

class ScheduledWarming {
 public:
  ScheduledWarming(io::Loop& loop, functions::Settings& settings, const Clock& clock);

  void start();
  void changed();  // the settings did; on the loop
  io::Task<void> stop();

 private:
  io::Task<void> run();
  // Does what is due; the wall-clock time of what comes next, or INT64_MAX.
  io::Task<int64_t> act();

  io::Loop& loop_;
  functions::Settings& settings_;
  const Clock& clock_;
  io::TaskGroup tasks_;
  io::Signal wake_;
  bool stopping_ = false;
};

// When the action (a member of scheduledActions) is due first after `after_us`; nullopt: never again.
std::optional<int64_t> next_due(const json::value& action, int64_t after_us);

}  // namespace mayfly::server
