#include "io/port.h"

#include <gtest/gtest.h>

#include "io/shard.h"
#include "sys/fault.h"

namespace mayfly::io {
namespace {

TEST(Port, OneThatAnotherServerSharesIsNotFree) {
  Shard shard(0);
  auto theirs = shard.listen("127.0.0.1", 0);
  uint16_t port = theirs->port();
  EXPECT_TRUE(shard.listen("127.0.0.1", port)) << "the kernel lets a second one in";
  try {
    check_port_free("127.0.0.1", port);
    FAIL() << "the port was taken for free";
  } catch (const sys::Fault& fault) {
    EXPECT_EQ(fault.error(), EADDRINUSE);
    EXPECT_NE(std::string(fault.what()).find(":" + std::to_string(port)), std::string::npos) << fault.what();
  }
  theirs->close();
  EXPECT_NO_THROW(check_port_free("127.0.0.1", port));
  EXPECT_NO_THROW(check_port_free("127.0.0.1", 0));
  EXPECT_THROW(check_port_free("nowhere", 80), sys::Fault);
}

}  // namespace
}  // namespace mayfly::io
