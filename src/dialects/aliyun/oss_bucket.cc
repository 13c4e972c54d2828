// The service's list of buckets, and buckets themselves: making, deleting, describing.
#include "base/encoding.h"
#include "dialects/aliyun/oss_operations.h"

namespace mayfly::dialects::aliyun {
namespace {

// All resources are in the one group every account begins with.
constexpr std::string_view kResourceGroup = "rg-default";

std::string location(const OssCall& call) { return "oss-" + call.context.region; }

void write_owner(Xml& xml, const OssCall& call) {
  xml.open("Owner").leaf("ID", call.context.account).leaf("DisplayName", call.context.account).close();
}

// True if the bucket's tags hold the pair; an empty value matches any.
bool has_tag(const objects::Bucket& bucket, const std::string& key, const std::string& value) {
  const json::value* stored = bucket.configuration.if_contains("tagging");
  if (stored == nullptr) return false;
  auto tags = parse_tagging(view(stored->as_string()));
  return tags && std::ranges::any_of(*tags, [&](const auto& tag) { return tag.first == key && (value.empty() || tag.second == value); });
}

// The ServerSideEncryptionRule of bucketInfo.
std::string encryption_rule(const objects::Bucket& bucket) {
  Xml xml("ServerSideEncryptionRule");
  const json::value* stored = bucket.configuration.if_contains("encryption");
  auto document = stored ? parse_xml(view(stored->as_string()), "ServerSideEncryptionRule") : std::nullopt;
  pugi::xml_node rule = document ? document->document_element().child("ApplyServerSideEncryptionByDefault") : pugi::xml_node();
  xml.leaf("SSEAlgorithm", rule ? rule.child("SSEAlgorithm").text().get() : "None");
  for (const char* name : {"KMSMasterKeyID", "KMSDataEncryption"}) {
    if (pugi::xml_node value = rule.child(name)) xml.leaf(name, value.text().get());
  }
  std::string text = std::move(xml).finish();
  return text.substr(text.find('\n') + 1);  // a fragment, without the declaration
}

// Encryption asked for by headers while a bucket is made becomes its configuration.
OssExpected<void> take_encryption_headers(const OssCall& call, objects::Bucket& bucket) {
  std::string algorithm = call.header("x-oss-server-side-encryption");
  if (algorithm.empty()) return {};
  if (algorithm != "AES256" && algorithm != "KMS" && algorithm != "SM4") {
    return refuse(400, "InvalidEncryptionAlgorithmError", "The Encryption Algorithm you specified is not valid.");
  }
  Xml xml("ServerSideEncryptionRule");
  xml.open("ApplyServerSideEncryptionByDefault").leaf("SSEAlgorithm", algorithm);
  if (std::string key = call.header("x-oss-server-side-encryption-key-id"); !key.empty()) xml.leaf("KMSMasterKeyID", key);
  if (std::string data = call.header("x-oss-server-side-data-encryption"); !data.empty()) xml.leaf("KMSDataEncryption", data);
  bucket.configuration["encryption"] = std::move(xml).finish();
  return {};
}

}  // namespace

OssTask list_buckets(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::owner, "oss:ListBuckets"));
  MAYFLY_CO_TRY(int64_t limit, number_parameter(call, "max-keys", 1, 1000, 100));
  std::string prefix = call.parameter("prefix"), marker = call.parameter("marker");
  std::string tag_key = call.parameter("tag-key"), tag_value = call.parameter("tag-value");
  objects::BucketListing listing = co_await call.context.buckets.list(call.loop, prefix, marker, static_cast<size_t>(limit));
  Xml xml("ListAllMyBucketsResult");
  xml.leaf("Prefix", prefix).leaf("Marker", marker).leaf("MaxKeys", static_cast<uint64_t>(limit)).leaf("IsTruncated", listing.truncated);
  if (listing.truncated) xml.leaf("NextMarker", listing.next);
  write_owner(xml, call);
  xml.open("Buckets");
  for (const objects::Bucket& bucket : listing.buckets) {
    if (!tag_key.empty() && !has_tag(bucket, tag_key, tag_value)) continue;
    xml.open("Bucket").leaf("Name", bucket.name).leaf("Location", location(call)).leaf("Region", call.context.region);
    xml.leaf("CreationDate", iso8601_ms(bucket.created_us / kMicrosPerSecond * kMicrosPerSecond)).leaf("StorageClass", bucket.storage_class);
    xml.leaf("ExtranetEndpoint", call.endpoint()).leaf("IntranetEndpoint", call.endpoint()).leaf("ResourceGroupId", kResourceGroup).close();
  }
  co_return xml_response(std::move(xml).finish());
}

