#include "http/message.h"

#include <gtest/gtest.h>

#include "http/body_decoder.h"
#include "io/sim_loop.h"

namespace mayfly::http {
namespace {

TEST(Headers, CompareWithoutCaseAndKeepTheirs) {
  Headers headers;
  headers.add("X-One", "1");
  headers.add("x-two", "2");
  headers.add("X-ONE", "3");
  EXPECT_EQ(*headers.find("x-one"), "1");
  EXPECT_EQ(headers.get("X-Three", "none"), "none");
  headers.set("x-One", "4");
  ASSERT_EQ(headers.size(), 2u);
  EXPECT_EQ(headers.begin()->first, "x-One");
  EXPECT_EQ(headers.get("X-ONE"), "4");
  headers.remove("X-TWO");
  EXPECT_FALSE(headers.has("x-two"));
  headers.set("New", "5");
  EXPECT_EQ(headers.size(), 2u);
}

TEST(Query, KeepsOrderAndDecodesBothSides) {
  EXPECT_EQ(parse_query("a=1&b%20c=%2F+x&flag&&a=2&=v"), (Query{{"a", "1"}, {"b c", "/ x"}, {"flag", ""}, {"a", "2"}, {"", "v"}}));
  EXPECT_EQ(*find(parse_query("a=1&a=2"), "a"), "1");
  EXPECT_TRUE(parse_query("").empty());
}

TEST(Body, ReadAllRefusesMoreThanItsLimit) {
  io::SimLoop loop;
  EXPECT_EQ(loop.wait(make_body("hello")->read_all(5)), "hello");
  EXPECT_EQ(loop.wait(make_body("hello")->read_all(4)).error(), BodyError::too_large);
  EXPECT_EQ(loop.wait(make_body("")->read_all(0)), "");
}

std::optional<std::string> decode_in_steps(std::string_view wire, size_t step, std::string& left) {
  BodyDecoder decoder;
  decoder.start_chunked();
  std::string out;
  while (!wire.empty()) {
    std::string piece(wire.substr(0, step));
    auto decoded = decoder.decode(piece);
    if (!decoded) return std::nullopt;
    out.append(piece, 0, decoded->size);
    wire.remove_prefix(decoded->consumed);
    if (decoder.complete()) break;
  }
  left = wire;
  return decoder.complete() ? std::optional(out) : std::nullopt;
}

TEST(BodyDecoder, FindsTheSameBodyHoweverItsBytesArrive) {
  std::string_view wire = "4\r\nwiki\r\n00A;x=\"y\"\r\npedia in\r\n\r\n3 \r\nabc\r\n0\r\nT: 1\r\nU: 2\r\n\r\nNEXT";
  for (size_t step = 1; step <= wire.size(); ++step) {
    std::string left;
    EXPECT_EQ(decode_in_steps(wire, step, left), "wikipedia in\r\nabc") << step;
    EXPECT_EQ(left, "NEXT") << step;
  }
}

TEST(BodyDecoder, BoundsWhatCarriesNoBody) {
  std::string left;
  EXPECT_FALSE(decode_in_steps("1;" + std::string(kMaxChunkOverhead + 1, 'x') + "\r\na\r\n0\r\n\r\n", 1000, left));
  EXPECT_FALSE(decode_in_steps("0\r\nT: " + std::string(kMaxChunkOverhead + 1, 'x') + "\r\n\r\n", 1000, left));
}

}  // namespace
}  // namespace mayfly::http
