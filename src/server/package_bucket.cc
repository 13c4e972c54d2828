#include "server/package_bucket.h"

namespace mayfly::server {
namespace {

namespace aliyun = dialects::aliyun;

constexpr const char* kRole = "mayfly-package-upload";
constexpr const char* kTrust = R"({"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":["fc.aliyuncs.com"]}}]})";
constexpr size_t kForgottenAtOnce = 100;  // looked at per request for a place: more than can have been put since the last one

std::string may_put(const std::string& bucket, const std::string& key) {
  return fmt::format(R"({{"Version":"1","Statement":[{{"Effect":"Allow","Action":["oss:PutObject","oss:AbortMultipartUpload","oss:ListParts"],"Resource":"acs:oss:*:*:{}/{}"}}]}})", bucket, key);
}

}  // namespace

PackageBucket::PackageBucket(Rooms rooms) : rooms_(rooms), bucket_("mayfly-packages-" + rooms.keyring.account()) {}

io::Task<Expected<std::unique_ptr<http::Body>, aliyun::FetchError>> PackageBucket::fetch(io::Loop& loop, std::string bucket, std::string key, uint64_t limit) {
  auto opened = co_await rooms_.objects.get(loop, {.bucket = bucket, .key = key});
  if (!opened) co_return fail(aliyun::FetchError::not_found, fmt::format("the object {}/{} cannot be read: {}", bucket, key, opened.error().message));
  if (opened->info.size > limit) co_return fail(aliyun::FetchError::too_large, fmt::format("the object {}/{} is larger than {} bytes", bucket, key, limit));
  co_return std::move(opened->body);
}

io::Task<aliyun::ObjectFetcher::Place> PackageBucket::upload_place(io::Loop& loop, std::string key) {
  co_await rooms_.buckets.create(loop, {.name = bucket_});  // bucket_exists is the usual answer
  auto role = rooms_.roles.role(kRole);
  if (!role) co_await rooms_.roles.put_inline(loop, kRole, kTrust, {{"put", may_put(bucket_, "*")}}, {});
  co_await remove_forgotten(loop);
  co_return Place{bucket_, rooms_.keyring.issue(kRole, "package-upload", aliyun::kUploadSeconds, rooms_.clock, rooms_.rng, may_put(bucket_, key))};
}

io::Task<void> PackageBucket::taken(io::Loop& loop, std::string bucket, std::string key) {
  if (is_reserved(bucket)) co_await rooms_.objects.remove(loop, bucket, key, {.request_id = {}, .source_ip = {}, .principal = rooms_.keyring.account()});
}

io::Task<void> PackageBucket::remove_forgotten(io::Loop& loop) {
  auto listing = co_await rooms_.objects.list(loop, {.bucket = bucket_, .prefix = {}, .delimiter = {}, .after = {}, .limit = kForgottenAtOnce});
  int64_t before = rooms_.clock.wall_us() - 2 * aliyun::kUploadSeconds * kMicrosPerSecond;
  for (const objects::ObjectInfo& object : listing.objects)
    if (object.modified_us < before) co_await taken(loop, bucket_, object.key);
}

}  // namespace mayfly::server
