#pragma once
// The network namespaces of a nursery. Making one costs the kernel 0.4 ms and taking one down some 10 ms under a lock that the next making
// waits for, so they are used again: whoever was in one has ended, nobody inside had any power over it (it belongs to the nursery's user
// namespace, not to the sandbox's), and it holds nothing but a loopback, which loses the addresses that an earlier function was granted. What
// a later user could see of an earlier one is the kernel's counters of packets, and for a minute the ports of connections in TIME_WAIT.

#include <cstdint>
#include <deque>
#include <vector>

#include "sys/fd.h"

namespace mayfly::sandbox {

// What listens in a network: 127.0.0.1:port each, and the DNS socket.
struct Doors {
  std::vector<uint16_t> ports;
  bool dns = false;
};

class NetPool {
 public:
  // The calling process is a member of `net` from then on, as are those it forks. `sockets` are as Doors::ports, then the DNS socket.
  struct Taken {
    sys::Fd net;
    std::vector<sys::Fd> sockets;
  };
  Taken take(const Doors& doors);
  void give_back(sys::Fd net);
  // After a time without launches: those that only a burst needed go, all at once, which costs the kernel little more than one.
  bool may_shrink() const { return free_.size() > kKeptFree; }
  void shrink();

  static constexpr size_t kKeptFree = 8;

 private:
  std::deque<sys::Fd> free_;
};

// The sockets of `wanted` in `net`, from `sockets`, which are those of `had`, and made where that has none.
std::vector<sys::Fd> exchange_doors(const sys::Fd& net, const Doors& had, std::vector<sys::Fd> sockets, const Doors& wanted);

}  // namespace mayfly::sandbox
