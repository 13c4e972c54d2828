// Multipart uploads (aliyun-oss.md section 3).
#include <charconv>

#include "base/encoding.h"
#include "dialects/aliyun/oss_address.h"
#include "dialects/aliyun/oss_metadata.h"
#include "dialects/aliyun/oss_operations.h"

namespace mayfly::dialects::aliyun {
namespace {

constexpr uint64_t kMinPartBytes = 100 * 1024;  // of every part but the last

OssExpected<objects::PartRequest> part_request(const OssCall& call) {
  MAYFLY_TRY(int64_t number, number_parameter(call, "partNumber", 1, objects::kMaxPartNumber, 0));
  if (number == 0) return invalid_argument("Part number must be an integer between 1 and 10000, inclusive.", "partNumber", "");
  return objects::PartRequest{.bucket = call.bucket, .key = call.key, .upload_id = call.parameter("uploadId"), .number = static_cast<int>(number),
                              .content_md5 = call.header("Content-MD5")};
}

std::string second(int64_t wall_us) { return iso8601_ms(wall_us / kMicrosPerSecond * kMicrosPerSecond); }

}  // namespace

OssTask begin_upload(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::write_object, "oss:PutObject"));
  MAYFLY_CO_TRY(objects::ObjectInfo info, info_from_headers(call));
  if (overwrite_of(call) == objects::Overwrite::forbid) {
    if (co_await call.context.objects.head(call.loop, call.bucket, call.key, objects::Objects::Links::keep)) {
      co_return refuse(409, "FileAlreadyExists", "The object you specified already exists and can not be overwritten.");
    }
  }
  MAYFLY_CO_TRY(std::string id, co_await call.context.uploads.begin(call.loop, std::move(info)));
  Xml xml("InitiateMultipartUploadResult");
  bool url = call.parameter("encoding-type") == "url";
  if (url) xml.leaf("EncodingType", "url");
  xml.leaf("Bucket", call.bucket).leaf("Key", url ? percent_encode(call.key, Slash::encode) : call.key).leaf("UploadId", id);
  co_return xml_response(std::move(xml).finish());
}

OssTask put_part(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::write_object, "oss:PutObject"));
  MAYFLY_CO_TRY(objects::PartRequest request, part_request(call));
  MAYFLY_CO_TRY(objects::UploadedPart part, co_await call.context.uploads.put_part(call.loop, std::move(request), std::move(call.request.body)));
  http::Response response;
  response.headers.set("ETag", quoted(part.info.etag));
  response.headers.set("x-oss-hash-crc64ecma", std::to_string(part.info.crc64));
  co_return response;
}

OssTask copy_part(OssCall& call) {
  MAYFLY_CO_TRY(OssAddress source, co_await authorize_copy(call));
  objects::PartCopyRequest request{.source_bucket = source.bucket, .source_key = source.key, .range = call.header("x-oss-copy-source-range"),
                                   .conditions = conditions_of(call, "x-oss-copy-source-")};
  MAYFLY_CO_TRY(request.part, part_request(call));
  MAYFLY_CO_TRY(objects::UploadedPart part, co_await call.context.uploads.copy_part(call.loop, std::move(request)));
  Xml xml("CopyPartResult");
  xml.leaf("LastModified", second(part.info.modified_us)).leaf("ETag", quoted(part.info.etag));
  http::Response response = xml_response(std::move(xml).finish());
  response.headers.set("ETag", quoted(part.info.etag));
  response.headers.set("x-oss-hash-crc64ecma", std::to_string(part.info.crc64));
  co_return response;
}

