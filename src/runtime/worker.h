#pragma once
// Worker: a process that speaks frames (frame.h): the calls it runs, the replies it streams, its hooks. Shared, on one shard, by the
// Instance that owns it and by its reader task, which outlasts the Instance until the process is gone.

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "http/body_pipe.h"
#include "runtime/frame.h"
#include "runtime/process.h"

namespace mayfly::runtime {

class Worker {
 public:
  Worker(io::Shard& shard, std::shared_ptr<Process> process, sys::Fd frames);

  struct Started {
    bool ok = false;
    std::string failure;  // {errorMessage, ...} when import or initializer failed; empty when the process ended
    int64_t import_us = 0, init_us = 0;
  };
  // Sends the start frame and waits for ready or failed: until the deadline, or, from an initializer's beginning on, for so long. Kills it
  // when that is over: nullopt.
  io::Task<std::optional<Started>> initialize(std::string start, io::Deadline imported, int64_t initializer_us);
  int64_t imported_us() const { return imported_us_; }  // when its initializer began, on the shard's clock; 0: it has not
  io::Task<Reply> call(Call call);
  // Runs a lifecycle hook of the function, "preStop" or "preFreeze"; whatever comes of it, it is over at the deadline.
  io::Task<void> hook(std::string name, io::Deadline deadline);
  io::Task<void> stop(io::Deadline deadline);

  Process& process() { return *process_; }

  static io::Task<void> read_frames(std::shared_ptr<Worker> self);  // the owner's group runs it once

 private:
  struct Running {
    explicit Running(io::Loop& loop) : reply(loop) {}
    io::OneShot<Reply> reply;
    std::string request_id;
    int64_t began_us = 0;
    std::shared_ptr<Streams> streams;
    std::shared_ptr<http::BodyPipe> pipe;  // the reader's half went out with Streams::opened
    bool streaming = false;                // a head has come
    int64_t opened_us = 0;                 // when, if it went on to the caller
    std::string pieces, http;              // of a streamed reply that the caller wants whole
  };

  io::Task<bool> send(std::string frame, io::Deadline deadline, sys::Fd body = {});
  bool take(Frame frame);  // false for a frame that has no business here
  bool take_started(Frame frame);
  bool take_last_words(Frame frame);
  bool take_reply(Frame frame);
  bool take_head(Frame frame);
  bool take_chunk(Frame frame);
  void break_off();
  void ended();

  io::Shard& shard_;
  std::shared_ptr<Process> process_;
  std::unique_ptr<io::PassingStream> stream_;
  FrameReader reader_;
  uint64_t looked_ = 0;  // at the output, when the reader had received so often
  bool stopping_ = false, writing_ = false;
  // Frames to be written, oldest first. Those without a file gather in one piece.
  struct Outgoing {
    std::string bytes;
    sys::Fd body;
  };
  std::deque<Outgoing> outbox_;
  bool takes_memfds_ = false;  // it said so when it was ready
  uint32_t next_call_ = 1;
  std::map<uint32_t, Running*> running_;
  uint32_t culprit_ = 0;    // the call that the last words answer; 0: all
  std::string last_words_;
  std::shared_ptr<http::BodyPipe> full_;  // whose reader is to be waited for before more frames are read
  io::OneShot<Started> started_;
  io::Signal imported_;  // set too when there is nothing to import any more
  int64_t imported_us_ = 0;
};

}  // namespace mayfly::runtime
