#include "dialects/aliyun/fc_fixture.h"

namespace mayfly::dialects::aliyun {
namespace {

class FcLayers : public FcFixture {
 protected:
  http::Response publish(const std::string& name, const std::string& content, const std::string& extra = "") {
    return send("POST", "layers/" + name + "/versions", R"({"code":)" + zip_code(content) + extra + "}");
  }
  std::string arn(const std::string& name, int version) {
    return "acs:fc:local:" + keyring_.account() + ":layers/" + name + "/versions/" + std::to_string(version);
  }
  http::Response update(const std::string& layers) { return send("PUT", "services/s/functions/f", R"({"layers":)" + layers + "}"); }
};

TEST_F(FcLayers, AVersionIsPublishedReadAndDeleted) {
  EXPECT_EQ(code_of(send("GET", "layers/l/versions/1")), "LayerNotFound");
  http::Response made = publish("l", "zip 1", R"(,"description":"公共层","compatibleRuntime":["python3","python3.9"],"license":"MIT")");
  ASSERT_EQ(made.status, 200) << made.body;
  EXPECT_FALSE(made.headers.get("etag").empty());
  json::value layer = parsed(made);
  EXPECT_EQ(string_or(layer, "layerName"), "l");
  EXPECT_EQ(int_or(layer, "version"), 1);
  EXPECT_EQ(string_or(layer, "description"), "公共层");
  EXPECT_EQ(to_text(*find(layer, "compatibleRuntime")), R"(["python3","python3.9"])");
  EXPECT_EQ(int_or(layer, "codeSize"), 5);
  EXPECT_EQ(string_or(layer, "codeChecksum"), std::to_string(crc64("zip 1")));
  EXPECT_EQ(int_or(layer, "acl", -1), 0);
  EXPECT_EQ(string_or(layer, "arn"), arn("l", 1));
  EXPECT_NE(string_or(*find(layer, "code"), "location").find("/code-packages/"), std::string::npos);
  EXPECT_EQ(send("GET", "layers/l/versions/1").body, made.body);
  EXPECT_EQ(send("GET", "layerarn/" + percent_encode(arn("l", 1))).body, made.body);
  EXPECT_EQ(send("GET", "layerarn/" + percent_encode("d5fc#l#1")).body, made.body);
  EXPECT_EQ(int_or(parsed(publish("l", "zip 2")), "version"), 2);
  EXPECT_EQ(code_of(send("GET", "layers/l/versions/3")), "LayerVersionNotFound");
  EXPECT_EQ(code_of(send("GET", "layers/l/versions/x")), "InvalidArgument");
  EXPECT_EQ(code_of(send("DELETE", "layers/l/versions/1", "", {{"If-Match", "other"}})), "PreconditionFailed");
  EXPECT_EQ(send("DELETE", "layers/l/versions/1", "", {{"If-Match", made.headers.get("etag")}}).status, 204);
  EXPECT_EQ(code_of(send("DELETE", "layers/l/versions/1")), "LayerVersionNotFound");
  EXPECT_EQ(send("DELETE", "layers/l/versions/2").status, 204);
  EXPECT_EQ(code_of(send("DELETE", "layers/l/versions/2")), "LayerNotFound");
}

TEST_F(FcLayers, ListsPageByNameAndByVersion) {
  for (int i = 1; i <= 5; ++i) publish("many", "zip " + std::to_string(i));
  publish("more", "zip");
  json::value first = parsed(send("GET", "layers?prefix=m&limit=1"));
  EXPECT_EQ(int_or(find(first, "layers")->get_array()[0], "version"), 5);
  EXPECT_EQ(string_or(first, "nextToken"), "more");
  EXPECT_EQ(string_or(parsed(send("GET", "layers?prefix=m&limit=1&nextToken=more")), "nextToken", "none"), "");
  std::string start;
  std::vector<int64_t> seen;
  do {
    json::value page = parsed(send("GET", "layers/many/versions?limit=2" + (start.empty() ? "" : "&startVersion=" + start)));
    for (const auto& each : find(page, "layers")->get_array()) seen.push_back(int_or(each, "version"));
    start = find(page, "nextVersion") ? std::to_string(int_or(page, "nextVersion")) : "";
  } while (!start.empty());
  EXPECT_EQ(seen, (std::vector<int64_t>{5, 4, 3, 2, 1}));
  EXPECT_EQ(code_of(send("GET", "layers/none/versions")), "LayerNotFound");
  EXPECT_EQ(code_of(send("GET", "layers/many/versions?startVersion=x")), "InvalidArgument");
}

TEST_F(FcLayers, SharingIsKept) {
  publish("l", "zip");
  EXPECT_EQ(send("PUT", "layers/l/acl?public=true").status, 204);
  EXPECT_EQ(int_or(parsed(send("GET", "layers/l/versions/1")), "acl"), 1);
  EXPECT_EQ(find(parsed(send("GET", "layers?public=true")), "layers")->get_array().size(), 1u);
  EXPECT_EQ(find(parsed(send("GET", "layers?official=true")), "layers")->get_array().size(), 0u);
  EXPECT_EQ(send("PUT", "layers/l/acl", R"({"acl":"0"})").status, 204);
  EXPECT_EQ(find(parsed(send("GET", "layers?public=true")), "layers")->get_array().size(), 0u);
  EXPECT_EQ(code_of(send("PUT", "layers/l/acl?public=perhaps")), "InvalidArgument");
  EXPECT_EQ(code_of(send("PUT", "layers/none/acl?public=true")), "LayerNotFound");
}

TEST_F(FcLayers, FunctionsNameLayersAndTheFirstCoversTheOthers) {
  make_function();
  publish("a", "zip a");
  publish("b", "zip b");
  std::string sent = R"(["acs:fc:cn-hangzhou:123:layers/a/versions/1","x#b#1"])";
  http::Response updated = update(sent);
  ASSERT_EQ(updated.status, 200) << updated.body;
  EXPECT_EQ(to_text(*find(parsed(updated), "layers")), sent);
  auto layers = catalogue_->function("s", "", "f")->layers;
  ASSERT_EQ(layers.size(), 2u);
  EXPECT_EQ(layers[0].name, "b") << "laid first, so covered by the other";
  EXPECT_EQ(layers[1].name, "a");
  EXPECT_EQ((*catalogue_->resolve("s", "", "f", 0))->layers_path, code_.layers_path(layers));
  EXPECT_EQ(send("PUT", "services/s/functions/f", R"({"timeout":5})").status, 200);
  EXPECT_EQ(catalogue_->function("s", "", "f")->layers, layers) << "what was not sent stays";
  EXPECT_EQ(to_text(*find(parsed(update("[]")), "layers")), "[]");
  EXPECT_TRUE(catalogue_->function("s", "", "f")->layers.empty());
}

TEST_F(FcLayers, AnUnknownLayerIsNamed) {
  make_function();
  publish("a", "zip");
  http::Response missing = update(R"(["acs:fc:r:1:layers/none/versions/1"])");
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(code_of(missing), "LayerNotFound");
  EXPECT_NE(missing.body.find("'none'"), std::string::npos);
  EXPECT_EQ(code_of(update(R"(["acs:fc:r:1:layers/a/versions/9"])")), "LayerVersionNotFound");
  for (const char* bad : {R"(["a"])", R"([1])", R"("a")", R"(["acs:fc:r:1:layers/a/versions/0"])", R"(["acs:fc:r:1:layers/a"])", R"(["#a#"])"})
    EXPECT_EQ(code_of(update(bad)), "InvalidArgument") << bad;
}

TEST_F(FcLayers, ADeletedVersionStaysWithTheFunctionsThatHaveIt) {
  make_function();
  publish("a", "zip");
  std::string list = R"([")" + arn("a", 1) + R"("])";
  ASSERT_EQ(update(list).status, 200);
  ASSERT_EQ(send("DELETE", "layers/a/versions/1").status, 204);
  EXPECT_EQ(update(list).status, 200) << "it has it already";
  std::set<std::string> names = catalogue_->package_names();
  names.merge(layers_.package_names());
  loop_.wait(code_.keep_only(loop_, names));
  EXPECT_TRUE(code_.package_path(catalogue_->function("s", "", "f")->layers[0].digest));
  ASSERT_EQ(update("[]").status, 200);
  EXPECT_EQ(code_of(update(list)), "LayerNotFound");
}

TEST_F(FcLayers, PackagesComeFromBucketsAndAreCheckedAgainstTheirChecksum) {
  EXPECT_EQ(send("POST", "layers/l/versions", R"({"code":{"ossBucketName":"code","ossObjectName":"f.zip"}})").status, 200);
  EXPECT_EQ(code_of(send("POST", "layers/l/versions", R"({"code":{"ossBucketName":"code","ossObjectName":"none"}})")), "InvalidArgument");
  EXPECT_EQ(code_of(send("POST", "layers/l/versions", R"({"code":{}})")), "InvalidArgument");
  EXPECT_EQ(code_of(send("POST", "layers/l/versions", R"({"description":"d"})")), "InvalidArgument");
  EXPECT_EQ(code_of(send("POST", "layers/l/versions", R"({"compatibleRuntime":[1],"code":)" + zip_code("zip") + "}")), "InvalidArgument");
  EXPECT_EQ(code_of(send("POST", "layers/l/versions", R"({"code":{"zipFile":"emlw","checksum":"1"}})")), "InvalidArgument");
  EXPECT_EQ(send("POST", "layers/l/versions", R"({"code":{"zipFile":"emlw","checksum":")" + std::to_string(crc64("zip")) + R"("}})").status, 200);
  EXPECT_TRUE(objects_.consumed.size() == 1 && objects_.consumed[0] == "code/f.zip");
}

TEST_F(FcLayers, ATokenIsForOnePackage) {
  send("POST", "services", R"({"serviceName":"s"})");
  EXPECT_EQ(code_of(send("GET", "services/none/tempCodeBucketToken")), "ServiceNotFound");
  json::value token = parsed(send("GET", "services/s/tempCodeBucketToken?functionName=f"));
  EXPECT_EQ(string_or(token, "ossBucket"), "reserved");
  EXPECT_EQ(string_or(*find(token, "credentials"), "SecurityToken"), "token");
  EXPECT_GT(int_or(token, "codeSizeLimit"), 400 << 20);
  EXPECT_EQ(objects_.asked.at(0), keyring_.account() + "/s/" + string_or(token, "objectName"));
  token = parsed(send("GET", "tempBucketToken"));
  EXPECT_EQ(string_or(token, "ossRegion"), "oss-local");
  EXPECT_EQ(objects_.asked.at(1), keyring_.account() + "/" + string_or(token, "objectName"));
  EXPECT_GT(int_or(parsed(send("GET", "accountConfigs?config=CodeSizeLimit")), "CodeSizeLimit"), int64_t{4} << 30);
}

TEST_F(FcLayers, WhoMayNotIsTurnedAway) {
  identity_ = auth::Identity{.kind = auth::Identity::Kind::role, .role = "r"};
  EXPECT_EQ(code_of(publish("l", "zip")), "AccessDenied");
  EXPECT_EQ(authorizer_.asked.back(), "fc:CreateLayerVersion acs:fc:local:" + keyring_.account() + ":layers/l/versions/*");
  EXPECT_EQ(code_of(send("DELETE", "layers/l/versions/3")), "AccessDenied");
  EXPECT_EQ(authorizer_.asked.back(), "fc:DeleteLayerVersion acs:fc:local:" + keyring_.account() + ":layers/l/versions/3");
}

}  // namespace
}  // namespace mayfly::dialects::aliyun
