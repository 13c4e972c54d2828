#include "cli/forwarder.h"

namespace mayfly::cli {
namespace {

constexpr size_t kPieceBytes = 64 * 1024;
constexpr int64_t kConnectTimeoutUs = 10 * kMicrosPerSecond;

}  // namespace

Forwarder::~Forwarder() {
  if (!thread_.joinable()) return;
  io::TaskGroup ending(shard_);
  shard_.post([this, &ending] { ending.spawn(stop()); });
  thread_.join();
}

void Forwarder::add(sys::Fd listener, Destination destination) {
  listeners_.emplace_back(shard_.adopt_listener(std::move(listener)), std::move(destination));
}

void Forwarder::start() {
  shard_.post([this] {
    for (auto& [listener, destination] : listeners_) group_.spawn(accept_all(listener.get(), destination));
  });
  thread_ = std::thread([this] { shard_.run(); });
}

io::Task<void> Forwarder::accept_all(io::Listener* listener, Destination destination) {
  while (auto stream = co_await listener->accept()) group_.spawn(carry(std::move(stream), destination));
}

io::Task<void> Forwarder::carry(std::unique_ptr<io::Stream> from, Destination destination) {
  auto to = co_await shard_.connect(destination.host, destination.port, io::Deadline::after_us(shard_, kConnectTimeoutUs));
  if (!to || stopping_) co_return;  // the tool sees its connection closed
  open_.insert({from.get(), to->get()});
  io::TaskGroup answers(shard_);
  answers.spawn(pump(to->get(), from.get()));
  co_await pump(from.get(), to->get());
  co_await answers.drain();
  open_.erase(from.get());
  open_.erase(to->get());
}

// Until `from` ends; then `to` is told, so that a half-closed connection stays half-closed.
io::Task<void> Forwarder::pump(io::Stream* from, io::Stream* to) {
  std::vector<char> buffer(kPieceBytes);
  while (true) {
    auto size = co_await from->read_some(buffer, io::Deadline::never());
    if (!size || *size == 0) break;
    auto written = co_await to->write_all({buffer.data(), *size}, io::Deadline::never());
    if (!written) {
      from->close();
      break;
    }
  }
  to->shutdown_write();
}

io::Task<void> Forwarder::stop() {
  stopping_ = true;
  for (auto& [listener, destination] : listeners_) listener->close();
  for (io::Stream* stream : open_) stream->close();
  co_await group_.drain();
  listeners_.clear();
  shard_.stop();
}

}  // namespace mayfly::cli
