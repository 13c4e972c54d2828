// Reading an object: GET and HEAD, its short metadata, the target of a symlink.
#include "base/encoding.h"
#include "dialects/aliyun/oss_gzip.h"
#include "dialects/aliyun/oss_metadata.h"
#include "dialects/aliyun/oss_operations.h"

namespace mayfly::dialects::aliyun {
namespace {

// response-content-type and its kin replace what the object says.
OssExpected<void> override_headers(const OssCall& call, http::Headers& headers) {
  constexpr std::pair<std::string_view, const char*> kOverrides[] = {
      {"response-content-type", "Content-Type"},         {"response-content-language", "Content-Language"},
      {"response-expires", "Expires"},                   {"response-cache-control", "Cache-Control"},
      {"response-content-disposition", "Content-Disposition"}, {"response-content-encoding", "Content-Encoding"},
  };
  for (const auto& [parameter, header] : kOverrides) {
    std::string value = call.parameter(parameter);
    if (value.empty()) continue;
    if (call.identity.kind == auth::Identity::Kind::anonymous) {
      return refuse(400, "InvalidRequest", "Anonymous requests may not override response headers.");
    }
    // A decoded parameter may hold what would end the header.
    if (value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
      return invalid_argument("Header values hold no line breaks.", std::string(parameter), value);
    }
    headers.set(header, value);
  }
  return {};
}

OssExpected<void> check_readable(const OssCall& call, const objects::ObjectInfo& info, const objects::Bucket& bucket) {
  const std::string& storage_class = info.storage_class.empty() ? bucket.storage_class : info.storage_class;
  if (!is_archived_class(storage_class)) return {};
  int64_t now_us = call.context.clock.wall_us();
  if (info.restore_ready_us != 0 && info.restore_ready_us <= now_us && now_us < info.restored_until_us) return {};
  return refuse(403, "InvalidObjectState", "The operation is not valid for the object's state");
}

OssTask head_object(OssCall& call, objects::Bucket bucket) {
  MAYFLY_CO_TRY(objects::ObjectInfo info, co_await call.context.objects.head(call.loop, call.bucket, call.key));
  MAYFLY_CO_TRY_VOID(co_await authorize_shown(call, info));
  MAYFLY_CO_TRY_VOID(objects::check(conditions_of(call, ""), info));
  http::Response response{.head_length = info.size};
  describe_object(info, bucket, call.context.clock, response.headers);
  MAYFLY_CO_TRY_VOID(override_headers(call, response.headers));
  co_return response;
}

}  // namespace

OssTask get_object(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::read_object, "oss:GetObject"));
  MAYFLY_CO_TRY(objects::Bucket bucket, co_await load_bucket(call));
  if (call.request.method == "HEAD") co_return co_await head_object(call, std::move(bucket));
  if (call.has("x-oss-process")) co_return refuse(400, "NotImplemented", "Images are not processed here.");
  objects::GetRequest request{.bucket = call.bucket, .key = call.key, .conditions = conditions_of(call, ""), .range = call.header("Range")};
  if (call.header("x-oss-range-behavior") == "standard") request.bad_range = objects::BadRange::refuse;
  auto opened = co_await call.context.objects.get(call.loop, std::move(request));
  if (!opened && opened.error().code == objects::ObjectsError::invalid_argument) {
    OssError error(416, "InvalidRange", "The requested range cannot be satisfied");
    error.headers.set("Content-Range", "bytes */" + opened.error().hint);
    co_return std::unexpected(std::move(error));
  }
  if (!opened) co_return std::unexpected(OssError(opened.error()));
  MAYFLY_CO_TRY_VOID(co_await authorize_shown(call, opened->info));
  MAYFLY_CO_TRY_VOID(check_readable(call, opened->info, bucket));
  http::Response response;
  describe_object(opened->info, bucket, call.context.clock, response.headers);
  MAYFLY_CO_TRY_VOID(override_headers(call, response.headers));
  response.stream = std::move(opened->body);
  if (opened->partial) {
    response.status = 206;
    response.headers.set("Content-Range", fmt::format("bytes {}-{}/{}", opened->span.offset, opened->span.offset + opened->span.length - 1, opened->info.size));
  } else if (lower(call.header("Accept-Encoding")).find("gzip") != std::string::npos && !response.headers.has("Content-Encoding") &&
             is_compressible(response.headers.get("Content-Type"), opened->info.size)) {
    response.stream = gzip_body(std::move(response.stream));
    response.headers.set("Content-Encoding", "gzip");
    response.headers.set("Vary", "Accept-Encoding");
    response.headers.remove("ETag");
    response.headers.remove("Content-MD5");
  }
  co_return response;
}

OssTask get_object_meta(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::read_object, "oss:GetObject"));
  MAYFLY_CO_TRY(objects::Bucket bucket, co_await load_bucket(call));
  MAYFLY_CO_TRY(objects::ObjectInfo info, co_await call.context.objects.head(call.loop, call.bucket, call.key));
  MAYFLY_CO_TRY_VOID(co_await authorize_shown(call, info));
  http::Response response;
  if (call.request.method == "HEAD") response.head_length = info.size;
  response.headers.set("ETag", quoted(info.etag));
  response.headers.set("Last-Modified", http_date(info.modified_us));
  response.headers.set("x-oss-hash-crc64ecma", std::to_string(info.crc64));
  co_return response;
}

OssTask get_symlink(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::read_object, "oss:GetObject"));
  MAYFLY_CO_TRY(objects::Bucket bucket, co_await load_bucket(call));
  MAYFLY_CO_TRY(objects::ObjectInfo info, co_await call.context.objects.head(call.loop, call.bucket, call.key, objects::Objects::Links::keep));
  if (info.type != objects::ObjectType::symlink) co_return refuse(400, "NotSymlink", "The object is not symlink");
  http::Response response;
  response.headers.set("x-oss-symlink-target", percent_encode(info.symlink_target, Slash::encode));
  response.headers.set("ETag", quoted(info.etag));
  response.headers.set("Last-Modified", http_date(info.modified_us));
  for (const auto& [name, value] : info.user_metadata) response.headers.set("x-oss-meta-" + name, value);
  co_return response;
}

}  // namespace mayfly::dialects::aliyun
