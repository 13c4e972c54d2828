#pragma once
// The private structures of a partition, for its two source files.

#include <exception>

#include "flows/partition.h"

namespace mayfly::flows {

// Something that waits in an execution's inbox. Lives in the coroutine that posted it.
struct Partition::Pending {
  Pending(io::Loop& loop) : done(loop) {}
  enum class Kind { command, begin, peek } kind = Kind::command;
  Command command;
  std::optional<queues::Message> cause;
  Begin* begin = nullptr;
  bool tried = false;             // begin: a commit without looking first was refused
  TaskRef peek;
  std::optional<TaskCall> call;   // peek's answer
  std::string role_arn;           // and the role
  Verdict verdict = Verdict::stale;
  std::exception_ptr fault;
  io::Signal done;
};

// An execution in memory.
struct Partition::Hot {
  Key key;
  bool loaded = false, exists = false;  // exists: an execution row is there
  ExecutionRow row;
  State state;
  std::shared_ptr<const Compiled> compiled;
  std::deque<Pending*> inbox;
  bool busy = false;
  std::optional<queues::Message> resume;  // the state's agenda is not empty: go on, and acknowledge this
  std::optional<std::list<Hot*>::iterator> idle;
};

// One commit in the making.
struct Partition::Round {
  store::Batch batch;
  Applied applied;
  bool changed = false, began = false;
  bool wake_tasks = false, wake_work = false;
  std::optional<queues::Message> resume;
  int64_t now_us = 0;
};

}  // namespace mayfly::flows
