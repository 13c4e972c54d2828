#include "runtime/egress.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "http/tunnel.h"
#include "sys/fault.h"

namespace mayfly::runtime {
namespace {

constexpr int64_t kSocketUs = 5 * kMicrosPerSecond;  // for the sandbox to hand out a socket
constexpr int kBacklog = 128;

sockaddr_in address_of(const std::string& text, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  ::inet_pton(AF_INET, text.c_str(), &address.sin_addr);
  return address;
}

bool is_numeric(const std::string& host) {
  in_addr parsed;
  return ::inet_pton(AF_INET, host.c_str(), &parsed) == 1;
}

// Gives the loopback device of the socket's network one more address. A socket acts on the network it was made in, whoever holds it. By its
// label the nursery knows what it has to take away again (sandbox/net.cc).
void add_address(int socket, const std::string& text, size_t label) {
  ifreq request{};
  std::string name = fmt::format("lo:{}", label);
  std::memcpy(request.ifr_name, name.c_str(), std::min(name.size(), sizeof request.ifr_name - 1));
  sockaddr_in address = address_of(text, 0);
  std::memcpy(&request.ifr_addr, &address, sizeof address);
  sys::check(::ioctl(socket, SIOCSIFADDR, &request), "ioctl(SIOCSIFADDR)", text);
  sockaddr_in whole = address_of("255.255.255.255", 0);  // else its neighbours would be reachable, as ourselves
  std::memcpy(&request.ifr_netmask, &whole, sizeof whole);
  sys::check(::ioctl(socket, SIOCSIFNETMASK, &request), "ioctl(SIOCSIFNETMASK)", text);
}

}  // namespace

// In the list of those that close() ends for as long as it is there.
struct Egress::Connection {
  Connection(std::vector<Connection*>& all, std::unique_ptr<io::Stream> from) : open(all), inside(std::move(from)) { open.push_back(this); }
  Connection(const Connection&) = delete;
  ~Connection() { std::erase(open, this); }
  void close() {
    inside->close();
    if (outside) outside->close();
  }

  std::vector<Connection*>& open;
  std::unique_ptr<io::Stream> inside, outside;
};

io::Task<sys::Fd> Egress::listener(sandbox::Sandbox& sandbox, std::string address, uint16_t port) {
  auto socket = co_await sandbox.tcp_socket(io::Deadline::after_us(shard_, kSocketUs));
  if (!socket) throw sys::Fault("socket", "of a granted destination: " + socket.error().message, ECONNABORTED);
  if (!functions::is_loopback_address(address)) add_address(socket->get(), address, listeners_.size());
  int on = 1;
  ::setsockopt(socket->get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in place = address_of(address, port);
  sys::check(::bind(socket->get(), reinterpret_cast<sockaddr*>(&place), sizeof place), "bind", fmt::format("{}:{}", address, port));
  sys::check(::listen(socket->get(), kBacklog), "listen", address);
  co_return std::move(*socket);
}

io::Task<void> Egress::open(sandbox::Sandbox& sandbox, std::vector<functions::EgressRule> rules) {
  for (const auto& rule : rules) {
    std::string address = rule.host == "localhost" ? "127.0.0.1" : rule.host;  // the hosts file inside has that name, before any name server
    if (!is_numeric(address)) address = names_.try_emplace(rule.host, fmt::format("127.0.1.{}", names_.size() + 1)).first->second;
    auto made = std::shared_ptr<io::Listener>(shard_.adopt_listener(co_await listener(sandbox, address, rule.port)));
    listeners_.push_back(made);
    tasks_.spawn(accept_all(made, rule));
  }
}

io::Task<void> Egress::accept_all(std::shared_ptr<io::Listener> listener, functions::EgressRule rule) {
  while (auto stream = co_await listener->accept())
    if (open_.size() < kMaxEgressConnections) tasks_.spawn(carry(std::move(stream), rule));
}

// Closing it is all that the function is told of a place that cannot be reached.
io::Task<void> Egress::carry(std::unique_ptr<io::Stream> inside, functions::EgressRule rule) {
  auto deadline = io::Deadline::after_us(shard_, kEgressConnectUs);
  Connection connection(open_, std::move(inside));
  auto addresses = co_await shard_.resolve(rule.host, deadline);
  if (!addresses) co_return;
  for (const auto& address : *addresses) {
    if (closed_ || !functions::may_reach(rule, address)) continue;
    auto connected = co_await shard_.connect(address, rule.port, deadline);
    if (!connected) continue;
    connection.outside = std::move(*connected);
    break;
  }
  if (connection.outside && !closed_) co_await http::join_streams(shard_, *connection.inside, "", *connection.outside, kEgressIdleUs, kEgressIdleUs);
}

io::Task<void> Egress::close() {
  closed_ = true;
  for (auto& listener : listeners_) listener->close();
  for (Connection* connection : open_) connection->close();
  co_await tasks_.drain();
  listeners_.clear();
}

}  // namespace mayfly::runtime
