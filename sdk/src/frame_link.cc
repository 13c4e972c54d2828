#include "frame_link.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>

namespace mayfly::detail {
namespace {

static_assert(std::endian::native == std::endian::little, "headers are sent as they lie in memory");

constexpr size_t kPassed = 8;  // descriptors in one read, at most

bool in_memfd(const FrameHeader& header) { return (static_cast<uint8_t>(header.status) & kInMemfd) != 0; }

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

Link::~Link() {
  unmap();
  for (int file : files_) ::close(file);
}

ssize_t Link::receive(char* into, size_t size) {
  iovec part{into, size};
  alignas(cmsghdr) char control[CMSG_SPACE(kPassed * sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t got = 0;
  do got = ::recvmsg(fd_, &message, MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  if (got <= 0) return got;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    for (size_t at = 0; at + CMSG_LEN(sizeof(int)) <= header->cmsg_len; at += sizeof(int)) {
      int file = -1;
      std::memcpy(&file, CMSG_DATA(header) + at, sizeof file);
      files_.push_back(file);
    }
  }
  return got;
}

void Link::unmap() {
  if (!mapped_.empty()) ::munmap(mapped_.data(), mapped_.size());
  mapped_ = {};
}

// The payload is read where the server wrote it: nothing is copied, and nobody can change it any more.
std::optional<Frame> Link::take_file(FrameHeader header, const char* meta) {
  if (files_.empty()) throw LinkError("a frame whose payload should come as a file came without one");
  int file = files_.front();
  files_.pop_front();
  void* bytes = ::mmap(nullptr, header.payload_size, PROT_READ, MAP_PRIVATE, file, 0);
  ::close(file);
  if (bytes == MAP_FAILED) throw LinkError("the file of a frame cannot be mapped");
  mapped_ = {static_cast<char*>(bytes), header.payload_size};
  header.status = static_cast<FrameStatus>(static_cast<uint8_t>(header.status) & ~kInMemfd);
  return Frame{header, {meta, header.meta_size}, {mapped_.data(), mapped_.size()}};
}

bool Link::send_file(FrameHeader header, std::string_view meta, std::string_view payload) {
  int file = ::memfd_create("body", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (file < 0) return false;
  bool written = true;
  for (size_t at = 0; written && at < payload.size();) {
    ssize_t put = ::write(file, payload.data() + at, payload.size() - at);
    written = put > 0 || (put < 0 && errno == EINTR);
    at += put > 0 ? static_cast<size_t>(put) : 0;
  }
  written = written && ::fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0;
  header.status = static_cast<FrameStatus>(static_cast<uint8_t>(header.status) | kInMemfd);
  std::string head(reinterpret_cast<const char*>(&header), sizeof header);
  head += meta;
  iovec part{head.data(), head.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof file)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* passed = CMSG_FIRSTHDR(&message);
  passed->cmsg_level = SOL_SOCKET;
  passed->cmsg_type = SCM_RIGHTS;
  passed->cmsg_len = CMSG_LEN(sizeof file);
  std::memcpy(CMSG_DATA(passed), &file, sizeof file);
  ssize_t sent = -1;
  while (written && (sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL)) < 0 && errno == EINTR) {}
  ::close(file);
  if (written && sent < 0) broken_ = true;
  if (sent > 0) write_all(std::string_view(head).substr(static_cast<size_t>(sent)), {});
  return sent > 0 || broken_;
}

std::optional<Frame> Link::next() {
  unmap();
  large_.clear();
  if (large_.capacity() > kBuffer) large_.shrink_to_fit();
  while (true) {
    size_t have = end_ - begin_;
    if (have >= sizeof(FrameHeader)) {
      FrameHeader header;
      std::memcpy(&header, buffer_.get() + begin_, sizeof header);
      check(header);
      bool file = in_memfd(header);
      size_t size = sizeof header + header.meta_size + (file ? 0 : header.payload_size);
      if (size > kBuffer) return take_large(header, size);
      if (have >= size) {
        const char* body = buffer_.get() + begin_ + sizeof header;
        begin_ += size;
        return file ? take_file(header, body) : cut(header, body);
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
  ssize_t got = receive(buffer_.get() + end_, kBuffer - end_);
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
    ssize_t got = receive(large_.data() + have, size - have);
    if (got <= 0) return std::nullopt;
    have += static_cast<size_t>(got);
  }
  const char* body = large_.data() + sizeof header;
  return in_memfd(header) ? take_file(header, body) : cut(header, body);
}

bool Link::send(FrameHeader header, std::string_view meta, std::string_view payload, When when) {
  header.meta_size = static_cast<uint32_t>(meta.size());
  header.payload_size = static_cast<uint32_t>(payload.size());
  std::lock_guard lock(mutex_);
  if (files_allowed_ && payload.size() >= kMemfdBytes) {
    write_all(out_, {});
    out_.clear();
    if (send_file(header, meta, payload)) return !broken_;
  }
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
