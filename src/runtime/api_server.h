#pragma once
// ApiServer: the HTTP server that the programs of a shard ask for their calls, one for all instances. Each instance has a listening
// socket made inside its sandbox, which nothing outside can reach; which one a request came through says whose it is.

#include <map>
#include <memory>
#include <string>

#include "http/server.h"
#include "runtime/api_link.h"

namespace mayfly::runtime {

class ApiServer {
 public:
  explicit ApiServer(io::Shard& shard);

  void open(const std::string& instance_id, std::unique_ptr<io::Listener> listener, std::shared_ptr<ApiLink> link);
  void close(const std::string& instance_id);
  io::Task<void> drain();  // before its end; every program must have ended

 private:
  io::Task<http::Response> answer(http::Request request);

  io::Shard& shard_;
  std::unique_ptr<http::HttpServer> server_;
  std::map<std::string, std::shared_ptr<ApiLink>> links_;  // shared with their instances
};

}  // namespace mayfly::runtime
