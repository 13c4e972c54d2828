#pragma once
// The HTTP/1.1 client for Mayfly's own links: the command line to the server, the server to a function that serves a port, tests.
// Connections are kept and reused. `deadline` covers sending the request, waiting for the head, and reading the body.
//
// The request leaves whole before the response is read, unless its body is a stream and `uploads` is given: then both go on at once.
// A kept connection that turns out to be closed before a byte of the answer: a method that may be repeated (RFC 9110 section 9.2.2) is sent
// once more on a new one; for others a kept connection is looked at before use, and what breaks afterwards is reported, because the server
// may have begun. connect_failed therefore means that nothing of the request has left.
// (Outbound HTTP to the world is libcurl's job, DESIGN 5.)

#include <functional>
#include <memory>

#include "http/message.h"
#include "io/group.h"
#include "io/shard.h"

namespace mayfly::http {

enum class ClientError {
  connect_failed, timed_out, disconnected, malformed,
  body_failed,  // the request's own body broke off
};

struct ClientRequest {
  std::string method = "GET";
  std::string target = "/";  // raw path and query
  Headers headers;           // Host is added when absent
  std::string body;
  std::unique_ptr<Body> stream;      // if set, sent instead of `body`: with Content-Length when declared_size() is known, else chunked
  io::TaskGroup* uploads = nullptr;  // where the stream is sent while the response is read; outlives the response
  bool upgrade = false;              // sends "Connection: Upgrade"; `headers` say to what
};

struct ClientResponse {
  int status = 0;
  Headers headers;
  std::unique_ptr<Body> body;  // never null; the connection is reused once it is read to its end
  bool arrived = false;        // the whole body is here: reading it does not wait
  std::unique_ptr<io::Stream> tunnel;  // after 101, and only then
};

class HttpClient {
 public:
  virtual ~HttpClient() = default;  // every response body must be gone by then
  virtual io::Task<std::expected<ClientResponse, ClientError>> send(ClientRequest request, io::Deadline deadline) = 0;
};

std::unique_ptr<HttpClient> make_http_client(io::Shard& shard, std::string host, uint16_t port);

// The same over whatever `connect` brings; `host` is what the Host field says when a request has none.
using Connector = std::function<io::Task<std::expected<std::unique_ptr<io::Stream>, io::StreamError>>(io::Deadline)>;
std::unique_ptr<HttpClient> make_http_client(Connector connect, std::string host);

}  // namespace mayfly::http
