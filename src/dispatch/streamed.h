#pragma once
// Calls whose reply may begin before it ends. begin() returns at the beginning: then the caller has a head and a body (or a tunnel) that it
// passes on piece by piece, while the call itself goes on here until the function has ended it; or the call has ended already, with a
// whole reply or a refusal. A caller that drops the body has no further interest: the function learns it, and its call still ends in its
// own time, with its record, its counters and its slot.

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "dispatch/invoker.h"
#include "io/group.h"
#include "runtime/instance.h"

namespace mayfly::dispatch {

// The streams of a caller on `there`, as an instance on `here` uses them; null stays null. What comes of them is destroyed where it lives.
std::shared_ptr<runtime::Streams> hop_streams(io::Loop& here, io::Loop& there, std::shared_ptr<runtime::Streams> streams);

class StreamedCalls {
 public:
  StreamedCalls(std::vector<io::Loop*> loops, Invoker& invoker);

  struct Begun {
    std::optional<runtime::Opening> opening;
    std::optional<Expected<Outcome, InvokeError>> ended;  // of the whole call, unless the opening came first
  };
  // `body` is the request's instead of Invocation::payload, or null. On `loop`, one of the constructor's.
  io::Task<Begun> begin(io::Loop& loop, Invocation invocation, std::unique_ptr<http::Body> body, io::Deadline deadline);

  size_t open() const { return open_; }  // any thread

  // After the invoker has stopped: waits for what is left on every loop.
  io::Task<void> drain(io::Loop& loop);

 private:
  struct Call;
  io::Task<void> run(std::shared_ptr<Call> call, Invocation invocation, io::Deadline deadline);

  Invoker& invoker_;
  std::atomic<size_t> open_ = 0;
  std::map<io::Loop*, std::unique_ptr<io::TaskGroup>> calls_;  // each touched on its loop only
};

}  // namespace mayfly::dispatch
