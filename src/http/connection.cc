#include "http/connection.h"

#include <algorithm>

#include "base/encoding.h"
#include "http/tunnel.h"

namespace mayfly::http {
namespace {

constexpr size_t kGatherBytes = 64 * 1024;        // a body up to this size is copied behind its head: cheaper than a second send
constexpr size_t kSliceBytes = 64 * 1024;         // larger ones leave in slices, each with body_timeout_us of its own
constexpr int64_t kLastPieceUs = 2 * kMicrosPerSecond;  // for the piece of a request's body that is awaited when the answer has left
constexpr size_t kKeptOutBytes = 16 * 1024;       // output buffer kept between requests

Response plain_text(int status, std::string_view text) {
  Response response{.status = status, .body = fmt::format("{}\n", text)};
  response.headers.add("Content-Type", "text/plain");
  return response;
}

}  // namespace

// The handler's view of the body. It may outlive the request (a handler can keep it): then it only says that the client is gone.
class Connection::RequestBody final : public Body {
 public:
  RequestBody(Connection* connection, std::optional<uint64_t> declared) : connection_(connection), declared_(declared) { connection_->body_ = this; }
  ~RequestBody() override { detach(); }
  io::Task<std::expected<std::optional<std::string>, BodyError>> next() override {
    if (connection_ == nullptr) return gone();
    return connection_->read_body();
  }
  std::optional<uint64_t> declared_size() const override { return declared_; }
  Headers trailers() const override { return connection_ != nullptr ? parse_fields(connection_->decoder_.trailers()) : Headers{}; }
  bool client_gone() const override { return connection_ == nullptr || connection_->stream_->peer_gone(); }
  void detach() {
    if (connection_ != nullptr) connection_->body_ = nullptr;
    connection_ = nullptr;
  }

 private:
  static io::Task<std::expected<std::optional<std::string>, BodyError>> gone() { co_return std::unexpected(BodyError::disconnected); }

