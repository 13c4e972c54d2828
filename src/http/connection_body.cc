// The inward half of a Connection: pulling the request body, swallowing what the handler left, and the lingering close.
#include "http/connection.h"

namespace mayfly::http {
namespace {

constexpr size_t kPieceBytes = 64 * 1024;         // of a sized body per read: large enough to hide the system call
constexpr size_t kChunkedPieceBytes = 16 * 1024;  // of a chunked one: its end is unknown, and what follows must be copied back
constexpr int64_t kLingerUs = 2 * kMicrosPerSecond;
constexpr size_t kLingerBytes = 4 << 20;  // beyond it a client that ignores our answer is cut off

BodyError to_body_error(io::StreamError error) {
  return error == io::StreamError::timed_out ? BodyError::timed_out : BodyError::disconnected;
}

}  // namespace

void Connection::done_reading() {
  reading_ = false;
  settled_.set();
}

io::Task<bool> Connection::settle(io::Deadline deadline) {
  while (reading_ || continuing_) {
    settled_.reset();
    if (co_await settled_.wait(deadline) == io::Wait::timed_out) co_return false;
  }
  co_return true;
}

// One read while an answer streams: a client that goes is seen, what it pipelines waits in the inbox.
io::Task<void> Connection::watch_client() {
  auto got = co_await stream_->read_some(inbox_.room(), io::Deadline::never());
  if (got && *got > 0) {
    inbox_.added(*got);
  } else {
    input_ended_ = true;
    if (got) client_ended();
    else if (sending_ != nullptr) sending_->abandon();
  }
  done_reading();
}

// The client has ended its side, which looks the same whether it still listens or not: silence is not kept up for it. While a piece is
// leaving it is the client that is slow.
void Connection::client_ended() {
  if (sending_ == nullptr) return;
  half_closed_timer_ = shared_.loop.call_at(shared_.loop.now_us() + shared_.limits.half_closed_us, [this, seen = asked_pieces_] {
    half_closed_timer_ = 0;
    if (!silent_ || seen != asked_pieces_) return client_ended();
    sending_->abandon();
  });
}

io::Task<std::expected<void, BodyError>> Connection::send_continue() {
  bool asked = !responding_ && std::exchange(expects_continue_, false);
  if (!asked || !inbox_.empty()) co_return std::expected<void, BodyError>{};
  continuing_ = true;
  auto sent = co_await stream_->write_all("HTTP/1.1 100 Continue\r\n\r\n", after_us(shared_.limits.body_timeout_us));
  continuing_ = false;
  settled_.set();
  if (!sent) co_return std::unexpected(to_body_error(sent.error()));
  co_return std::expected<void, BodyError>{};
}

// The next piece. Bytes are read straight into it and the framing is taken off in place; only what belongs to the next request is copied.
io::Task<std::expected<std::optional<std::string>, BodyError>> Connection::read_body() {
  auto broken = [this](BodyError error) {
    body_error_ = error;
    if (error == BodyError::disconnected && sending_ != nullptr) sending_->abandon();
    return std::unexpected(error);
  };
  if (body_error_) co_return std::unexpected(*body_error_);
  if (decoder_.complete()) co_return std::nullopt;
  if (expects_continue_) {
    if (auto sent = co_await send_continue(); !sent) co_return broken(sent.error());
  }
  io::Deadline deadline = after_us(shared_.limits.body_timeout_us);
  while (true) {
    std::string piece;
    if (!inbox_.empty()) {
      piece = inbox_.bytes();
      inbox_.consume(piece.size());
    } else {
      auto remaining = decoder_.remaining();
      size_t size = remaining ? static_cast<size_t>(std::min<uint64_t>(*remaining, kPieceBytes)) : kChunkedPieceBytes;
      piece.resize_and_overwrite(size, [](char*, size_t count) { return count; });
      reading_ = true;
      auto got = co_await stream_->read_some(piece, deadline);
      done_reading();
      if (!got) co_return broken(to_body_error(got.error()));
      if (*got == 0) co_return broken(BodyError::disconnected);
      piece.resize(*got);
    }
    auto decoded = decoder_.decode(piece);
    if (!decoded) co_return broken(BodyError::malformed);
    inbox_.append(std::string_view(piece).substr(decoded->consumed));
    body_received_ += decoded->size;
    if (body_received_ > shared_.limits.body_bytes) co_return broken(BodyError::too_large);
    piece.resize(decoded->size);
    if (!piece.empty()) co_return piece;
    if (decoder_.complete()) co_return std::nullopt;
  }
}

// The handler has answered without reading all: a little is swallowed to keep the connection.
io::Task<Connection::Next> Connection::discard_body() {
  if (expects_continue_) co_return Next::linger;  // nobody asked for the body: it may never come
  size_t discarded = 0;
  while (true) {
    auto piece = co_await read_body();
    if (!piece) co_return Next::linger;
    if (!*piece) co_return Next::keep;
    discarded += (*piece)->size();
    if (discarded > shared_.limits.discard_bytes) co_return Next::linger;
  }
}

io::Task<void> Connection::linger() {
  stream_->shutdown_write();
  io::Deadline deadline = after_us(kLingerUs);
  if (!co_await stream_->write_all({}, deadline)) co_return;  // of TLS, the goodbye
  if (!co_await settle(deadline) || input_ended_) co_return;
  std::vector<char> sink(kChunkedPieceBytes);
  for (size_t total = 0; total < kLingerBytes;) {
    auto got = co_await stream_->read_some(sink, deadline);
    if (!got || *got == 0) co_return;
    total += *got;
  }
}

}  // namespace mayfly::http