OssTask list_parts(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::owner, "oss:ListParts"));
  MAYFLY_CO_TRY(int64_t limit, number_parameter(call, "max-parts", 1, 1000, 1000));
  MAYFLY_CO_TRY(int64_t after, number_parameter(call, "part-number-marker", 0, objects::kMaxPartNumber, 0));
  std::string id = call.parameter("uploadId");
  MAYFLY_CO_TRY(objects::PartListing listing, co_await call.context.uploads.list_parts(call.loop, call.bucket, call.key, id, static_cast<int>(after),
                                                                                       static_cast<size_t>(limit)));
  MAYFLY_CO_TRY(objects::Bucket bucket, co_await load_bucket(call));
  const std::string& own_class = listing.upload.info.storage_class;
  bool url = call.parameter("encoding-type") == "url";
  Xml xml("ListPartsResult");
  if (url) xml.leaf("EncodingType", "url");
  xml.leaf("Bucket", call.bucket).leaf("Key", url ? percent_encode(call.key, Slash::encode) : call.key).leaf("UploadId", id);
  xml.leaf("StorageClass", own_class.empty() ? bucket.storage_class : own_class).leaf("PartNumberMarker", static_cast<uint64_t>(after));
  xml.leaf("NextPartNumberMarker", static_cast<uint64_t>(listing.next)).leaf("MaxParts", static_cast<uint64_t>(limit));
  xml.leaf("IsTruncated", listing.truncated);
  for (const objects::UploadedPart& part : listing.parts) {
    xml.open("Part").leaf("PartNumber", static_cast<uint64_t>(part.number)).leaf("LastModified", second(part.info.modified_us));
    xml.leaf("ETag", quoted(part.info.etag)).leaf("HashCrc64ecma", part.info.crc64).leaf("Size", part.info.size).close();
  }
  co_return xml_response(std::move(xml).finish());
}

OssTask complete_upload(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::write_object, "oss:PutObject"));
  MAYFLY_CO_TRY(std::string body, co_await read_body(call, kMaxXmlBytes));
  objects::CompleteRequest request{.bucket = call.bucket, .key = call.key, .upload_id = call.parameter("uploadId"), .min_part_bytes = kMinPartBytes,
                                   .overwrite = overwrite_of(call), .caller = call.caller()};
  if (equals_ignore_case(call.header("x-oss-complete-all"), "yes")) {
    if (!trim(body).empty()) co_return invalid_argument("Complete-all takes no list of parts.", "x-oss-complete-all", "yes");
    request.take = objects::CompleteRequest::Take::all;
  } else {
    auto parts = parse_complete(body);
    if (!parts || parts->empty()) co_return malformed_xml();
    for (CompletePart& part : *parts) request.pieces.push_back({part.number, std::move(part.etag)});
  }
  if (std::string word = call.header("x-oss-object-acl"); !word.empty()) {
    std::optional<objects::Acl> acl = parse_object_acl(word);
    if (!acl) co_return invalid_argument("no such object access control exists", "x-oss-object-acl", word);
    request.acl = *acl;
  }
  MAYFLY_CO_TRY(objects::ObjectInfo info, co_await call.context.uploads.complete(call.loop, std::move(request)));
  bool url = call.parameter("encoding-type") == "url";
  Xml xml("CompleteMultipartUploadResult");
  if (url) xml.leaf("EncodingType", "url");
  std::string key = url ? percent_encode(call.key, Slash::encode) : call.key;
  std::string location = fmt::format("{}://{}/{}/{}", call.request.scheme, call.endpoint(), call.bucket, percent_encode(call.key, Slash::keep));
  xml.leaf("Location", location).leaf("Bucket", call.bucket).leaf("Key", key).leaf("ETag", quoted(info.etag));
  http::Response response = xml_response(std::move(xml).finish());
  response.headers.set("ETag", quoted(info.etag));
  response.headers.set("x-oss-hash-crc64ecma", std::to_string(info.crc64));
  co_return response;
}

OssTask abort_upload(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::write_object, "oss:AbortMultipartUpload"));
  MAYFLY_CO_TRY_VOID(co_await call.context.uploads.abort(call.loop, call.bucket, call.key, call.parameter("uploadId")));
  co_return empty_response(204);
}

}  // namespace mayfly::dialects::aliyun
