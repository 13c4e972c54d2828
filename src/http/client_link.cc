#include "http/client_link.h"

#include "base/encoding.h"
#include "http/head_writer.h"
#include "http/tunnel.h"

namespace mayfly::http {
namespace {

constexpr size_t kGatherBytes = 64 * 1024;  // a body up to this size is copied behind its head: cheaper than a second send
constexpr size_t kPieceBytes = 64 * 1024;   // of a response body per read

ClientError to_client_error(io::StreamError error) {
  return error == io::StreamError::timed_out ? ClientError::timed_out : ClientError::disconnected;
}

// A method that gives a body no meaning gets no "Content-Length: 0" (RFC 9110 section 8.6).
bool expects_body(std::string_view method) { return method == "POST" || method == "PUT" || method == "PATCH"; }

std::string write_head(const ClientRequest& request, const std::string& host) {
  std::string out = fmt::format("{} {} HTTP/1.1\r\n", request.method, request.target);
  if (!request.headers.has("Host")) append_field(out, "Host", host);
  for (const auto& [name, value] : request.headers)
    if (!is_framing_field(name)) append_field(out, name, value);
  if (request.upgrade) out += "Connection: Upgrade\r\n";
  auto declared = request.stream ? request.stream->declared_size() : std::nullopt;
  if (declared) {
    out += fmt::format("Content-Length: {}\r\n", *declared);
  } else if (request.stream) {
    out += "Transfer-Encoding: chunked\r\n";
  } else if (!request.body.empty() || expects_body(request.method)) {
    out += fmt::format("Content-Length: {}\r\n", request.body.size());
  }
  out += "\r\n";
  return out;
}

}  // namespace

io::Task<std::expected<ClientLink::Head, ClientError>> ClientLink::exchange(ClientRequest& request, const std::string& host, io::Deadline deadline) {
  heard_ = false;
  body_failure_.reset();
  auto written = co_await write(request, host, deadline);
  // A server that refuses a body answers and closes before all was sent: its answer still counts.
  if (!written && written.error() != ClientError::disconnected) co_return std::unexpected(written.error());
  auto head = co_await read_head(request.method == "HEAD", request.upgrade, deadline);
  if (!head && head.error() == ClientError::disconnected && body_failure_) co_return std::unexpected(ClientError::body_failed);
  co_return head;
}

io::Task<std::expected<void, ClientError>> ClientLink::write(ClientRequest& request, const std::string& host, io::Deadline deadline) {
  std::string out = write_head(request, host);
  bool gather = !request.stream && request.body.size() <= kGatherBytes;
  if (gather) out += request.body;
  if (auto sent = co_await stream_->write_all(out, deadline); !sent) co_return std::unexpected(to_client_error(sent.error()));
  if (request.stream && request.uploads) {
    uploading_ = true;
    request.uploads->spawn(upload(shared_from_this(), std::move(request.stream), deadline));
    co_return std::expected<void, ClientError>{};
  }
  if (request.stream) co_return co_await write_stream(*request.stream, deadline);
  if (gather) co_return std::expected<void, ClientError>{};
  if (auto sent = co_await stream_->write_all(request.body, deadline); !sent) co_return std::unexpected(to_client_error(sent.error()));
  co_return std::expected<void, ClientError>{};
}

io::Task<std::expected<void, ClientError>> ClientLink::write_stream(Body& body, io::Deadline deadline) {
  auto left = body.declared_size();
  bool chunked = !left;
  while (true) {
    auto piece = co_await body.next();
    bool whole = piece && !*piece && left.value_or(0) == 0;
    bool fits = piece && (chunked || !*piece || (*piece)->size() <= *left);
    if (!piece || !fits || (!*piece && !whole)) {  // half a request must not look whole
      body_failure_ = piece ? BodyError::malformed : piece.error();
      close();
      co_return std::unexpected(body_failure_ == BodyError::timed_out ? ClientError::timed_out : ClientError::disconnected);
    }
    if (whole && !chunked) co_return std::expected<void, ClientError>{};
    if (*piece && (*piece)->empty()) continue;
    if (!chunked) *left -= (*piece)->size();
    std::string bytes = !chunked ? std::move(**piece) : *piece ? fmt::format("{:x}\r\n{}\r\n", (*piece)->size(), **piece) : "0\r\n\r\n";
    if (auto sent = co_await stream_->write_all(bytes, deadline); !sent) co_return std::unexpected(to_client_error(sent.error()));
    if (whole) co_return std::expected<void, ClientError>{};
  }
}

io::Task<void> ClientLink::upload(std::shared_ptr<ClientLink> self, std::unique_ptr<Body> body, io::Deadline deadline) {
  (void)co_await self->write_stream(*body, deadline);
  self->uploading_ = false;
}

io::Task<std::expected<ClientLink::Head, ClientError>> ClientLink::read_head(bool head_only, bool upgrade, io::Deadline deadline) {
  while (true) {
    scan_.reset();
    HeadScan::Outcome outcome;
    while ((outcome = scan_.scan(inbox_.bytes())) == HeadScan::Outcome::more) {
      auto got = co_await stream_->read_some(inbox_.room(), deadline);
      if (!got) co_return std::unexpected(to_client_error(got.error()));
      if (*got == 0) co_return std::unexpected(ClientError::disconnected);
      heard_ = true;
      inbox_.added(*got);
    }
    if (outcome == HeadScan::Outcome::refused || !parser_.parse(inbox_.bytes().substr(0, scan_.size()))) co_return std::unexpected(ClientError::malformed);
    inbox_.consume(scan_.size());
    if (parser_.status() == 101 && !upgrade) co_return std::unexpected(ClientError::malformed);  // nothing was asked to be upgraded
    if (parser_.status() == 101) {
      std::string first(inbox_.bytes());
      co_return Head{101, std::move(parser_.headers()), unread(std::move(first), std::exchange(stream_, nullptr))};
    }
    if (parser_.status() >= 200) break;
  }
  begin_body(head_only);
  co_return Head{parser_.status(), std::move(parser_.headers())};
}

// RFC 9112 section 6.3: what ends the body of a response.
void ClientLink::begin_body(bool head_only) {
  declared_ = parser_.content_length();
  keep_alive_ = parser_.keep_alive();
  bool bodiless = head_only || parser_.status() == 204 || parser_.status() == 304;
  if (bodiless) {
    decoder_.start_sized(0);
    const std::string* wish = parser_.headers().find("Connection");  // llhttp judges by a body that will not come
    keep_alive_ = !parser_.is_http_1_0() && !(wish != nullptr && equals_ignore_case(*wish, "close"));
  } else if (parser_.chunked()) {
    decoder_.start_chunked();
  } else if (declared_) {
    decoder_.start_sized(*declared_);
  } else {
    decoder_.start_until_eof();
    keep_alive_ = false;
  }
}

io::Task<std::expected<std::optional<std::string>, BodyError>> ClientLink::read_body(io::Deadline deadline) {
  while (!decoder_.complete()) {
    std::string piece;
    if (!inbox_.empty()) {
      piece = inbox_.bytes();
      inbox_.consume(piece.size());
    } else {
      size_t size = static_cast<size_t>(std::min<uint64_t>(decoder_.remaining().value_or(kPieceBytes), kPieceBytes));
      piece.resize_and_overwrite(size, [](char*, size_t count) { return count; });
      auto got = co_await stream_->read_some(piece, deadline);
      if (!got) co_return std::unexpected(got.error() == io::StreamError::timed_out ? BodyError::timed_out : BodyError::disconnected);
      if (*got == 0 && !decoder_.end_of_stream()) co_return std::unexpected(BodyError::disconnected);
      piece.resize(*got);
    }
    auto decoded = decoder_.decode(piece);
    if (!decoded) co_return std::unexpected(BodyError::malformed);
    inbox_.append(std::string_view(piece).substr(decoded->consumed));
    piece.resize(decoded->size);
    if (!piece.empty()) co_return piece;
  }
  co_return std::nullopt;
}

}  // namespace mayfly::http
