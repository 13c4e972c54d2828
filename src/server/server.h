#pragma once
// Server: one running Mayfly: its data folder, its threads (one shard per core), its sockets, and the Node behind them.

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "http/tls.h"
#include "server/node.h"

namespace mayfly::server {

class Server {
 public:
  // Starts and serves; throws std::runtime_error or sys::Fault saying what is in the way (folder in use, address in use, ...).
  static std::unique_ptr<Server> start(ServerOptions options);
  ~Server();

  // Stops accepting, lets requests in progress end for at most `grace_us`, ends every instance, then the threads. Idempotent.
  void stop(int64_t grace_us);

  const std::string& endpoint() const { return endpoint_; }
  const std::string& tls_endpoint() const { return tls_endpoint_; }
  const Node& node() const { return *node_; }
  int64_t start_us() const { return start_us_; }  // from the call to ready

 private:
  struct Worker;
  explicit Server(ServerOptions options);
  void make_shards();
  void make_node();
  void serve();
  void announce();

  SystemClock clock_;
  ServerOptions options_;
  DataFolder folder_;
  std::string endpoint_, tls_endpoint_;
  int64_t start_us_ = 0;
  std::shared_ptr<http::TlsContext> tls_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Node> node_;
  bool stopped_ = false;
};

}  // namespace mayfly::server
