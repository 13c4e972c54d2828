#include "dialects/aliyun/oss_call.h"

#include <charconv>

#include "base/encoding.h"
#include "base/hash.h"

namespace mayfly::dialects::aliyun {
namespace {

using objects::Acl;

bool opens(Acl acl, Need need) {
  switch (need) {
    case Need::owner: return false;
    case Need::read_bucket:
    case Need::read_object: return acl == Acl::public_read || acl == Acl::public_read_write;
    case Need::write_object: return acl == Acl::public_read_write;
  }
  return false;
}

}  // namespace

objects::Caller OssCall::caller() const {
  std::string ip = request.peer.substr(0, request.peer.rfind(':'));
  std::string principal = identity.kind == auth::Identity::Kind::role ? identity.role : identity.account;
  return {.request_id = request_id, .source_ip = std::move(ip), .principal = std::move(principal)};
}

std::string OssCall::endpoint() const { return context.public_endpoint.empty() ? request.host : context.public_endpoint; }

io::Task<OssExpected<objects::Bucket>> load_bucket(OssCall& call) {
  if (!call.loaded) {
    MAYFLY_CO_TRY(objects::Bucket bucket, co_await call.context.buckets.find(call.loop, call.bucket));
    call.loaded = std::move(bucket);
  }
  co_return *call.loaded;
}

io::Task<OssExpected<void>> authorize(OssCall& call, Need need, std::string action) {
  if (call.identity.kind == auth::Identity::Kind::root) co_return OssExpected<void>{};
  if (call.identity.kind == auth::Identity::Kind::role) {
    std::string resource = fmt::format("acs:oss:*:{}:{}{}{}", call.context.account, call.bucket.empty() ? "*" : call.bucket,
                                       call.key.empty() ? "" : "/", call.key);
    if (call.context.authorizer.allows(call.identity, {action, resource})) co_return OssExpected<void>{};
    co_return access_denied(fmt::format("You are not authorized to do {} on {}.", action, resource));
  }
  if (call.bucket.empty()) co_return access_denied("Anonymous access is forbidden for this operation.");
  MAYFLY_CO_TRY(objects::Bucket bucket, co_await load_bucket(call));
  Acl acl = bucket.acl;
  if (!call.key.empty() && (need == Need::read_object || need == Need::write_object)) {
    auto object = co_await call.context.objects.head(call.loop, call.bucket, call.key, objects::Objects::Links::keep);
    if (object && object->acl != Acl::inherit) acl = object->acl;
  }
  if (opens(acl, need)) co_return OssExpected<void>{};
  co_return access_denied(call.key.empty() ? "You have no right to access this bucket because of bucket acl."
                                           : "You have no right to access this object because of bucket acl.");
}

io::Task<OssExpected<void>> authorize_source(OssCall& call, std::string bucket, std::string key) {
  OssCall source{.context = call.context, .loop = call.loop, .request = {}, .query = {}, .bucket = std::move(bucket), .key = std::move(key),
                 .request_id = call.request_id, .identity = call.identity, .loaded = {}};
  co_return co_await authorize(source, Need::read_object, "oss:GetObject");
}

io::Task<OssExpected<std::string>> read_body(OssCall& call, size_t limit) {
  auto body = co_await call.request.body->read_all(limit);
  if (!body && body.error() == http::BodyError::too_large) co_return refuse(400, "EntityTooLarge", "The body is larger than the allowed maximum.");
  if (!body) co_return refuse(400, "RequestTimeout", "The body ended before it was complete.");
  if (const std::string* sent = call.request.headers.find("Content-MD5")) {
    std::optional<std::string> digest = base64_decode(*sent);
    if (!digest || *digest != md5(*body)) co_return refuse(400, "InvalidDigest", "The Content-MD5 you specified did not match what we received.");
  }
  co_return std::move(*body);
}

http::Response xml_response(std::string document) {
  http::Response response;
  response.headers.set("Content-Type", "application/xml");
  response.body = std::move(document);
  return response;
}

http::Response empty_response(int status) { return http::Response{.status = status}; }

std::string_view acl_word(Acl acl) {
  switch (acl) {
    case Acl::inherit: return "default";
    case Acl::private_: return "private";
    case Acl::public_read: return "public-read";
    case Acl::public_read_write: return "public-read-write";
  }
  return "private";
}

std::optional<Acl> parse_object_acl(std::string_view word) {
  for (Acl acl : {Acl::inherit, Acl::private_, Acl::public_read, Acl::public_read_write}) {
    if (acl_word(acl) == word) return acl;
  }
  return std::nullopt;
}
std::optional<Acl> parse_bucket_acl(std::string_view word) {
  std::optional<Acl> acl = parse_object_acl(word);
  return acl == Acl::inherit ? std::nullopt : acl;
}

bool is_archived_class(std::string_view word) { return word == "Archive" || word == "ColdArchive" || word == "DeepColdArchive"; }
bool is_storage_class(std::string_view word) { return word == "Standard" || word == "IA" || is_archived_class(word); }

OssExpected<int64_t> number_parameter(const OssCall& call, std::string_view name, int64_t low, int64_t high, int64_t fallback) {
  std::string text = call.parameter(name);
  if (text.empty()) return fallback;
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < low || value > high) {
    return invalid_argument(fmt::format("Argument {} must be an integer between {} and {}.", name, low, high), std::string(name), text);
  }
  return value;
}

}  // namespace mayfly::dialects::aliyun
