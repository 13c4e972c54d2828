// Listings of a bucket (aliyun-oss.md section 4.2): objects in both versions of the call, versions, uploads, live channels.
#include "base/encoding.h"
#include "dialects/aliyun/oss_operations.h"

namespace mayfly::dialects::aliyun {
namespace {

constexpr int64_t kMostKeys = 1000;

// Text of a listing: as it is, or percent-encoded when the client asked for that.
class Words {
 public:
  static OssExpected<Words> of(const OssCall& call) {
    std::string type = call.parameter("encoding-type");
    if (!type.empty() && type != "url") return invalid_argument("Invalid Encoding Method specified in Request", "encoding-type", type);
    return Words(type == "url");
  }
  std::string operator()(std::string_view text) const { return url_ ? percent_encode(text, Slash::encode) : std::string(text); }
  void announce(Xml& xml) const {
    if (url_) xml.leaf("EncodingType", "url");
  }

 private:
  explicit Words(bool url) : url_(url) {}
  bool url_;
};

void write_owner(Xml& xml, const OssCall& call) {
  xml.open("Owner").leaf("ID", call.context.account).leaf("DisplayName", call.context.account).close();
}

std::string second(int64_t wall_us) { return iso8601_ms(wall_us / kMicrosPerSecond * kMicrosPerSecond); }

std::string_view type_word(objects::ObjectType type) {
  switch (type) {
    case objects::ObjectType::normal: return "Normal";
    case objects::ObjectType::multipart: return "Multipart";
    case objects::ObjectType::appendable: return "Appendable";
    case objects::ObjectType::symlink: return "Symlink";
  }
  return "Normal";
}

enum class Owner { omit, show };

void write_object(Xml& xml, const OssCall& call, const objects::ObjectInfo& object, const Words& words, Owner owner) {
  const std::string& storage_class = object.storage_class.empty() ? call.loaded->storage_class : object.storage_class;
  xml.leaf("Key", words(object.key)).leaf("LastModified", second(object.modified_us)).leaf("ETag", "\"" + object.etag + "\"");
  xml.leaf("Type", type_word(object.type)).leaf("Size", object.size).leaf("StorageClass", storage_class);
  if (object.restore_ready_us != 0) {
    bool ongoing = call.context.clock.wall_us() < object.restore_ready_us;
    xml.leaf("RestoreInfo", ongoing ? std::string("ongoing-request=\"true\"")
                                    : fmt::format("ongoing-request=\"false\", expiry-date=\"{}\"", http_date(object.restored_until_us)));
  }
  if (owner == Owner::show) write_owner(xml, call);
}

void write_prefixes(Xml& xml, const std::vector<std::string>& prefixes, const Words& words) {
  for (const std::string& prefix : prefixes) xml.open("CommonPrefixes").leaf("Prefix", words(prefix)).close();
}

}  // namespace

OssTask list_objects(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::read_bucket, "oss:ListObjects"));
  MAYFLY_CO_TRY(objects::Bucket bucket, co_await load_bucket(call));
  MAYFLY_CO_TRY(Words words, Words::of(call));
  MAYFLY_CO_TRY(int64_t limit, number_parameter(call, "max-keys", 0, kMostKeys, 100));
  objects::ListRequest request{.bucket = call.bucket, .prefix = call.parameter("prefix"), .delimiter = call.parameter("delimiter"),
                               .after = call.parameter("marker"), .limit = static_cast<size_t>(limit)};
  objects::Listing listing = co_await call.context.objects.list(call.loop, request);
  Xml xml("ListBucketResult");
  xml.leaf("Name", call.bucket).leaf("Prefix", words(request.prefix)).leaf("Marker", words(request.after));
  xml.leaf("MaxKeys", static_cast<uint64_t>(limit)).leaf("Delimiter", words(request.delimiter));
  words.announce(xml);
  xml.leaf("IsTruncated", listing.truncated);
  if (listing.truncated) xml.leaf("NextMarker", words(listing.next));
  for (const objects::ObjectInfo& object : listing.objects) {
    xml.open("Contents");
    write_object(xml, call, object, words, Owner::show);
    xml.close();
  }
  write_prefixes(xml, listing.common_prefixes, words);
  co_return xml_response(std::move(xml).finish());
}

