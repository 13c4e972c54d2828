#include "server/package_bucket.h"

#include <gtest/gtest.h>

#include "io/sim_loop.h"
#include "objects/memory_blobs.h"
#include "store/memory_engine.h"

namespace mayfly::server {
namespace {

namespace aliyun = dialects::aliyun;

struct PackageBucketTest : testing::Test {
  PackageBucketTest() { loop.wait(roles.load(loop)); }

  bool put(const std::string& bucket, const std::string& key, const std::string& bytes) {
    objects::PutRequest request;
    request.info.bucket = bucket;
    request.info.key = key;
    return loop.wait(objects.put(loop, std::move(request), http::make_body(bytes))).has_value();
  }
  std::vector<std::string> keys(const std::string& bucket) {
    std::vector<std::string> out;
    for (const auto& object : loop.wait(objects.list(loop, {.bucket = bucket})).objects) out.push_back(object.key);
    return out;
  }
  // Whether the holder of these credentials may do this to this object of the bucket.
  bool may(const aliyun::ObjectFetcher::Place& place, const std::string& action, const std::string& key) {
    auto known = keyring.find(place.credentials.access_key_id, place.credentials.security_token, loop.clock());
    EXPECT_TRUE(known);
    return known && roles.allows(known->identity, {action, fmt::format("acs:oss:*:1234:{}/{}", place.bucket, key)});
  }

  io::SimLoop loop;
  SeededRng rng{3};
  std::unique_ptr<store::Engine> engine = store::make_memory_engine();
  std::unique_ptr<store::Store> store = store::make_inline_store(*engine);
  objects::MemoryBlobs blobs;
  objects::Ground ground{*store, blobs, loop.clock(), rng, nullptr};
  objects::Objects objects{ground};
  objects::Buckets buckets{ground};
  auth::Roles roles{*store, loop.clock(), "1234"};
  auth::Keyring keyring = auth::Keyring::make("1234", "AK", "SK", std::string(32, 'm'));
  PackageBucket packages{{objects, buckets, roles, keyring, loop.clock(), rng}};
};

TEST_F(PackageBucketTest, CredentialsPutTheirObjectAndNothingElse) {
  auto place = loop.wait(packages.upload_place(loop, "1234/one"));
  EXPECT_TRUE(packages.is_reserved(place.bucket));
  EXPECT_TRUE(may(place, "oss:PutObject", "1234/one"));
  EXPECT_FALSE(may(place, "oss:PutObject", "1234/two"));
  for (const char* action : {"oss:GetObject", "oss:DeleteObject", "oss:ListObjects", "fc:InvokeFunction"}) EXPECT_FALSE(may(place, action, "1234/one")) << action;
  loop.run_for(aliyun::kUploadSeconds * kMicrosPerSecond + 1);
  EXPECT_FALSE(keyring.find(place.credentials.access_key_id, place.credentials.security_token, loop.clock()));
}

TEST_F(PackageBucketTest, WhatWasTakenGoesAtOnceAndWhatWasForgottenWithTheNextPlace) {
  auto place = loop.wait(packages.upload_place(loop, "1234/one"));
  ASSERT_TRUE(put(place.bucket, "1234/one", "zip") && put(place.bucket, "1234/two", "zip"));
  auto body = loop.wait(packages.fetch(loop, place.bucket, "1234/one", 100));
  ASSERT_TRUE(body);
  EXPECT_EQ(*loop.wait((*body)->read_all(100)), "zip");
  loop.wait(packages.taken(loop, place.bucket, "1234/one"));
  EXPECT_EQ(keys(place.bucket), std::vector<std::string>{"1234/two"});
  loop.wait(packages.upload_place(loop, "1234/three"));
  EXPECT_EQ(keys(place.bucket), std::vector<std::string>{"1234/two"}) << "its token may still be in use";
  loop.run_for(2 * aliyun::kUploadSeconds * kMicrosPerSecond + 1);
  loop.wait(packages.upload_place(loop, "1234/four"));
  EXPECT_TRUE(keys(place.bucket).empty());
}

TEST_F(PackageBucketTest, PackagesOfOtherBucketsStayWhereTheyAre) {
  loop.wait(buckets.create(loop, {.name = "mine"}));
  ASSERT_TRUE(put("mine", "f.zip", "zip"));
  loop.wait(packages.taken(loop, "mine", "f.zip"));
  EXPECT_EQ(keys("mine"), std::vector<std::string>{"f.zip"});
  auto large = loop.wait(packages.fetch(loop, "mine", "f.zip", 2));
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, aliyun::FetchError::too_large);
  EXPECT_EQ(loop.wait(packages.fetch(loop, "mine", "none", 2)).error().code, aliyun::FetchError::not_found);
}

}  // namespace
}  // namespace mayfly::server
