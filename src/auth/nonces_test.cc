#include "auth/nonces.h"

#include <gtest/gtest.h>

namespace mayfly::auth {
namespace {

TEST(Nonces, AreGoodForOneUseOfOneKey) {
  Nonces nonces;
  EXPECT_TRUE(nonces.first_use("a", "1", 100, 0));
  EXPECT_FALSE(nonces.first_use("a", "1", 100, 50));
  EXPECT_TRUE(nonces.first_use("b", "1", 100, 50));
  EXPECT_TRUE(nonces.first_use("a", "2", 100, 50));
}

TEST(Nonces, AreForgottenWhenTheirTimeStampIsRefusedAnyway) {
  Nonces nonces;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(nonces.first_use("a", std::to_string(i), 100 - i, 0));
  EXPECT_EQ(nonces.size(), 10u);
  EXPECT_TRUE(nonces.first_use("a", "10", 200, 95));  // those until 91 to 95 are over
  EXPECT_EQ(nonces.size(), 6u);
  EXPECT_FALSE(nonces.first_use("a", "0", 100, 99));
  EXPECT_TRUE(nonces.first_use("a", "0", 200, 100));
}

TEST(Nonces, TheSoonestToExpireGoWhenThereAreTooMany) {
  Nonces nonces(3);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(nonces.first_use("a", std::to_string(i), 100 + i, 0));
  EXPECT_EQ(nonces.size(), 3u);
  EXPECT_FALSE(nonces.first_use("a", "3", 103, 0));
  EXPECT_TRUE(nonces.first_use("a", "0", 100, 0));
}

}  // namespace
}  // namespace mayfly::auth
