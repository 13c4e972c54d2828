#pragma once
// The HTTP/1.1 server side: one HttpServer per shard, fed with connections. llhttp parses; keep-alive, pipelining one at a time,
// chunked both ways, Expect: 100-continue (sent when the handler first reads the body), HEAD without body. Bad input gets a 4xx with a
// short text and the connection closes. The handler answers with a Response; whatever of the request body it left unread is discarded
// up to discard_bytes to keep the connection, else the connection is closed. A handler that throws answers 500. Content-Length,
// Transfer-Encoding, Keep-Alive and Connection (but for "close") of a Response are the server's own: what a handler puts there is dropped.
// A handler, or whoever it gave the body to, may go on reading it while its streamed answer leaves. While that streams, the server also
// sees the client go: the answer's stream is then abandoned (at once when the connection broke, after half_closed_us when the client has
// only ended its side and hears nothing). A streamed answer that breaks off never looks whole: it stays short of its Content-Length or
// without its last chunk, and an HTTP/1.0 client, to which the end of the connection is the end of a body of unknown size, is reset.
// An answer of 101 with a tunnel joins the connection to it (tunnel.h).

#include <functional>
#include <memory>

#include "http/message.h"
#include "io/group.h"
#include "io/shard.h"

namespace mayfly::http {

struct ServerLimits {
  size_t start_line_bytes = 64 * 1024;   // 414 beyond; presigned URLs and RPC queries are long
  size_t header_bytes = 64 * 1024;       // all fields together; 431 beyond
  size_t header_count = 200;             // 431 beyond
  uint64_t body_bytes = 5ull << 30;      // 413 beyond: the largest single object put
  int64_t header_timeout_us = 20'000'000;  // from the first byte of a request to its last header: slow clients are cut
  int64_t idle_timeout_us = 75'000'000;    // a kept-alive connection without a request
  int64_t body_timeout_us = 60'000'000;    // without a single body byte arriving or leaving
  int64_t half_closed_us = 5'000'000;      // a client that has ended its side may still listen, but not to silence
  int64_t tunnel_idle_us = 3'600'000'000;  // a tunnel through which nothing passes; functions have shorter limits of their own
  size_t discard_bytes = 256 * 1024;       // unread request body swallowed to keep a connection
  size_t connections = 10'000;             // per shard; beyond it a connection is answered 503 and closed
  size_t door_connections = 512;           // of one door's socket, likewise: a function must not use up what everybody shares
};

using Handler = std::function<io::Task<Response>(Request)>;

// drain() must have been awaited before an HttpServer is destroyed: its connections and handlers run in its task group.
class HttpServer {
 public:
  virtual ~HttpServer() = default;
  // Serves every connection of the listener until drain(). `door` goes into Request::door; `scheme` into Request::scheme.
  virtual void serve(std::unique_ptr<io::Listener> listener, std::string scheme, std::string door) = 0;
  // Closes the listener of one door (its sandbox is gone).
  virtual void close_door(const std::string& door) = 0;
  // Stops accepting, closes idle connections, lets requests in progress finish until the deadline, then closes what is left. A handler
  // that is still at work then sees its body and its answer fail; drain() returns when the last one has ended.
  virtual io::Task<void> drain(io::Deadline deadline) = 0;
  virtual size_t connections() const = 0;
  virtual uint64_t requests() const = 0;
};

// `tls` may be null; when set, listeners whose scheme is "https" speak TLS with it (tls.h).
class TlsContext;
std::unique_ptr<HttpServer> make_http_server(io::Loop& loop, Handler handler, ServerLimits limits, std::shared_ptr<TlsContext> tls = nullptr);

}  // namespace mayfly::http
