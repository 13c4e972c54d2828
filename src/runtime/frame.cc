#include "runtime/frame.h"

#include <bit>
#include <cstring>

#include "sys/memfd.h"

namespace mayfly::runtime {
namespace {

static_assert(std::endian::native == std::endian::little, "headers are sent as they lie in memory");
constexpr size_t kReadAhead = 16 << 10;  // usual replies arrive in one read

bool acceptable(const FrameHeader& header) {
  return header.meta_size <= kMaxMetaBytes && header.payload_size <= kMaxPayloadBytes && header.kind >= FrameKind::start && header.kind <= FrameKind::imported &&
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

std::optional<std::expected<Frame, FrameReader::End>> FrameReader::cut(io::PassingStream& stream) {
  needed_ = sizeof(FrameHeader);
  if (here().size() < needed_) return std::nullopt;
  Frame frame;
  std::memcpy(&frame.header, here().data(), sizeof frame.header);
  if (!acceptable(frame.header)) return std::unexpected(End::malformed);
  bool file = in_memfd(frame.header);
  needed_ = sizeof(FrameHeader) + frame.header.meta_size + (file ? 0 : frame.header.payload_size);
  if (here().size() < needed_) return std::nullopt;
  frame.meta = here().substr(sizeof(FrameHeader), frame.header.meta_size);
  if (file) {
    auto bytes = sys::read_sealed(sys::Fd(stream.take_descriptor()), frame.header.payload_size);
    if (!bytes) return std::unexpected(End::malformed);
    frame.payload = std::move(*bytes);
    frame.header.status = static_cast<FrameStatus>(static_cast<uint8_t>(frame.header.status) & ~kInMemfd);
  } else {
    frame.payload = here().substr(sizeof(FrameHeader) + frame.header.meta_size, frame.header.payload_size);
  }
  begin_ += needed_;
  needed_ = sizeof(FrameHeader);
  return frame;
}

// Where the next bytes go: behind those that are here, which move to the front.
std::span<char> FrameReader::room() {
  std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
  end_ -= std::exchange(begin_, 0);
  constexpr size_t kKeptBytes = 1 << 20;  // the memory of a large frame is not
  if (buffer_.size() > kKeptBytes && needed_ + kReadAhead < kKeptBytes) {
    buffer_.resize(std::max(end_, needed_ + kReadAhead));
    buffer_.shrink_to_fit();
  }
  if (buffer_.size() < needed_ + kReadAhead) buffer_.resize(needed_ + kReadAhead);
  return std::span(buffer_).subspan(end_);
}

io::Task<std::expected<Frame, FrameReader::End>> FrameReader::next(io::PassingStream& stream) {
  while (true) {
    if (auto frame = cut(stream)) co_return std::move(*frame);
    auto got = co_await stream.read_some(room(), io::Deadline::never());
    if (!got || *got == 0) co_return std::unexpected(End::closed);
    ++receives_;
    end_ += *got;
  }
}

}  // namespace mayfly::runtime
