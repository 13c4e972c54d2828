#pragma once
// Outflow: a worker's streamed reply on its way to a client. The replies of all calls of a worker come over one stream, so who stops reading
// it for the sake of one client that is slow keeps the other calls' replies from everybody. An Outflow knows how much its client has not
// taken yet: the reader of frames stops only while all that run wait for their clients (Worker::held_up), and else goes on filling it, up to
// kMostUntaken; a client that is so far behind is cut off, as if its connection had broken.
// Shared, on one shard, by its call and by the client's end, which may outlast the worker.

#include <memory>
#include <string>

#include "http/body_pipe.h"
#include "runtime/frame.h"

namespace mayfly::runtime {

// One that has taken all but kPipeBytes can be given any frame. So an instance whose function allows n calls at once has at most n times
// this, 33.25 MiB, in memory, beside the one frame that is being received.
constexpr size_t kMostUntaken = http::kPipeBytes + kMaxPayloadBytes;

class Outflow : public std::enable_shared_from_this<Outflow> {
 public:
  // `moved` is set when its client has caught up or it is over: when a reader that stopped may have to go on.
  Outflow(io::Loop& loop, std::shared_ptr<io::Signal> moved) : pipe_(http::BodyPipe::make(loop)), moved_(std::move(moved)) {}

  std::unique_ptr<http::Body> reader();  // once
  void push(std::string piece);          // dropped once nobody reads any more
  void end() { pipe_->end(); }
  void fail(http::BodyError error);
  bool behind() const { return !over_ && untaken_bytes_ > http::kPipeBytes; }  // the client, with its reading

 private:
  class Reader;

  void take(size_t bytes);
  void let_go();

  std::shared_ptr<http::BodyPipe> pipe_;
  std::shared_ptr<io::Signal> moved_;  // shared with the worker and its other outflows
  size_t untaken_bytes_ = 0;
  bool over_ = false;  // it has failed, or nobody reads any more
};

}  // namespace mayfly::runtime
