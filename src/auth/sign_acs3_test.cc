#include "auth/sign_acs3.h"

#include "auth/canonical.h"
#include "auth/vectors_test.h"
#include "base/encoding.h"
#include "base/hash.h"

namespace mayfly::auth {
namespace {

constexpr const char* kEmpty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";  // sha256 of nothing

struct Vector {
  const char* method;
  const char* target;
  const char* host;
  Fields headers;
  const char* signature;
};

const std::vector<Vector>& vectors() {
  static const std::vector<Vector> all = {
      {"POST",
       "/2023-03-30/functions/f/invocations?qualifier=LATEST",
       "127.0.0.1:9000",
       {{"x-acs-action", "InvokeFunction"},
        {"x-acs-date", "2026-11-20T10:00:00Z"},
        {"x-acs-signature-nonce", "nonce-1"},
        {"x-acs-version", "2023-03-30"},
        {"content-type", "application/json; charset=utf-8"},
        {"x-acs-content-sha256", "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"}},
       "6cca0cb57f4b1e9c94c12cb6f6541386da2a154982d76928bb3a39b729b7d011"},
      {"GET",
       "/2023-03-30/functions?limit=3&prefix=x",
       "127.0.0.1:18004",
       {{"x-acs-action", "ListFunctions"},
        {"x-acs-date", "2026-11-20T11:31:11Z"},
        {"x-acs-signature-nonce", "eca11853de29fb5262a3e54b14d3c3c7559ac0da1f6349dbe2ed4948ea5c2d0e"},
        {"x-acs-version", "2023-03-30"},
        {"x-acs-content-sha256", kEmpty},
        {"x-acs-credentials-provider", "static_sts"},
        {"x-acs-accesskey-id", "AK"},
        {"x-acs-security-token", "TT"}},
       "ceb90939d0d306b2e3a41295eb98f094889fbf682dc2435f806f77e8d0df0b24"},
      {"POST",
       "/2021-04-06/services/s1/functions/f/triggers",
       "127.0.0.1:18004",
       {{"x-acs-action", "CreateTrigger"},
        {"x-acs-date", "2026-11-20T11:31:10Z"},
        {"x-acs-signature-nonce", "fe2f8206c9363ff6325c56b3559ebad4"},
        {"x-acs-version", "2021-04-06"},
        {"content-type", "application/json; charset=utf-8"},
        {"x-acs-content-sha256", "15bd8bc8b4a0664e6c9a55470475dd0dff96d8f3cc5c814046ebd25957608c1d"},
        {"x-acs-credentials-provider", "static_sts"},
        {"x-acs-accesskey-id", "AK"},
        {"x-acs-security-token", "TT"}},
       "6e26de6fff63cac216e0538ca1e7072644139d63dd34be2ac3bcc1fe13c6a2f0"},
  };
  return all;
}

http::Request request_of(const Vector& vector) {
  auto request = make_request(vector.method, vector.target, vector.headers, vector.host);
  std::string names = "host";
  for (const auto& [name, value] : vector.headers) names += ";" + name;
  request.headers.add("Authorization", "ACS3-HMAC-SHA256 Credential=AK,SignedHeaders=" + join(read_names(names), ';') + ",Signature=" + vector.signature);
  return request;
}

ManualClock clock_for(const Vector& vector) { return clock_at(*parse_iso8601(vector.headers[1].second)); }

TEST(SignAcs3, AgreesWithEveryVectorOfTheSpecification) {
  for (const auto& vector : vectors()) {
    const auto identity = verify_acs3(request_of(vector), knows("SK"), clock_for(vector));
    EXPECT_TRUE(identity) << vector.target << "\n" << identity.error().message << "\n" << identity.error().hint;
  }
}

TEST(SignAcs3, RefusesAChangedHostHeaderOrQuery) {
  for (const auto& vector : vectors()) {
    auto other = request_of(vector);
    other.host = "elsewhere:1";
    EXPECT_EQ(verify_acs3(other, knows("SK"), clock_for(vector)).error().code, AuthError::bad_signature);
    other = request_of(vector);
    other.raw_query += "&admin=1";
    EXPECT_EQ(verify_acs3(other, knows("SK"), clock_for(vector)).error().code, AuthError::bad_signature);
    other = request_of(vector);
    other.headers.set("x-acs-action", "DeleteFunction");
    const auto refused = verify_acs3(other, knows("SK"), clock_for(vector));
    EXPECT_EQ(refused.error().code, AuthError::bad_signature);
    EXPECT_TRUE(refused.error().hint.contains("x-acs-action:DeleteFunction\n"));
  }
}

TEST(SignAcs3, RefusesAnUnsignedPlatformHeader) {
  auto request = request_of(vectors()[0]);
  request.headers.add("x-acs-security-token", "T");
  EXPECT_EQ(verify_acs3(request, knows("SK"), clock_at(kVectorTime)).error().code, AuthError::malformed);
}

TEST(SignAcs3, RefusesAnOldDate) {
  EXPECT_EQ(verify_acs3(request_of(vectors()[0]), knows("SK"), clock_at(kVectorTime + kMaxSkewUs)).error().code, AuthError::skewed);
}

TEST(SignAcs3, SaysWhatIsMalformed) {
  auto code = [&](Fields headers) { return verify_acs3(make_request("GET", "/", headers), knows("SK"), clock_at(kVectorTime)).error().code; };
  EXPECT_EQ(code({}), AuthError::missing);
  EXPECT_EQ(code({{"Authorization", "ACS3-HMAC-SM3 Credential=AK,SignedHeaders=host,Signature=0"}}), AuthError::malformed);
  EXPECT_EQ(code({{"Authorization", "ACS3-HMAC-SHA256 Credential=AK"}}), AuthError::malformed);
  EXPECT_EQ(code({{"Authorization", "ACS3-HMAC-SHA256 Credential=AK,SignedHeaders=host,Signature=0"}}), AuthError::malformed);
}

TEST(SignAcs3, ComparesTheBodyWithItsAnnouncedDigest) {
  const auto request = request_of(vectors()[0]);
  EXPECT_TRUE(acs3_body_matches(request.headers, R"({"a":1})"));
  EXPECT_FALSE(acs3_body_matches(request.headers, R"({"a":2})"));
  EXPECT_TRUE(acs3_body_matches(http::Headers(), "anything"));
}

}  // namespace
}  // namespace mayfly::auth
