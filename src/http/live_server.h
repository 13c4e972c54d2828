#pragma once
// LiveServer: an HttpServer on its own shard and thread, and Wire: a blocking socket that speaks raw bytes to it. For tests.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <thread>

#include "http/server.h"
#include "io/group.h"
#include "io/hop.h"
#include "sys/fault.h"

namespace mayfly::http {

class Wire {
 public:
  explicit Wire(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    timeval patience{.tv_sec = 10, .tv_usec = 0};  // a hang fails the test instead of stopping it
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    sys::check(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), "connect");
  }
  int fd() const { return fd_.get(); }
  // False when the peer has cut the connection.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  void end() { ::shutdown(fd_.get(), SHUT_WR); }
  // Until `mark` has arrived (included), or the end.
  std::string read_until(std::string_view mark) {
    std::string got;
    char c;
    while (got.find(mark) == std::string::npos && ::recv(fd_.get(), &c, 1, 0) == 1) got += c;
    return got;
  }
  std::string read_bytes(size_t count) {
    std::string got(count, '\0');
    ssize_t size = ::recv(fd_.get(), got.data(), count, MSG_WAITALL);
    got.resize(size < 0 ? 0 : static_cast<size_t>(size));
    return got;
  }
  std::string read_rest() {
    std::string got;
    char buffer[65536];
    for (ssize_t size; (size = ::recv(fd_.get(), buffer, sizeof buffer, 0)) > 0;) got.append(buffer, static_cast<size_t>(size));
    return got;
  }
  // One response with Content-Length, head and body.
  std::string read_response() {
    std::string head = read_until("\r\n\r\n");
    size_t at = head.find("Content-Length: ");
    return at == std::string::npos ? head : head + read_bytes(std::stoul(head.substr(at + 16)));
  }

 private:
  sys::Fd fd_;
};

class LiveServer {
 public:
  explicit LiveServer(Handler handler, ServerLimits limits = {}, std::shared_ptr<TlsContext> tls = nullptr)
      : shard_(0), tasks_(shard_), server_(make_http_server(shard_, std::move(handler), limits, tls)) {
    auto listener = shard_.listen("127.0.0.1", 0);
    port_ = listener->port();
    server_->serve(std::move(listener), tls ? "https" : "http", "");
    thread_ = std::thread([this] { shard_.run(); });
  }
  ~LiveServer() {
    if (thread_.joinable()) stop();
  }
  uint16_t port() const { return port_; }
  HttpServer& server() { return *server_; }
  io::Shard& shard() { return shard_; }
  // Drains and ends the thread; what was in progress has `grace_us` to finish.
  void stop(int64_t grace_us = 5 * kMicrosPerSecond) {
    shard_.post([this, grace_us] { tasks_.spawn(drain_and_stop(grace_us)); });
    thread_.join();
  }
  // Sends `bytes`, ends the sending side, and gives back all that comes.
  std::string talk(std::string_view bytes) {
    Wire wire(port_);
    wire.send(bytes);
    wire.end();
    return wire.read_rest();
  }

 private:
  io::Task<void> drain_and_stop(int64_t grace_us) {
    co_await server_->drain(io::Deadline::after_us(shard_, grace_us));
    shard_.stop();
  }

  io::Shard shard_;
  io::TaskGroup tasks_;
  std::unique_ptr<HttpServer> server_;
  uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace mayfly::http
