#include "store/keys.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace mayfly::store {
namespace {

using namespace std::string_literals;

// Parts drawn from the bytes that matter: the escapes, their neighbours, and plain text.
std::vector<std::string> random_parts(Rng& rng) {
  static const std::string kBytes = "\x00\x01\x02\xfe\xff" "ab"s;
  std::vector<std::string> parts(rng.below(4));
  for (auto& part : parts) {
    for (size_t left = rng.below(5); left > 0; --left) part.push_back(kBytes[rng.below(kBytes.size())]);
  }
  return parts;
}

std::string key_of(const std::vector<std::string>& parts) {
  std::string key;
  for (const auto& part : parts) key += make_key({part});
  return key;
}

TEST(Keys, ByteOrderOfKeysIsOrderOfTuples) {
  SeededRng rng(20261120);
  for (int round = 0; round < 20'000; ++round) {
    auto a = random_parts(rng), b = random_parts(rng);
    ASSERT_EQ(a <=> b, key_of(a) <=> key_of(b)) << "round " << round;
    ASSERT_EQ(split_key(key_of(a)), a);
  }
}

TEST(Keys, AKeyOfSeveralPartsIsTheKeysOfItsPartsInARow) {
  EXPECT_EQ(make_key({"bucket", "a\0b"s, ""}), make_key({"bucket"}) + make_key({"a\0b"s}) + make_key({""}));
  EXPECT_LT(make_key({"a"}), make_key({"a", "b"}));
  EXPECT_LT(make_key({"a", "b"}), make_key({"ab"}));
}

TEST(Keys, SplittingRefusesWhatMakeKeyNeverWrites) {
  EXPECT_EQ(split_key(""), std::vector<std::string>{});
  for (auto bad : {"a"s, "a\0"s, "a\0\2"s, "a\0\1b"s, "\0\xff"s}) EXPECT_FALSE(split_key(bad)) << testing::PrintToString(bad);
}

TEST(Keys, OrderedIntegersSortAsNumbers) {
  const int64_t sorted[] = {INT64_MIN, INT64_MIN + 1, -256, -1, 0, 1, 255, 256, INT64_MAX};
  for (size_t at = 0; at < std::size(sorted); ++at) {
    EXPECT_EQ(read_ordered_int(ordered_int(sorted[at])), sorted[at]);
    if (at > 0) EXPECT_LT(ordered_int(sorted[at - 1]), ordered_int(sorted[at]));
  }
}

TEST(Keys, AfterPrefixIsBeyondEveryKeyWithThePrefix) {
  EXPECT_EQ(after_prefix("ab"), "ac");
  EXPECT_EQ(after_prefix("a\xff\xff"), "b");
  EXPECT_EQ(after_prefix("\xff"), "");
  EXPECT_EQ(after_prefix(""), "");
  EXPECT_GT(after_prefix(make_key({"q"})), make_key({"q", "\xff\xff", "\xff"}));
}

}  // namespace
}  // namespace mayfly::store
