// The smallest program on Mayfly's HTTP server: one shard, one handler, thirteen bytes. plain_http.py measures its CPU time per request
// against raw_epoll.cc. Prints the port it listens on; runs until killed.

#include <fmt/format.h>

#include "http/server.h"

namespace {

mayfly::io::Task<mayfly::http::Response> hello(mayfly::http::Request) {
  mayfly::http::Response response;
  response.headers.add("Content-Type", "text/plain");
  response.body = "Hello, world!";
  co_return response;
}

}  // namespace

int main() {
  mayfly::io::Shard shard(0);
  auto server = mayfly::http::make_http_server(shard, hello, {});
  auto listener = shard.listen("127.0.0.1", 0);
  fmt::print("{}\n", listener->port());
  std::fflush(stdout);
  server->serve(std::move(listener), "http", "");
  shard.run();
}
