#include "dialects/aliyun/oss_dialect.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "base/encoding.h"
#include "base/hash.h"
#include "dialects/aliyun/oss_address.h"
#include "dialects/aliyun/oss_cors.h"
#include "dialects/aliyun/oss_xml.h"
#include "io/sim_loop.h"
#include "objects/memory_blobs.h"
#include "store/memory_engine.h"

namespace mayfly::dialects::aliyun {
namespace {

constexpr std::string_view kAccount = "1234567890";

// Lets roles do what a test wrote down.
struct ListedAccess final : auth::Authorizer {
  std::set<std::pair<std::string, std::string>> allowed;
  bool allows(const auth::Identity&, const auth::Access& access) const override { return allowed.contains({access.action, access.resource}); }
};

struct Sent {
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string host = "127.0.0.1:8080";
};

class OssDialectTest : public testing::Test {
 protected:
  OssDialectTest() { as_root(); }

  void as_root() { identity = {.kind = auth::Identity::Kind::root, .account = std::string(kAccount), .role = {}, .session = {}}; }
  void as_anonymous() { identity = {}; }
  void as_role() { identity = {.kind = auth::Identity::Kind::role, .account = std::string(kAccount), .role = "reader", .session = {}}; }

  http::Response call(std::string method, std::string target, Sent sent = {}) {
    http::Request request{.method = std::move(method), .scheme = "http", .host = sent.host, .raw_path = target.substr(0, target.find('?'))};
    if (size_t at = target.find('?'); at != std::string::npos) request.raw_query = target.substr(at + 1);
    for (auto& [name, value] : sent.headers) request.headers.add(name, value);
    request.peer = "127.0.0.1:5000";
    request.body = http::make_body(sent.body);
    return loop.wait(dialect.handle(loop, std::move(request)));
  }
  std::string text(http::Response response) {
    if (!response.stream) return response.body;
    auto bytes = loop.wait(response.stream->read_all(64 << 20));
    return bytes ? *bytes : "<cut>";
  }
  std::string get(std::string target, Sent sent = {}) { return text(call("GET", std::move(target), std::move(sent))); }
  static std::string code(const http::Response& response) {
    auto document = parse_xml(response.body, "Error");
    return document ? document->document_element().child("Code").text().get() : "";
  }

