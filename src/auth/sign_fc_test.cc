#include "auth/sign_fc.h"

#include "auth/vectors_test.h"
#include "base/encoding.h"

namespace mayfly::auth {
namespace {

constexpr const char* kDate = "Fri, 20 Nov 2026 10:00:00 GMT";
constexpr const char* kLater = "Fri, 20 Nov 2026 11:31:10 GMT";

struct Vector {
  const char* what;
  const char* method;
  const char* target;  // on the wire; presigned ones lack x-fc-signature
  Fields headers;
  const char* secret;
  const char* signature;
  bool presigned = false;
};

const std::vector<Vector>& vectors() {
  static const std::vector<Vector> all = {
      {"control path",
       "POST",
       "/2016-08-15/services",
       {{"Date", kDate}, {"Content-Type", "application/json"}, {"x-fc-account-id", "1234"}},
       "SK",
       "MVnQ2pdD+62CU70dlWbCr6riNraeqa2GLm8xFQ6dH6s="},
      {"proxy with query",
       "GET",
       "/2016-08-15/proxy/s1/f/a%20b?b=2&a=1&a=3",
       {{"Date", kDate}, {"Content-Type", "application/json"}, {"x-fc-account-id", "1234"}},
       "SK",
       "rowansp/rUmkr+4COZ/mctKrMbtUps7NcYk88Uo7gXY="},
      {"proxy without query",
       "GET",
       "/2016-08-15/proxy/s1/f/",
       {{"Date", kDate}, {"Content-Type", "application/json"}, {"x-fc-account-id", "1234"}},
       "SK",
       "0A2PzU0QN+qzlLi5NNczVSlWkxhUWcqam3WOiAxDIXw="},
      {"node proxy",
       "GET",
       "/2016-08-15/proxy/s1/f/path?a=b%20c&z=1",
       {{"Date", kLater}, {"x-fc-account-id", "1234"}},
       "SK",
       "AXdrNNXjvjluLvs/m8BY4wxIhVHtR+5ifj/Vgv7/tFI="},
      {"node invocation",
       "POST",
       "/2016-08-15/services/s1/functions/f/invocations",
       {{"Date", kLater},
        {"Content-MD5", "OTk5MTRiOTMyYmQzN2E1MGI5ODNjNWU3YzkwYWU5M2I="},
        {"Content-Type", "application/octet-stream"},
        {"X-Fc-Log-Type", "Tail"},
        {"x-fc-account-id", "1234"}},
       "SK",
       "pOVdfaPVAjYS1saltPRXemhOzJ5tr/OTeaDubGF6hTA="},
      {"presigned with headers",
       "GET",
       "/2016-08-15/proxy/service.LATEST/func/abc%20123?x=xyz&x=456&a=123%2045&x-fc-expires=1583221068&x-fc-access-key-id=akID&x-fc-security-token=stsToken",
       {{"x-fc-trace-id", "trace-id"}, {"content-type", "text/json"}, {"content-md5", "ef5b43a0fe1d5b401b62c3ba33a7a3d6"}},
       "S9MWOBG0AOWHSO9HPASP216QOPHT5YR4NLH3A",
       "QFdNhz0Dl+onUM/MvpX940WFH3H8OHayZHbby1c01aI=",
       true},
      {"an ARN in the path, signed as the node client sends it", "GET", "/2016-08-15/layerarn/acs%3Afc%3Ar%3A1%3Alayers%2Fl%2Fversions%2F1",
       {{"date", "Fri, 20 Nov 2026 16:03:56 GMT"}}, "SK", "8gEbLHX19yG5xZuv9Y222oB03CtmwSUOcOuTgeNL+Ho=", false},
      {"presigned with token",
       "GET",
       "/2016-08-15/proxy/service/func/?x-fc-expires=1583339600&x-fc-access-key-id=akid&x-fc-security-token=stsToken",
       {},
       "akSec",
       "Yi0jCBQ6cTZc+tN8wtYUz9FbYNijx5jDiE3sVNW6XwA=",
       true},
      {"presigned without token",
       "GET",
       "/2016-08-15/proxy/service/func/?x-fc-expires=1583339600&x-fc-access-key-id=akid",
       {},
       "akSec",
       "6Rc4KxEAv3+lHpbNQWceIUqWVWq3ewxhadlJBRzZ0XQ=",
       true},
  };
  return all;
}

http::Request request_of(const Vector& vector, const std::string& signature) {
  auto request = make_request(vector.method, vector.target, vector.headers);
  if (vector.presigned) request.raw_query += "&x-fc-signature=" + percent_encode(signature);
  else request.headers.add("Authorization", "FC AK:" + signature);
  return request;
}

// A moment at which the vector is neither skewed nor expired.
ManualClock clock_for(const Vector& vector) {
  if (vector.presigned) return clock_at(1'583'221'000 * kMicrosPerSecond);
  return clock_at(*parse_http_date(vector.headers[0].second));
}

TEST(SignFc, AgreesWithEveryVectorOfTheSpecification) {
  for (const auto& vector : vectors()) {
    const auto identity = verify_fc(request_of(vector, vector.signature), knows(vector.secret), clock_for(vector));
    EXPECT_TRUE(identity) << vector.what << "\n" << identity.error().message << "\n" << identity.error().hint;
  }
}

TEST(SignFc, RefusesEveryVectorWithAnotherMethodPathHeaderOrSecret) {
  for (const auto& vector : vectors()) {
    auto other = request_of(vector, vector.signature);
    other.method = "DELETE";
    EXPECT_EQ(verify_fc(other, knows(vector.secret), clock_for(vector)).error().code, AuthError::bad_signature) << vector.what;
    other = request_of(vector, vector.signature);
    other.raw_path += "x";
    EXPECT_EQ(verify_fc(other, knows(vector.secret), clock_for(vector)).error().code, AuthError::bad_signature) << vector.what;
    other = request_of(vector, vector.signature);
    other.headers.add("x-fc-invocation-type", "Async");
    EXPECT_EQ(verify_fc(other, knows(vector.secret), clock_for(vector)).error().code, AuthError::bad_signature) << vector.what;
    EXPECT_EQ(verify_fc(request_of(vector, vector.signature), knows("another"), clock_for(vector)).error().code, AuthError::bad_signature) << vector.what;
  }
}

TEST(SignFc, SignsTheQueryOfProxyAndPresignedRequestsOnly) {
  auto control = request_of(vectors()[0], vectors()[0].signature);
  control.raw_query = "limit=3";
  EXPECT_TRUE(verify_fc(control, knows("SK"), clock_at(kVectorTime)));
  auto proxy = request_of(vectors()[2], vectors()[2].signature);
  proxy.raw_query = "limit=3";
  EXPECT_EQ(verify_fc(proxy, knows("SK"), clock_at(kVectorTime)).error().code, AuthError::bad_signature);
}

TEST(SignFc, AGoodSignatureOutlivesNeitherItsExpiryNorAQuarterOfAnHour) {
  const auto& presigned = vectors()[7];
  const auto request = request_of(presigned, presigned.signature);
  EXPECT_TRUE(verify_fc(request, knows("akSec"), clock_at(1'583'339'599 * kMicrosPerSecond)));
  EXPECT_EQ(verify_fc(request, knows("akSec"), clock_at(1'583'339'600 * kMicrosPerSecond)).error().code, AuthError::expired);
  const auto header = request_of(vectors()[0], vectors()[0].signature);
  EXPECT_TRUE(verify_fc(header, knows("SK"), clock_at(kVectorTime + kMaxSkewUs - 1)));
  EXPECT_EQ(verify_fc(header, knows("SK"), clock_at(kVectorTime + kMaxSkewUs)).error().code, AuthError::skewed);
}

TEST(SignFc, SaysWhatIsMissingOrMalformed) {
  const auto clock = clock_at(kVectorTime);
  auto code = [&](const char* target, Fields headers) { return verify_fc(make_request("GET", target, headers), knows("SK"), clock).error().code; };
  EXPECT_EQ(code("/2016-08-15/services", {}), AuthError::missing);
  EXPECT_EQ(code("/2016-08-15/services", {{"Authorization", "Bearer x"}}), AuthError::malformed);
  EXPECT_EQ(code("/2016-08-15/services", {{"Authorization", "FC AK"}}), AuthError::malformed);
  EXPECT_EQ(code("/2016-08-15/services", {{"Authorization", "FC AK:x"}}), AuthError::malformed);
  EXPECT_EQ(code("/2016-08-15/proxy/s/f/?x-fc-signature=x", {}), AuthError::malformed);
  EXPECT_EQ(code("/2016-08-15/proxy/s/f/?x-fc-signature=x&x-fc-expires=99999999999999999999", {}), AuthError::bad_signature);
}

TEST(SignFc, ACustomDomainSignsItsBarePathAndQuery) {
  const Credentials credentials{.access_key_id = "AK", .access_key_secret = "SK"};
  http::Headers headers;
  sign_fc("GET", "/hello%20you?b=2&a=1", headers, credentials, kVectorTime);
  auto request = make_request("GET", "/hello%20you?b=2&a=1", {}, "www.example.org");
  request.headers = headers;
  EXPECT_TRUE(verify_fc(request, knows("SK"), clock_at(kVectorTime)));
  request.raw_query = "b=2&a=2";
  EXPECT_FALSE(verify_fc(request, knows("SK"), clock_at(kVectorTime)));

  // A client that signs the bare path when there is no query, as on control paths.
  auto bare = make_request("GET", "/hello", {{"Date", kDate}}, "www.example.org");
  bare.headers.add("Authorization", "FC AK:" + fc_signature(std::string("GET\n\n\n") + kDate + "\n/hello", "SK"));
  EXPECT_TRUE(verify_fc(bare, knows("SK"), clock_at(kVectorTime)));
  bare.raw_query = "admin=1";
  EXPECT_FALSE(verify_fc(bare, knows("SK"), clock_at(kVectorTime)));
}

TEST(SignFc, OurOwnClientIsUnderstoodWithAndWithoutAToken) {
  const auto keyring = Keyring::make("1234", "AK", "SK", std::string(32, 'm'));
  const auto clock = clock_at(kVectorTime);
  SeededRng rng(11);
  for (const auto& credentials : {Credentials{.access_key_id = "AK", .access_key_secret = "SK"}, keyring.issue("worker", "", 900, clock, rng)}) {
    auto request = make_request("POST", "/2016-08-15/services/s/functions/f/invocations?qualifier=prod", {});
    request.headers.add("Content-Type", "application/json");
    sign_fc("POST", "/2016-08-15/services/s/functions/f/invocations?qualifier=prod", request.headers, credentials, clock.wall_us());
    const auto identity = verify_fc(request, keyring, clock);
    ASSERT_TRUE(identity) << identity.error().message;
    EXPECT_EQ(identity->kind, credentials.security_token.empty() ? Identity::Kind::root : Identity::Kind::role);
  }
}

}  // namespace
}  // namespace mayfly::auth
