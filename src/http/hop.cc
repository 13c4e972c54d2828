#include "http/hop.h"

#include "io/hop.h"

namespace mayfly::http {
namespace {

using Piece = std::expected<std::optional<std::string>, BodyError>;
using Count = std::expected<size_t, io::StreamError>;
using Written = std::expected<void, io::StreamError>;

class HopBody final : public Body {
 public:
  HopBody(io::Loop& here, io::Loop& there, std::unique_ptr<Body> body)
      : here_(here), there_(there), declared_(body->declared_size()), body_(std::move(body)) {}
  ~HopBody() override {
    there_.post([body = std::move(body_)]() mutable { body.reset(); });
  }
  io::Task<Piece> next() override {
    return io::call_on<Piece>(here_, there_, [body = body_.get()] { return body->next(); });
  }
  std::optional<uint64_t> declared_size() const override { return declared_; }
  void abandon() override {
    there_.post([body = body_.get()] { body->abandon(); });  // before its destruction, which is posted later
  }

 private:
  io::Loop& here_;
  io::Loop& there_;
  std::optional<uint64_t> declared_;
  std::unique_ptr<Body> body_;  // touched on `there_` only
};

class HopStream final : public io::Stream {
 public:
  HopStream(io::Loop& here, io::Loop& there, std::unique_ptr<io::Stream> stream)
      : here_(here), there_(there), peer_(stream->peer()), stream_(std::move(stream)) {}
  ~HopStream() override {
    there_.post([stream = std::move(stream_)]() mutable { stream.reset(); });
  }
  // The buffers are the caller's and used on the other thread while the caller waits; all loops share one clock, so deadlines hold there.
  io::Task<Count> read_some(std::span<char> buffer, io::Deadline deadline) override {
    return io::call_on<Count>(here_, there_, [stream = stream_.get(), buffer, deadline] { return stream->read_some(buffer, deadline); });
  }
  io::Task<Written> write_all(std::string_view data, io::Deadline deadline) override {
    return io::call_on<Written>(here_, there_, [stream = stream_.get(), data, deadline] { return stream->write_all(data, deadline); });
  }
  void shutdown_write() override {
    there_.post([stream = stream_.get()] { stream->shutdown_write(); });
  }
  void close() override {
    there_.post([stream = stream_.get()] { stream->close(); });
  }
  std::string peer() const override { return peer_; }

 private:
  io::Loop& here_;
  io::Loop& there_;
  std::string peer_;
  std::unique_ptr<io::Stream> stream_;  // touched on `there_` only
};

}  // namespace

std::unique_ptr<Body> hop_body(io::Loop& here, io::Loop& there, std::unique_ptr<Body> body) {
  if (body == nullptr || &here == &there) return body;
  return std::make_unique<HopBody>(here, there, std::move(body));
}

std::unique_ptr<io::Stream> hop_stream(io::Loop& here, io::Loop& there, std::unique_ptr<io::Stream> stream) {
  if (stream == nullptr || &here == &there) return stream;
  return std::make_unique<HopStream>(here, there, std::move(stream));
}

}  // namespace mayfly::http
