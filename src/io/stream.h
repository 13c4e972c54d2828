#pragma once
// Stream: bytes both ways, whatever carries them (TCP, a Unix socket, TLS over either). Single-threaded; at most one read and one
// write may be pending at a time. close() wakes both with StreamError::closed, and is how a component is stopped from outside.

#include <cstddef>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "io/loop.h"
#include "io/task.h"

namespace mayfly::io {

enum class StreamError {
  closed,     // closed on this side, or by the peer while writing
  timed_out,  // the deadline passed first; the stream must be closed, what was transferred is unknown
  reset,      // the connection broke
};

class Stream {
 public:
  virtual ~Stream() = default;
  // At least one byte into `buffer`; 0 means the peer has ended its side.
  virtual Task<std::expected<size_t, StreamError>> read_some(std::span<char> buffer, Deadline deadline) = 0;
  // All of `data`, which the caller keeps alive until the task ends.
  virtual Task<std::expected<void, StreamError>> write_all(std::string_view data, Deadline deadline) = 0;
  // Half-close: the peer reads 0 after what was written. TLS has to say so first: its goodbye leaves with the next write, an empty one too.
  virtual void shutdown_write() = 0;
  virtual void close() = 0;
  // close() that the peer sees as a break, for bytes that only the end of the connection ends: TCP resets. What was written last may be
  // lost. Where a break cannot be told it is an end like any other.
  virtual void abort() { close(); }
  // Whether the peer has ended its side or broken off, with nothing left to read; asked of the kernel now. False where nobody can tell (TLS).
  virtual bool peer_gone() { return false; }
  virtual std::string peer() const = 0;  // "127.0.0.1:5000", or a name for what is not TCP
};

// One end of a Unix socket pair, over which descriptors travel beside the bytes.
class PassingStream : public Stream {
 public:
  // All of `data`, which is not empty, with `descriptor` at its first byte.
  virtual Task<std::expected<void, StreamError>> write_with(std::string_view data, int descriptor, Deadline deadline) = 0;
  // The oldest descriptor that came with bytes read and was not taken; -1 if there is none. The caller owns it.
  virtual int take_descriptor() = 0;
};
constexpr size_t kMaxUntakenDescriptors = 8;  // beyond it reading fails: the far end sends what nobody asked for

}  // namespace mayfly::io
