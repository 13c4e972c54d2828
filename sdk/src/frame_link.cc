#include "frame_link.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <bit>
#include <cerrno>
#include <cstring>

namespace mayfly::detail {
namespace {

static_assert(std::endian::native == std::endian::little, "headers are sent as they lie in memory");

ssize_t receive(int fd, char* into, size_t size) {
  ssize_t got = 0;
  do got = ::recv(fd, into, size, 0);
  while (got < 0 && errno == EINTR);
  return got;
}

void check(const FrameHeader& header) {
  bool known = header.kind == FrameKind::start || header.kind == FrameKind::call || header.kind == FrameKind::hook;
  if (known && header.meta_size <= kMaxMetaBytes && header.payload_size <= kMaxPayloadBytes) return;
  throw LinkError("a frame of kind " + std::to_string(static_cast<int>(header.kind)) + " with " + std::to_string(header.meta_size) + " + " +
                  std::to_string(header.payload_size) + " bytes, which is none of this protocol");
}

Frame cut(const FrameHeader& header, const char* body) {
  return {header, {body, header.meta_size}, {body + header.meta_size, header.payload_size}};
}

}  // namespace

Link::Link(int fd) : fd_(fd), buffer_(std::make_unique_for_overwrite<char[]>(kBuffer)) {}

std::optional<Frame> Link::next() {
  large_.clear();
  if (large_.capacity() > kBuffer) large_.shrink_to_fit();
  while (true) {
    size_t have = end_ - begin_;
    if (have >= sizeof(FrameHeader)) {
      FrameHeader header;
      std::memcpy(&header, buffer_.get() + begin_, sizeof header);
      check(header);
      size_t size = sizeof header + header.meta_size + header.payload_size;
      if (size > kBuffer) return take_large(header, size);
      if (have >= size) {
        const char* body = buffer_.get() + begin_ + sizeof header;
        begin_ += size;
        return cut(header, body);
      }
    }
    if (!flush() || !fill()) return std::nullopt;
  }
}

bool Link::fill() {
  if (begin_ == end_) {
    begin_ = end_ = 0;
  } else if (begin_ != 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  ssize_t got = receive(fd_, buffer_.get() + end_, kBuffer - end_);
  if (got <= 0) return false;
  end_ += static_cast<size_t>(got);
  return true;
}

std::optional<Frame> Link::take_large(const FrameHeader& header, size_t size) {
  flush();
  large_.resize(size);
  size_t have = end_ - begin_;
  std::memcpy(large_.data(), buffer_.get() + begin_, have);
  begin_ = end_ = 0;
  while (have < size) {
    ssize_t got = receive(fd_, large_.data() + have, size - have);
    if (got <= 0) return std::nullopt;
    have += static_cast<size_t>(got);
  }
  return cut(header, large_.data() + sizeof header);
}

bool Link::send(FrameHeader header, std::string_view meta, std::string_view payload, When when) {
  header.meta_size = static_cast<uint32_t>(meta.size());
  header.payload_size = static_cast<uint32_t>(payload.size());
  std::lock_guard lock(mutex_);
  out_.append(reinterpret_cast<const char*>(&header), sizeof header);
  out_.append(meta);
  bool large = payload.size() > kGather;
  if (!large) out_.append(payload);
  if (large || when == When::now || out_.size() > kBuffer) {
    write_all(out_, large ? payload : std::string_view());
    out_.clear();
  }
  return !broken_;
}

bool Link::flush() {
  std::lock_guard lock(mutex_);
  if (!out_.empty()) {
    write_all(out_, {});
    out_.clear();
  }
  return !broken_;
}

// Holds the lock, so that frames do not mix and whoever produces faster than the server reads waits here.
bool Link::write_all(std::string_view first, std::string_view second) {
  while (!broken_ && first.size() + second.size() > 0) {
    iovec parts[2] = {{const_cast<char*>(first.data()), first.size()}, {const_cast<char*>(second.data()), second.size()}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = second.empty() ? 1 : 2;
    ssize_t sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) broken_ = true;
    size_t done = sent < 0 ? 0 : static_cast<size_t>(sent);
    size_t of_first = std::min(done, first.size());
    first.remove_prefix(of_first);
    second.remove_prefix(done - of_first);
  }
  return !broken_;
}

}  // namespace mayfly::detail
