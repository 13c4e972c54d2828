#pragma once
// One shard's doors (DESIGN 4.10): listening sockets made inside sandboxes, accepted from by this shard's HTTP server.

#include "http/server.h"
#include "io/shard.h"
#include "runtime/instance.h"

namespace mayfly::server {

class Doors final : public runtime::DoorKeeper {
 public:
  Doors(io::Shard& shard, http::HttpServer& server) : shard_(shard), server_(server) {}
  void open(const std::string& door, runtime::DoorSocket socket) override {
    server_.serve(shard_.adopt_listener(std::move(socket.listener)), socket.scheme, door);
  }
  void close(const std::string& door) override { server_.close_door(door); }

 private:
  io::Shard& shard_;
  http::HttpServer& server_;
};

}  // namespace mayfly::server
