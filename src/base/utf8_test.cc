#include <gtest/gtest.h>

#include "base/encoding.h"

namespace mayfly {
namespace {

TEST(Utf8, WellFormedTextStaysAsItIs) {
  for (std::string text : {"", "plain", "gr\u00fc\u00df", "\u4e2d\u6587", "\U0001F98B", "\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"}) EXPECT_EQ(to_utf8(text), text);
  EXPECT_EQ(to_utf8(std::string("a\0b", 3)), std::string("a\0b", 3));
}

TEST(Utf8, WhatIsNoCharacterIsReplacedByteByByte) {
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(to_utf8("a\xff\xfe"), "a" + r + r);
  EXPECT_EQ(to_utf8("\x80z"), r + "z");
  EXPECT_EQ(to_utf8("\xC0\xAF"), r + r) << "too long a form of a slash";
  EXPECT_EQ(to_utf8("\xE0\x80\xAF"), r + r + r);
  EXPECT_EQ(to_utf8("\xED\xA0\x80"), r + r + r) << "half a surrogate pair";
  EXPECT_EQ(to_utf8("\xF4\x90\x80\x80"), r + r + r + r) << "beyond the last character";
  EXPECT_EQ(to_utf8("\xE4\xB8"), r + r) << "cut short";
  EXPECT_EQ(to_utf8("\xE4\xB8x"), r + r + "x");
}

}  // namespace
}  // namespace mayfly