  io::SimLoop loop;
  SeededRng rng{11};
  std::unique_ptr<store::Engine> engine = store::make_memory_engine();
  std::unique_ptr<store::Store> store = store::make_inline_store(*engine);
  objects::MemoryBlobs blobs;
  objects::Ground ground{*store, blobs, loop.clock(), rng};
  objects::Buckets buckets{ground};
  objects::Objects objects{ground};
  objects::Uploads uploads{ground};
  ListedAccess access;
  auth::Identity identity;
  std::function<auth::Result<auth::Identity>(const std::string& bucket, const std::string& key)> verify = [this](const std::string&, const std::string&) {
    return auth::Result<auth::Identity>(identity);
  };
  OssDialect dialect{{.buckets = buckets,
                      .objects = objects,
                      .uploads = uploads,
                      .authorizer = access,
                      .verify = [this](const http::Request&, const std::string& bucket, const std::string& key) { return verify(bucket, key); },
                      .verify_form = [this](const http::Query&) { return auth::Result<auth::Identity>(identity); },
                      .clock = loop.clock(),
                      .rng = rng,
                      .account = std::string(kAccount),
                      .region = "cn-hangzhou",
                      .public_endpoint = ""}};
};

TEST(OssAddress, SplitsTheRawPathAndTakesTheHostsBucketOnce) {
  auto first = [](std::string host, std::string path) {
    http::Request request{.host = std::move(host), .raw_path = std::move(path)};
    return oss_addresses(request, "oss.example.com:80").front();
  };
  EXPECT_EQ(first("127.0.0.1:1", "/bkt/a%20dir%2Ff.jpg"), (OssAddress{"bkt", "a dir/f.jpg"}));
  EXPECT_EQ(first("127.0.0.1:1", "/"), OssAddress{});
  EXPECT_EQ(first("127.0.0.1:1", "/bkt/"), (OssAddress{"bkt", ""}));
  EXPECT_EQ(first("bkt.oss-cn-hangzhou.aliyuncs.com", "/key/x"), (OssAddress{"bkt", "key/x"}));
  EXPECT_EQ(first("bkt.oss-cn-hangzhou.aliyuncs.com", "/bkt/key"), (OssAddress{"bkt", "key"}));
  EXPECT_EQ(first(".oss-cn-hangzhou.aliyuncs.com", "/"), OssAddress{});
  EXPECT_EQ(first("bkt.oss.example.com", "/k"), (OssAddress{"bkt", "k"}));
  EXPECT_EQ(first("bkt.localhost:9000", "/k"), (OssAddress{"bkt", "k"}));
  EXPECT_EQ(parse_copy_source("/bkt/a%2Fb%3F"), (OssAddress{"bkt", "a/b?"}));
  EXPECT_EQ(parse_copy_source("%2Fbkt%2Fa%2Fb"), (OssAddress{"bkt", "a/b"}));
}

TEST_F(OssDialectTest, PutsAndGetsBytesWithTheirHeaders) {
  EXPECT_EQ(call("PUT", "/bkt").status, 200);
  auto put = call("PUT", "/bkt/nine", {.body = "123456789", .headers = {{"Content-Type", "text/x"}, {"X-Oss-Meta-Uid", "7"}, {"Cache-Control", "no-cache"}}});
  EXPECT_EQ(put.status, 200);
  EXPECT_EQ(put.headers.get("ETag"), "\"25F9E794323B453885F5181F1B624D0B\"");
  EXPECT_EQ(put.headers.get("x-oss-hash-crc64ecma"), "11051210869376104954");
  EXPECT_EQ(put.headers.get("x-oss-request-id").size(), 24u);
  auto got = call("GET", "/bkt/nine");
  EXPECT_EQ(got.headers.get("Content-Type"), "text/x");
  EXPECT_EQ(got.headers.get("x-oss-meta-uid"), "7");
  EXPECT_EQ(got.headers.get("Cache-Control"), "no-cache");
  EXPECT_EQ(got.headers.get("x-oss-object-type"), "Normal");
  EXPECT_EQ(got.headers.get("x-oss-storage-class"), "Standard");
  EXPECT_EQ(text(std::move(got)), "123456789");
  auto range = call("GET", "/bkt/nine", {.headers = {{"Range", "bytes=1-3"}}});
  EXPECT_EQ(range.status, 206);
  EXPECT_EQ(range.headers.get("Content-Range"), "bytes 1-3/9");
  EXPECT_EQ(text(std::move(range)), "234");
  EXPECT_EQ(call("GET", "/bkt/nine", {.headers = {{"Range", "bytes=50-"}}}).status, 200);
  EXPECT_EQ(call("GET", "/bkt/nine", {.headers = {{"Range", "bytes=50-"}, {"x-oss-range-behavior", "standard"}}}).status, 416);
  EXPECT_EQ(call("HEAD", "/bkt/nine").head_length, 9u);
  EXPECT_EQ(call("DELETE", "/bkt/nine").status, 204);
  EXPECT_EQ(call("DELETE", "/bkt/nine").status, 204);
  EXPECT_EQ(code(call("GET", "/bkt/nine")), "NoSuchKey");
  EXPECT_EQ(code(call("GET", "/none/nine")), "NoSuchBucket");
  EXPECT_EQ(code(call("PUT", "/none/nine")), "NoSuchBucket");
  EXPECT_EQ(code(call("DELETE", "/none/nine")), "NoSuchBucket");
}

TEST_F(OssDialectTest, AHeadErrorIsInItsHeaders) {
  call("PUT", "/bkt");
  auto head = call("HEAD", "/bkt/none");
  EXPECT_EQ(head.status, 404);
  EXPECT_TRUE(head.body.empty());
  EXPECT_EQ(head.headers.get("x-oss-ec"), "0026-00000001");
  EXPECT_NE(base64_decode(head.headers.get("x-oss-err"))->find("<Code>NoSuchKey</Code>"), std::string::npos);
}

TEST_F(OssDialectTest, RefusesWhatTheServiceRefuses) {
  call("PUT", "/bkt");
  EXPECT_EQ(code(call("PUT", "/bkt/%5Cx")), "InvalidObjectName");
  EXPECT_EQ(code(call("PUT", "/bkt/%2Fx")), "InvalidObjectName");
  EXPECT_EQ(code(call("PUT", "/Not_A_Bucket")), "InvalidBucketName");
  EXPECT_EQ(code(call("PUT", "/bkt/a", {.body = "x", .headers = {{"Content-MD5", "XUFAKrxLKna5cZ2REBfFkg=="}}})), "InvalidDigest");
  EXPECT_EQ(code(call("PUT", "/bkt/a", {.headers = {{"x-oss-object-acl", "everyone"}}})), "InvalidArgument");
  EXPECT_EQ(code(call("PUT", "/bkt/a", {.headers = {{"x-oss-tagging", "=a"}}})), "InvalidTag");
  EXPECT_EQ(code(call("PUT", "/bkt/a", {.headers = {{"x-oss-tagging", "a=b&a=c"}}})), "InvalidTag");
  call("PUT", "/bkt/a");
  EXPECT_EQ(code(call("PUT", "/bkt/a", {.headers = {{"x-oss-forbid-overwrite", "true"}}})), "FileAlreadyExists");
  EXPECT_EQ(code(call("DELETE", "/bkt")), "BucketNotEmpty");
  EXPECT_EQ(code(call("PUT", "/bkt?lifecycle", {.body = "<bad></xml>"})), "MalformedXML");
  EXPECT_EQ(code(call("PATCH", "/bkt/a")), "MethodNotAllowed");
  EXPECT_EQ(call("GET", "/bkt/a", {.headers = {{"If-None-Match", "*"}}}).status, 304);
  EXPECT_EQ(call("GET", "/bkt/a", {.headers = {{"If-Match", "\"x\""}}}).status, 412);
}

TEST_F(OssDialectTest, AclsOpenABucketToEverybodyAndNoFurther) {
  call("PUT", "/open", {.headers = {{"x-oss-acl", "public-read-write"}}});
  call("PUT", "/read", {.headers = {{"x-oss-acl", "public-read"}}});
  call("PUT", "/shut");
  for (const char* bucket : {"/open/a", "/read/a", "/shut/a"}) call("PUT", bucket, {.body = "x"});
  call("PUT", "/read/secret?acl", {.headers = {{"x-oss-object-acl", "private"}}});
  call("PUT", "/read/secret", {.body = "s", .headers = {{"x-oss-object-acl", "private"}}});
  call("PUT", "/shut/shown", {.body = "s", .headers = {{"x-oss-object-acl", "public-read"}}});
  as_anonymous();
  EXPECT_EQ(call("PUT", "/open/b", {.body = "y"}).status, 200);
  EXPECT_EQ(call("GET", "/open/b?para1=test").status, 200);
  EXPECT_EQ(call("GET", "/read/a").status, 200);
  EXPECT_EQ(call("GET", "/read").status, 200);
  EXPECT_EQ(call("GET", "/shut/shown").status, 200);
  EXPECT_EQ(code(call("GET", "/read/secret")), "AccessDenied");
  EXPECT_EQ(code(call("PUT", "/read/b")), "AccessDenied");
  EXPECT_EQ(code(call("GET", "/shut/a")), "AccessDenied");
  EXPECT_EQ(code(call("GET", "/open?acl")), "AccessDenied");
  EXPECT_EQ(code(call("GET", "/")), "AccessDenied");
  EXPECT_EQ(code(call("DELETE", "/open")), "AccessDenied");
  EXPECT_EQ(code(call("GET", "/read/a?response-content-type=text%2Fhtml")), "InvalidRequest");
}

TEST_F(OssDialectTest, ARoleDoesWhatItsPoliciesAllow) {
  call("PUT", "/bkt");
  call("PUT", "/bkt/a/b", {.body = "x"});
  as_role();
  EXPECT_EQ(code(call("GET", "/bkt/a/b")), "AccessDenied");
  access.allowed = {{"oss:GetObject", "acs:oss:*:1234567890:bkt/a/b"}, {"oss:ListObjects", "acs:oss:*:1234567890:bkt"}};
  EXPECT_EQ(get("/bkt/a/b"), "x");
  EXPECT_EQ(call("GET", "/bkt").status, 200);
  EXPECT_EQ(code(call("PUT", "/bkt/c", {.body = "x", .headers = {{"x-oss-copy-source", "/bkt/a/b"}}})), "AccessDenied");
  access.allowed.insert({"oss:PutObject", "acs:oss:*:1234567890:bkt/c"});
  EXPECT_EQ(call("PUT", "/bkt/c", {.headers = {{"x-oss-copy-source", "/bkt/a/b"}}}).status, 200);
  EXPECT_EQ(code(call("PUT", "/bkt/c", {.headers = {{"x-oss-copy-source", "/bkt/secret"}}})), "AccessDenied");
}

TEST_F(OssDialectTest, ALinkOpensNothingThatItsTargetDoesNot) {
  call("PUT", "/bkt");
  call("PUT", "/bkt/secret", {.body = "s"});
  call("PUT", "/bkt/open/link?symlink", {.headers = {{"x-oss-symlink-target", "secret"}}});
  as_role();
  access.allowed = {{"oss:GetObject", "acs:oss:*:1234567890:bkt/open/link"}, {"oss:PutObject", "acs:oss:*:1234567890:bkt/open/copy"}};
  EXPECT_EQ(code(call("GET", "/bkt/open/link")), "AccessDenied");
  EXPECT_EQ(call("HEAD", "/bkt/open/link").status, 403);
  EXPECT_EQ(code(call("GET", "/bkt/open/link?objectMeta")), "AccessDenied");
  EXPECT_EQ(code(call("PUT", "/bkt/open/copy", {.headers = {{"x-oss-copy-source", "/bkt/open/link"}}})), "AccessDenied");
  EXPECT_EQ(call("GET", "/bkt/open/link?symlink").status, 200) << "the link itself is readable";
  access.allowed.insert({"oss:GetObject", "acs:oss:*:1234567890:bkt/secret"});
  EXPECT_EQ(get("/bkt/open/link"), "s");
  EXPECT_EQ(call("PUT", "/bkt/open/copy", {.headers = {{"x-oss-copy-source", "/bkt/open/link"}}}).status, 200);
  as_root();
  call("PUT", "/bkt?acl", {.headers = {{"x-oss-acl", "public-read"}}});
  call("PUT", "/bkt/secret?acl", {.headers = {{"x-oss-object-acl", "private"}}});
  as_anonymous();
  EXPECT_EQ(code(call("GET", "/bkt/open/link")), "AccessDenied");
}

TEST_F(OssDialectTest, ABucketsPolicyOpensAndShuts) {
  call("PUT", "/bkt");
  call("PUT", "/bkt/a/b", {.body = "x"});
  call("PUT", "/bkt?policy", {.body = R"({"Version":"1","Statement":[
    {"Effect":"Allow","Principal":["*"],"Action":["oss:GetObject"],"Resource":["acs:oss:*:*:bkt/a/*"],"Condition":{"IpAddress":{"acs:SourceIp":["127.0.0.0/8"]}}},
    {"Effect":"Allow","Principal":["1234567890"],"Action":["oss:ListObjects"],"Resource":["acs:oss:*:*:bkt"],"Condition":{"StringLike":{"oss:Prefix":["a/*"]}}},
    {"Effect":"Deny","Principal":["arn:sts::1234567890:assumed-role/reader/*"],"Action":["oss:PutObject"],"Resource":["acs:oss:*:*:bkt/*"]}]})"});
  as_anonymous();
  EXPECT_EQ(get("/bkt/a/b"), "x");
  EXPECT_EQ(code(call("PUT", "/bkt/a/c", {.body = "y"})), "AccessDenied");
  EXPECT_EQ(code(call("GET", "/bkt?prefix=a/")), "AccessDenied") << "only the account was named";
  as_role();
  EXPECT_EQ(call("GET", "/bkt?prefix=a/x").status, 200);
  EXPECT_EQ(code(call("GET", "/bkt")), "AccessDenied");
  access.allowed = {{"oss:PutObject", "acs:oss:*:1234567890:bkt/a/c"}};
  EXPECT_EQ(code(call("PUT", "/bkt/a/c", {.body = "y"})), "AccessDenied") << "Deny is final";
  as_root();
  EXPECT_EQ(call("PUT", "/bkt/a/c", {.body = "y"}).status, 200);
  EXPECT_EQ(code(call("PUT", "/bkt?policy", {.body = R"({"Version":"1","Statement":[{"Effect":"Deny","Action":7,"Resource":["*"]}]})"})), "InvalidPolicyDocument");
}

TEST_F(OssDialectTest, TheSignatureDecidesBetweenTwoReadingsOfAnAddress) {
  call("PUT", "/bkt");
  call("PUT", "/bkt/bkt/key", {.body = "deep"});
  verify = [this](const std::string&, const std::string& key) -> auth::Result<auth::Identity> {
    if (key != "bkt/key") return fail(auth::AuthError::bad_signature, "no");
    return identity;
  };
  EXPECT_EQ(get("/bkt/key", {.host = "bkt.oss-cn-hangzhou.aliyuncs.com"}), "deep");
  verify = [](const std::string&, const std::string&) -> auth::Result<auth::Identity> { return fail(auth::AuthError::skewed, "late"); };
  EXPECT_EQ(code(call("GET", "/bkt/key")), "RequestTimeTooSkewed");
  auto none = call("GET", "/bkt/key?x-oss-credential=AK%2F20261120%2FNone%2Foss%2Faliyun_v4_request");
  EXPECT_NE(none.body.find("The signing region in credential is invalid."), std::string::npos);
}

TEST_F(OssDialectTest, TextIsCompressedForThoseWhoAcceptIt) {
  call("PUT", "/bkt");
  std::string plain(100'000, 'a');
  call("PUT", "/bkt/t", {.body = plain, .headers = {{"Content-Type", "text/plain"}}});
  auto got = call("GET", "/bkt/t", {.headers = {{"Accept-Encoding", "gzip, deflate"}}});
  EXPECT_EQ(got.headers.get("Content-Encoding"), "gzip");
  EXPECT_FALSE(got.headers.has("ETag"));
  EXPECT_FALSE(got.stream->declared_size());
  std::string packed = text(std::move(got));
  EXPECT_LT(packed.size(), 2'000u);
  std::string unpacked(plain.size(), 0);
  z_stream state{};
  ASSERT_EQ(inflateInit2(&state, 31), Z_OK);
  state.next_in = reinterpret_cast<Bytef*>(packed.data());
  state.avail_in = static_cast<uInt>(packed.size());
  state.next_out = reinterpret_cast<Bytef*>(unpacked.data());
  state.avail_out = static_cast<uInt>(unpacked.size());
  EXPECT_EQ(inflate(&state, Z_FINISH), Z_STREAM_END);
  inflateEnd(&state);
  EXPECT_EQ(unpacked, plain);
  EXPECT_FALSE(call("GET", "/bkt/t").headers.has("Content-Encoding"));
}

TEST_F(OssDialectTest, ListsSpeakBothVersionsAndEncodeOnlyWhenAsked) {
  call("PUT", "/bkt");
  for (const char* key : {"a%2F1", "a%2F2", "b%20%26"}) call("PUT", std::string("/bkt/") + key);
  std::string plain = get("/bkt?delimiter=%2F");
  EXPECT_NE(plain.find("<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>"), std::string::npos) << plain;
  EXPECT_NE(plain.find("<Key>b &amp;</Key>"), std::string::npos) << plain;
  EXPECT_NE(plain.find("<Owner><ID>1234567890</ID>"), std::string::npos) << plain;
  EXPECT_NE(get("/bkt?encoding-type=url").find("<Key>b%20%26</Key>"), std::string::npos);
  EXPECT_NE(get("/bkt?prefix=b+").find("<Key>b &amp;</Key>"), std::string::npos);
  std::string first = get("/bkt?list-type=2&max-keys=2");
  EXPECT_NE(first.find("<KeyCount>2</KeyCount>"), std::string::npos) << first;
  EXPECT_EQ(first.find("<Owner>"), std::string::npos);
  auto document = parse_xml(first, "ListBucketResult");
  std::string token = document->document_element().child("NextContinuationToken").text().get();
  std::string rest = get("/bkt?list-type=2&continuation-token=" + percent_encode(token));
  EXPECT_NE(rest.find("<KeyCount>1</KeyCount>"), std::string::npos) << rest;
  EXPECT_NE(rest.find("<IsTruncated>false</IsTruncated>"), std::string::npos);
  EXPECT_EQ(code(call("GET", "/bkt?max-keys=1001")), "InvalidArgument");
}

TEST_F(OssDialectTest, MultipartRoundTrip) {
  call("PUT", "/bkt");
  auto begun = parse_xml(call("POST", "/bkt/big?uploads").body, "InitiateMultipartUploadResult");
  std::string id = begun->document_element().child("UploadId").text().get();
  std::string list = "<CompleteMultipartUpload>";
  for (int number : {1, 2}) {
    std::string part(number == 1 ? 102'400 : 5, 'x');
    auto put = call("PUT", fmt::format("/bkt/big?partNumber={}&uploadId={}", number, id), {.body = part});
    list += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", number, xml_escape(put.headers.get("ETag")));
  }
  std::string parts = get("/bkt/big?uploadId=" + id);
  EXPECT_NE(parts.find("<NextPartNumberMarker>2</NextPartNumberMarker>"), std::string::npos) << parts;
  EXPECT_NE(get("/bkt?uploads").find(id), std::string::npos);
  EXPECT_EQ(code(call("POST", "/bkt/big?uploadId=" + id, {.body = "<CompleteMultipartUpload/>"})), "MalformedXML");
  auto complete = call("POST", "/bkt/big?uploadId=" + id, {.body = list + "</CompleteMultipartUpload>"});
  EXPECT_EQ(complete.status, 200) << complete.body;
  EXPECT_EQ(complete.headers.get("x-oss-hash-crc64ecma"), std::to_string(crc64(std::string(102'405, 'x'))));
  EXPECT_EQ(get("/bkt/big"), std::string(102'405, 'x'));
  EXPECT_EQ(call("HEAD", "/bkt/big").headers.get("x-oss-object-type"), "Multipart");
  EXPECT_EQ(code(call("DELETE", "/bkt/big?uploadId=" + id)), "NoSuchUpload");
  EXPECT_EQ(code(call("PUT", "/bkt/big?partNumber=10001&uploadId=x", {.body = "x"})), "InvalidArgument");
}

TEST_F(OssDialectTest, AppendSaysWhereToGoOn) {
  call("PUT", "/bkt");
  auto first = call("POST", "/bkt/log?append&position=0", {.body = "12345"});
  EXPECT_EQ(first.headers.get("x-oss-next-append-position"), "5");
  auto wrong = call("POST", "/bkt/log?append&position=0", {.body = "x"});
  EXPECT_EQ(code(wrong), "PositionNotEqualToLength");
  EXPECT_EQ(wrong.headers.get("x-oss-next-append-position"), "5");
  auto second = call("POST", "/bkt/log?append&position=5", {.body = "6789"});
  EXPECT_EQ(second.headers.get("x-oss-hash-crc64ecma"), "11051210869376104954");
  call("PUT", "/bkt/log", {.body = "x"});
  EXPECT_EQ(code(call("POST", "/bkt/log?append&position=1", {.body = "x"})), "ObjectNotAppendable");
}

TEST_F(OssDialectTest, BatchDeletionAnswersEveryKeyUnlessQuiet) {
  call("PUT", "/bkt");
  call("PUT", "/bkt/a%3C");
  std::string body = "<?xml version=\"1.0\"?><Delete><Quiet>false</Quiet><Object><Key>a&lt;</Key></Object><Object><Key>missing</Key></Object></Delete>";
  std::string digest = base64_encode(md5(body));
  std::string result = call("POST", "/bkt?delete&encoding-type=url", {.body = body, .headers = {{"Content-MD5", digest}}}).body;
  EXPECT_NE(result.find("<Deleted><Key>a%3C</Key></Deleted><Deleted><Key>missing</Key></Deleted>"), std::string::npos) << result;
  EXPECT_EQ(code(call("GET", "/bkt/a%3C")), "NoSuchKey");
  EXPECT_EQ(call("POST", "/bkt?delete", {.body = "<Delete><Quiet>true</Quiet><Object><Key>x</Key></Object></Delete>"}).body, "");
  EXPECT_EQ(code(call("POST", "/bkt?delete", {.body = "<Delete></Delete>"})), "MalformedXML");
}

TEST_F(OssDialectTest, AnUploadThatAsksForACallbackIsKeptAndToldThatNoneWasMade) {
  call("PUT", "/bkt");
  auto header = call("PUT", "/bkt/a", {.body = "kept", .headers = {{"x-oss-callback", "e30="}}});
  EXPECT_EQ(header.status, 203);
  EXPECT_EQ(code(header), "CallbackFailed");
  EXPECT_EQ(call("PUT", "/bkt/b?callback=e30%3D", {.body = "kept"}).status, 203);
  EXPECT_EQ(get("/bkt/a"), "kept");
  EXPECT_EQ(get("/bkt/b"), "kept");
}

TEST_F(OssDialectTest, ASubresourceThatIsNotSpokenNeverMeansTheBucketItself) {
  for (const char* name : {"metaQuery", "accessPoint", "resourceGroup", "publicAccessBlock"}) {
    EXPECT_EQ(code(call("PUT", std::string("/bkt?") + name)), "NotImplemented");
    EXPECT_EQ(code(call("GET", "/bkt?bucketInfo")), "NoSuchBucket");
  }
  call("PUT", "/bkt");
  EXPECT_EQ(code(call("DELETE", "/bkt?metaQuery")), "NotImplemented");
  EXPECT_EQ(call("GET", "/bkt?bucketInfo").status, 200);
}

TEST_F(OssDialectTest, ConfigurationsRoundTripAndAreMissedByTheirOwnNames) {
  call("PUT", "/bkt");
  const std::pair<const char*, const char*> kMissing[] = {{"cors", "NoSuchCORSConfiguration"},   {"lifecycle", "NoSuchLifecycle"},
                                                          {"website", "NoSuchWebsiteConfiguration"}, {"encryption", "NoSuchServerSideEncryptionRule"},
                                                          {"policy", "NoSuchBucketPolicy"}};
  for (const auto& [name, missing] : kMissing) EXPECT_EQ(code(call("GET", std::string("/bkt?") + name)), missing);
  std::string rule = "<LifecycleConfiguration><Rule><ID>r</ID><Prefix>a</Prefix><Status>Enabled</Status><Expiration><Days>3</Days></Expiration>";
  EXPECT_EQ(call("PUT", "/bkt?lifecycle=", {.body = rule + "</Rule></LifecycleConfiguration>"}).status, 200);
  EXPECT_NE(get("/bkt?lifecycle").find("<Days>3</Days>"), std::string::npos);
  rule += "<Transition><Days>4</Days><StorageClass>IA</StorageClass></Transition></Rule></LifecycleConfiguration>";
  EXPECT_EQ(code(call("PUT", "/bkt?lifecycle", {.body = rule})), "InvalidArgument");
  auto age = call("PUT", "/bkt?cors", {.body = "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>"
                                               "<MaxAgeSeconds>-1</MaxAgeSeconds></CORSRule></CORSConfiguration>"});
  EXPECT_NE(age.body.find("<ArgumentName>MaxAgeSeconds</ArgumentName><ArgumentValue>-1</ArgumentValue>"), std::string::npos) << age.body;
  EXPECT_EQ(code(call("PUT", "/bkt?encryption", {.body = "<ServerSideEncryptionRule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>rot13</SSEAlgorithm>"
                                                         "</ApplyServerSideEncryptionByDefault></ServerSideEncryptionRule>"})),
            "InvalidEncryptionAlgorithmError");
  EXPECT_EQ(call("DELETE", "/bkt?lifecycle").status, 204);
  EXPECT_EQ(call("DELETE", "/bkt?lifecycle").status, 204);
  EXPECT_EQ(code(call("GET", "/bkt?lifecycle")), "NoSuchLifecycle");
  std::string policy = R"({"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:PutObject"],"Resource":["acs:oss:*:*:*/*"]}]})";
  EXPECT_EQ(call("PUT", "/bkt?policy", {.body = policy}).status, 200);
  EXPECT_EQ(get("/bkt?policy"), policy);
  EXPECT_EQ(code(call("PUT", "/bkt?policy", {.body = "{}"})), "InvalidPolicyDocument");
  call("PUT", "/bkt?tagging", {.body = "<Tagging><TagSet><Tag><Key>%@a</Key><Value>1</Value></Tag><Tag><Key>b</Key><Value>2</Value></Tag></TagSet></Tagging>"});
  call("DELETE", "/bkt?tagging=%25%40a");
  EXPECT_EQ(get("/bkt?tagging").find("%@a"), std::string::npos);
  EXPECT_NE(get("/bkt?tagging").find("<Key>b</Key>"), std::string::npos);
  EXPECT_NE(get("/?tag-key=b").find("<Name>bkt</Name>"), std::string::npos);
  EXPECT_EQ(get("/?tag-key=c").find("<Name>bkt</Name>"), std::string::npos);
}

TEST_F(OssDialectTest, CorsRulesAnswerBrowsers) {
  call("PUT", "/bkt");
  call("PUT", "/bkt?cors", {.body = "<CORSConfiguration><CORSRule><AllowedOrigin>https://*.example.com</AllowedOrigin><AllowedMethod>PUT</AllowedMethod>"
                                    "<AllowedHeader>x-oss-*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>60</MaxAgeSeconds></CORSRule>"
                                    "</CORSConfiguration>"});
  Sent asked{.headers = {{"Origin", "https://a.example.com"}, {"Access-Control-Request-Method", "PUT"}, {"Access-Control-Request-Headers", "X-Oss-Date"}}};
  auto allowed = call("OPTIONS", "/bkt/key", asked);
  EXPECT_EQ(allowed.status, 200);
  EXPECT_EQ(allowed.headers.get("Access-Control-Allow-Origin"), "https://a.example.com");
  EXPECT_EQ(allowed.headers.get("Access-Control-Max-Age"), "60");
  asked.headers[0].second = "https://evil.com";
  EXPECT_EQ(call("OPTIONS", "/bkt/key", asked).status, 403);
  auto put = call("PUT", "/bkt/key", {.body = "x", .headers = {{"Origin", "https://b.example.com"}}});
  EXPECT_EQ(put.headers.get("Access-Control-Expose-Headers"), "ETag");
  EXPECT_FALSE(call("GET", "/bkt/key", {.headers = {{"Origin", "https://b.example.com"}}}).headers.has("Access-Control-Allow-Origin"));
}

TEST_F(OssDialectTest, FormsUploadUnderTheirPolicy) {
  call("PUT", "/bkt");
  auto form = [](std::string policy, std::string bytes, std::string who = "me") {
    std::string body;
    std::pair<std::string, std::string> fields[] = {{"key", "up/${filename}"}, {"Policy", base64_encode(policy)}, {"success_action_status", "201"},
                                                    {"x-oss-meta-who", who}};
    for (const auto& [name, value] : fields) body += "--B\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n";
    body += "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\\\x\\\\f.txt\"\r\nContent-Type: text/plain\r\n\r\n" + bytes + "\r\n--B--\r\n";
    return Sent{.body = body, .headers = {{"Content-Type", "multipart/form-data; boundary=B"}}};
  };
  auto posted = call("POST", "/bkt", form(R"({"conditions":[["content-length-range",1,10],["starts-with","$key","up/"],{"bucket":"bkt"}]})", "he\r\n--llo"));
  EXPECT_EQ(posted.status, 201) << posted.body;
  EXPECT_NE(posted.body.find("<Key>up/f.txt</Key>"), std::string::npos) << posted.body;
  auto got = call("GET", "/bkt/up/f.txt");
  EXPECT_EQ(got.headers.get("Content-Type"), "text/plain");
  EXPECT_EQ(got.headers.get("x-oss-meta-who"), "me");
  EXPECT_EQ(text(std::move(got)), "he\r\n--llo");
  EXPECT_EQ(code(call("POST", "/bkt", form(R"({"conditions":[["content-length-range",1,3]]})", "hello"))), "EntityTooLarge");
  EXPECT_EQ(code(call("POST", "/bkt", form(R"({"conditions":[["content-length-range",9,99]]})", "hello"))), "EntityTooSmall");
  EXPECT_EQ(code(call("POST", "/bkt", form(R"({"conditions":[["eq","$key","other"]]})", "hello"))), "AccessDenied");
  EXPECT_EQ(code(call("POST", "/bkt", {.body = "--B\r\nnonsense", .headers = {{"Content-Type", "multipart/form-data; boundary=B"}}})), "MalformedPOSTRequest");
  EXPECT_EQ(code(call("POST", "/bkt", form(R"({"conditions":[]})", "hello", "me\r\nSet-Cookie: a=b"))), "InvalidArgument");
  as_anonymous();
  EXPECT_EQ(code(call("POST", "/bkt", form(R"({"conditions":[]})", "hello"))), "AccessDenied");
}

TEST_F(OssDialectTest, ArchivedObjectsAreRestoredBeforeTheyAreRead) {
  call("PUT", "/cold", {.body = "<CreateBucketConfiguration><StorageClass>Archive</StorageClass></CreateBucketConfiguration>"});
  call("PUT", "/cold/a", {.body = "x"});
  EXPECT_EQ(code(call("GET", "/cold/a")), "InvalidObjectState");
  EXPECT_EQ(call("POST", "/cold/a?restore").status, 202);
  EXPECT_EQ(code(call("POST", "/cold/a?restore")), "RestoreAlreadyInProgress");
  EXPECT_NE(get("/cold").find("ongoing-request=&quot;true&quot;"), std::string::npos);
  loop.run_for(61 * kMicrosPerSecond);
  EXPECT_EQ(get("/cold/a"), "x");
  EXPECT_EQ(call("POST", "/cold/a?restore").status, 200);
  call("PUT", "/warm");
  call("PUT", "/warm/a");
  EXPECT_EQ(code(call("POST", "/warm/a?restore")), "OperationNotSupported");
}

TEST_F(OssDialectTest, SymlinksTagsAndAclsOfObjects) {
  call("PUT", "/bkt");
  call("PUT", "/bkt/target", {.body = "hello", .headers = {{"x-oss-tagging", "a=1&b=%E4%B8%AD"}}});
  EXPECT_EQ(call("PUT", "/bkt/link?symlink", {.headers = {{"x-oss-symlink-target", "target"}}}).status, 200);
  EXPECT_EQ(call("GET", "/bkt/link?symlink").headers.get("x-oss-symlink-target"), "target");
  EXPECT_EQ(call("HEAD", "/bkt/link").headers.get("ETag"), "\"5D41402ABC4B2A76B9719D911017C592\"");
  EXPECT_EQ(code(call("GET", "/bkt/target?symlink")), "NotSymlink");
  EXPECT_EQ(call("GET", "/bkt/target").headers.get("x-oss-tagging-count"), "2");
  EXPECT_NE(get("/bkt/target?tagging").find("<Value>\xe4\xb8\xad</Value>"), std::string::npos);
  EXPECT_EQ(call("DELETE", "/bkt/target?tagging").status, 204);
  EXPECT_NE(get("/bkt/target?acl").find("<Grant>default</Grant>"), std::string::npos);
  call("PUT", "/bkt/target?acl", {.headers = {{"x-oss-object-acl", "public-read"}}});
  EXPECT_NE(get("/bkt/target?acl").find("<Grant>public-read</Grant>"), std::string::npos);
}

TEST_F(OssDialectTest, BucketsDescribeThemselves) {
  call("PUT", "/bkt", {.headers = {{"x-oss-server-side-encryption", "KMS"}, {"x-oss-server-side-encryption-key-id", "k1"}}});
  std::string info = get("/bkt?bucketInfo");
  for (const char* part : {"<ExtranetEndpoint>127.0.0.1:8080</ExtranetEndpoint>", "<SSEAlgorithm>KMS</SSEAlgorithm>", "<KMSMasterKeyID>k1</KMSMasterKeyID>",
                           "<Location>oss-cn-hangzhou</Location>", "<Grant>private</Grant>"}) {
    EXPECT_NE(info.find(part), std::string::npos) << info;
  }
  EXPECT_NE(get("/bkt?location").find(">oss-cn-hangzhou</LocationConstraint>"), std::string::npos);
  call("PUT", "/bkt/a", {.body = "content"});
  EXPECT_NE(get("/bkt?stat").find("<Storage>7</Storage><ObjectCount>1</ObjectCount>"), std::string::npos);
  EXPECT_EQ(call("PUT", "/bkt", {.headers = {{"x-oss-acl", "public-read"}}}).status, 200);
  EXPECT_NE(get("/bkt?acl").find("<Grant>public-read</Grant>"), std::string::npos);
  EXPECT_NE(get("/bkt?live").find("<IsTruncated>false</IsTruncated>"), std::string::npos);
}

TEST(OssXml, RefusesWhatIsDeepLargeOrOfAnotherName) {
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "<a>";
  for (int i = 0; i < 100; ++i) deep += "</a>";
  EXPECT_FALSE(parse_xml(deep, ""));
  EXPECT_FALSE(parse_xml("<b/>", "a"));
  EXPECT_FALSE(parse_xml("", ""));
  EXPECT_TRUE(parse_xml("<a><b/></a>", "a"));
  EXPECT_EQ(xml_escape("a<b>&\"\x01"), "a&lt;b&gt;&amp;&quot;&#x1;");
}

TEST(OssCors, WildcardsMatchAtMostOnce) {
  EXPECT_TRUE(matches_wildcard("*", ""));
  EXPECT_TRUE(matches_wildcard("https://*.x.com", "https://a.x.com"));
  EXPECT_FALSE(matches_wildcard("aa*aa", "aaa"));
  EXPECT_FALSE(matches_wildcard("a", "ab"));
}

}  // namespace
}  // namespace mayfly::dialects::aliyun
