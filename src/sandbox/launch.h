#pragma once
// A sandbox, as the server holds it. nursery.h makes them.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/shard.h"
#include "sandbox/nursery_link.h"
#include "sandbox/plan.h"
#include "sys/cgroup.h"
#include "sys/fd.h"
#include "sys/process.h"

namespace mayfly::sandbox {

enum class LaunchError {
  refused,      // a step failed; the message says which, and what the kernel said
  not_started,  // the program itself could not be started: absent, not executable, of another machine
  timed_out,
};

// A running sandbox. Destroying it kills everything inside, waits for its end, and removes its cgroup; to wait without blocking the
// shard, kill() it and await exit_status() first.
class Sandbox {
 public:
  struct Parts {
    std::shared_ptr<NurseryLink> nursery;  // shared with all its sandboxes
    sys::Fd lifeline;                      // to the keeper: the sandbox ends when this is closed
    sys::Fd keeper, program;               // pidfds
    sys::Fd control;
    sys::Fd report;                        // while it is held
    std::optional<sys::Cgroup> cgroup;
  };
  explicit Sandbox(Parts parts) : parts_(std::move(parts)) {}
  Sandbox(const Sandbox&) = delete;
  ~Sandbox();

  // Of a program that is not confined: sequenced packets, non-blocking; its descriptor 3 is the far end.
  int control() const { return parts_.control.get(); }
  sys::Fd frames;                // non-blocking end of the stream whose other end is the program's descriptor 3, when Plan::frames
  sys::Fd output;                // non-blocking; what is written to the program's stdout and stderr, when Plan::confined
  std::vector<sys::Fd> doors;    // as Plan::doors, then the DNS socket if asked for
  std::optional<sys::Cgroup>& cgroup() { return parts_.cgroup; }

  // pidfd of the program, for signals to it alone and for its memory.
  const sys::Fd& program() const { return parts_.program; }
  // pidfd of the sandbox as a whole: readable once nothing runs inside any more.
  const sys::Fd& whole() const { return parts_.keeper; }
  void kill();  // SIGKILL for all that is inside
  // All that is inside stops where it is, or goes on, soon. For the isolated only: elsewhere nobody knows what belongs to it.
  void freeze();
  void thaw();
  bool held() const { return static_cast<bool>(parts_.report); }  // its program waits for:
  // Lets the program of a held plan start. Returns as Nursery::launch does without: when it has, or with what prevented it.
  io::Task<Expected<void, LaunchError>> release(io::Deadline deadline);

  // The wait status of the program, once it has ended and all it left running with it (SIGKILL when kill() ended it); nullopt at the deadline.
  io::Task<std::optional<int>> exit_status(io::Deadline deadline);
  // A TCP socket of the sandbox's network, not connected, non-blocking: through it the server reaches a port inside at 127.0.0.1.
  io::Task<Expected<sys::Fd, LaunchError>> tcp_socket(io::Deadline deadline);
  // Shows more of the host's folders and files inside, read-only, to all that runs there. Targets that are not there are made, except when
  // the nursery has been replaced since: /code and /opt always are. None may lie where the program can write.
  io::Task<Expected<void, LaunchError>> mount(std::vector<Bind> binds, io::Deadline deadline);

 private:
  io::Task<Expected<std::vector<sys::Fd>, LaunchError>> reply_of_keeper(sys::Fd reply, io::Deadline deadline);
  void read_exit();

  Parts parts_;
  std::optional<int> exit_;
};

}  // namespace mayfly::sandbox
