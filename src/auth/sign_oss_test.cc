#include "auth/sign_oss.h"

#include "auth/vectors_test.h"
#include "base/encoding.h"
#include "base/hash.h"

namespace mayfly::auth {
namespace {

constexpr const char* kDate = "Fri, 20 Nov 2026 10:00:00 GMT";
constexpr const char* kLater = "Fri, 20 Nov 2026 11:31:10 GMT";
constexpr const char* kMd5 = "XUFAKrxLKna5cZ2REBfFkg==";
constexpr const char* kScope = "/20261120/cn-hangzhou/oss/aliyun_v4_request";
constexpr int64_t kLaterTime = kVectorTime + 5'470 * kMicrosPerSecond;

enum class Way { v1, v1_query, v2, v2_query, v4, v4_query };

struct Vector {
  int number;  // of aliyun-oss.md section 2.6
  Way way;
  const char* method;
  const char* target;  // on the wire; presigned ones lack the signature
  const char* bucket;
  const char* key;
  Fields headers;
  const char* signature;
  const char* additional = "";
  int64_t at_us = kVectorTime;
};

const std::vector<Vector>& vectors() {
  const Fields plain{{"Date", kDate}};
  const Fields put{{"Date", kDate}, {"Content-MD5", kMd5}, {"Content-Type", "text/plain"}, {"x-oss-meta-a", "1"}, {"x-oss-meta-b", "2"}};
  static const std::vector<Vector> all = {
      {1, Way::v1, "PUT", "/bkt/a%20dir%2Ff.txt?acl=", "bkt", "a dir/f.txt", put, "CVdyeGrVB9cYxuhkRlc2dyiyS5I="},
      {2, Way::v1, "GET", "/bkt/?prefix=x&max-keys=10", "bkt", "", {{"Date", kDate}, {"x-oss-security-token", "TOK"}}, "Pnc8U58hBfvZPJDnCOGlGlUriJc="},
      {3, Way::v1, "GET", "/", "", "", plain, "9IiWnLmRHoeOmOF+0HJqPK1O/xw="},
      {4, Way::v1_query, "GET", "/bkt/k.txt?OSSAccessKeyId=AK&Expires=1795172400", "bkt", "k.txt", {}, "kM0PGIt/JkXijJ37rUklV0SZd1c="},
      {5, Way::v1_query, "GET", "/bkt/k.txt?OSSAccessKeyId=AK&Expires=1795172400&security-token=TOK", "bkt", "k.txt", {}, "2ffAakjgBLn7cWlBFkCnw+6GUJc="},
      {6,
       Way::v1,
       "PUT",
       "/bkt/dir/%E4%B8%AD%20%E6%96%87.txt",
       "bkt",
       "dir/中 文.txt",
       {{"x-oss-date", kLater}, {"x-oss-security-token", "TOK"}, {"Content-MD5", kMd5}, {"Content-Type", "text/plain"}},
       "b+3zA2wU3XUQ81pQSw9M7MUL2jU=",
       "",
       kLaterTime},
      {7,
       Way::v1,
       "GET",
       "/?max-keys=3&prefix=d",
       "bkt",
       "",
       {{"x-oss-date", kLater}, {"x-oss-security-token", "TOK"}},
       "hMc/BLsBYjbtaUpf/by8zXC1i2g=",
       "",
       kLaterTime},
      {8, Way::v2, "PUT", "/bkt/a%20dir%2Ff.txt?acl=", "bkt", "a dir/f.txt", put, "sCZc2z6wo3OzNRVV2w31JFSfs9X5k7ERuHf/SBQOiE0="},
      {9,
       Way::v2,
       "GET",
       "/bkt/?prefix=x%2F&max-keys=10",
       "bkt",
       "",
       {{"Date", kDate}, {"Range", "bytes=0-1"}},
       "ACs91Vc06kPB3B86hw+Z/+5ylEtD831f2w28A3yDisU=",
       "range"},
      {10,
       Way::v2_query,
       "GET",
       "/bkt/k.txt?x-oss-signature-version=OSS2&x-oss-expires=1795172400&x-oss-access-key-id=AK",
       "bkt",
       "k.txt",
       {},
       "vuJ/2mn69sc0nErWmMpBEFptWpYqEX0mxInZHwUZiEk="},
      {11,
       Way::v4,
       "PUT",
       "/bkt/a%20dir%2Ff.txt?acl=",
       "bkt",
       "a dir/f.txt",
       {{"x-oss-date", "20261120T100000Z"}, {"Content-Type", "text/plain"}, {"x-oss-meta-a", "1"}, {"x-oss-content-sha256", "UNSIGNED-PAYLOAD"}},
       "4a010e665237651024ecfc3c24674f1917bed62d16767ea19e71b15ed43160da"},
      {12,
       Way::v4,
       "GET",
       "/bkt/k.txt",
       "bkt",
       "k.txt",
       {{"x-oss-date", "20261120T100000Z"}, {"Range", "bytes=0-1"}, {"x-oss-content-sha256", "UNSIGNED-PAYLOAD"}},
       "69101483fad9957d78ac92ca774fdbbf89d95a35ab5e6da7f782ad0716fb048c",
       "range"},
      {13,
       Way::v4,
       "GET",
       "/bkt/?prefix=a+b%2F&list-type=2",
       "bkt",
       "",
       {{"x-oss-date", "20261120T100000Z"}, {"x-oss-security-token", "TOK"}, {"x-oss-content-sha256", "UNSIGNED-PAYLOAD"}},
       "64c6026f523e6b3c8659fdeb88e8e5ef04975a246b5ce8937c693bda65a2cfdc"},
      {14,
       Way::v4_query,
       "GET",
       "/bkt/"
       "k.txt?x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-credential=AK%2F20261120%2Fcn-hangzhou%2Foss%2Faliyun_v4_request&x-oss-date=20261120T100000Z&x-"
       "oss-expires=3600",
       "bkt",
       "k.txt",
       {},
       "a8bb308297d2720301e4f52dac608cb33041094b824efcde9afe7fd51a597d6d"},
      {15,
       Way::v4_query,
       "GET",
       "/bkt/"
       "k.txt?x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-credential=STS.AK%2F20261120%2Fcn-hangzhou%2Foss%2Faliyun_v4_request&x-oss-date=20261120T100000Z"
       "&x-oss-expires=3600&x-oss-security-token=TOK",
       "bkt",
       "k.txt",
       {},
       "f6389ac244e57fd6aeee0868f412f1a264ac0b0bb6c63e6034cb2d5db2381217"},
      {16,
       Way::v4,
       "PUT",
       "/bkt/dir/%E4%B8%AD%20%E6%96%87.txt",
       "bkt",
       "dir/中 文.txt",
       {{"x-oss-date", "20261120T113110Z"},
        {"x-oss-security-token", "TOK"},
        {"Content-MD5", kMd5},
        {"Content-Type", "text/plain"},
        {"x-oss-content-sha256", "UNSIGNED-PAYLOAD"}},
       "f3a335a89c9a5f660c2642ef6e265b7d44f9dc6ea59ae0762bb391907813287e",
       "",
       kLaterTime},
      {17,
       Way::v4,
       "GET",
       "/bkt/?max-keys=3&prefix=d",
       "bkt",
       "",
       {{"x-oss-date", "20261120T113110Z"}, {"x-oss-security-token", "TOK"}, {"x-oss-content-sha256", "UNSIGNED-PAYLOAD"}},
       "c453472bc2f6e2d1e79ad9fa3068df3ad010298b31f755826045cff7699a0ee4",
       "",
       kLaterTime},
  };
  return all;
}

bool in_query(Way way) { return way == Way::v1_query || way == Way::v2_query || way == Way::v4_query; }

http::Request request_of(const Vector& vector, const std::string& signature) {
  auto request = make_request(vector.method, vector.target, vector.headers, "bkt.oss-cn-hangzhou.aliyuncs.com");
  const std::string additional = vector.additional;
  switch (vector.way) {
    case Way::v1: request.headers.add("Authorization", "OSS AK:" + signature); break;
    case Way::v2:
      request.headers.add("Authorization",
                          "OSS2 AccessKeyId:AK," + (additional.empty() ? "" : "AdditionalHeaders:" + additional + ",") + "Signature:" + signature);
      break;
    case Way::v4:
      request.headers.add("Authorization", std::string("OSS4-HMAC-SHA256 Credential=AK") + kScope + ", Signature=" + signature +
                                               (additional.empty() ? "" : ", AdditionalHeaders=" + additional));
      break;
    case Way::v1_query: request.raw_query += "&Signature=" + percent_encode(signature); break;
    default: request.raw_query += "&x-oss-signature=" + percent_encode(signature);
  }
  return request;
}

AuthError code_of(const Result<Identity>& result) {
  EXPECT_FALSE(result.has_value());
  return result ? AuthError::missing : result.error().code;
}

TEST(SignOss, AgreesWithEveryVectorOfTheSpecification) {
  for (const auto& vector : vectors()) {
    const auto identity = verify_oss(request_of(vector, vector.signature), vector.bucket, vector.key, knows("SK"), clock_at(vector.at_us));
    EXPECT_TRUE(identity) << "#" << vector.number << " " << identity.error().message << "\n" << identity.error().hint;
  }
}

TEST(SignOss, RefusesEveryVectorWithAnotherMethodBucketKeyHeaderOrSecret) {
  for (const auto& vector : vectors()) {
    const auto clock = clock_at(vector.at_us);
    const auto request = request_of(vector, vector.signature);
    EXPECT_EQ(code_of(verify_oss(request, "other", vector.key, knows("SK"), clock)), AuthError::bad_signature) << vector.number;
    EXPECT_EQ(code_of(verify_oss(request, "bkt", std::string(vector.key) + "x", knows("SK"), clock)), AuthError::bad_signature) << vector.number;
    EXPECT_EQ(code_of(verify_oss(request, vector.bucket, vector.key, knows("KS"), clock)), AuthError::bad_signature) << vector.number;
    auto other = request_of(vector, vector.signature);
    other.method = "DELETE";
    EXPECT_EQ(code_of(verify_oss(other, vector.bucket, vector.key, knows("SK"), clock)), AuthError::bad_signature) << vector.number;
    other = request_of(vector, vector.signature);
    other.headers.add("x-oss-object-acl", "public-read");
    EXPECT_EQ(code_of(verify_oss(other, vector.bucket, vector.key, knows("SK"), clock)), AuthError::bad_signature) << vector.number;
  }
}

TEST(SignOss, WritesTheStringsOfTheSpecification) {
  const auto sixth = request_of(vectors()[5], "");
  EXPECT_EQ(oss_v1_string_to_sign(sixth, "bkt", "dir/中 文.txt", kLater),
            "PUT\nXUFAKrxLKna5cZ2REBfFkg==\ntext/plain\nFri, 20 Nov 2026 11:31:10 GMT\nx-oss-date:Fri, 20 Nov 2026 11:31:10 "
            "GMT\nx-oss-security-token:TOK\n/bkt/dir/中 文.txt");
  const auto eighth = verify_oss(request_of(vectors()[7], "wrong"), "bkt", "a dir/f.txt", knows("SK"), clock_at(kVectorTime));
  EXPECT_EQ(eighth.error().hint,
            std::string("PUT\nXUFAKrxLKna5cZ2REBfFkg==\ntext/plain\n") + kDate + "\nx-oss-meta-a:1\nx-oss-meta-b:2\n\n%2Fbkt%2Fa%20dir%2Ff.txt?acl");
  const auto eleventh = verify_oss(request_of(vectors()[10], "wrong"), "bkt", "a dir/f.txt", knows("SK"), clock_at(kVectorTime));
  EXPECT_TRUE(eleventh.error().hint.ends_with(
      "PUT\n/bkt/a%20dir/f.txt\nacl\ncontent-type:text/plain\nx-oss-content-sha256:UNSIGNED-PAYLOAD\nx-oss-date:20261120T100000Z\n"
      "x-oss-meta-a:1\n\n\nUNSIGNED-PAYLOAD"))
      << eleventh.error().hint;
  const auto twelfth = verify_oss(request_of(vectors()[11], "wrong"), "bkt", "k.txt", knows("SK"), clock_at(kVectorTime));
  EXPECT_TRUE(twelfth.error().hint.ends_with(
      "GET\n/bkt/k.txt\n\nrange:bytes=0-1\nx-oss-content-sha256:UNSIGNED-PAYLOAD\nx-oss-date:20261120T100000Z\n\nrange\nUNSIGNED-PAYLOAD"));
}

// The wire is "acl=&prefix=&k=v" for all three; what differs is what the client signed.
TEST(SignOss, V1SortsSubresourcesByNameAlone) {
  http::Request request;
  request.method = "PUT";
  request.raw_query = "callback-var=b&callback=a&acl=";
  EXPECT_TRUE(oss_v1_string_to_sign(request, "bkt", "k", kDate).ends_with("/bkt/k?acl&callback=a&callback-var=b"));
}

TEST(SignOss, V4AcceptsAllThreeReadingsOfEmptyParametersAndNoOther) {
  auto signed_as = [](const char* canonical_query) {
    const std::string canonical =
        std::string("GET\n/bkt/\n") + canonical_query + "\nx-oss-content-sha256:UNSIGNED-PAYLOAD\nx-oss-date:20261120T100000Z\n\n\nUNSIGNED-PAYLOAD";
    const std::string key = hmac_sha256(hmac_sha256(hmac_sha256(hmac_sha256("aliyun_v4SK", "20261120"), "cn-hangzhou"), "oss"), "aliyun_v4_request");
    return hex_encode(hmac_sha256(key, "OSS4-HMAC-SHA256\n20261120T100000Z\n20261120/cn-hangzhou/oss/aliyun_v4_request\n" + hex_encode(sha256(canonical))));
  };
  auto accepted = [&](const char* canonical_query) {
    auto request = make_request("GET", "/bkt/?acl=&prefix=&max-keys=3", {{"x-oss-date", "20261120T100000Z"}, {"x-oss-content-sha256", "UNSIGNED-PAYLOAD"}});
    request.headers.add("Authorization",
                        std::string("OSS4-HMAC-SHA256 Credential=AK") + kScope + ",AdditionalHeaders=,Signature=" + signed_as(canonical_query));
    return verify_oss(request, "bkt", "", knows("SK"), clock_at(kVectorTime)).has_value();
  };
  EXPECT_TRUE(accepted("acl&max-keys=3&prefix"));
  EXPECT_TRUE(accepted("acl&max-keys=3&prefix="));
  EXPECT_TRUE(accepted("acl=&max-keys=3&prefix="));
  EXPECT_FALSE(accepted("acl=&max-keys=3&prefix"));
  EXPECT_FALSE(accepted("acl&max-keys=4&prefix"));
}

TEST(SignOss, WhoeverSendsNoSignatureIsAnonymous) {
  const auto identity = verify_oss(make_request("GET", "/bkt/k?some=thing", {}), "bkt", "k", knows("SK"), clock_at(kVectorTime));
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->kind, Identity::Kind::anonymous);
}

TEST(SignOss, ADateOffByAMinutePassesAndByADayDoesNot) {
  const int64_t minute = 60 * kMicrosPerSecond, day = 24 * 60 * minute;
  for (const auto& vector : vectors()) {
    if (in_query(vector.way)) continue;
    const auto request = request_of(vector, vector.signature);
    for (int64_t off : {minute, -minute})
      EXPECT_TRUE(verify_oss(request, vector.bucket, vector.key, knows("SK"), clock_at(vector.at_us + off))) << vector.number;
    for (int64_t off : {day, -day}) {
      const auto refused = verify_oss(request, vector.bucket, vector.key, knows("SK"), clock_at(vector.at_us + off));
      EXPECT_EQ(code_of(refused), AuthError::skewed) << vector.number;
      EXPECT_EQ(refused.error().message, "The difference between the request time and the current time is too large.");
    }
  }
}

TEST(SignOss, XOssDateOverridesDate) {
  auto request = make_request("GET", "/bkt/k", {{"Date", kDate}, {"x-oss-date", "Sat, 21 Nov 2026 10:00:00 GMT"}});
  request.headers.add("Authorization", "OSS AK:" + oss_v1_signature(oss_v1_string_to_sign(request, "bkt", "k", "Sat, 21 Nov 2026 10:00:00 GMT"), "SK"));
  EXPECT_EQ(code_of(verify_oss(request, "bkt", "k", knows("SK"), clock_at(kVectorTime))), AuthError::skewed);
  EXPECT_TRUE(verify_oss(request, "bkt", "k", knows("SK"), clock_at(kVectorTime + 86'400 * kMicrosPerSecond)));
}

TEST(SignOss, PresignedRequestsEndAtTheirExpiry) {
  const int64_t end = 1'795'172'400 * kMicrosPerSecond;  // both forms: ten o'clock and an hour
  for (const auto& vector : vectors()) {
    if (!in_query(vector.way)) continue;
    const auto request = request_of(vector, vector.signature);
    EXPECT_TRUE(verify_oss(request, vector.bucket, vector.key, knows("SK"), clock_at(end - 1))) << vector.number;
    EXPECT_EQ(code_of(verify_oss(request, vector.bucket, vector.key, knows("SK"), clock_at(end))), AuthError::expired) << vector.number;
  }
}

TEST(SignOss, AFarExpiryWorksInEveryForm) {
  const Credentials credentials{.access_key_id = "AK", .access_key_secret = "SK"};
  auto request = make_request("GET", "/bkt/k?" + presign_oss({"GET", "bkt", "k", {}}, credentials, kVectorTime, 1'650'801'600), {});
  EXPECT_TRUE(verify_oss(request, "bkt", "k", knows("SK"), clock_at(kVectorTime)));
  request.raw_query = "OSSAccessKeyId=AK&Expires=99999999999999999999999&Signature=x";
  EXPECT_EQ(code_of(verify_oss(request, "bkt", "k", knows("SK"), clock_at(kVectorTime))), AuthError::bad_signature);
  request.raw_query = presign_oss({"GET", "bkt", "k", {}}, credentials, kVectorTime, INT64_MAX);
  EXPECT_TRUE(verify_oss(request, "bkt", "k", knows("SK"), clock_at(kVectorTime)));
}

TEST(SignOss, APresignedRequestFromTheFutureIsSkewed) {
  auto request = make_request("GET", "/bkt/k?" + presign_oss({"GET", "bkt", "k", {}}, {.access_key_id = "AK", .access_key_secret = "SK"}, kVectorTime, 60), {});
  EXPECT_EQ(code_of(verify_oss(request, "bkt", "k", knows("SK"), clock_at(kVectorTime - kMaxSkewUs))), AuthError::skewed);
}

TEST(SignOss, SaysWhatIsMalformed) {
  auto code = [](const char* target, Fields headers) {
    return code_of(verify_oss(make_request("GET", target, headers), "bkt", "k", knows("SK"), clock_at(kVectorTime)));
  };
  for (const char* authorization : {"Bearer x", "OSS AK", "OSS2 AK:x", "OSS2 AccessKeyId:AK", "OSS4-HMAC-SHA256", "OSS4-HMAC-SHA256 Credential=AK,Signature=0",
                                    "OSS4-HMAC-SHA256 Credential=AK/20261120/r/oss/aws4_request,Signature=0",
                                    "OSS4-HMAC-SHA256 Credential=AK/20261121/r/oss/aliyun_v4_request,Signature=0"})
    EXPECT_EQ(code("/bkt/k", {{"Authorization", authorization}, {"x-oss-date", "20261120T100000Z"}}), AuthError::malformed) << authorization;
  EXPECT_EQ(code("/bkt/k", {{"Authorization", "OSS AK:x"}}), AuthError::malformed) << "no date";
  for (const char* query :
       {"OSSAccessKeyId=AK", "Signature=x", "Signature=x&Expires=soon", "x-oss-signature=0&x-oss-signature-version=OSS4-HMAC-SHA256",
        "x-oss-signature=0&x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-date=20261120T100000Z",
        "x-oss-signature=0&x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-date=20261120T100000Z&x-oss-credential=AK%2F20261120%2Fr%2Foss%2Faliyun_v4_request"})
    EXPECT_EQ(code((std::string("/bkt/k?") + query).c_str(), {}), AuthError::malformed) << query;
}

TEST(SignOss, OurOwnClientIsUnderstood) {
  const auto keyring = Keyring::make("1234", "AK", "SK", std::string(32, 'm'));
  const auto clock = clock_at(kVectorTime);
  SeededRng rng(3);
  for (const auto& credentials : {Credentials{.access_key_id = "AK", .access_key_secret = "SK"}, keyring.issue("worker", "", 900, clock, rng)}) {
    const OssTarget target{"PUT", "bkt", "a dir/中+.txt", {{"acl", ""}, {"prefix", "x y"}}};
    auto request = make_request("PUT", "/bkt/a%20dir%2F%E4%B8%AD%2B.txt?acl&prefix=x%20y", {{"Content-Type", "image/jpeg"}});
    sign_oss(target, request.headers, credentials, clock.wall_us());
    const auto identity = verify_oss(request, target.bucket, target.key, keyring, clock);
    ASSERT_TRUE(identity) << identity.error().message << identity.error().hint;
    EXPECT_EQ(identity->role, credentials.security_token.empty() ? "" : "worker");
    auto presigned = make_request("PUT", "/bkt/x?" + presign_oss(target, credentials, clock.wall_us(), 60), {});
    EXPECT_TRUE(verify_oss(presigned, target.bucket, target.key, keyring, clock));
  }
}

constexpr const char* kPolicy = "eyJleHBpcmF0aW9uIjoiMjAyNi0xMS0yMFQxMjowMDowMC4wMDBaIiwiY29uZGl0aW9ucyI6W1siY29udGVudC1sZW5ndGgtcmFuZ2UiLDAsMTA0ODU3Nl1dfQ==";

TEST(SignOss, AnUploadFormIsSignedOverItsPolicy) {
  const http::Query form{{"OSSACCESSKEYID", "AK"}, {"policy", kPolicy}, {"Signature", "QYzTeG86uL8yJuocs3wDSig3Gyo="}};
  EXPECT_TRUE(verify_oss_form(form, knows("SK"), clock_at(kVectorTime)));
  EXPECT_EQ(code_of(verify_oss_form(form, knows("KS"), clock_at(kVectorTime))), AuthError::bad_signature);
  EXPECT_EQ(code_of(verify_oss_form(form, knows("SK"), clock_at(kVectorTime + 7'200 * kMicrosPerSecond))), AuthError::expired);
  EXPECT_EQ(code_of(verify_oss_form({{"policy", "e30="}}, knows("SK"), clock_at(kVectorTime))), AuthError::malformed);
  EXPECT_EQ(verify_oss_form({{"key", "k"}}, knows("SK"), clock_at(kVectorTime))->kind, Identity::Kind::anonymous);
}

TEST(SignOss, AnUploadFormMayBeSignedByV4) {
  http::Query form{{"policy", kPolicy},
                   {"x-oss-signature-version", "OSS4-HMAC-SHA256"},
                   {"x-oss-credential", std::string("AK") + kScope},
                   {"x-oss-date", "20261120T100000Z"},
                   {"x-oss-signature", oss_form_v4_signature(kPolicy, "SK", "20261120", "cn-hangzhou")}};
  EXPECT_TRUE(verify_oss_form(form, knows("SK"), clock_at(kVectorTime)));
  form[4].second[0] = form[4].second[0] == '0' ? '1' : '0';
  EXPECT_EQ(code_of(verify_oss_form(form, knows("SK"), clock_at(kVectorTime))), AuthError::bad_signature);
}

TEST(SignOss, KnowsTheSubresources) {
  for (const char* name : {"acl", "x-oss-process", "uploadId", "resourcePoolBuckets", "worm", "accessPoint"}) EXPECT_TRUE(is_oss_subresource(name)) << name;
  for (const char* name : {"prefix", "max-keys", "list-type", "ACL", ""}) EXPECT_FALSE(is_oss_subresource(name)) << name;
}

}  // namespace
}  // namespace mayfly::auth
