#pragma once
// MemoryStream: two ends of a connection inside one thread, for tests on a simulated clock: what one end writes the other reads.
// Writes never wait unless `capacity` bytes are unread, which is how a test plays a slow reader.

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <string>

#include "io/shard.h"
#include "io/stream.h"
#include "io/sync.h"

namespace mayfly::http {

// One direction.
struct MemoryPipe {
  explicit MemoryPipe(io::Loop& loop, size_t capacity) : changed(loop), capacity(capacity) {}
  io::Signal changed;
  size_t capacity;
  std::string bytes;
  bool ended = false;   // no more will be written
  bool broken = false;  // nobody reads any more
};

class MemoryStream final : public io::Stream {
 public:
  MemoryStream(std::shared_ptr<MemoryPipe> in, std::shared_ptr<MemoryPipe> out) : in_(std::move(in)), out_(std::move(out)) {}
  ~MemoryStream() override { close(); }

  io::Task<std::expected<size_t, io::StreamError>> read_some(std::span<char> buffer, io::Deadline deadline) override {
    while (in_->bytes.empty()) {
      if (closed_) co_return std::unexpected(io::StreamError::closed);
      if (in_->ended) co_return size_t{0};
      in_->changed.reset();
      if (co_await in_->changed.wait(deadline) == io::Wait::timed_out) co_return std::unexpected(io::StreamError::timed_out);
    }
    size_t count = std::min(buffer.size(), in_->bytes.size());
    std::memcpy(buffer.data(), in_->bytes.data(), count);
    in_->bytes.erase(0, count);
    in_->changed.set();
    co_return count;
  }

  io::Task<std::expected<void, io::StreamError>> write_all(std::string_view data, io::Deadline deadline) override {
    while (!data.empty()) {
      if (closed_ || out_->broken || out_->ended) co_return std::unexpected(io::StreamError::closed);
      size_t count = std::min(data.size(), out_->capacity - out_->bytes.size());
      if (count > 0) {
        out_->bytes += data.substr(0, count);
        data.remove_prefix(count);
        out_->changed.set();
        continue;
      }
      out_->changed.reset();
      if (co_await out_->changed.wait(deadline) == io::Wait::timed_out) co_return std::unexpected(io::StreamError::timed_out);
    }
    co_return std::expected<void, io::StreamError>{};
  }

  void shutdown_write() override {
    out_->ended = true;
    out_->changed.set();
  }
  void close() override {
    closed_ = true;
    out_->ended = in_->broken = true;
    out_->changed.set();
    in_->changed.set();
  }
  std::string peer() const override { return "memory"; }

 private:
  std::shared_ptr<MemoryPipe> in_, out_;
  bool closed_ = false;
};

struct MemoryPair {
  std::unique_ptr<io::Stream> a, b;
};
inline MemoryPair make_memory_pair(io::Loop& loop, size_t capacity = 1 << 20) {
  auto there = std::make_shared<MemoryPipe>(loop, capacity), back = std::make_shared<MemoryPipe>(loop, capacity);
  return {std::make_unique<MemoryStream>(back, there), std::make_unique<MemoryStream>(there, back)};
}

// A listener that accepts what the test connects.
class MemoryListener final : public io::Listener {
 public:
  explicit MemoryListener(io::Loop& loop) : loop_(loop), changed_(loop) {}
  std::unique_ptr<io::Stream> connect(size_t capacity = 1 << 20) {
    auto pair = make_memory_pair(loop_, capacity);
    waiting_.push_back(std::move(pair.b));
    changed_.set();
    return std::move(pair.a);
  }
  io::Task<std::unique_ptr<io::Stream>> accept() override {
    while (waiting_.empty() && !closed_) {
      changed_.reset();
      co_await changed_.wait();
    }
    if (closed_) co_return nullptr;
    auto stream = std::move(waiting_.front());
    waiting_.pop_front();
    co_return stream;
  }
  void close() override {
    closed_ = true;
    changed_.set();
  }
  uint16_t port() const override { return 0; }

 private:
  io::Loop& loop_;
  io::Signal changed_;
  std::deque<std::unique_ptr<io::Stream>> waiting_;
  bool closed_ = false;
};

}  // namespace mayfly::http
