// Bytes and names coming in: put, append, copy, symlink.
#include "base/encoding.h"
#include "dialects/aliyun/oss_address.h"
#include "dialects/aliyun/oss_metadata.h"
#include "dialects/aliyun/oss_operations.h"

namespace mayfly::dialects::aliyun {
namespace {

// A body announces its size or is chunked; one that does neither cannot be told from no body.
OssExpected<void> check_length(const OssCall& call) {
  if (!call.request.body->declared_size() && !call.request.headers.has("Transfer-Encoding")) {
    return refuse(411, "MissingContentLength", "You must provide the Content-Length HTTP header.");
  }
  return {};
}

OssExpected<objects::Directive> directive(const OssCall& call, const std::string& name) {
  std::string word = call.header(name);
  if (word.empty() || equals_ignore_case(word, "COPY")) return objects::Directive::copy;
  if (equals_ignore_case(word, "REPLACE")) return objects::Directive::replace;
  return invalid_argument("Unknown directive.", name, word);
}

}  // namespace

OssTask put_object(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::write_object, "oss:PutObject"));
  MAYFLY_CO_TRY_VOID(check_length(call));
  objects::PutRequest request{.overwrite = overwrite_of(call), .content_md5 = call.header("Content-MD5"), .caller = call.caller()};
  MAYFLY_CO_TRY(request.info, info_from_headers(call));
  MAYFLY_CO_TRY(objects::ObjectInfo info, co_await call.context.objects.put(call.loop, std::move(request), std::move(call.request.body)));
  http::Response response;
  response.headers.set("ETag", quoted(info.etag));
  response.headers.set("x-oss-hash-crc64ecma", std::to_string(info.crc64));
  response.headers.set("Content-MD5", info.content_md5);
  co_return response;
}

OssTask append_object(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::write_object, "oss:AppendObject"));
  MAYFLY_CO_TRY(int64_t position, number_parameter(call, "position", 0, INT64_MAX, -1));
  if (position < 0) co_return invalid_argument("Missing append position.", "position", "");
  MAYFLY_CO_TRY_VOID(check_length(call));
  objects::AppendRequest request{.position = static_cast<uint64_t>(position), .content_md5 = call.header("Content-MD5"), .caller = call.caller()};
  if (position > 0) call.request.headers.remove("x-oss-tagging");  // what an object is called is said when it begins
  MAYFLY_CO_TRY(request.info, info_from_headers(call));
  MAYFLY_CO_TRY(objects::ObjectInfo info, co_await call.context.objects.append(call.loop, std::move(request), std::move(call.request.body)));
  http::Response response;
  response.headers.set("ETag", quoted(info.etag));
  response.headers.set("x-oss-hash-crc64ecma", std::to_string(info.crc64));
  response.headers.set("x-oss-next-append-position", std::to_string(info.size));
  co_return response;
}

OssTask copy_object(OssCall& call) {
  MAYFLY_CO_TRY(OssAddress source, co_await authorize_copy(call));
  objects::CopyRequest request{.source_bucket = source.bucket, .source_key = source.key, .conditions = conditions_of(call, "x-oss-copy-source-"),
                               .overwrite = overwrite_of(call), .caller = call.caller()};
  MAYFLY_CO_TRY(request.info, info_from_headers(call));
  MAYFLY_CO_TRY(request.metadata, directive(call, "x-oss-metadata-directive"));
  MAYFLY_CO_TRY(request.tags, directive(call, "x-oss-tagging-directive"));
  // Copying an object onto itself means to change its metadata, whatever the directive says.
  if (source.bucket == call.bucket && source.key == call.key) request.metadata = objects::Directive::replace;
  MAYFLY_CO_TRY(objects::ObjectInfo info, co_await call.context.objects.copy(call.loop, std::move(request)));
  Xml xml("CopyObjectResult");
  xml.leaf("LastModified", iso8601_ms(info.modified_us / kMicrosPerSecond * kMicrosPerSecond)).leaf("ETag", quoted(info.etag));
  http::Response response = xml_response(std::move(xml).finish());
  response.headers.set("ETag", quoted(info.etag));
  response.headers.set("x-oss-hash-crc64ecma", std::to_string(info.crc64));
  co_return response;
}

OssTask put_symlink(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::write_object, "oss:PutObject"));
  objects::PutRequest request{.overwrite = overwrite_of(call), .caller = call.caller()};
  MAYFLY_CO_TRY(request.info, info_from_headers(call));
  request.info.symlink_target = percent_decode(call.header("x-oss-symlink-target"));
  if (request.info.symlink_target.empty()) co_return invalid_argument("A symlink needs a target.", "x-oss-symlink-target", "");
  MAYFLY_CO_TRY(objects::ObjectInfo info, co_await call.context.objects.symlink(call.loop, std::move(request)));
  http::Response response;
  response.headers.set("ETag", quoted(info.etag));
  co_return response;
}

}  // namespace mayfly::dialects::aliyun
