// The floor: the least a server can do on this kernel for the answer of http_hello.cc. One epoll loop, one recv and one send per request,
// no parsing beyond "the request ends with an empty line", a constant answer of the same size. Prints its port; runs until killed.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

constexpr std::string_view kAnswer =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nServer: mayfly\r\nDate: Fri, 20 Nov 2026 10:00:00 GMT\r\nContent-Length: 13\r\n\r\nHello, world!";

void need(bool ok, const char* call) {
  if (ok) return;
  std::perror(call);
  std::exit(1);
}

int listen_anywhere() {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  need(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "bind");
  need(::listen(fd, 1024) == 0, "listen");
  socklen_t size = sizeof address;
  need(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0, "getsockname");
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  return fd;
}

void watch(int epoll, int fd) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  need(::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

void serve(int fd) {
  char buffer[4096];
  ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
  if (got <= 0) {
    ::close(fd);
  } else if (std::string_view(buffer, static_cast<size_t>(got)).ends_with("\r\n\r\n")) {
    need(::send(fd, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL) >= 0, "send");
  }
}

}  // namespace

int main() {
  int listener = listen_anywhere();
  int epoll = ::epoll_create1(0);
  watch(epoll, listener);
  epoll_event events[128];
  while (true) {
    int ready = ::epoll_wait(epoll, events, 128, -1);
    for (int i = 0; i < ready; ++i) {
      int fd = events[i].data.fd;
      if (fd != listener) {
        serve(fd);
        continue;
      }
      int client = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
      int on = 1;
      ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      watch(epoll, client);
    }
  }
}
