#pragma once
// Connection: one client's connection, from its first byte to its last; the loop "read a head, call the handler, send the answer".
// One request at a time: what a client pipelines waits in the inbox. Lives in the frame of the server's task for it, on one shard.
// One read at a time, too: whoever awaits bytes sets `reading_` (the handler's body, which may still be read while the answer streams;
// the watcher that sees the client go meanwhile), and the next waits for it.
//
// States: idle (kept alive, nothing of a request here) and busy. A drain ends idle connections at once and busy ones after their answer.
// Whenever input may be left unread at the end, the close lingers (shut down, then read a little): closing at once would reset the
// connection and could take the answer away from the client. Only an answer that nothing but the connection's end delimits is reset when it
// is cut off: its half would look whole.

#include <memory>
#include <string>

#include "http/body_decoder.h"
#include "http/head_parser.h"
#include "http/head_writer.h"
#include "http/inbox.h"
#include "http/server.h"
#include "io/group.h"
#include "io/stream.h"

namespace mayfly::http {

// What the connections of one server share.
struct ServerShared {
  io::Loop& loop;
  Handler handler;
  ServerLimits limits;
  HeadWriter head_writer;
  bool draining = false;
  uint64_t requests = 0;
};

class Connection {
 public:
  Connection(ServerShared& shared, std::unique_ptr<io::Stream> stream, std::string scheme, std::string door);
  Connection(const Connection&) = delete;
  ~Connection();

  io::Task<void> run();
  void close_if_idle();
  void close();

 private:
  class RequestBody;
  struct Sending;
  enum class Next { keep, close, linger };  // what becomes of the connection

  io::Task<void> converse();
  io::Task<Next> read_head();
  io::Task<Next> serve_request();
  io::Task<Next> respond(Response response);
  io::Task<Next> refuse(Refusal refusal);
  std::expected<void, Refusal> begin_request(Request& request);

  io::Task<std::expected<std::optional<std::string>, BodyError>> read_body();
  io::Task<std::expected<void, BodyError>> send_continue();
  io::Task<Next> discard_body();
  bool can_keep(const Response& response) const;

  Framing choose_framing(const Response& response) const;
  io::Task<bool> send(std::string_view bytes);
  io::Task<bool> send_stream(std::unique_ptr<Body> stream, Framing framing);
  io::Task<Next> tunnel(Response response);
  io::Task<void> linger();

  // Reading while the answer streams.
  void done_reading();
  io::Task<bool> settle(io::Deadline deadline);  // until nobody reads; false at the deadline
  io::Task<void> watch_client();
  void client_ended();
  io::Deadline after_us(int64_t us) const { return io::Deadline::after_us(shared_.loop, us); }

  ServerShared& shared_;
  std::unique_ptr<io::Stream> stream_;
  std::string scheme_;
  std::string door_;
  std::string peer_;
  Inbox inbox_;
  HeadScan scan_;
  HeadParser parser_{HeadParser::Kind::request};
  BodyDecoder decoder_;
  RequestBody* body_ = nullptr;  // of the request in progress, while its handler holds it
  std::optional<BodyError> body_error_;
  uint64_t body_received_ = 0;
  bool expects_continue_ = false;
  bool head_only_ = false;
  bool idle_ = false;
  bool served_ = false;  // at least one request was answered
  bool responding_ = false;   // the answer's head is leaving or has left
  bool continuing_ = false;   // "100 Continue" is leaving
  bool reading_ = false;
  bool input_ended_ = false;  // the client has ended its side
  io::Signal settled_;        // set when reading_ or continuing_ ends
  bool open_ended_ = false;   // an answer is leaving that only the connection's end delimits
  Body* sending_ = nullptr;   // the stream of the answer that is leaving
  uint64_t asked_pieces_ = 0;
  bool silent_ = false;       // the last of them has not come yet
  io::Loop::TimerId half_closed_timer_ = 0;
  io::TaskGroup watchers_;
  std::string out_;
};

}  // namespace mayfly::http
