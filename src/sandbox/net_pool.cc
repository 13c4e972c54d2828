#include "sandbox/net_pool.h"

#include <fcntl.h>
#include <sched.h>

#include <cerrno>
#include <optional>

#include "sandbox/steps.h"
#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::sandbox {
namespace {

constexpr size_t kMaxFree = 256;  // each some 100 KB of the kernel's memory; as many as sandboxes that end at about the same time

// Nothing when a server still holds a door of an earlier user: its connections would be taken for that one's.
std::optional<std::vector<sys::Fd>> doors_of(const std::vector<uint16_t>& ports, bool dns_door) {
  std::vector<sys::Fd> out;
  try {
    for (uint16_t port : ports) out.push_back(listen_inside(port));
    if (dns_door) out.push_back(dns_socket_inside());
  } catch (const sys::Fault& fault) {
    if (fault.error() == EADDRINUSE) return std::nullopt;
    throw;
  }
  return out;
}

}  // namespace

NetPool::Taken NetPool::take(const std::vector<uint16_t>& ports, bool dns_door) {
  for (size_t tries = free_.size(); tries > 0; --tries) {
    sys::Fd net = std::move(free_.front());
    free_.pop_front();
    sys::check(::setns(net.get(), CLONE_NEWNET), "setns", "network namespace");
    if (auto doors = doors_of(ports, dns_door)) return {std::move(net), std::move(*doors)};
    free_.push_back(std::move(net));
  }
  enter_net_namespace();
  sys::Fd net = sys::open_file("/proc/self/ns/net", O_RDONLY);
  return {std::move(net), doors_of(ports, dns_door).value()};
}

void NetPool::give_back(sys::Fd net) {
  if (free_.size() < kMaxFree) free_.push_back(std::move(net));
}

}  // namespace mayfly::sandbox
