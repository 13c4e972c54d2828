// The configuration documents of a bucket: put, get, delete, each kept in the bucket's row under its sub-resource's name.
#include "dialects/aliyun/oss_config.h"

#include "base/encoding.h"
#include "dialects/aliyun/oss_operations.h"

namespace mayfly::dialects::aliyun {
namespace {

constexpr size_t kMaxConfigBytes = 256 * 1024;  // lifecycle with its 1,000 rules; a bucket's row holds them all

struct ConfigKind {
  std::string_view name;
  ConfigCheck check;           // null: it can be read and not written
  std::string_view action;     // "oss:Put" + action
  std::string_view missing;    // the 404 code while it is not set, or
  std::string_view fallback;   // the document then
};

constexpr ConfigKind kKinds[] = {
    {"cors", check_cors, "BucketCors", "NoSuchCORSConfiguration", {}},
    {"lifecycle", check_lifecycle, "BucketLifecycle", "NoSuchLifecycle", {}},
    {"logging", check_logging, "BucketLogging", {}, "<BucketLoggingStatus></BucketLoggingStatus>"},
    {"referer", check_referer, "BucketReferer", {},
     "<RefererConfiguration><AllowEmptyReferer>true</AllowEmptyReferer><AllowTruncateQueryString>true</AllowTruncateQueryString>"
     "<RefererList></RefererList></RefererConfiguration>"},
    {"website", check_website, "BucketWebsite", "NoSuchWebsiteConfiguration", {}},
    {"encryption", check_encryption, "BucketEncryption", "NoSuchServerSideEncryptionRule", {}},
    {"tagging", check_bucket_tagging, "BucketTagging", {}, "<Tagging><TagSet></TagSet></Tagging>"},
    {"policy", check_policy, "BucketPolicy", "NoSuchBucketPolicy", {}},
    {"requestPayment", check_request_payment, "BucketRequestPayment", {},
     "<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>"},
    {"qos", check_user_qos, "BucketQosInfo", {}, "<BucketUserQos><StorageCapacity>-1</StorageCapacity></BucketUserQos>"},
    {"notification", check_notification, "BucketNotification", {}, "<NotificationConfiguration></NotificationConfiguration>"},
    {"versioning", nullptr, "BucketVersioning", {}, "<VersioningConfiguration></VersioningConfiguration>"},
    {"inventory", nullptr, "BucketInventory", "NoSuchInventory", {}},
    {"replication", nullptr, "BucketReplication", "NoSuchReplicationRule", {}},
    {"worm", nullptr, "BucketWorm", "NoSuchWORMConfiguration", {}},
    {"transferAcceleration", nullptr, "BucketTransferAcceleration", "NoSuchTransferAccelerationConfiguration", {}},
    {"style", nullptr, "Style", "NoSuchStyle", {}},
};

const ConfigKind* kind_of(std::string_view name) {
  auto kind = std::ranges::find(kKinds, name, &ConfigKind::name);
  return kind == std::end(kKinds) ? nullptr : kind;
}

objects::Result<void> forget(objects::Bucket& bucket, const std::string& name) {
  bucket.configuration.erase(name);
  return {};
}

// "?tagging=a,b" on DELETE: the tags of those keys only.
objects::Result<void> forget_tags(objects::Bucket& bucket, const std::string& keys) {
  json::value* stored = bucket.configuration.if_contains("tagging");
  auto tags = stored ? parse_tagging(view(stored->as_string())) : std::nullopt;
  if (!tags) return {};
  std::set<std::string_view> doomed;
  for (std::string_view rest = keys; !rest.empty();) {
    size_t comma = rest.find(',');
    doomed.insert(rest.substr(0, comma));
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  }
  Xml xml("Tagging");
  xml.open("TagSet");
  size_t kept = 0;
  for (const auto& [key, value] : *tags) {
    if (doomed.contains(key)) continue;
    ++kept;
    xml.open("Tag").leaf("Key", key).leaf("Value", value).close();
  }
  if (kept == 0) return forget(bucket, "tagging");
  *stored = std::move(xml).finish();
  return {};
}

}  // namespace

bool is_config(std::string_view name) { return kind_of(name) != nullptr; }

OssTask put_config(OssCall& call, std::string name) {
  const ConfigKind* kind = kind_of(name);
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::owner, fmt::format("oss:Put{}", kind->action)));
  if (kind->check == nullptr) co_return refuse(400, "NotImplemented", fmt::format("The sub-resource {} cannot be set here.", name));
  MAYFLY_CO_TRY(std::string body, co_await read_body(call, kMaxConfigBytes));
  MAYFLY_CO_TRY(std::string document, kind->check(body));
  auto change = [&](objects::Bucket& bucket) -> objects::Result<void> {
    bucket.configuration[name] = document;
    return {};
  };
  MAYFLY_CO_TRY_VOID(co_await call.context.buckets.edit(call.loop, call.bucket, change));
  co_return empty_response(200);
}

OssTask get_config(OssCall& call, std::string name) {
  const ConfigKind* kind = kind_of(name);
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::owner, fmt::format("oss:Get{}", kind->action)));
  MAYFLY_CO_TRY(objects::Bucket bucket, co_await load_bucket(call));
  const json::value* stored = bucket.configuration.if_contains(name);
  if (stored == nullptr && !kind->missing.empty()) {
    co_return refuse(404, std::string(kind->missing), fmt::format("The bucket has no {} configuration.", name));
  }
  std::string document(stored ? view(stored->as_string()) : kind->fallback);
  if (name == "policy") {
    http::Response response;
    response.headers.set("Content-Type", "application/json");
    response.body = std::move(document);
    co_return response;
  }
  if (!document.starts_with("<?xml")) document.insert(0, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
  co_return xml_response(std::move(document));
}

OssTask delete_config(OssCall& call, std::string name) {
  const ConfigKind* kind = kind_of(name);
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::owner, fmt::format("oss:Delete{}", kind->action)));
  std::string keys = name == "tagging" ? call.parameter(name) : std::string();
  auto change = [&](objects::Bucket& bucket) { return keys.empty() ? forget(bucket, name) : forget_tags(bucket, keys); };
  MAYFLY_CO_TRY_VOID(co_await call.context.buckets.edit(call.loop, call.bucket, change));
  co_return empty_response(204);
}

}  // namespace mayfly::dialects::aliyun
