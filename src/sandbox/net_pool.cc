#include "sandbox/net_pool.h"

#include <fcntl.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "sandbox/steps.h"
#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::sandbox {
namespace {

constexpr size_t kMaxFree = 256;  // each some 100 KB of the kernel's memory; as many as sandboxes that end at about the same time

void enter(const sys::Fd& net) { sys::check(::setns(net.get(), CLONE_NEWNET), "setns", "network namespace"); }

// Nothing when a server still holds a door of an earlier user: its connections would be taken for that one's.
std::optional<std::vector<sys::Fd>> open_doors(const Doors& doors) {
  std::vector<sys::Fd> out;
  try {
    for (uint16_t port : doors.ports) out.push_back(listen_inside(port));
    if (doors.dns) out.push_back(dns_socket_inside());
  } catch (const sys::Fault& fault) {
    if (fault.error() == EADDRINUSE) return std::nullopt;
    throw;
  }
  return out;
}

}  // namespace

NetPool::Taken NetPool::take(const Doors& doors) {
  for (size_t tries = free_.size(); tries > 0; --tries) {
    sys::Fd net = std::move(free_.front());
    free_.pop_front();
    enter(net);
    drop_granted_addresses();
    if (auto sockets = open_doors(doors)) return {std::move(net), std::move(*sockets)};
    free_.push_back(std::move(net));
  }
  enter_net_namespace();
  sys::Fd net = sys::open_file("/proc/self/ns/net", O_RDONLY);
  return {std::move(net), open_doors(doors).value()};
}

std::vector<sys::Fd> exchange_doors(const sys::Fd& net, const Doors& had, std::vector<sys::Fd> sockets, const Doors& wanted) {
  if (had.ports == wanted.ports && had.dns == wanted.dns) return sockets;
  enter(net);
  std::vector<sys::Fd> out;
  for (uint16_t port : wanted.ports) {
    auto found = std::find(had.ports.begin(), had.ports.end(), port);
    out.push_back(found == had.ports.end() ? listen_inside(port) : std::move(sockets[static_cast<size_t>(found - had.ports.begin())]));
  }
  if (wanted.dns) out.push_back(had.dns ? std::move(sockets.back()) : dns_socket_inside());
  return out;
}

void NetPool::give_back(sys::Fd net) {
  if (free_.size() < kMaxFree) free_.push_back(std::move(net));
}

void NetPool::shrink() {
  while (may_shrink()) free_.pop_back();
}

}  // namespace mayfly::sandbox
