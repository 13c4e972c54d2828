#include "dialects/aliyun/oss_dialect.h"

#include "auth/sign_oss.h"
#include "base/encoding.h"
#include "dialects/aliyun/oss_address.h"
#include "dialects/aliyun/oss_operations.h"
#include "objects/body.h"

namespace mayfly::dialects::aliyun {
namespace {

std::unexpected<OssError> not_allowed(const OssCall& call) {
  return std::unexpected(OssError(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
                             .with("Method", call.request.method)
                             .with("ResourceType", call.key.empty() ? "Bucket" : "Object"));
}

OssTask service(OssCall& call) {
  if (call.request.method == "GET") co_return co_await list_buckets(call);
  co_return not_allowed(call);
}

OssTask get_bucket(OssCall& call) {
  for (const auto& [name, value] : call.query) {
    if (is_config(name)) co_return co_await get_config(call, name);
  }
  if (call.has("acl")) co_return co_await get_bucket_acl(call);
  if (call.has("bucketInfo")) co_return co_await get_bucket_info(call);
  if (call.has("location")) co_return co_await get_bucket_location(call);
  if (call.has("stat")) co_return co_await get_bucket_stat(call);
  if (call.has("uploads")) co_return co_await list_uploads(call);
  if (call.has("versions")) co_return co_await list_versions(call);
  if (call.has("live")) co_return co_await list_live_channels(call);
  if (call.parameter("list-type") == "2") co_return co_await list_objects_v2(call);
  co_return co_await list_objects(call);
}

// A sub-resource that is not spoken here; empty if there is none. It must not turn into the making or removal of the bucket itself.
std::string unknown_subresource(const OssCall& call) {
  for (const auto& [name, value] : call.query)
    if (value.empty() && name != "acl" && auth::is_oss_subresource(name)) return name;
  return {};
}

OssTask bucket(OssCall& call) {
  const std::string& method = call.request.method;
  if (method == "GET" || method == "HEAD") co_return co_await get_bucket(call);
  if (method == "POST" && call.has("delete")) co_return co_await delete_objects(call);
  if (method == "POST" && !lower(call.header("Content-Type")).starts_with("multipart/form-data")) co_return not_allowed(call);
  if (method == "POST") co_return co_await post_object(call);
  if (method != "PUT" && method != "DELETE") co_return not_allowed(call);
  for (const auto& [name, value] : call.query) {
    if (!is_config(name)) continue;
    if (method == "PUT") co_return co_await put_config(call, name);
    co_return co_await delete_config(call, name);
  }
  if (std::string name = unknown_subresource(call); !name.empty()) co_return refuse(400, "NotImplemented", fmt::format("The sub-resource {} is not spoken here.", name));
  if (method == "DELETE") co_return co_await delete_bucket(call);
  if (call.has("acl")) co_return co_await put_bucket_acl(call);
  co_return co_await put_bucket(call);
}

// An upload may ask that a URL be called when it is done. Nothing is called from here, and the vendor's answer to a callback that failed
// says so: 203, the object is kept.
OssTask uploaded(OssCall& call, OssTask upload) {
  MAYFLY_CO_TRY(http::Response response, co_await std::move(upload));
  if (call.request.headers.has("x-oss-callback") || call.has("callback"))
    co_return refuse(203, "CallbackFailed", "This server makes no callbacks; the object is kept.");
  co_return response;
}

OssTask put(OssCall& call) {
  if (call.has("partNumber") && call.has("uploadId")) {
    if (call.request.headers.has("x-oss-copy-source")) co_return co_await copy_part(call);
    co_return co_await put_part(call);
  }
  if (call.has("acl")) co_return co_await put_object_acl(call);
  if (call.has("tagging")) co_return co_await put_object_tagging(call);
  if (call.has("symlink")) co_return co_await put_symlink(call);
  if (call.request.headers.has("x-oss-copy-source")) co_return co_await copy_object(call);
  co_return co_await uploaded(call, put_object(call));
}

OssTask post(OssCall& call) {
  if (call.has("uploads")) co_return co_await begin_upload(call);
  if (call.has("uploadId")) co_return co_await uploaded(call, complete_upload(call));
  if (call.has("append")) co_return co_await append_object(call);
  if (call.has("restore")) co_return co_await restore_object(call);
  if (call.has("x-oss-process") || call.has("x-oss-async-process")) co_return refuse(400, "NotImplemented", "Images are not processed here.");
  co_return not_allowed(call);
}

OssTask object(OssCall& call) {
  const std::string& method = call.request.method;
  if (call.key.front() == '\\' || call.key.front() == '/' || call.key.size() > objects::kMaxKeyBytes) {
    co_return refuse(400, "InvalidObjectName", "The specified object is not valid.");
  }
  if (method == "PUT") co_return co_await put(call);
  if (method == "POST") co_return co_await post(call);
  if (method == "DELETE") {
    if (call.has("uploadId")) co_return co_await abort_upload(call);
    if (call.has("tagging")) co_return co_await delete_object_tagging(call);
    co_return co_await delete_object(call);
  }
  if (method != "GET" && method != "HEAD") co_return not_allowed(call);
  if (call.has("uploadId")) co_return co_await list_parts(call);
  if (call.has("acl")) co_return co_await get_object_acl(call);
  if (call.has("tagging")) co_return co_await get_object_tagging(call);
  if (call.has("symlink")) co_return co_await get_symlink(call);
  if (call.has("objectMeta")) co_return co_await get_object_meta(call);
  co_return co_await get_object(call);
}

// A V4 signature names its region in the credential "<id>/<date>/<region>/oss/aliyun_v4_request". Any region is served, but it must look
// like one: a client that was given none signs "None".
OssExpected<void> check_region(const OssCall& call) {
  std::string scope = call.parameter("x-oss-credential");
  std::string authorization = call.header("Authorization");
  if (size_t at = authorization.find("Credential="); scope.empty() && at != std::string::npos) {
    scope = authorization.substr(at + std::string_view("Credential=").size());
    scope.resize(std::min(scope.size(), scope.find_first_of(", ")));
  }
  if (scope.empty()) return {};
  size_t date = scope.find('/'), region = date == std::string::npos ? date : scope.find('/', date + 1);
  if (region == std::string::npos) return {};  // malformed: the signature's business
  std::string name = scope.substr(region + 1, scope.find('/', region + 1) - region - 1);
  bool plausible = !name.empty() && std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
  if (plausible) return {};
  return refuse(400, "InvalidArgument", "The signing region in credential is invalid.");
}

// Which reading of the address is meant, and by whom.
OssExpected<void> identify(OssCall& call, const std::vector<OssAddress>& addresses) {
  for (size_t i = 0; i < addresses.size(); ++i) {
    auto identity = call.context.verify(call.request, addresses[i].bucket, addresses[i].key);
    if (!identity && identity.error().code == auth::AuthError::bad_signature && i + 1 < addresses.size()) continue;
    call.bucket = addresses[i].bucket;
    call.key = addresses[i].key;
    if (!identity) return std::unexpected(OssError(identity.error()));
    call.identity = std::move(*identity);
    break;
  }
  return {};
}

OssTask answer(OssCall& call) {
  std::vector<OssAddress> addresses = oss_addresses(call.request, call.context.public_endpoint);
  if (call.request.method == "OPTIONS") {
    call.bucket = addresses.front().bucket;
    call.key = addresses.front().key;
    co_return co_await preflight(call);
  }
  MAYFLY_CO_TRY_VOID(check_region(call));
  MAYFLY_CO_TRY_VOID(identify(call, addresses));
  if (call.bucket.empty()) co_return co_await service(call);
  if (!objects::valid_bucket_name(call.bucket)) co_return refuse(400, "InvalidBucketName", "The specified bucket is not valid.");
  if (call.key.empty()) co_return co_await bucket(call);
  co_return co_await object(call);
}

}  // namespace

io::Task<http::Response> OssDialect::handle(io::Loop& loop, http::Request request) {
  int64_t started_us = loop.now_us();
  http::Query query = request.query();
  OssCall call{.context = context_, .loop = loop, .request = std::move(request), .query = std::move(query), .bucket = {}, .key = {},
               .request_id = {}, .identity = {}, .loaded = {}};
  call.request_id = objects::upper_hex(context_.rng.bytes(12));
  OssResult result = co_await answer(call);
  if (!result && result.error().code == "NoSuchKey") {
    // The room looks for the key only; a bucket that is missing is the better answer.
    if (OssExpected<objects::Bucket> bucket = co_await load_bucket(call); !bucket) result = std::unexpected(bucket.error());
  }
  Carrier carrier = call.request.method == "HEAD" ? Carrier::header : Carrier::body;
  http::Response response = result ? std::move(*result) : error_response(result.error(), call.request_id, call.request.host, carrier);
  response.headers.set("x-oss-request-id", call.request_id);
  response.headers.set("x-oss-server-time", std::to_string((loop.now_us() - started_us) / kMicrosPerMilli));
  if (!response.headers.has("Server")) response.headers.set("Server", "AliyunOSS");
  // Some clients announce a body with a GET and never send it; waiting for it to skip it would eat the next request.
  bool bodiless = call.request.method == "GET" || call.request.method == "HEAD";
  if (bodiless && call.request.body && call.request.body->declared_size().value_or(0) > 0) response.headers.set("Connection", "close");
  co_await add_cors_headers(call, response);
  co_return response;
}

http::Response OssDialect::fault() const {
  std::string id = objects::upper_hex(context_.rng.bytes(12));
  http::Response response = error_response({500, "InternalError", std::string(gateway::kFaultMessage)}, id, "", Carrier::body);
  response.headers.set("x-oss-request-id", id);
  return response;
}

}  // namespace mayfly::dialects::aliyun
