#pragma once
// CallWatch: the hold that whoever keeps a call durably has on one run of it: told when the handler is about to run, and able to end it.
// It goes along with the Invocation (Invocation::watch). The keeper lives on one shard and the call runs on the function's home shard,
// so cancel() may be called from any thread and takes effect on the home shard:
//   the call waits for an instance  -> it leaves the queue
//   the handler runs                -> its instance is ended, as at a timeout; other calls on that instance end as `unavailable`
//   it has ended, or not begun      -> nothing; a run that begins afterwards is refused
// Either way invoke() then answers InvokeError::cancelled, unless the function had answered before.

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "io/loop.h"

namespace mayfly::dispatch {

class CallWatch : public std::enable_shared_from_this<CallWatch> {
 public:
  using Started = std::function<void(const std::string& instance_id)>;
  // `started` is called on the home shard when the handler is about to run, each time the call is tried on an instance.
  explicit CallWatch(Started started = {}) : started_(std::move(started)) {}
  CallWatch(const CallWatch&) = delete;

  void cancel();
  bool cancelled() const;

  // Of the dispatcher, on the home shard. `end_run` is run there, once, if cancel() comes while the Guard lives or came before.
  class Guard {
   public:
    Guard(std::shared_ptr<CallWatch> watch, io::Loop& loop, std::function<void()> end_run);  // null watch: does nothing
    Guard(const Guard&) = delete;
    ~Guard();

   private:
    std::shared_ptr<CallWatch> watch_;
  };
  void started(const std::string& instance_id) const {
    if (started_) started_(instance_id);
  }

 private:
  void post_end(io::Loop& loop);  // mutex_ is held

  const Started started_;
  mutable std::mutex mutex_;
  bool cancelled_ = false;
  io::Loop* loop_ = nullptr;       // the guard's, while there is one
  std::function<void()> end_run_;  // touched on that loop only
};

}  // namespace mayfly::dispatch
