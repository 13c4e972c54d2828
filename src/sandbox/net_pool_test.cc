#include "sandbox/net_pool.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>
#include <filesystem>

#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::sandbox {
namespace {

TEST(NetPoolTest, WhatOnlyABurstNeededGoesWhenItIsShrunk) {
  NetPool pool;
  EXPECT_FALSE(pool.may_shrink());
  std::vector<int> numbers;
  for (size_t i = 0; i < NetPool::kKeptFree + 20; ++i) {
    auto net = sys::open_file("/proc/self/ns/net", O_RDONLY);
    numbers.push_back(net.get());
    pool.give_back(std::move(net));
  }
  EXPECT_TRUE(pool.may_shrink());
  pool.shrink();
  EXPECT_FALSE(pool.may_shrink());
  size_t open = 0;
  for (int number : numbers) open += ::fcntl(number, F_GETFD) >= 0;
  EXPECT_EQ(open, NetPool::kKeptFree);
}

// As the server does for a granted destination (runtime/egress.cc).
void grant(const char* label, const char* text) {
  sys::Fd any(static_cast<int>(sys::check(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket")));
  ifreq request{};
  std::memcpy(request.ifr_name, label, std::strlen(label));
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {::inet_addr(text)}, .sin_zero = {}};
  std::memcpy(&request.ifr_addr, &address, sizeof address);
  sys::check(::ioctl(any.get(), SIOCSIFADDR, &request), "ioctl", text);
  address.sin_addr.s_addr = INADDR_BROADCAST;
  std::memcpy(&request.ifr_netmask, &address, sizeof address);
  sys::check(::ioctl(any.get(), SIOCSIFNETMASK, &request), "ioctl", text);
}

std::vector<std::string> addresses() {
  ifaddrs* first = nullptr;
  sys::check(::getifaddrs(&first), "getifaddrs");
  std::vector<std::string> out;
  for (ifaddrs* each = first; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr || each->ifa_addr->sa_family != AF_INET) continue;
    char text[INET_ADDRSTRLEN];
    out.emplace_back(::inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(each->ifa_addr)->sin_addr, text, sizeof text));
  }
  ::freeifaddrs(first);
  return out;
}

// In a process of its own, which is left in the last network it took.
[[noreturn]] void use_one_twice() {
  auto name = [] { return std::filesystem::read_symlink("/proc/self/ns/net").string(); };
  NetPool pool;
  auto first = pool.take({});
  std::string used = name();
  grant("lo:0", "10.0.0.5");
  grant("lo:1", "10.0.0.6");
  grant("lo:7", "192.0.2.7");
  size_t granted = addresses().size();
  pool.give_back(std::move(first.net));
  auto second = pool.take({});
  fmt::print(stderr, "{} {} then {}\n", name() == used ? "the same" : "another", granted, fmt::join(addresses(), " "));
  ::_exit(0);
}

TEST(NetPoolTest, AddressesThatAnEarlierFunctionWasGrantedAreNotThereForTheNext) {
  if (::geteuid() != 0) GTEST_SKIP() << "networks are made by root";
  EXPECT_EXIT(use_one_twice(), testing::ExitedWithCode(0), "the same 4 then 127.0.0.1\n");
}

}  // namespace
}  // namespace mayfly::sandbox
