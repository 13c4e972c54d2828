#include "io/port.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "sys/fault.h"
#include "sys/fd.h"

namespace mayfly::io {

void check_port_free(const std::string& host, uint16_t port) {
  if (port == 0) return;
  std::string name = fmt::format("{}:{}", host, port);
  sockaddr_in v4{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {}, .sin_zero = {}};
  sockaddr_in6 v6{.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_flowinfo = 0, .sin6_addr = {}, .sin6_scope_id = 0};
  bool is_v4 = ::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1;
  if (!is_v4 && ::inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) != 1) throw sys::Fault("listen on", name, EINVAL);
  sys::Fd fd(static_cast<int>(sys::check(::socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket", name)));
  int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);  // connections of an earlier server that linger are no hindrance
  auto* address = is_v4 ? reinterpret_cast<sockaddr*>(&v4) : reinterpret_cast<sockaddr*>(&v6);
  sys::check(::bind(fd.get(), address, is_v4 ? sizeof v4 : sizeof v6), "bind", name);
}

}  // namespace mayfly::io
