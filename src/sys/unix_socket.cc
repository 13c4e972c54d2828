#include "sys/unix_socket.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "sys/fault.h"

namespace mayfly::sys {

std::pair<Fd, Fd> socket_pair(int type) {
  int ends[2];
  check(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), "socketpair");
  return {Fd(ends[0]), Fd(ends[1])};
}

void set_nonblocking(int fd) {
  long flags = check(::fcntl(fd, F_GETFL), "fcntl");
  check(::fcntl(fd, F_SETFL, flags | O_NONBLOCK), "fcntl");
}

void set_inheritable(int fd) { check(::fcntl(fd, F_SETFD, 0), "fcntl"); }

void pass_credentials(int socket) {
  int on = 1;
  check(::setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof on), "setsockopt SO_PASSCRED");
}

Sent try_send_message(int socket, std::string_view bytes, std::span<const int> fds) {
  MAYFLY_CHECK_OP(fds.size(), <=, kMaxPassedFds);
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxPassedFds)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  while (::sendmsg(socket, &message, MSG_NOSIGNAL) < 0) {
    if (errno == EINTR) continue;
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN) return Sent::closed;
    if (errno == EAGAIN) return Sent::full;
    throw Fault("sendmsg", "", errno);
  }
  return Sent::message;
}

bool send_message(int socket, std::string_view bytes, std::span<const int> fds) {
  Sent sent = try_send_message(socket, bytes, fds);
  if (sent == Sent::full) throw Fault("sendmsg", "", EAGAIN);
  return sent == Sent::message;
}

namespace {

void take_ancillary(msghdr& message, Message& out) {
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET) continue;
    if (header->cmsg_type == SCM_RIGHTS) {
      size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (size_t i = 0; i < count; ++i) {
        int fd;
        std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
        out.fds.emplace_back(fd);
      }
    } else if (header->cmsg_type == SCM_CREDENTIALS) {
      ucred who;
      std::memcpy(&who, CMSG_DATA(header), sizeof who);
      out.sender = who.pid;
    }
  }
}

}  // namespace

Received receive_message(int socket, size_t limit, Message& out) {
  out = {};
  // Its size first: a buffer for the longest would be cleared, page by page, for each.
  ssize_t size;
  while ((size = ::recv(socket, nullptr, 0, MSG_PEEK | MSG_TRUNC)) < 0) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return Received::nothing;
    if (errno == ECONNRESET) return Received::closed;
    throw Fault("recv", "", errno);
  }
  if (size == 0) return Received::closed;  // we never send an empty message
  out.bytes.resize(std::min(static_cast<size_t>(size), limit));
  iovec part{out.bytes.data(), out.bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxPassedFds) + CMSG_SPACE(sizeof(ucred))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t got;
  while ((got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0) {
    if (errno != EINTR) throw Fault("recvmsg", "", errno);
  }
  take_ancillary(message, out);
  if (message.msg_flags & MSG_CTRUNC) {
    out = {};
    throw Fault("recvmsg", "descriptors", EMFILE);
  }
  if (message.msg_flags & MSG_TRUNC) throw Fault("recvmsg", "", EMSGSIZE);
  return Received::message;
}

}  // namespace mayfly::sys
