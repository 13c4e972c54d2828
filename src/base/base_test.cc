#include <gtest/gtest.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/encoding.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/rng.h"

namespace mayfly {
namespace {

TEST(Hash, AgreesWithThePublishedCheckValues) {
  EXPECT_EQ(crc64("123456789"), 11051210869376104954u);
  EXPECT_EQ(crc64(""), 0u);
  EXPECT_EQ(crc64("6789", crc64("12345")), crc64("123456789"));
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(hex_encode(md5("abc")), "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(hex_encode(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex_encode(hmac_sha256(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");  // RFC 4231, case 6
  EXPECT_EQ(hex_encode(hmac_sha1("Jefe", "what do ya want for nothing?")), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
  EXPECT_EQ(hex_encode(hmac_sha256("Jefe", "what do ya want for nothing?")), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Hash, ADigestOfPiecesEqualsTheDigestOfTheWhole) {
  Digest digest(Digest::Kind::md5);
  digest.update("a");
  digest.update("bc");
  EXPECT_EQ(digest.finish(), md5("abc"));
}

TEST(Encoding, Base64RoundTripsAndAcceptsTheUrlSafeAlphabet) {
  for (std::string text : {"", "f", "fo", "foo", "foob", "\xff\xfe\x00z"}) EXPECT_EQ(base64_decode(base64_encode(text)), text);
  EXPECT_EQ(base64_decode("_-8"), base64_decode("/+8="));
  EXPECT_FALSE(base64_decode("a"));
  EXPECT_FALSE(base64_decode("a*bc"));
}

TEST(Encoding, PercentEncodingKeepsUnreservedOnly) {
  EXPECT_EQ(percent_encode("a b/c*~+\xe4"), "a%20b%2Fc%2A~%2B%E4");
  EXPECT_EQ(percent_encode("a b/c", Slash::keep), "a%20b/c");
  EXPECT_EQ(percent_decode("a%2Fb+c%zz%4"), "a/b+c%zz%4");
  EXPECT_EQ(percent_decode("x+y%2B", Plus::is_space), "x y+");
}

TEST(Clock, WritesAndReadsEachTimeForm) {
  constexpr int64_t kAt = 1'795'168'800 * kMicrosPerSecond;  // 2026-11-20T10:00:00Z
  EXPECT_EQ(iso8601_ms(kAt + 73'000), "2026-11-20T10:00:00.073Z");
  EXPECT_EQ(http_date(kAt), "Fri, 20 Nov 2026 10:00:00 GMT");
  EXPECT_EQ(compact_date(kAt), "20261120T100000Z");
  EXPECT_EQ(parse_iso8601("2026-11-20T10:00:00Z"), kAt);
  EXPECT_EQ(parse_iso8601("2026-11-20T10:00:00.5+02:00"), kAt + 500'000 - 7'200 * kMicrosPerSecond);
  EXPECT_EQ(parse_http_date(http_date(kAt)), kAt);
  EXPECT_EQ(parse_http_date("Friday, 20 nov 2026 10:00:00 GMT"), kAt);
  EXPECT_EQ(parse_compact_date(compact_date(kAt)), kAt);
  for (auto bad : {"", "yesterday", "2026-11-20T10:00:00", "2026-11-20T10:00:00+2:00"}) EXPECT_FALSE(parse_iso8601(bad)) << bad;
}

TEST(Clock, ReadsEveryDayOfFourYearsAsHttpDate) {
  constexpr int64_t kStep = 86'399 * kMicrosPerSecond;  // a day less a second, so that the time of day goes round as well
  for (int64_t at = 0; at < 4 * 366 * kStep; at += kStep) ASSERT_EQ(parse_http_date(http_date(at)), at) << http_date(at);
  for (auto bad : {"", "Fri, 20 Nov 2026 24:00:00 GMT", "Fri, 32 Nov 2026 10:00:00 GMT", "Fri, 20 ovD 2026 10:00:00 GMT", "riS, 20 Nov 2026 10:00:00 GMT",
                   "Fri, 20 Nov 2026 1x:00:00 GMT", "Fri, 20 Nov 2026 10:00:00 UTC", "Fri, 20 Nov 2026 10:00:00 GMT "})
    EXPECT_FALSE(parse_http_date(bad)) << bad;
}

TEST(Json, SaysWhereADocumentIsMalformed) {
  EXPECT_TRUE(parse_json(R"( {"a":[1,2]} )"));
  for (auto bad : {"", "{", "{\"a\":1}x", "nul", "[1,]"}) {
    auto result = parse_json(bad);
    ASSERT_FALSE(result) << bad;
    EXPECT_NE(result.error().message.find("at byte"), std::string::npos);
  }
  auto deep = parse_json(std::string(100, '['));
  ASSERT_FALSE(deep);
  EXPECT_EQ(deep.error().code, JsonError::too_deep);
}

TEST(Json, FindsMembersIgnoringCase) {
  auto value = *parse_json(R"({"OnSuccess":1,"name":"x"})");
  EXPECT_NE(find_ignore_case(value, "onsuccess"), nullptr);
  EXPECT_EQ(find(value, "onsuccess"), nullptr);
  EXPECT_EQ(string_or(value, "name"), "x");
  EXPECT_EQ(int_or(value, "name", 7), 7);
}

TEST(Rng, MakesVersion4Uuids) {
  SeededRng rng(1);
  std::string id = uuid(rng);
  EXPECT_EQ(id.size(), 36u);
  EXPECT_EQ(id[14], '4');
  EXPECT_NE(id, uuid(rng));
}

TEST(CheckDeathTest, NamesItsOperands) {
  EXPECT_DEATH(MAYFLY_CHECK_OP(1 + 1, ==, 3), "1 \\+ 1 == 3: 2 vs 3");
}

}  // namespace
}  // namespace mayfly