  Connection* connection_;
  std::optional<uint64_t> declared_;
};

Connection::Connection(ServerShared& shared, std::unique_ptr<io::Stream> stream, std::string scheme, std::string door)
    : shared_(shared),
      stream_(std::move(stream)),
      scheme_(std::move(scheme)),
      door_(std::move(door)),
      peer_(stream_->peer()),
      scan_({shared.limits.start_line_bytes, shared.limits.header_bytes, shared.limits.header_count}),
      settled_(shared.loop),
      watchers_(shared.loop) {}

Connection::~Connection() {
  if (body_ != nullptr) body_->detach();
  if (half_closed_timer_ != 0) shared_.loop.cancel(half_closed_timer_);
}

void Connection::close_if_idle() {
  if (idle_) stream_->close();
}

// What waits for the client's bytes learns it from the stream, what waits for the answer's next piece does not.
void Connection::close() {
  if (open_ended_) {
    stream_->abort();
  } else {
    stream_->close();
  }
  if (sending_ != nullptr) sending_->abandon();
}

io::Task<void> Connection::run() {
  std::exception_ptr fault;  // of an answer's stream
  try {
    co_await converse();
  } catch (...) {
    fault = std::current_exception();
  }
  close();
  co_await settle(io::Deadline::never());  // a read that waits ends with the stream
  co_await watchers_.drain();
  if (fault) std::rethrow_exception(fault);
}

io::Task<void> Connection::converse() {
  Next next = Next::keep;
  while (next == Next::keep && !(shared_.draining && inbox_.empty())) {
    next = co_await read_head();
    if (next == Next::keep) next = co_await serve_request();
  }
  // TLS says goodbye in linger(), too.
  if (next == Next::linger || (next == Next::keep && scheme_ == "https")) co_await linger();
}

// Until a whole head is in the inbox.
io::Task<Connection::Next> Connection::read_head() {
  io::Deadline deadline = after_us(served_ ? shared_.limits.idle_timeout_us : shared_.limits.header_timeout_us);
  bool begun = false;
  while (true) {
    if (!inbox_.empty()) {
      HeadScan::Outcome outcome = scan_.scan(inbox_.bytes());
      if (outcome == HeadScan::Outcome::complete) co_return Next::keep;
      if (outcome == HeadScan::Outcome::refused) co_return co_await refuse(scan_.refusal());
      if (!std::exchange(begun, true)) deadline = after_us(shared_.limits.header_timeout_us);
    }
    idle_ = !begun;
    if (reading_ || input_ended_) {  // a watcher left behind by a streamed answer
      size_t before = inbox_.bytes().size();
      bool settled = co_await settle(deadline);
      idle_ = false;
      if (settled && inbox_.bytes().size() > before) continue;
      co_return Next::close;
    }
    auto got = co_await stream_->read_some(inbox_.room(), deadline);
    idle_ = false;
    if (got && *got > 0) {
      inbox_.added(*got);
      continue;
    }
    if (!got && got.error() == io::StreamError::timed_out && begun) co_return co_await refuse({408, "the request took too long to arrive"});
    co_return Next::close;
  }
}

// Understands the head in the inbox and leaves what follows it there.
std::expected<void, Refusal> Connection::begin_request(Request& request) {
  if (auto parsed = parser_.parse(inbox_.bytes().substr(0, scan_.size())); !parsed) return parsed;
  if (auto made = make_request(parser_, request); !made) return made;
  if (parser_.content_length().value_or(0) > shared_.limits.body_bytes) return std::unexpected(Refusal{413, "the body is too large"});
  expects_continue_ = false;
  if (const std::string* expect = request.headers.find("Expect"); expect != nullptr && !parser_.is_http_1_0()) {
    if (!equals_ignore_case(*expect, "100-continue")) return std::unexpected(Refusal{417, "the only expectation known is 100-continue"});
    expects_continue_ = true;
  }
  if (parser_.chunked()) {
    decoder_.start_chunked();
  } else {
    decoder_.start_sized(parser_.content_length().value_or(0));
  }
  head_only_ = request.method == "HEAD";
  inbox_.consume(scan_.size());
  scan_.reset();
  body_error_.reset();
  body_received_ = 0;
  request.scheme = scheme_;
  request.peer = peer_;
  request.door = door_;
  request.body = std::make_unique<RequestBody>(this, parser_.content_length());
  return {};
}

io::Task<Connection::Next> Connection::serve_request() {
  Request request;
  if (auto begun = begin_request(request); !begun) co_return co_await refuse(begun.error());
  ++shared_.requests;
  Response response;
  std::string fault;
  try {  // the root of a request: a fault of the environment or of the handler ends here
    response = co_await shared_.handler(std::move(request));
    bool tunnels = response.status == 101 && response.tunnel && decoder_.complete();
    if (!tunnels && (response.status < 200 || response.status > 999)) fault = fmt::format("the handler answered with status {}", response.status);
  } catch (const std::exception& error) {
    fault = fmt::format("request failed: {}", error.what());
  }
  if (!fault.empty()) {
    fmt::print(stderr, "{}\n", fault);
    response = plain_text(500, "internal error");
  }
  served_ = true;
  responding_ = true;
  while (continuing_) {  // two writers must not meet
    settled_.reset();
    co_await settled_.wait();
  }
  Next next = response.tunnel ? co_await tunnel(std::move(response)) : co_await respond(std::move(response));
  responding_ = false;
  co_return next;
}

// Joins the connection to the answer's tunnel; nothing follows.
io::Task<Connection::Next> Connection::tunnel(Response response) {
  out_.clear();
  shared_.head_writer.write(out_, response, {}, Persist::upgrade);
  if (!co_await stream_->write_all(out_, after_us(shared_.limits.body_timeout_us))) co_return Next::close;
  std::string first(inbox_.bytes());
  inbox_.consume(first.size());
  co_await join_streams(shared_.loop, *stream_, std::move(first), *response.tunnel, shared_.limits.tunnel_idle_us);
  co_return Next::close;
}

io::Task<Connection::Next> Connection::respond(Response response) {
  Framing framing = choose_framing(response);
  bool keep = can_keep(response) && framing.kind != Framing::Kind::until_eof;
  out_.clear();
  shared_.head_writer.write(out_, response, framing, !keep ? Persist::close : parser_.is_http_1_0() ? Persist::spelled : Persist::by_default);
  bool has_body = !head_only_ && framing.kind != Framing::Kind::none;
  bool gather = has_body && !response.stream && response.body.size() <= kGatherBytes;
  if (gather) out_ += response.body;
  open_ended_ = has_body && framing.kind == Framing::Kind::until_eof;
  bool sent = bool(co_await stream_->write_all(out_, after_us(shared_.limits.body_timeout_us)));
  if (out_.capacity() > kKeptOutBytes) out_ = {};
  if (sent && has_body && response.stream) sent = co_await send_stream(std::move(response.stream), framing);
  if (sent && has_body && !response.stream && !gather) sent = co_await send(response.body);
  response.stream.reset();
  if (body_ != nullptr) body_->detach();
  if (!sent) co_return Next::close;
  open_ended_ = false;
  if (!keep) co_return Next::linger;
  if (decoder_.complete()) co_return Next::keep;
  if (!co_await settle(after_us(kLastPieceUs))) co_return Next::linger;
  co_return co_await discard_body();
}

io::Task<Connection::Next> Connection::refuse(Refusal refusal) {
  Response response = plain_text(refusal.status, refusal.text);
  out_.clear();
  shared_.head_writer.write(out_, response, {Framing::Kind::sized, response.body.size()}, Persist::close);
  out_ += response.body;
  bool sent = co_await send(out_);
  co_return sent ? Next::linger : Next::close;
}

bool Connection::can_keep(const Response& response) const {
  if (!parser_.keep_alive() || shared_.draining || body_error_) return false;
  if (const std::string* wish = response.headers.find("Connection"); wish != nullptr && equals_ignore_case(*wish, "close")) return false;
  if (decoder_.complete() || (response.stream && body_ != nullptr)) return true;
  // An unread body after "Expect: 100-continue" may or may not follow: nobody can tell, so the connection ends.
  return !expects_continue_ && decoder_.remaining().value_or(0) <= shared_.limits.discard_bytes;
}

Framing Connection::choose_framing(const Response& response) const {
  if (response.status == 204 || response.status == 304) return {};
  std::optional<uint64_t> length = response.body.size();
  if (response.stream) length = response.stream->declared_size();
  if (head_only_ && response.head_length) length = response.head_length;
  if (length) return {Framing::Kind::sized, *length};
  return {parser_.is_http_1_0() ? Framing::Kind::until_eof : Framing::Kind::chunked, 0};
}

io::Task<bool> Connection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    std::string_view slice = bytes.substr(0, kSliceBytes);
    if (!co_await stream_->write_all(slice, after_us(shared_.limits.body_timeout_us))) co_return false;
    bytes.remove_prefix(slice.size());
  }
  co_return true;
}

