#pragma once
// Slot: an instance and what the dispatcher knows of it. Errand: a call on its way through a shard, wherever it is sent.

#include <memory>
#include <string>

#include "dispatch/invoker.h"
#include "io/loop.h"
#include "runtime/instance.h"

namespace mayfly::dispatch {

struct Slot {
  std::shared_ptr<runtime::Instance> instance;  // shared with kill(), which may outlive the slot
  size_t busy = 0;
  int64_t moved_us = 0;      // when a call last began or ended here
  uint64_t calls = 0;
  int64_t memory_bytes = 0;  // peak at its last reply
  int64_t charged_mb = 0;    // of the budget: its whole size, or, idle while memory is short, what it was seen to use
  int64_t started_wall_us = 0;
  bool retired = false;    // ends as soon as nobody is on it
  bool killed = false;     // kill() ends it
  bool cancelled = false;  // and one of its own calls asked for that (call_watch.h), not the shutdown
  std::shared_ptr<std::string> start_log;  // what it printed before its first call; null afterwards
  io::Loop::TimerId idle_timer = 0;
  int64_t idle_until_us = 0;  // then it goes
};

struct Errand {
  Invocation invocation;
  io::Deadline deadline;  // of waiting for an instance
  uint64_t ticket = 0;    // its place among the calls of the shard
  int64_t asked_us = 0, asked_wall_us = 0;
  bool admitted = false;  // it stood in a line before: not refused by a full one
};

}  // namespace mayfly::dispatch
