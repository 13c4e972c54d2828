#pragma once
// Zygote: one sandbox per function revision, in which an interpreter has imported what the function needs and forks workers on request
// (DESIGN 4.8; inside it runs runtimes/python/zygote.py, which documents the messages). Shared, on one shard, by the factory, by its own
// reader task, and by the instances forked from it: an instance may outlive the factory's interest in the revision, and the sandbox must
// stand until the last of them has gone.

#include <map>
#include <memory>
#include <string>

#include "io/shard.h"
#include "io/sync.h"
#include "runtime/host.h"
#include "sys/unix_socket.h"

namespace mayfly::runtime {

// A process forked from a zygote.
struct Forked {
  sys::Fd frames;  // our end of its frame stream
  sys::Fd output;  // what it and its children write to stdout and stderr; non-blocking
  sys::Fd pidfd;
  uint32_t token = 0;
};

class Zygote {
 public:
  Zygote(io::Shard& shard, std::shared_ptr<Box> box) : shard_(shard), box_(std::move(box)), ready_(shard) {}

  bool alive() const { return alive_; }
  // Sends the configuration and waits until it can fork.
  io::Task<Expected<void, StartError>> configure(std::string configuration, io::Deadline deadline);
  // Asks for a fork and returns its token at once; forked() waits for it. Together they let the caller prepare meanwhile.
  // The fork enters the cgroup of `entries` (sys::Cgroup::entries) before anything else.
  // One that is made ahead of need rehearses before it waits for its start.
  enum class For { a_start, later };
  uint32_t ask_fork(std::vector<sys::Fd> entries, For purpose);
  io::Task<Expected<Forked, StartError>> forked(uint32_t token, io::Deadline deadline);
  // The wait status of a fork that has ended; nullopt if that is not known by the deadline. Asked once per fork.
  io::Task<std::optional<int>> exit_of(uint32_t token, io::Deadline deadline);
  // A fork and what it started stop where they are, or go on, soon; nothing happens to one that has ended.
  void freeze(uint32_t token) { signal(kFreeze, token); }
  void thaw(uint32_t token) { signal(kThaw, token); }
  void retire();  // nothing more will be forked: it ends when the last of its forks has
  void close();   // kills it and all it forked; read_messages then ends

  // Receives its messages until it ends; the owner spawns this once.
  static io::Task<void> read_messages(std::shared_ptr<Zygote> self);

 private:
  sandbox::Sandbox& sandbox() { return box_->sandbox(); }
  static constexpr char kFreeze = 'S', kThaw = 'C';
  void signal(char order, uint32_t token);
  sys::Received receive(sys::Message& message);
  void take(sys::Message message);
  void lost();
  void one_less();

  io::Shard& shard_;
  std::shared_ptr<Box> box_;  // its door stays open for instances of an older revision while they drain
  bool alive_ = true;
  uint32_t next_token_ = 1;
  io::Signal ready_;
  struct Fork {
    explicit Fork(io::Loop& loop) : process(loop), exit(loop) {}
    io::OneShot<Forked> process;
    io::OneShot<int> exit;
  };
  std::map<uint32_t, std::shared_ptr<Fork>> forks_;  // until somebody has been told of their end; shared with who waits
  size_t living_ = 0;                                // forks that have not ended
  bool retired_ = false;
};

}  // namespace mayfly::runtime
