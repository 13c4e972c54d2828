#pragma once
// Worker: a process that speaks frames (frame.h): the calls it runs, the replies it streams, its hooks. Shared, on one shard, by the
// Instance that owns it and by its reader task, which outlasts the Instance until the process is gone.

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "runtime/frame.h"
#include "runtime/outflow.h"
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
  // `initializer`: the request id of the function's, empty without one.
  io::Task<std::optional<Started>> initialize(std::string start, io::Deadline imported, int64_t initializer_us, std::string initializer);
  int64_t imported_us() const { return imported_us_; }  // when its initializer began, on the shard's clock; 0: it has not
  // At its deadline the process is killed, unless other calls run on it: then it is killed once they have ended, and takes no further call.
  io::Task<Reply> call(Call call);
  bool alive() const { return process_->alive() && !spoilt_; }  // it takes calls
  // Runs a lifecycle hook of the function with these credentials; whatever comes of it, it is over at the deadline.
  enum class Hook { pre_stop, pre_freeze };
  io::Task<void> hook(Hook hook, std::string request_id, auth::Credentials credentials, io::Deadline deadline);
  io::Task<void> stop(io::Deadline deadline);

  Process& process() { return *process_; }

  static io::Task<void> read_frames(std::shared_ptr<Worker> self);  // the owner's group runs it once

 private:
  struct Running {
    explicit Running(io::Loop& loop) : reply(loop) {}
    io::OneShot<Reply> reply;
    std::string request_id;
    bool hook = false;  // and no call
    int64_t began_us = 0;
    std::shared_ptr<Streams> streams;
    std::shared_ptr<Outflow> outflow;  // the reader's half went out with Streams::opened
    bool streaming = false;            // a head has come
    int64_t opened_us = 0;             // when, if it went on to the caller
    std::string pieces, http;          // of a streamed reply that the caller wants whole
    bool too_large = false;            // the pieces were, and are dropped
  };

  io::Task<void> send(std::string frame, io::Deadline deadline, sys::Fd body = {});
  bool take(Frame frame);  // false for a frame that has no business here
  bool take_started(Frame frame);
  bool take_last_words(Frame frame);
  bool take_reply(Frame frame);
  bool take_head(Frame frame);
  bool take_chunk(Frame frame);
  Reply reply_of(Running& running, Frame frame) const;
  io::Task<Reply> late(uint32_t number, Running& running);
  bool calls_run() const;
  bool held_up() const;
  bool initializing() const { return !initializer_.empty() && imported_us_ != 0; }  // or has, and is no more
  void break_off();
  void ended();

  io::Shard& shard_;
  std::shared_ptr<Process> process_;
  std::unique_ptr<io::PassingStream> stream_;
  FrameReader reader_;
  uint64_t looked_ = 0;  // at the output, when the reader had received so often
  bool stopping_ = false, writing_ = false;
  bool spoilt_ = false;  // a call took too long
  // Frames to be written, oldest first. Those without a file gather in one piece.
  struct Outgoing {
    std::string bytes;
    sys::Fd body;
  };
  std::deque<Outgoing> outbox_;
  bool takes_memfds_ = false;  // it said so when it was ready
  uint32_t next_call_ = 1;
  std::map<uint32_t, Running*> running_;
  std::set<uint32_t> given_up_;  // calls and hooks whose reply nobody waits for any more; it may still come, once
  uint32_t culprit_ = 0;    // the call that the last words answer; 0: all
  std::string last_words_;
  std::shared_ptr<io::Signal> moved_;  // held_up() may be over; shared with the outflows
  io::OneShot<Started> started_;
  io::Signal imported_;  // set too when there is nothing to import any more
  int64_t imported_us_ = 0;
  std::string initializer_;  // its request id
};

}  // namespace mayfly::runtime