OssTask list_objects_v2(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::read_bucket, "oss:ListObjects"));
  MAYFLY_CO_TRY(objects::Bucket bucket, co_await load_bucket(call));
  MAYFLY_CO_TRY(Words words, Words::of(call));
  MAYFLY_CO_TRY(int64_t limit, number_parameter(call, "max-keys", 0, kMostKeys, 100));
  std::string start_after = call.parameter("start-after"), token = call.parameter("continuation-token");
  std::string after = start_after;
  if (!token.empty()) {
    std::optional<std::string> decoded = base64_decode(token);
    if (!decoded) co_return invalid_argument("The continuation token provided is incorrect.", "continuation-token", token);
    after = std::move(*decoded);
  }
  objects::ListRequest request{.bucket = call.bucket, .prefix = call.parameter("prefix"), .delimiter = call.parameter("delimiter"),
                               .after = std::move(after), .limit = static_cast<size_t>(limit)};
  objects::Listing listing = co_await call.context.objects.list(call.loop, request);
  Owner owner = call.parameter("fetch-owner") == "true" ? Owner::show : Owner::omit;
  Xml xml("ListBucketResult");
  xml.leaf("Name", call.bucket).leaf("Prefix", words(request.prefix)).leaf("StartAfter", words(start_after));
  xml.leaf("MaxKeys", static_cast<uint64_t>(limit)).leaf("Delimiter", words(request.delimiter));
  words.announce(xml);
  if (!token.empty()) xml.leaf("ContinuationToken", token);
  xml.leaf("IsTruncated", listing.truncated);
  if (listing.truncated) xml.leaf("NextContinuationToken", base64_encode(listing.next));
  xml.leaf("KeyCount", static_cast<uint64_t>(listing.objects.size() + listing.common_prefixes.size()));
  for (const objects::ObjectInfo& object : listing.objects) {
    xml.open("Contents");
    write_object(xml, call, object, words, owner);
    xml.close();
  }
  write_prefixes(xml, listing.common_prefixes, words);
  co_return xml_response(std::move(xml).finish());
}

OssTask list_versions(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::read_bucket, "oss:ListObjectVersions"));
  MAYFLY_CO_TRY(objects::Bucket bucket, co_await load_bucket(call));
  MAYFLY_CO_TRY(Words words, Words::of(call));
  MAYFLY_CO_TRY(int64_t limit, number_parameter(call, "max-keys", 0, kMostKeys, 100));
  objects::ListRequest request{.bucket = call.bucket, .prefix = call.parameter("prefix"), .delimiter = call.parameter("delimiter"),
                               .after = call.parameter("key-marker"), .limit = static_cast<size_t>(limit)};
  objects::Listing listing = co_await call.context.objects.list(call.loop, request);
  Xml xml("ListVersionsResult");
  xml.leaf("Name", call.bucket).leaf("Prefix", words(request.prefix)).leaf("KeyMarker", words(request.after)).leaf("VersionIdMarker", "");
  xml.leaf("MaxKeys", static_cast<uint64_t>(limit)).leaf("Delimiter", words(request.delimiter));
  words.announce(xml);
  xml.leaf("IsTruncated", listing.truncated);
  if (listing.truncated) xml.leaf("NextKeyMarker", words(listing.next)).leaf("NextVersionIdMarker", "null");
  for (const objects::ObjectInfo& object : listing.objects) {
    xml.open("Version").leaf("VersionId", "null").leaf("IsLatest", true);
    write_object(xml, call, object, words, Owner::show);
    xml.close();
  }
  write_prefixes(xml, listing.common_prefixes, words);
  co_return xml_response(std::move(xml).finish());
}

OssTask list_uploads(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::owner, "oss:ListMultipartUploads"));
  MAYFLY_CO_TRY(objects::Bucket bucket, co_await load_bucket(call));
  MAYFLY_CO_TRY(Words words, Words::of(call));
  MAYFLY_CO_TRY(int64_t limit, number_parameter(call, "max-uploads", 1, kMostKeys, kMostKeys));
  objects::UploadListRequest request{.bucket = call.bucket, .prefix = call.parameter("prefix"), .delimiter = call.parameter("delimiter"),
                                     .key_after = call.parameter("key-marker"), .id_after = call.parameter("upload-id-marker"),
                                     .limit = static_cast<size_t>(limit)};
  objects::UploadListing listing = co_await call.context.uploads.list(call.loop, request);
  Xml xml("ListMultipartUploadsResult");
  xml.leaf("Bucket", call.bucket).leaf("KeyMarker", words(request.key_after)).leaf("UploadIdMarker", request.id_after);
  xml.leaf("NextKeyMarker", listing.truncated ? words(listing.next_key) : std::string());
  xml.leaf("NextUploadIdMarker", listing.truncated ? listing.next_id : std::string());
  xml.leaf("Delimiter", words(request.delimiter)).leaf("Prefix", words(request.prefix)).leaf("MaxUploads", static_cast<uint64_t>(limit));
  words.announce(xml);
  xml.leaf("IsTruncated", listing.truncated);
  for (const objects::Upload& upload : listing.uploads) {
    const std::string& storage_class = upload.info.storage_class.empty() ? bucket.storage_class : upload.info.storage_class;
    xml.open("Upload").leaf("Key", words(upload.info.key)).leaf("UploadId", upload.id).leaf("StorageClass", storage_class);
    xml.leaf("Initiated", second(upload.info.modified_us)).close();
  }
  write_prefixes(xml, listing.common_prefixes, words);
  co_return xml_response(std::move(xml).finish());
}

OssTask list_live_channels(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::owner, "oss:ListLiveChannel"));
  MAYFLY_CO_TRY(objects::Bucket bucket, co_await load_bucket(call));
  Xml xml("ListLiveChannelResult");
  xml.leaf("Prefix", call.parameter("prefix")).leaf("Marker", call.parameter("marker")).leaf("MaxKeys", call.parameter("max-keys", "100"));
  xml.leaf("IsTruncated", false).leaf("NextMarker", "");
  co_return xml_response(std::move(xml).finish());
}

}  // namespace mayfly::dialects::aliyun
