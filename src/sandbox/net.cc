#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>

#include "sandbox/steps.h"
#include "sys/fault.h"

namespace mayfly::sandbox {
namespace {

constexpr int kDoorBacklog = 256;  // connections not yet accepted; one function's own calls to the platform
constexpr uint16_t kDnsPort = 53;

sys::Fd bound_inside(int type, uint16_t port) {
  std::string name = "127.0.0.1:" + std::to_string(port);
  sys::Fd fd(static_cast<int>(sys::check(::socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket", name)));
  int on = 1;
  // Where connections of an earlier user still time out; two sockets that listen exclude each other nevertheless. Not so for datagrams.
  if (type == SOCK_STREAM) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sys::check(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), "bind", name);
  return fd;
}

}  // namespace

void enter_net_namespace() {
  sys::check(::unshare(CLONE_NEWNET), "unshare", "network namespace");
  sys::Fd any(static_cast<int>(sys::check(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket")));
  ifreq loopback{.ifr_ifrn = {.ifrn_name = "lo"}, .ifr_ifru = {}};
  loopback.ifr_flags = IFF_UP | IFF_RUNNING;
  sys::check(::ioctl(any.get(), SIOCSIFFLAGS, &loopback), "ioctl", "lo up");
}

// They have labels, "lo:0" and so on. One that is switched off is gone.
void drop_granted_addresses() {
  sys::Fd any(static_cast<int>(sys::check(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket")));
  ifconf all{};
  sys::check(::ioctl(any.get(), SIOCGIFCONF, &all), "ioctl(SIOCGIFCONF)", "lo");
  std::vector<ifreq> rows(static_cast<size_t>(all.ifc_len) / sizeof(ifreq));
  if (rows.size() <= 1) return;
  all.ifc_req = rows.data();
  sys::check(::ioctl(any.get(), SIOCGIFCONF, &all), "ioctl(SIOCGIFCONF)", "lo");
  for (ifreq& row : rows) {
    if (std::strchr(row.ifr_name, ':') == nullptr) continue;
    row.ifr_flags = 0;
    sys::check(::ioctl(any.get(), SIOCSIFFLAGS, &row), "ioctl(SIOCSIFFLAGS)", row.ifr_name);
  }
}

sys::Fd listen_inside(uint16_t port) {
  sys::Fd fd = bound_inside(SOCK_STREAM, port);
  sys::check(::listen(fd.get(), kDoorBacklog), "listen", std::to_string(port));
  return fd;
}

sys::Fd tcp_socket_inside() { return sys::Fd(static_cast<int>(sys::check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket", "tcp"))); }

sys::Fd dns_socket_inside() { return bound_inside(SOCK_DGRAM, kDnsPort); }

}  // namespace mayfly::sandbox
