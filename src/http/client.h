#pragma once
// The HTTP/1.1 client for Mayfly's own links: the command line to the server, the server to a function that serves a port, tests.
// Connections are kept and reused per address; when a kept one turns out to be closed before a byte of the answer, the request is sent once
// more on a new one. The request leaves whole before the response is read; `deadline` covers both, and the reading of the body.
// (Outbound HTTP to the world is libcurl's job, DESIGN 5.)

#include <memory>

#include "http/message.h"
#include "io/shard.h"

namespace mayfly::http {

enum class ClientError { connect_failed, timed_out, disconnected, malformed };

struct ClientRequest {
  std::string method = "GET";
  std::string target = "/";  // raw path and query
  Headers headers;           // Host is added when absent
  std::string body;
  std::unique_ptr<Body> stream;  // if set, sent chunked instead of `body`
};

struct ClientResponse {
  int status = 0;
  Headers headers;
  std::unique_ptr<Body> body;  // never null; the connection is reused once it is read to its end
};

class HttpClient {
 public:
  virtual ~HttpClient() = default;  // every response body must be gone by then
  virtual io::Task<std::expected<ClientResponse, ClientError>> send(ClientRequest request, io::Deadline deadline) = 0;
};

std::unique_ptr<HttpClient> make_http_client(io::Shard& shard, std::string host, uint16_t port);

}  // namespace mayfly::http
