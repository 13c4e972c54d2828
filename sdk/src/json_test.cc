#include "mayfly/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace mayfly {
namespace {

TEST(SdkJson, ReadsWhatItWrites) {
  const char* text = R"({"a":[1,-2,3.5,true,false,null],"b":{"c":"x\"\\\n\u0001 é"},"d":{},"e":[],"big":9223372036854775807})";
  EXPECT_EQ(Json::parse(text).dump(), text);
}

TEST(SdkJson, IsBuiltInPlace) {
  Json json{{"faces", 3}, {"where", Json::array({10, 2.5})}};
  json["name"] = "cat";
  json["tags"].push_back("x");
  EXPECT_EQ(json.dump(), R"({"faces":3,"where":[10,2.5],"name":"cat","tags":["x"]})");
}

TEST(SdkJson, MissingThingsFallBackInsteadOfThrowing) {
  const Json json = Json::parse(R"({"a":{"n":7,"x":1.9,"s":"t"}})");
  EXPECT_EQ(json["a"]["n"].integer(), 7);
  EXPECT_EQ(json["a"]["x"].integer(), 1);
  EXPECT_EQ(json["a"]["n"].number(), 7.0);
  EXPECT_EQ(json["b"]["c"][3]["d"].integer(5), 5);
  EXPECT_EQ(json["a"]["s"].integer(4), 4);
  EXPECT_EQ(json["a"]["n"].text("none"), "none");
  EXPECT_TRUE(json["a"].contains("s"));
  EXPECT_FALSE(json.contains("s"));
  EXPECT_TRUE(json["b"].is_null());
}

TEST(SdkJson, EscapesBecomeUtf8) {
  EXPECT_EQ(Json::parse(R"("\u0041\u00e9\u20ac\ud83d\ude00\/\b\f")").text(), "A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80/\b\f");
}

TEST(SdkJson, RefusesWhatIsNoJsonAndSaysWhere) {
  for (const char* text : {"", "{", "[1,]", "{\"a\"}", "{\"a\":1,}", "01", "1.", "-", "+1", "tru", "\"", "\"\\x\"", "\"\n\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\u12g4\"", "1 2", "nul", "{a:1}", "1e", "1e999"})
    EXPECT_THROW(Json::parse(text), JsonError) << text;
  try {
    Json::parse("[1, x]");
    FAIL();
  } catch (const JsonError& error) {
    EXPECT_STREQ(error.what(), "not JSON at byte 4: no value begins like this");
  }
}

TEST(SdkJson, DepthIsBounded) {
  std::string deep(Json::kMaxDepth, '[');
  EXPECT_NO_THROW(Json::parse(deep + std::string(Json::kMaxDepth, ']')));
  EXPECT_THROW(Json::parse(std::string(100'000, '[')), JsonError);
}

TEST(SdkJson, NumbersKeepTheirValue) {
  EXPECT_EQ(Json(std::numeric_limits<uint64_t>::max()).number(), 18446744073709551615.0);
  EXPECT_EQ(Json(std::numeric_limits<int64_t>::min()).dump(), "-9223372036854775808");
  EXPECT_EQ(Json(std::nan("")).dump(), "null");
  EXPECT_EQ(Json::parse("9223372036854775808").integer(1), 1) << "beyond 64 bits";
  EXPECT_EQ(Json::parse("1e3").integer(), 1000);
  EXPECT_EQ(Json(0.1).dump(), "0.1");
  EXPECT_EQ(Json(20.0).dump(), "20.0");
  EXPECT_EQ(Json::parse(Json(1e300).dump()), Json(1e300));
}

TEST(SdkJson, EqualityIsByValue) {
  EXPECT_EQ(Json::parse("[1,{\"a\":null}]"), Json::array({1, Json{{"a", nullptr}}}));
  EXPECT_NE(Json(1), Json("1"));
}

}  // namespace
}  // namespace mayfly
