#pragma once
// Frames: the language of the stream between the server and a worker (DESIGN 2). Each is a fixed header, then `meta_size` bytes of meta,
// then `payload_size` bytes of payload. Numbers are little-endian. The server sends start once, then calls, at most as many unanswered as
// the function's concurrency; the worker answers ready or failed once, before an initializer imported too, then one reply per call, in any
// order. Other halves of this file:
// runtimes/python/frames.py and its kin in the other languages of runtimes/, held to its constants by frame_test.cc, and sdk/.
//
//   kind    direction   meta                                            payload
//   start   to worker   -                                               JSON: framed.h for generic programs, python.h for a zygote's fork
//   ready   to server   JSON {import_us, init_us}, or empty             -                                      duration: import and initializer
//   call    to worker   request id \1 id \0 secret \0 token \1 http     the event, or the body of an HTTP request
//   reply   to server   HTTP functions: JSON {status, headers}          the result, or {errorMessage, ...}     duration: the handler
//   failed  to server   -                                               {errorMessage, errorType, stackTrace} of import or initializer;
//                                                                       after ready: last words, an error nobody caught. The process ends.
//                                                                       They answer `call`, or with call 0 all that run
//   head    to server   HTTP functions: JSON {status, headers}          -                                      the reply begins to stream
//   chunk   to server   -                                               the next piece of a streamed reply
//   hook    to worker   name \1 request id \1 id \0 secret \0 token     -                                      answered by a reply; its name is "preStop" or "preFreeze"
//   imported to server  -                                               -                                      the initializer begins now
//
// A large payload does not go through the stream when both ends can do otherwise: the frame's status then has the bit kInMemfd, its
// payload_size is that of a sealed memory file (sys/memfd.h), and the file's descriptor comes with the frame's first byte (SCM_RIGHTS).
// A worker that can says so in the meta of ready: {"memfd": true}.
//
// A streamed reply is head, chunks, and an empty reply that ends it; a reply with an error instead says that it broke off.
// `http` is dispatch::Invocation::http and empty for events: JSON escapes control characters, so no field can hold a separator.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "io/stream.h"
#include "io/task.h"

namespace mayfly::runtime {

enum class FrameKind : uint8_t { start = 1, ready = 2, call = 3, reply = 4, failed = 5, head = 6, chunk = 7, hook = 8, imported = 9 };
enum class FrameStatus : uint8_t { ok = 0, handled_error = 1 };

constexpr uint8_t kInMemfd = 0x80;

struct FrameHeader {
  uint32_t payload_size = 0;
  uint32_t meta_size = 0;
  FrameKind kind{};
  FrameStatus status{};
  uint16_t retries = 0;
  uint32_t call = 0;  // which call a reply answers
  uint64_t duration_us = 0;
};
static_assert(sizeof(FrameHeader) == 24);
static_assert(offsetof(FrameHeader, kind) == 8 && offsetof(FrameHeader, retries) == 10 && offsetof(FrameHeader, call) == 12 && offsetof(FrameHeader, duration_us) == 16);

constexpr uint32_t kMaxMetaBytes = 1 << 20;      // headers of an HTTP message, at most
constexpr size_t kMemfdBytes = 256 << 10;        // from here on two copies and a wake cost more than making, sealing and closing a file
constexpr uint32_t kMaxPayloadBytes = 33 << 20;  // 32 MB events and results (aliyun-fc.md section 6) and some air

struct Frame {
  FrameHeader header;
  std::string meta, payload;
};

// Sizes in the header are set from `meta` and `payload`.
std::string encode_frame(FrameHeader header, std::string_view meta, std::string_view payload);
// The same for a payload of `payload_size` bytes that goes as a file.
std::string encode_memfd_frame(FrameHeader header, std::string_view meta, size_t payload_size);

// Cuts frames out of a stream.
class FrameReader {
 public:
  enum class End { closed, malformed };  // malformed: beyond a limit or no such kind; the far end is not to be trusted any more
  // The next frame, or why there is none. The status of what it gives has no kInMemfd.
  io::Task<std::expected<Frame, End>> next(io::PassingStream& stream);
  // The same if it is here already, nullopt if more must be read. Frames come in groups: this spares all but the first a task.
  std::optional<std::expected<Frame, End>> cut(io::PassingStream& stream);
  uint64_t receives() const { return receives_; }  // how often it has read from the stream

 private:
  uint64_t receives_ = 0;
  std::string_view here() const { return std::string_view(buffer_).substr(begin_, end_ - begin_); }
  std::span<char> room();

  std::string buffer_;
  size_t begin_ = 0, end_ = 0;  // of what was received and belongs to no frame yet
  size_t needed_ = 0;           // so many bytes make the next cut worth trying
};

}  // namespace mayfly::runtime
