#pragma once
// Egress of one sandbox: for each destination that its function was granted (functions/egress.h), a listener inside, whose connections the
// server carries to the real place. A granted name gets a loopback address of its own, 127.0.1.1 and following, which the sandbox's name
// server answers with; a granted IPv4 address is given to the sandbox's loopback device as it is, and localhost is localhost. The name is looked up out here, at each
// connection, and what it leads to is checked then: a metadata address never, this machine's loopback only when that was granted by name.
// Shared, on one shard, by the Box it belongs to and by its tasks.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "functions/egress.h"
#include "io/group.h"
#include "io/shard.h"
#include "sandbox/launch.h"

namespace mayfly::runtime {

constexpr size_t kMaxEgressConnections = 256;                    // of one sandbox at once; each is two buffers and two sockets of the server's
constexpr int64_t kEgressConnectUs = 10 * kMicrosPerSecond;
constexpr int64_t kEgressIdleUs = 3'600LL * kMicrosPerSecond;    // a connection on which nothing passes: pools of databases keep theirs long

class Egress {
 public:
  explicit Egress(io::Shard& shard) : shard_(shard), tasks_(shard) {}

  // Makes the listeners; throws sys::Fault when the kernel refuses.
  io::Task<void> open(sandbox::Sandbox& sandbox, std::vector<functions::EgressRule> rules);
  // Granted names and their addresses inside, for the name server.
  const std::map<std::string, std::string>& names() const { return names_; }
  // Ends listeners and connections. close() must have been awaited before the last owner lets go.
  io::Task<void> close();

 private:
  struct Connection;

  io::Task<sys::Fd> listener(sandbox::Sandbox& sandbox, std::string address, uint16_t port);
  io::Task<void> accept_all(std::shared_ptr<io::Listener> listener, functions::EgressRule rule);
  io::Task<void> carry(std::unique_ptr<io::Stream> inside, functions::EgressRule rule);

  io::Shard& shard_;
  std::map<std::string, std::string> names_;
  std::vector<std::shared_ptr<io::Listener>> listeners_;  // shared with their tasks
  std::vector<Connection*> open_;
  bool closed_ = false;
  io::TaskGroup tasks_;
};

}  // namespace mayfly::runtime
