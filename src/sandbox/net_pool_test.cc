#include "sandbox/net_pool.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace mayfly::sandbox
