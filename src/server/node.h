#pragma once
// Node: the rooms wired together on a set of running shards (DESIGN 2). Owns everything between the sockets and the disk: store, keys,
// catalogue, objects, dispatcher, flows, timers, dialects, router. Built once at start on the main thread, opened on shard 0, closed in
// the opposite order. Server (server.h) owns the threads, the sockets and the data folder.

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"
#include "gateway/router.h"
#include "http/server.h"
#include "io/shard.h"
#include "server/data_folder.h"
#include "server/options.h"

namespace mayfly::server {

// What a shard contributes.
struct NodeShard {
  io::Shard& shard;
  http::HttpServer& http;
};

class Node {
 public:
  // `options` has the ports that were bound.
  Node(const ServerOptions& options, const DataFolder& folder, std::string endpoint, std::string ca_certificate_pem, std::vector<NodeShard> shards);
  ~Node();

  // Loads what is stored, sweeps what a crash left, starts timers, queues and flows. On shard 0, before any request is served.
  io::Task<void> open(io::Loop& loop);
  // Two steps, on shard 0. close: no more ticks and no new calls; calls in progress finish until the deadline, with the doors still open.
  // Then the caller drains the HTTP servers, and finish ends what no request can reach any more.
  io::Task<void> close(io::Loop& loop, io::Deadline deadline);
  io::Task<void> finish(io::Loop& loop);

  io::Task<http::Response> handle(io::Loop& loop, http::Request request);

  const std::string& account() const;
  bool keys_are_new() const;
  const std::string& access_key_id() const;
  const std::string& access_key_secret() const;

 private:
  struct Rooms;
  std::unique_ptr<Rooms> rooms_;
};

}  // namespace mayfly::server
