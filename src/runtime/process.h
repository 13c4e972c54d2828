#pragma once
// Process: one process of an instance, wherever it came from (forked from a zygote, or the program of a sandbox of its own): what it
// prints, its memory group, and its end. The executors talk to it each in their own way; what they share is here.
// Shared, on one shard, by the Instance that owns it and by its two tasks, which outlast the Instance until the process is gone.

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "io/shard.h"
#include "io/sync.h"
#include "runtime/instance.h"
#include "sys/cgroup.h"
#include "sys/fd.h"

namespace mayfly::runtime {

// {"errorMessage": message, "errorType": type}, the shape of every error's body; without a type if that is empty.
std::string error_json(std::string_view message, std::string_view type = {});

class Process {
 public:
  struct Parts {
    std::string instance_id;
    std::shared_ptr<void> home;  // the sandbox it lives in, kept until it is gone
    sys::Fd output;              // what it and its children write to stdout and stderr; non-blocking
    sys::Fd pidfd;
    // Its wait status once it has ended; asked once.
    std::move_only_function<io::Task<std::optional<int>>(io::Deadline)> exit_status;
    std::optional<sys::Cgroup> cgroup;
    Printed printed;
    int64_t timeout_s = 0, memory_mb = 0;  // for the sentences of errors
    std::string_view heap_words{};         // Runtime::heap_words
  };
  Process(io::Shard& shard, Parts parts);

  const std::string& id() const { return parts_.instance_id; }
  bool alive() const { return alive_; }
  bool out_of_memory() const { return memory_kills_ > 0 || (heap_ran_out_ && !alive_); }
  std::string how_it_ended() const;  // "the program ended with status 3"
  int64_t memory_bytes();  // its peak
  void kill();             // does not wait
  void terminate();        // SIGTERM, for those who take it as a wish
  const sys::Fd& pidfd() const { return parts_.pidfd; }
  io::Task<void> gone();   // until its end is known and what it left is cleared away
  io::Task<io::Wait> gone(io::Deadline deadline);
  // Called at its end, before gone(): for those who wait for its answers.
  void at_end(std::function<void()> listener) { at_end_ = std::move(listener); }

  // What it prints from here on belongs to this call; with several at once, to the one that began last.
  void begin_call(const std::string& request_id);
  // Everything it has printed until now is told, as this call's. A look costs a system call: `done` when one was had since the call's end.
  enum class Look { now, done };
  void end_call(const std::string& request_id, Look look = Look::now);

  // The replies to a call that began at `began_us` and gets no answer.
  Reply death(int64_t began_us);
  Reply timed_out(int64_t began_us);

  // The two tasks; the owner's group runs each once.
  static io::Task<void> watch(std::shared_ptr<Process> self);
  static io::Task<void> read_output(std::shared_ptr<Process> self);

 private:
  void take_output();
  void print(std::string_view text);

  io::Shard& shard_;
  Parts parts_;
  bool alive_ = true, output_ended_ = false;
  io::Signal gone_;
  std::function<void()> at_end_;
  int exit_status_ = 0;
  uint64_t memory_kills_ = 0;
  bool heap_ran_out_ = false;  // it said so
  int64_t peak_bytes_ = 0, peak_read_us_ = 0;
  size_t calls_ = 0;
  std::string request_id_;  // of the call that prints now
  std::string partial_line_;
  size_t printed_bytes_ = 0, dropped_bytes_ = 0;
};

}  // namespace mayfly::runtime
