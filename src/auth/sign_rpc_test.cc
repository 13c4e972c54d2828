#include "auth/sign_rpc.h"

#include "auth/vectors_test.h"

namespace mayfly::auth {
namespace {

struct Vector {
  const char* method;
  Fields parameters;  // beyond the system ones
  const char* signature;
};

http::Query with_system(const Fields& own) {
  http::Query all = own;
  for (const auto& [name, value] : Fields{{"AccessKeyId", "AK"}, {"Version", "2019-03-15"}, {"Format", "JSON"}, {"SignatureMethod", "HMAC-SHA1"},
                                          {"SignatureVersion", "1.0"}, {"Timestamp", "2026-11-20T10:00:00Z"}})
    if (http::find(all, name) == nullptr) all.emplace_back(name, value);
  return all;
}

const std::vector<Vector>& vectors() {
  static const std::vector<Vector> all = {
      {"POST", {{"Action", "StartExecution"}, {"FlowName", "f"}, {"Input", R"({"a": "b c*~"})"}, {"SignatureNonce", "nonce-1"}, {"SignatureType", ""}},
       "cryDaZPMn9dp3OSxay7Nt7DP+nI="},
      {"GET", {{"Action", "DescribeFlow"}, {"Name", "f"}, {"SignatureNonce", "nonce-1"}, {"SignatureType", ""}}, "sVIXcW1ezZIF6MrGGEo2d+wupwg="},
      {"POST", {{"Action", "StartExecution"}, {"FlowName", "f"}, {"Input", R"({"a": "b c*~"})"}, {"SignatureNonce", "0fd7dcbed4312a798dc59a279e1c0e52"}},
       "NwMpGiUIx2OUOMwrt2SPq/N4ZAs="},
      {"GET", {{"Action", "DescribeExecution"}, {"FlowName", "f"}, {"ExecutionName", "n"}, {"SignatureNonce", "cb73fdf2d13bb3f13134c357b90ac6ef"}},
       "DWulADT98ZCz3MF2ZARnzxsC6lA="},
      {"GET", {{"Action", "DescribeExecution"}, {"FlowName", "f"}, {"ExecutionName", "n"}, {"AccessKeyId", "STS.AK"}, {"SecurityToken", "TOK"},
               {"SignatureNonce", "bcc777ae940210e2910bd31dc9f3f62e"}},
       "Ll5j+R0oAVxWEwY3XX2vpSiiy+M="},
      {"POST", {{"AccessKeyId", "STS.AK"}, {"SecurityToken", "TOK"}, {"RegionId", "cn-hangzhou"}, {"SignatureType", ""}, {"Timestamp", "2026-11-20T10:21:31Z"},
                {"SignatureNonce", "1cf21ebb39ac5b5e529c94348ce5e328"}, {"Action", "StartExecution"}, {"FlowName", "oss-batch-process"},
                {"Input", R"({"bucket": "bkt", "prefix": ""})"}},
       "btTltt3mAJHiVS+AdiAJCoW8sig="},
  };
  return all;
}

TEST(SignRpc, AgreesWithEveryVectorOfTheSpecification) {
  for (const auto& vector : vectors()) {
    auto parameters = with_system(vector.parameters);
    EXPECT_EQ(rpc_signature(vector.method, parameters, "SK"), vector.signature);
    parameters.emplace_back("Signature", vector.signature);
    const auto clock = clock_at(*parse_iso8601(*http::find(parameters, "Timestamp")));
    EXPECT_TRUE(verify_rpc(vector.method, parameters, knows("SK"), clock)) << vector.signature;
  }
}

TEST(SignRpc, WritesTheStringToSignOfTheSpecification) {
  EXPECT_EQ(
      rpc_string_to_sign("POST", with_system(vectors()[0].parameters)),
      "POST&%2F&AccessKeyId%3DAK%26Action%3DStartExecution%26FlowName%3Df%26Format%3DJSON%26Input%3D%257B%2522a%2522%253A%2520%2522b%2520c%252A~%2522%257D%26"
      "SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3Dnonce-1%26SignatureType%3D%26SignatureVersion%3D1.0%26Timestamp%3D2026-11-20T10%253A00%253A00Z%26"
      "Version%3D2019-03-15");
}

TEST(SignRpc, RefusesAChangedParameterAndShowsTheServersStringToSign) {
  for (const auto& vector : vectors()) {
    auto parameters = with_system(vector.parameters);
    const auto clock = clock_at(*parse_iso8601(*http::find(parameters, "Timestamp")));
    parameters.emplace_back("Signature", vector.signature);
    parameters.emplace_back("Extra", "1");
    const auto result = verify_rpc(vector.method, parameters, knows("SK"), clock);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, AuthError::bad_signature);
    EXPECT_EQ(result.error().hint, rpc_string_to_sign(vector.method, parameters));
  }
}

TEST(SignRpc, SaysWhatIsMissingOrMalformed) {
  const auto clock = clock_at(kVectorTime);
  auto code = [&](http::Query parameters) { return verify_rpc("GET", parameters, knows("SK"), clock).error().code; };
  EXPECT_EQ(code({}), AuthError::missing);
  EXPECT_EQ(code({{"AccessKeyId", "AK"}}), AuthError::malformed);
  EXPECT_EQ(code({{"AccessKeyId", "AK"}, {"Signature", "x"}}), AuthError::malformed);
  EXPECT_EQ(code({{"AccessKeyId", "AK"}, {"Signature", "x"}, {"Timestamp", "yesterday"}}), AuthError::malformed);
  EXPECT_EQ(code({{"AccessKeyId", "AK"}, {"Signature", "x"}, {"Timestamp", "2026-11-20T10:00:00Z"}, {"SignatureMethod", "PLAIN"}}), AuthError::malformed);
  EXPECT_EQ(code({{"AccessKeyId", "AK"}, {"Signature", "x"}, {"Timestamp", "2026-11-20T10:00:00Z"}}), AuthError::bad_signature);
}

TEST(SignRpc, AcceptsAClockOffByAMinuteAndNotByADay) {
  const auto& vector = vectors()[2];
  auto parameters = with_system(vector.parameters);
  parameters.emplace_back("Signature", vector.signature);
  const int64_t minute = 60 * kMicrosPerSecond, day = 24 * 60 * minute;
  EXPECT_TRUE(verify_rpc("POST", parameters, knows("SK"), clock_at(kVectorTime + minute)));
  EXPECT_TRUE(verify_rpc("POST", parameters, knows("SK"), clock_at(kVectorTime - minute)));
  for (int64_t off : {day, -day, kMaxSkewUs, -kMaxSkewUs})
    EXPECT_EQ(verify_rpc("POST", parameters, knows("SK"), clock_at(kVectorTime + off)).error().code, AuthError::skewed);
}

TEST(SignRpc, OurOwnClientIsUnderstood) {
  const auto keyring = Keyring::make("1234", "AK", "SK", std::string(32, 'm'));
  const auto clock = clock_at(kVectorTime);
  const auto signed_query =
      sign_rpc("GET", {{"Action", "ListFlows"}, {"Version", "2019-03-15"}}, {.access_key_id = "AK", .access_key_secret = "SK"}, "n", clock.wall_us());
  const auto identity = verify_rpc("GET", signed_query, keyring, clock);
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->kind, Identity::Kind::root);

  SeededRng rng(7);
  const auto temporary = keyring.issue("worker", "me", 900, clock, rng);
  const auto as_role = verify_rpc("GET", sign_rpc("GET", {{"Action", "ListFlows"}}, temporary, "n", clock.wall_us()), keyring, clock);
  ASSERT_TRUE(as_role);
  EXPECT_EQ(as_role->role, "worker");
}

}  // namespace
}  // namespace mayfly::auth
