#pragma once
// Forwarder: takes connections from listening sockets and carries their bytes, both ways, to one address each. It lets a process in an
// empty network namespace reach the server through sockets that were made there. Own loop on own thread; ends with the object.

#include <memory>
#include <set>
#include <thread>

#include "io/group.h"
#include "io/shard.h"

namespace mayfly::cli {

struct Destination {
  std::string host;
  uint16_t port = 0;
};

class Forwarder {
 public:
  Forwarder() : shard_(0), group_(shard_) {}
  ~Forwarder();
  // Before start(): connections to `listener` (listening, IPv4) go to `destination`.
  void add(sys::Fd listener, Destination destination);
  void start();

 private:
  struct Link;
  io::Task<void> accept_all(io::Listener* listener, Destination destination);
  io::Task<void> carry(std::unique_ptr<io::Stream> from, Destination destination);
  static io::Task<void> pump(io::Stream* from, io::Stream* to);
  io::Task<void> stop();

  io::Shard shard_;
  io::TaskGroup group_;
  std::vector<std::pair<std::unique_ptr<io::Listener>, Destination>> listeners_;
  std::set<io::Stream*> open_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace mayfly::cli
