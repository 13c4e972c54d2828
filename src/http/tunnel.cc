#include "http/tunnel.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "io/group.h"

namespace mayfly::http {
namespace {

// What the two directions share.
struct Tunnel {
  io::Loop& loop;
  io::Stream& a;
  io::Stream& b;
  int64_t idle_us;
  const int64_t last_word_us;
  int64_t moved_us = 0;  // when bytes passed last
  io::Loop::TimerId timer = 0;

  void close() {
    a.close();
    b.close();
  }
  void watch(int64_t at_us) {
    timer = loop.call_at(at_us, [this] {
      timer = 0;
      int64_t due_us = moved_us + idle_us;
      if (loop.now_us() >= due_us) return close();
      watch(due_us);
    });
  }
  void last_word() {
    idle_us = std::min(idle_us, last_word_us);
    if (timer != 0) loop.cancel(timer);
    watch(loop.now_us() + idle_us);
  }
};

io::Task<void> carry(Tunnel& tunnel, io::Stream& from, std::string first, io::Stream& to) {
  std::vector<char> buffer(kTunnelPieceBytes);
  std::string_view bytes = first;
  while (true) {
    if (!bytes.empty() && !co_await to.write_all(bytes, io::Deadline::never())) co_return tunnel.close();
    tunnel.moved_us = tunnel.loop.now_us();
    auto got = co_await from.read_some(buffer, io::Deadline::never());
    if (!got) co_return tunnel.close();
    if (*got == 0) break;
    bytes = {buffer.data(), *got};
  }
  to.shutdown_write();
  tunnel.last_word();
  if (!co_await to.write_all({}, io::Deadline::never())) tunnel.close();  // of TLS, the goodbye: the read that waits cannot send it
}

class Unread final : public io::Stream {
 public:
  Unread(std::string first, std::unique_ptr<io::Stream> stream) : first_(std::move(first)), stream_(std::move(stream)) {}

  io::Task<std::expected<size_t, io::StreamError>> read_some(std::span<char> buffer, io::Deadline deadline) override {
    if (at_ == first_.size()) co_return co_await stream_->read_some(buffer, deadline);
    size_t size = std::min(buffer.size(), first_.size() - at_);
    std::memcpy(buffer.data(), first_.data() + at_, size);
    at_ += size;
    co_return size;
  }
  io::Task<std::expected<void, io::StreamError>> write_all(std::string_view data, io::Deadline deadline) override { return stream_->write_all(data, deadline); }
  void shutdown_write() override { stream_->shutdown_write(); }
  void close() override { stream_->close(); }
  std::string peer() const override { return stream_->peer(); }

 private:
  std::string first_;
  size_t at_ = 0;
  std::unique_ptr<io::Stream> stream_;
};

}  // namespace

io::Task<void> join_streams(io::Loop& loop, io::Stream& a, std::string first, io::Stream& b, int64_t idle_us, int64_t last_word_us) {
  Tunnel tunnel{.loop = loop, .a = a, .b = b, .idle_us = idle_us, .last_word_us = last_word_us, .moved_us = loop.now_us()};
  tunnel.watch(loop.now_us() + idle_us);
  io::TaskGroup both(loop);
  both.spawn(carry(tunnel, a, std::move(first), b));
  both.spawn(carry(tunnel, b, {}, a));
  co_await both.drain();
  if (tunnel.timer != 0) loop.cancel(tunnel.timer);
  tunnel.close();
}

std::unique_ptr<io::Stream> unread(std::string first, std::unique_ptr<io::Stream> stream) {
  if (first.empty()) return stream;
  return std::make_unique<Unread>(std::move(first), std::move(stream));
}

}  // namespace mayfly::http
