// A load generator for requests that wrk cannot vary (signed ones): sends prepared raw HTTP/1.1 requests over keep-alive connections, one in
// flight per connection, and prints one JSON line of what came back.
//
//   load PORT CONNECTIONS SECONDS FILE [--rate R] [--any-status]
//
// FILE: requests one after the other, each preceded by its length as 8 decimal digits. Connection c sends requests c, c + CONNECTIONS, ...
// and begins anew at the end; with 0 SECONDS each request is sent once. An answer is read by its Content-Length.
//
// Without a rate each connection sends its next request when it has its answer. With one, requests are due at R a second whatever comes
// back, as from clients that do not know of each other: a request that is due while every connection waits is counted as `unsent`, for so
// many clients would have had to be there. Times are of answers with a 2xx status. Any other status ends it with 1, unless --any-status.

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  int port = 0;
  size_t connections = 0;
  double seconds = 0;
  const char* file = nullptr;
  double rate = 0;  // 0: as fast as answers come
  bool any_status = false;
};

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
  size_t body = 0;
  for (size_t at = in.find("\r\n"); at < head; at = in.find("\r\n", at + 2))
    if (constexpr std::string_view kLength = "content-length:"; strncasecmp(in.data() + at + 2, kLength.data(), kLength.size()) == 0)
      body = std::strtoul(in.data() + at + 2 + kLength.size(), nullptr, 10);
  return in.size() >= head + 4 + body ? head + 4 + body : 0;
}

Options parse(int argc, char** argv) {
  constexpr const char* kUsage = "usage: load PORT CONNECTIONS SECONDS FILE [--rate R] [--any-status]";
  if (argc < 5) die(kUsage);
  Options options{.port = static_cast<int>(std::strtol(argv[1], nullptr, 10)), .connections = std::strtoul(argv[2], nullptr, 10),
                  .seconds = std::strtod(argv[3], nullptr), .file = argv[4]};
  for (int i = 5; i < argc; ++i) {
    std::string_view word = argv[i];
    if (word == "--any-status") options.any_status = true;
    else if (word == "--rate" && i + 1 < argc) options.rate = std::strtod(argv[++i], nullptr);
    else die(kUsage);
  }
  return options;
}

class Load {
 public:
  explicit Load(Options options) : options_(options), requests_(read_requests(options.file)), connections_(options.connections) {
    poll_ = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < connections_.size(); ++i) {
      connections_[i].fd = connect_to(options_.port);
      connections_[i].next = i;
      epoll_event event{EPOLLIN, {.u64 = i}};
      epoll_ctl(poll_, EPOLL_CTL_ADD, connections_[i].fd, &event);
      idle_.push_back(i);
    }
  }

  int run() {
    start_ = Clock::now();
    const bool once = options_.seconds == 0;
    auto end = once ? Clock::time_point::max() : start_ + std::chrono::microseconds(static_cast<int64_t>(options_.seconds * 1e6));
    std::vector<epoll_event> events(connections_.size());
    send_what_is_due();
    while (Clock::now() < end && !(once && done_ == requests_.size())) {
      int ready = epoll_wait(poll_, events.data(), static_cast<int>(events.size()), options_.rate > 0 ? 1 : 100);
      for (int i = 0; i < ready; ++i) receive(events[static_cast<size_t>(i)].data.u64);
      send_what_is_due();
    }
    report();
    return failed_ != 0 && !options_.any_status ? 1 : 0;
  }

 private:
  const Options options_;
  const std::vector<std::string> requests_;
  std::vector<Connection> connections_;
  std::deque<size_t> idle_;
  int poll_ = -1;
  Clock::time_point start_;
  size_t due_ = 0, unsent_ = 0, done_ = 0, failed_ = 0;
  std::map<std::string, size_t> statuses_;
  std::string first_failure_;
  std::vector<int64_t> micros_;

  void send_what_is_due() {
    if (options_.rate == 0) {
      for (size_t i : idle_) begin(connections_[i]);
      idle_.clear();
      return;
    }
    auto now_due = static_cast<size_t>(std::chrono::duration<double>(Clock::now() - start_).count() * options_.rate);
    for (; due_ < now_due; ++due_) {
      if (idle_.empty()) {
        unsent_ += now_due - due_;
        due_ = now_due;
        return;
      }
      size_t i = idle_.front();  // the one that waits longest
      idle_.pop_front();
      begin(connections_[i]);
    }
  }

  void begin(Connection& c) {
    if (options_.seconds == 0 && c.next >= requests_.size()) return;
    const std::string& request = requests_[c.next % requests_.size()];
    c.next += connections_.size();
    c.begun = Clock::now();
    if (write(c.fd, request.data(), request.size()) != static_cast<ssize_t>(request.size())) die("short write");
  }

  void receive(size_t index) {
    Connection& c = connections_[index];
    char buffer[65536];
    ssize_t got = read(c.fd, buffer, sizeof buffer);
    if (got <= 0) die("the server closed a connection: " + c.in.substr(0, 300));
    c.in.append(buffer, static_cast<size_t>(got));
    size_t size = answer_size(c.in);
    if (size == 0) return;
    ++done_;
    ++statuses_[c.in.substr(9, 3)];
    if (c.in[9] == '2') micros_.push_back(std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - c.begun).count());
    else if (failed_++ == 0) first_failure_ = c.in.substr(0, 600);
    c.in.erase(0, size);
    idle_.push_back(index);
  }

  void report() {
    double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    std::sort(micros_.begin(), micros_.end());
    auto at = [&](double part) { return micros_.empty() ? 0 : micros_[std::min(micros_.size() - 1, static_cast<size_t>(static_cast<double>(micros_.size()) * part))]; };
    std::string statuses;
    for (const auto& [status, count] : statuses_) statuses += fmt::format("{}\"{}\":{}", statuses.empty() ? "" : ",", status, count);
    fmt::print("{{\"requests\":{},\"failed\":{},\"unsent\":{},\"statuses\":{{{}}},\"seconds\":{:.3f},\"per_second\":{:.0f},\"p50_us\":{},\"p99_us\":{}}}\n", done_, failed_, unsent_,
               statuses, seconds, static_cast<double>(micros_.size()) / seconds, at(0.5), at(0.99));
    if (failed_ != 0 && !options_.any_status) fmt::print(stderr, "first failure: {}\n", first_failure_);
  }
};

}  // namespace

int main(int argc, char** argv) { return Load(parse(argc, argv)).run(); }
