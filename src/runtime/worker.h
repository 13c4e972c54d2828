#pragma once
// Worker: the server's view of one process forked from a zygote: its frame stream, what it prints, its memory group, and its end.
// Shared, on one shard, by the Instance that owns it and by its two reader tasks, which outlast the Instance until the process is gone.

#include <map>
#include <memory>
#include <string>

#include "io/group.h"
#include "runtime/frame.h"
#include "runtime/zygote.h"

namespace mayfly::runtime {

class Worker {
 public:
  struct Parts {
    std::string instance_id;
    std::shared_ptr<Zygote> zygote;  // the sandbox it lives in
    Forked process;
    std::optional<sys::Cgroup> cgroup;
    Printed printed;
    int64_t timeout_s = 0, memory_mb = 0;  // for the sentences of errors
  };
  Worker(io::Shard& shard, Parts parts);

  struct Started {
    bool ok = false;
    std::string failure;  // {errorMessage, ...} when import or initializer failed; empty when the process ended
    int64_t init_us = 0;
  };
  // Sends the start frame and waits for ready or failed. Kills it at the deadline: nullopt.
  io::Task<std::optional<Started>> initialize(std::string start, io::Deadline deadline);
  io::Task<Reply> call(Call call);
  io::Task<void> stop(io::Deadline deadline);
  void kill();  // does not wait; its readers then learn of its end

  bool alive() const { return alive_; }
  const std::string& id() const { return parts_.instance_id; }
  bool out_of_memory() const { return memory_kills_ > 0; }

  // The two readers; the owner's group runs them once each.
  static io::Task<void> read_frames(std::shared_ptr<Worker> self);
  static io::Task<void> read_output(std::shared_ptr<Worker> self);

 private:
  struct Running {
    explicit Running(io::Loop& loop) : reply(loop) {}
    io::OneShot<Reply> reply;
    std::string request_id;
    int64_t began_us = 0;
  };

  io::Task<bool> send(std::string frame, io::Deadline deadline);
  bool take(Frame frame);  // false for a frame that has no business here
  bool take_reply(Frame frame);
  void take_output();
  void print(std::string_view text);
  void end_of_call(const std::string& request_id);
  io::Task<void> ended();
  Reply death_of(const Running& running);
  int64_t memory_bytes();

  io::Shard& shard_;
  Parts parts_;
  std::unique_ptr<io::Stream> stream_;
  FrameReader reader_;
  bool alive_ = true, stopping_ = false, writing_ = false, output_ended_ = false;
  std::string outbox_;
  uint32_t next_call_ = 1;
  std::map<uint32_t, Running*> running_;
  io::OneShot<Started> started_;
  io::Signal gone_;
  int exit_status_ = 0;
  uint64_t memory_kills_ = 0;
  int64_t peak_bytes_ = 0, peak_read_us_ = 0;
  std::string request_id_;    // of the call that prints now
  std::string partial_line_;
  size_t printed_bytes_ = 0, dropped_bytes_ = 0;
};

}  // namespace mayfly::runtime