// Says which stream is leaving, to who sees the client go.
struct Connection::Sending {
  Connection& connection;
  Sending(Connection& of, Body& stream) : connection(of) { connection.sending_ = &stream; }
  Sending(const Sending&) = delete;
  ~Sending() {
    connection.sending_ = nullptr;
    if (connection.half_closed_timer_ != 0) connection.shared_.loop.cancel(std::exchange(connection.half_closed_timer_, 0));
  }
};

// Pulls one piece, sends it, pulls the next: a slow client holds the producer back. False if the connection must not be used again.
io::Task<bool> Connection::send_stream(std::unique_ptr<Body> stream, Framing framing) {
  uint64_t left = framing.length;
  std::string small;
  Sending sending(*this, *stream);
  while (true) {
    if (decoder_.complete() && !reading_ && !input_ended_ && inbox_.empty()) {
      reading_ = true;
      watchers_.spawn(watch_client());
    }
    ++asked_pieces_;
    silent_ = true;
    auto piece = co_await stream->next();
    silent_ = false;
    if (!piece) co_return false;
    if (!*piece) break;
    std::string& data = **piece;
    if (data.empty()) continue;  // as a chunk it would end the body
    if (framing.kind != Framing::Kind::chunked) {
      if (framing.kind == Framing::Kind::sized && data.size() > left) co_return false;
      left -= data.size();
      if (!co_await send(data)) co_return false;
      continue;
    }
    small = fmt::format("{:x}\r\n", data.size());
    data += "\r\n";
    bool gather = data.size() <= kGatherBytes;
    if (gather) small += data;
    if (!co_await send(small) || (!gather && !co_await send(data))) co_return false;
  }
  if (framing.kind == Framing::Kind::sized && left != 0) co_return false;
  if (framing.kind == Framing::Kind::chunked) co_return co_await send("0\r\n\r\n");
  co_return true;
}

}  // namespace mayfly::http
