// A load generator for signed requests, which wrk cannot vary: sends prepared raw HTTP/1.1 requests over keep-alive connections, one in
// flight per connection, and prints one JSON line of what came back.
//
//   load PORT CONNECTIONS SECONDS FILE     FILE: requests one after the other, each preceded by its length as 8 decimal digits
//
// Connection c sends requests c, c + CONNECTIONS, ... and begins anew at the end; with 0 SECONDS each request is sent once. An answer is
// read by its Content-Length. Exits with 1 if any answer was not a 2xx.

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Connection {
  int fd = -1;
  size_t next = 0;  // request to send
  std::string in;
  Clock::time_point begun;
};

[[noreturn]] void die(std::string_view what) {
  fmt::print(stderr, "load: {}\n", what);
  std::exit(1);
}

std::vector<std::string> read_requests(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::string all((std::istreambuf_iterator<char>(file)), {});
  std::vector<std::string> requests;
  constexpr size_t kLength = 8;
  for (size_t at = 0; at + kLength <= all.size();) {
    size_t size = std::stoul(all.substr(at, kLength));
    requests.push_back(all.substr(at + kLength, size));
    at += kLength + size;
  }
  if (requests.empty()) die("no requests in the file");
  return requests;
}

int connect_to(int port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) die("cannot connect");
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

// Bytes of the first whole answer in `in`, 0 if it is not whole yet.
size_t answer_size(std::string_view in) {
  size_t head = in.find("\r\n\r\n");
  if (head == in.npos) return 0;
  size_t length = in.find("Content-Length: ");
  size_t body = length < head ? std::strtoul(in.data() + length + 16, nullptr, 10) : 0;
  return in.size() >= head + 4 + body ? head + 4 + body : 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) die("usage: load PORT CONNECTIONS SECONDS FILE");
  auto requests = read_requests(argv[4]);
  auto count = std::strtoul(argv[2], nullptr, 10);
  std::vector<Connection> connections(count);
  int poll = epoll_create1(EPOLL_CLOEXEC);
  auto begin = [&](Connection& c) {
    const std::string& request = requests[c.next % requests.size()];
    c.begun = Clock::now();
    if (write(c.fd, request.data(), request.size()) != static_cast<ssize_t>(request.size())) die("short write");
  };
  for (size_t i = 0; i < count; ++i) {
    connections[i].fd = connect_to(static_cast<int>(std::strtol(argv[1], nullptr, 10)));
    connections[i].next = i;
    epoll_event event{EPOLLIN, {.u64 = i}};
    epoll_ctl(poll, EPOLL_CTL_ADD, connections[i].fd, &event);
  }
  auto start = Clock::now();
  double limit = std::strtod(argv[3], nullptr);
  const bool once = limit == 0;
  auto end = once ? Clock::time_point::max() : start + std::chrono::milliseconds(static_cast<int64_t>(limit * 1000));
  for (Connection& c : connections)
    if (!once || c.next < requests.size()) begin(c);
  size_t done = 0, failed = 0;
  std::string first_failure;
  std::vector<int64_t> micros;
  std::vector<epoll_event> events(count);
  char buffer[65536];
  while (Clock::now() < end && !(once && done == requests.size())) {
    int ready = epoll_wait(poll, events.data(), static_cast<int>(count), 100);
    for (int i = 0; i < ready; ++i) {
      Connection& c = connections[events[static_cast<size_t>(i)].data.u64];
      ssize_t got = read(c.fd, buffer, sizeof buffer);
      if (got <= 0) die("the server closed a connection: " + c.in.substr(0, 300));
      c.in.append(buffer, static_cast<size_t>(got));
      size_t size = answer_size(c.in);
      if (size == 0) continue;
      bool ok = c.in.compare(9, 1, "2") == 0;
      if (!ok && failed++ == 0) first_failure = c.in.substr(0, 600);
      c.in.erase(0, size);
      ++done;
      micros.push_back(std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - c.begun).count());
      c.next += count;
      if (!once || c.next < requests.size()) begin(c);
    }
  }
  double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  std::sort(micros.begin(), micros.end());
  auto at = [&](double part) { return micros.empty() ? 0 : micros[std::min(micros.size() - 1, static_cast<size_t>(static_cast<double>(micros.size()) * part))]; };
  fmt::print("{{\"requests\":{},\"failed\":{},\"seconds\":{:.3f},\"per_second\":{:.0f},\"p50_us\":{},\"p99_us\":{}}}\n", done, failed, seconds,
             static_cast<double>(done) / seconds, at(0.5), at(0.99));
  if (failed != 0) fmt::print(stderr, "first failure: {}\n", first_failure);
  return failed == 0 ? 0 : 1;
}
