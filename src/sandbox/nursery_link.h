#pragma once
// NurseryLink: the server's hold on the nursery's process (protocol.h). Starts it when there is something to send, and again when it has
// ended. Shared, on one shard, by the Nursery and by the sandboxes made through it, which may outlive both: a sandbox needs neither to
// run, only to be given late mounts.

#include <string>

#include "io/shard.h"
#include "sys/process.h"
#include "sys/unix_socket.h"

namespace mayfly::sandbox {

struct NurseryOptions {
  std::string self_path;  // this binary; see init.h
  size_t ready = 4;       // sandboxes kept ready-made, each one process of 1 MB
};

class NurseryLink {
 public:
  NurseryLink(io::Shard& shard, NurseryOptions options) : shard_(shard), options_(std::move(options)) {}
  NurseryLink(const NurseryLink&) = delete;
  ~NurseryLink();

  io::Shard& shard() { return shard_; }
  // Which process is there: changes when another is started. Starts one if there is none.
  uint64_t running();
  bool ended() const;  // the process last started has ended, or is about to
  // Waits while the nursery is behind; false at the deadline. A nursery that has ended is replaced, once.
  io::Task<bool> send(std::string message, std::vector<int> fds, io::Deadline deadline);
  io::Task<void> stop();

 private:
  void start();
  void bury();
  io::Task<void> await_end();

  io::Shard& shard_;
  NurseryOptions options_;
  sys::Child child_;
  sys::Fd socket_;
  uint64_t started_ = 0;
};

}  // namespace mayfly::sandbox
