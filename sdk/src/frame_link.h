#pragma once
// Link: the program's end of its stream to the server. The format is src/runtime/frame.h of Mayfly, repeated here because the SDK is built
// without Mayfly's sources; a test holds the two equal. One thread reads; any thread may send.
//
// Frames that are sent later gather in a buffer. It leaves in one write when the reader finds nothing more to read, when it is large, when
// somebody sends now, or when flush() is called: so a window of calls that came in one read is answered with one write.

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace mayfly::detail {

enum class FrameKind : uint8_t { start = 1, ready = 2, call = 3, reply = 4, failed = 5, head = 6, chunk = 7, hook = 8, imported = 9 };
enum class FrameStatus : uint8_t { ok = 0, handled_error = 1 };

struct FrameHeader {
  uint32_t payload_size = 0;
  uint32_t meta_size = 0;
  FrameKind kind{};
  FrameStatus status{};
  uint16_t retries = 0;
  uint32_t call = 0;
  uint64_t duration_us = 0;
};
static_assert(sizeof(FrameHeader) == 24);

// In the status of a frame whose payload is a sealed memory file that comes along as a descriptor.
constexpr uint8_t kInMemfd = 0x80;
constexpr size_t kMemfdBytes = 256 << 10;
constexpr uint32_t kMaxMetaBytes = 1 << 20;
constexpr uint32_t kMaxPayloadBytes = 33 << 20;

struct Frame {
  FrameHeader header;
  std::string_view meta, payload;
};

class LinkError : public std::runtime_error {  // the far end does not speak this protocol
 public:
  using std::runtime_error::runtime_error;
};

enum class When { later, now };

class Link {
 public:
  explicit Link(int fd);
  ~Link();

  // The next frame, its views good until the next call of this; nothing when the server is gone. Throws LinkError.
  std::optional<Frame> next();

  // Sizes in the header are set from meta and payload. False: the server is gone.
  bool send(FrameHeader header, std::string_view meta, std::string_view payload, When when);
  bool flush();
  void allow_files() { files_allowed_ = true; }  // the server takes large payloads as files; before anything is sent

 private:
  static constexpr size_t kBuffer = 64 << 10;  // dozens of usual calls, or one of usual size, in a read
  static constexpr size_t kGather = 16 << 10;  // a payload up to this size is copied behind its head: cheaper than a gathering send

  const int fd_;
  std::unique_ptr<char[]> buffer_;
  size_t begin_ = 0, end_ = 0;  // what of buffer_ was received and not taken
  std::string large_;           // a frame that does not fit the buffer
  std::deque<int> files_;       // descriptors that came with frames not taken yet, oldest first
  std::span<char> mapped_;      // the file of the frame given last

  std::mutex mutex_;  // of what follows
  std::string out_;
  bool broken_ = false, files_allowed_ = false;

  ssize_t receive(char* into, size_t size);
  std::optional<Frame> take_file(FrameHeader header, const char* meta);
  void unmap();
  bool send_file(FrameHeader header, std::string_view meta, std::string_view payload);
  bool fill();
  std::optional<Frame> take_large(const FrameHeader& header, size_t size);
  bool write_all(std::string_view first, std::string_view second);
};

}  // namespace mayfly::detail