OssTask put_bucket(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::owner, "oss:PutBucket"));
  MAYFLY_CO_TRY(std::string body, co_await read_body(call, kMaxXmlBytes));
  std::optional<BucketCreation> creation = parse_bucket_creation(body);
  if (!creation) co_return malformed_xml();
  if (!is_storage_class(creation->storage_class)) {
    co_return invalid_argument("The storage class is not valid.", "StorageClass", creation->storage_class);
  }
  if (creation->redundancy != "LRS" && creation->redundancy != "ZRS") {
    co_return invalid_argument("The data redundancy type is not valid.", "DataRedundancyType", creation->redundancy);
  }
  std::optional<objects::Acl> acl;
  if (std::string word = call.header("x-oss-acl"); !word.empty()) {
    acl = parse_bucket_acl(word);
    if (!acl) co_return invalid_argument("no such bucket access control exists", "x-oss-acl", word);
  }
  objects::Bucket wanted{.name = call.bucket, .storage_class = creation->storage_class, .redundancy = creation->redundancy, .region = call.context.region};
  if (acl) wanted.acl = *acl;
  MAYFLY_CO_TRY_VOID(take_encryption_headers(call, wanted));
  auto made = co_await call.context.buckets.create(call.loop, wanted);
  if (!made && made.error().code != objects::ObjectsError::bucket_exists) co_return std::unexpected(OssError(made.error()));
  if (!made && acl) {
    // The owner may put a bucket that exists: its ACL changes, the rest stays.
    auto change = [acl](objects::Bucket& bucket) -> objects::Result<void> {
      bucket.acl = *acl;
      return {};
    };
    MAYFLY_CO_TRY_VOID(co_await call.context.buckets.edit(call.loop, call.bucket, change));
  }
  http::Response response;
  response.headers.set("Location", "/" + call.bucket);
  co_return response;
}

OssTask delete_bucket(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::owner, "oss:DeleteBucket"));
  MAYFLY_CO_TRY_VOID(co_await call.context.buckets.remove(call.loop, call.bucket));
  co_return empty_response(204);
}

OssTask get_bucket_info(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::owner, "oss:GetBucketInfo"));
  MAYFLY_CO_TRY(objects::Bucket bucket, co_await load_bucket(call));
  Xml xml("BucketInfo");
  xml.open("Bucket").leaf("Name", bucket.name).leaf("Location", location(call));
  xml.leaf("CreationDate", iso8601_ms(bucket.created_us / kMicrosPerSecond * kMicrosPerSecond)).leaf("StorageClass", bucket.storage_class);
  xml.leaf("DataRedundancyType", bucket.redundancy).leaf("ExtranetEndpoint", call.endpoint()).leaf("IntranetEndpoint", call.endpoint());
  xml.leaf("Comment", "").leaf("ResourceGroupId", kResourceGroup).leaf("AccessMonitor", "Disabled").leaf("BlockPublicAccess", false);
  xml.leaf("TransferAcceleration", "Disabled").leaf("CrossRegionReplication", "Disabled");
  write_owner(xml, call);
  xml.open("AccessControlList").leaf("Grant", acl_word(bucket.acl)).close();
  xml.raw(encryption_rule(bucket));
  co_return xml_response(std::move(xml).finish());
}

OssTask get_bucket_location(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::owner, "oss:GetBucketLocation"));
  MAYFLY_CO_TRY(objects::Bucket bucket, co_await load_bucket(call));
  Xml xml("LocationConstraint");
  xml.raw(xml_escape(location(call)));
  co_return xml_response(std::move(xml).finish());
}

OssTask get_bucket_stat(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::owner, "oss:GetBucketStat"));
  MAYFLY_CO_TRY(objects::Bucket bucket, co_await load_bucket(call));
  objects::BucketStat stat = co_await call.context.buckets.stat(call.loop, bucket);
  auto count = [&stat](const char* storage_class) { return stat.by_class[storage_class]; };
  Xml xml("BucketStat");
  xml.leaf("Storage", stat.total.bytes).leaf("ObjectCount", stat.total.objects);
  xml.leaf("MultipartUploadCount", stat.uploads).leaf("MultipartPartCount", stat.parts).leaf("LiveChannelCount", uint64_t{0});
  xml.leaf("LastModifiedTime", static_cast<uint64_t>(call.context.clock.wall_us() / kMicrosPerSecond));
  xml.leaf("StandardStorage", count("Standard").bytes).leaf("StandardObjectCount", count("Standard").objects);
  for (auto [storage_class, word] : {std::pair("IA", "InfrequentAccess"), std::pair("Archive", "Archive"), std::pair("ColdArchive", "ColdArchive"),
                                     std::pair("DeepColdArchive", "DeepColdArchive")}) {
    auto [objects, bytes] = count(storage_class);
    std::string name = word;
    xml.leaf(name + "Storage", bytes).leaf(name + "RealStorage", bytes).leaf(name + "ObjectCount", objects);
  }
  xml.leaf("DeleteMarkerCount", uint64_t{0});
  co_return xml_response(std::move(xml).finish());
}

OssTask get_bucket_acl(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::owner, "oss:GetBucketAcl"));
  MAYFLY_CO_TRY(objects::Bucket bucket, co_await load_bucket(call));
  Xml xml("AccessControlPolicy");
  write_owner(xml, call);
  xml.open("AccessControlList").leaf("Grant", acl_word(bucket.acl)).close();
  co_return xml_response(std::move(xml).finish());
}

OssTask put_bucket_acl(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::owner, "oss:PutBucketAcl"));
  std::string word = call.header("x-oss-acl");
  std::optional<objects::Acl> acl = parse_bucket_acl(word);
  if (!acl) co_return invalid_argument("no such bucket access control exists", "x-oss-acl", word);
  auto change = [acl](objects::Bucket& bucket) -> objects::Result<void> {
    bucket.acl = *acl;
    return {};
  };
  MAYFLY_CO_TRY_VOID(co_await call.context.buckets.edit(call.loop, call.bucket, change));
  co_return empty_response(200);
}

}  // namespace mayfly::dialects::aliyun
