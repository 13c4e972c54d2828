#pragma once
// The network namespaces of a nursery. Making one costs the kernel 0.4 ms and taking one down some 10 ms under a lock that the next making
// waits for, so they are used again: whoever was in one has ended, nobody inside had any power over it (it belongs to the nursery's user
// namespace, not to the sandbox's), and it holds nothing but a loopback. What a later user could see of an earlier one is the kernel's
// counters of packets.

#include <deque>
#include <vector>

#include "sys/fd.h"

namespace mayfly::sandbox {

class NetPool {
 public:
  struct Taken {
    sys::Fd net;                 // of which the calling process is a member from then on, as are those it forks
    std::vector<sys::Fd> doors;  // 127.0.0.1:port each, then the DNS socket if asked for
  };
  Taken take(const std::vector<uint16_t>& ports, bool dns_door);
  void give_back(sys::Fd net);

 private:
  std::deque<sys::Fd> free_;
};

}  // namespace mayfly::sandbox
