#pragma once
// Instance: the life of one process on its link to the server. start, then calls until the server closes the link.
//
// With a concurrency of 1, or a function that never_waits(), calls run on the reading thread. Otherwise it reads and as many threads as
// there are calls at once, at most `concurrency`, run them.

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "caller.h"
#include "mayfly/function.h"
#include "place.h"

namespace mayfly::detail {

// The function that a handler string names: "program.function", or "program" when there is one function or one of that name. Null and a
// sentence in `why` when there is none.
const Function* choose(const std::vector<Function>& functions, std::string_view handler, std::string_view program, std::string& why);

class Instance {
 public:
  // `program`: the base name of the running binary.
  Instance(int fd, const std::vector<Function>& functions, std::string program) : link_(fd), functions_(functions), program_(std::move(program)) {}
  int run();  // the exit status of the process

 private:
  Link link_;
  const std::vector<Function>& functions_;
  const std::string program_;
  InstanceAbout about_;
  std::string keys_;            // as they came last
  size_t concurrency_ = 1;
  bool alone_ = true;           // one thread serves: the environment's keys follow
  bool stopped_ = false;        // the pre-stop hook was asked for
  std::optional<Place> place_;  // of the reading thread

  const Function* start(const Frame& frame);
  void take(const Json& start);
  void fail(std::string body);
  std::optional<Frame> next();
  void serve_on_this_thread(Caller& caller);
  void serve_on_threads(Caller& caller);
};

// Threads that run calls, made as they are needed.
class Crew {
 public:
  Crew(Caller& caller, size_t most) : caller_(caller), most_(most) {}
  ~Crew();
  void add(const Frame& frame);

 private:
  struct Work {
    FrameHeader header;
    std::string bytes;  // meta and payload
    Caller::Time came;
  };

  Caller& caller_;
  const size_t most_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Work> waiting_;
  std::vector<std::thread> threads_;
  size_t idle_ = 0;
  bool ending_ = false;

  void work();
};

}  // namespace mayfly::detail
