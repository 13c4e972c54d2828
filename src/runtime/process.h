#pragma once
// Process: one process of an instance, wherever it came from (forked from a zygote, or the program of a sandbox of its own): what it
// prints, its memory group, and its end. The executors talk to it each in their own way; what they share is here.
// Shared, on one shard, by the Instance that owns it and by its two tasks, which outlast the Instance until the process is gone.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/shard.h"
#include "io/sync.h"
#include "runtime/instance.h"
#include "sys/cgroup.h"
#include "sys/fd.h"

namespace mayfly::runtime {

// {"errorMessage": message, "errorType": type}, the shape of every error's body; without a type if that is empty.
std::string error_json(std::string_view message, std::string_view type = {});
// The message of such a body as one line of the log, cut where it is long; "failed" if there is none.
std::string error_line(std::string_view body);

class Process {
 public:
  enum class Motion { stop, go };
  struct Parts {
    std::string instance_id;
    std::shared_ptr<void> home;  // the sandbox it lives in, kept until it is gone
    sys::Fd output;              // what it and its children write to stdout and stderr; non-blocking
    sys::Fd pidfd;
    // Its wait status once it has ended; asked once.
    std::move_only_function<io::Task<std::optional<int>>(io::Deadline)> exit_status;
    std::optional<sys::Cgroup> cgroup;
    Printed printed;
    // All that runs in it stops where it is, or goes on; empty where that cannot be had.
    std::function<void(Motion)> move{};
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
  // Stops it where it is, if no call or hook is on it; the next one lets it go on.
  void freeze();
  void thaw();
  void stay_awake();  // lets it go on, and it is not stopped again: it is to end
  io::Task<void> gone();   // until its end is known and what it left is cleared away
  io::Task<io::Wait> gone(io::Deadline deadline);
  // Called at its end, before gone(): for those who wait for its answers.
  void at_end(std::function<void()> listener) { at_end_ = std::move(listener); }

  // Leaves of what it prints what `filter` does; from the beginning on.
  void filter_output(std::function<std::string(std::string)> filter) { filter_ = std::move(filter); }
  // What it prints from here on belongs to this call. With several at once a line that names one of them as our runtimes' lines do, as its
  // second word, is that one's, with what is indented below; any other is taken for the words of the one that began last.
  void begin_call(const std::string& request_id);
  // Everything it has printed until now is told, as this call's. A look costs a system call: `done` when one was had since the call's end.
  enum class Look { now, done };
  void end_call(const std::string& request_id, Look look = Look::now);
  // The same for a hook of FC's contract, with the lines around what it prints (aliyun-fc.md 5.8): "Initialize", "PreFreeze", "PreStop".
  void begin_hook(std::string_view name, const std::string& request_id);
  void end_hook(std::string_view name, const std::string& request_id, std::string_view error = {});

  // The replies to a call that began at `began_us` and gets no answer.
  Reply death(int64_t began_us);
  Reply timed_out(int64_t began_us);

  // The two tasks; the owner's group runs each once.
  static io::Task<void> watch(std::shared_ptr<Process> self);
  static io::Task<void> read_output(std::shared_ptr<Process> self);

 private:
  void take_output();
  void print(std::string_view text);
  void tell_rest(const std::string& request_id);
  void tell_lines(const std::string& otherwise, std::string text);
  const std::string* named_in(std::string_view line) const;
  std::string current() const { return running_.empty() ? std::string() : running_.back(); }
  void tell(const std::string& request_id, std::string text);
  void say(const std::string& request_id, std::string line);

  io::Shard& shard_;
  Parts parts_;
  bool alive_ = true, output_ended_ = false;
  io::Signal gone_;
  std::function<void()> at_end_;
  std::function<std::string(std::string)> filter_;
  int exit_status_ = 0;
  uint64_t memory_kills_ = 0;
  bool heap_ran_out_ = false;  // it said so
  int64_t peak_bytes_ = 0, peak_read_us_ = 0;
  bool frozen_ = false, stays_awake_ = false;
  std::vector<std::string> running_;  // the request ids of calls and hooks, as they began
  std::string partial_line_;
  size_t printed_bytes_ = 0, dropped_bytes_ = 0;
};

}  // namespace mayfly::runtime
