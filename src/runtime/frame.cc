#include "runtime/frame.h"

#include <bit>
#include <cstring>

#include "sys/memfd.h"

namespace mayfly::runtime {
namespace {

static_assert(std::endian::native == std::endian::little, "headers are sent as they lie in memory");
constexpr size_t kReadAhead = 16 << 10;  // usual replies arrive in one read

bool acceptable(const FrameHeader& header) {
  return header.meta_size <= kMaxMetaBytes && header.payload_size <= kMaxPayloadBytes && header.kind >= FrameKind::start && header.kind <= FrameKind::hook &&
         (static_cast<uint8_t>(header.status) & ~kInMemfd) <= static_cast<uint8_t>(FrameStatus::handled_error);
}

bool in_memfd(const FrameHeader& header) { return (static_cast<uint8_t>(header.status) & kInMemfd) != 0; }

std::string encode(FrameHeader header, std::string_view meta, std::string_view payload) {
  header.meta_size = static_cast<uint32_t>(meta.size());
  std::string out;
  out.reserve(sizeof header + meta.size() + payload.size());
  out.append(reinterpret_cast<const char*>(&header), sizeof header);
  out.append(meta);
  out.append(payload);
  return out;
}

}  // namespace

std::string encode_frame(FrameHeader header, std::string_view meta, std::string_view payload) {
  header.payload_size = static_cast<uint32_t>(payload.size());
  return encode(header, meta, payload);
}

std::string encode_memfd_frame(FrameHeader header, std::string_view meta, size_t payload_size) {
  header.payload_size = static_cast<uint32_t>(payload_size);
  header.status = static_cast<FrameStatus>(static_cast<uint8_t>(header.status) | kInMemfd);
  return encode(header, meta, {});
}

io::Task<std::expected<Frame, FrameReader::End>> FrameReader::next(io::PassingStream& stream) {
  size_t needed = sizeof(FrameHeader);
  Frame frame;
  bool whole = false;
  while (!whole) {
    while (have_ < needed) {
      if (buffer_.size() < needed + kReadAhead) buffer_.resize(needed + kReadAhead);
      auto got = co_await stream.read_some({buffer_.data() + have_, buffer_.size() - have_}, io::Deadline::never());
      if (!got || *got == 0) co_return std::unexpected(End::closed);
      ++receives_;
      have_ += *got;
    }
    std::memcpy(&frame.header, buffer_.data(), sizeof frame.header);
    if (!acceptable(frame.header)) co_return std::unexpected(End::malformed);
    size_t inline_size = in_memfd(frame.header) ? 0 : frame.header.payload_size;
    size_t size = sizeof(FrameHeader) + frame.header.meta_size + inline_size;
    whole = have_ >= size;
    needed = size;
  }
  frame.meta = buffer_.substr(sizeof(FrameHeader), frame.header.meta_size);
  if (in_memfd(frame.header)) {
    auto bytes = sys::read_sealed(sys::Fd(stream.take_descriptor()), frame.header.payload_size);
    if (!bytes) co_return std::unexpected(End::malformed);
    frame.payload = std::move(*bytes);
    frame.header.status = static_cast<FrameStatus>(static_cast<uint8_t>(frame.header.status) & ~kInMemfd);
  } else {
    frame.payload = buffer_.substr(sizeof(FrameHeader) + frame.header.meta_size, frame.header.payload_size);
  }
  std::memmove(buffer_.data(), buffer_.data() + needed, have_ - needed);
  have_ -= needed;
  if (buffer_.size() > (1 << 20) && have_ < kReadAhead) {  // do not keep a large frame's memory
    buffer_.resize(kReadAhead);
    buffer_.shrink_to_fit();
  }
  co_return frame;
}

}  // namespace mayfly::runtime
