// The benches' functions in C++, built with sdk/: one program for every kind of call.
//   hello, page       JSON in, JSON out: for events, for HTTP requests; quick_page is page for instances that take several calls at once
//   echo              {"nonce", "ms"}: waits, prints, gives the nonce back
//   nap               {"ms": n}: waits, as a function does that asks a database; its reply says when it began
//   work              {"us": n}: computes for so long, by the clock of its own CPU time: on a busy core it takes longer, as any computation does
//   relay             {"path", "calls", "connections"}: calls another function through the platform's door, as many times, so many at once

#include <arpa/inet.h>
#include <mayfly/function.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

mayfly::Reply hello(mayfly::Event event) { return mayfly::Json{{"hello", event.json()["name"].text()}}; }
mayfly::Reply page(const mayfly::Request& request) { return mayfly::Json{{"hello", request.json()["name"].text()}}; }

mayfly::Reply echo(mayfly::Event event, mayfly::Context& context) {
  mayfly::Json wish = event.json();
  std::this_thread::sleep_for(std::chrono::milliseconds(wish["ms"].integer()));
  context.log.info("echo ", wish["nonce"].text());
  return mayfly::Json{{"nonce", wish["nonce"]}};
}

mayfly::Reply nap(mayfly::Event event) {
  auto began = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now().time_since_epoch()).count();
  std::this_thread::sleep_for(std::chrono::milliseconds(event.json()["ms"].integer()));
  return mayfly::Json{{"began_us", began}};
}

int64_t cpu_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

mayfly::Reply work(mayfly::Event event) {
  auto end = cpu_ns() + event.json()["us"].integer() * 1000;
  while (cpu_ns() < end) {
  }
  return "done";
}

class Connection {
 public:
  Connection(uint16_t port, std::string request) : request_(std::move(request)), fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) throw mayfly::Error("NoDoor", "cannot connect to the platform");
  }
  Connection(const Connection&) = delete;
  ~Connection() { ::close(fd_); }

  int fd() const { return fd_; }
  void send() {
    if (::send(fd_, request_.data(), request_.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request_.size())) throw mayfly::Error("ShortWrite", "the platform took no whole request");
  }
  // True when a whole answer has come.
  bool receive() {
    char buffer[4096];
    ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
    if (got <= 0) throw mayfly::Error("Closed", "the platform closed the connection");
    answer_.append(buffer, static_cast<size_t>(got));
    size_t head = answer_.find("\r\n\r\n"), length = answer_.find("Content-Length: ");
    if (head == answer_.npos || answer_.size() < head + 4 + (length < head ? std::strtoul(&answer_[length + 16], nullptr, 10) : 0)) return false;
    if (answer_.compare(9, 3, "200") != 0) throw mayfly::Error("Refused", answer_.substr(0, 400));
    answer_.clear();
    return true;
  }

 private:
  std::string request_;
  int fd_;
  std::string answer_;
};

mayfly::Reply relay(mayfly::Event event) {
  mayfly::Json wish = event.json();
  std::string endpoint = std::getenv("MAYFLY_ENDPOINT"), body = R"({"name":"mayfly"})";
  auto port = static_cast<uint16_t>(std::atoi(endpoint.substr(endpoint.rfind(':') + 1).c_str()));
  std::string request = "POST " + std::string(wish["path"].text()) + " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  int64_t calls = wish["calls"].integer(), sent = 0;
  std::vector<std::unique_ptr<Connection>> connections;
  std::vector<pollfd> waits;
  for (int64_t i = 0; i < wish["connections"].integer(1); ++i, ++sent) {
    connections.push_back(std::make_unique<Connection>(port, request));
    waits.push_back({connections.back()->fd(), POLLIN, 0});
    connections.back()->send();
  }
  for (int64_t answered = 0; answered < sent;) {
    if (::poll(waits.data(), waits.size(), 10'000) <= 0) throw mayfly::Error("Silence", "no answer for 10 s");
    for (size_t i = 0; i < waits.size(); ++i) {
      if (waits[i].revents == 0 || !connections[i]->receive()) continue;
      ++answered;
      if (sent < calls) connections[i]->send(), ++sent;
    }
  }
  return mayfly::Json{{"calls", sent}};
}

}  // namespace

int main() {
  return mayfly::serve(mayfly::function("hello", hello).never_waits(), mayfly::http("page", page), mayfly::http("quick_page", page).never_waits(), mayfly::function("echo", echo),
                       mayfly::function("nap", nap), mayfly::function("work", work), mayfly::function("relay", relay));
}
