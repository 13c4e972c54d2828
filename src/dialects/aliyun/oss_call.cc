#include "dialects/aliyun/oss_call.h"

#include <charconv>

#include "auth/policy.h"
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

std::string source_ip(const http::Request& request) { return request.peer.substr(0, request.peer.rfind(':')); }

// What a policy's conditions may ask about.
auth::Access access_of(const OssCall& call, std::string action) {
  auth::Access access{.action = std::move(action), .resource = fmt::format("acs:oss:*:{}:{}{}{}", call.context.account, call.bucket.empty() ? "*" : call.bucket,
                                                                           call.key.empty() ? "" : "/", call.key)};
  access.context.emplace_back("acs:SourceIp", source_ip(call.request));
  access.context.emplace_back("acs:SecureTransport", call.request.scheme == "https" ? "true" : "false");
  for (const char* name : {"prefix", "delimiter"}) {
    if (call.key.empty()) access.context.emplace_back(*name == 'p' ? "oss:Prefix" : "oss:Delimiter", call.parameter(name));
  }
  return access;
}

bool names_caller(const std::string& principal, const auth::Identity& identity) {
  if (principal == "*") return true;
  if (identity.kind != auth::Identity::Kind::role) return false;
  return principal == identity.account || auth::wildcard_matches(principal, fmt::format("arn:sts::{}:assumed-role/{}/{}", identity.account, identity.role, identity.session));
}

// What the bucket's own policy says to this caller (aliyun-oss.md section 6); silent when there is none.
auth::Verdict bucket_verdict(const objects::Bucket& bucket, const auth::Identity& identity, const auth::Access& access) {
  const json::value* stored = bucket.configuration.if_contains("policy");
  if (stored == nullptr) return auth::Verdict::silent;
  auto policy = auth::parse_policy(view(stored->as_string()));
  if (!policy) return auth::Verdict::denied;  // a document that cannot be judged opens nothing
  auth::Verdict verdict = auth::Verdict::silent;
  for (const auth::Statement& statement : policy->statements) {
    bool meant = std::ranges::any_of(statement.principals, [&](const std::string& principal) { return names_caller(principal, identity); });
    if (statement.principals.empty()) meant = statement.effect == auth::Effect::deny;  // nobody named: refused to all, allowed to none
    if (!meant || !auth::statement_matches(statement, access)) continue;
    if (statement.effect == auth::Effect::deny) return auth::Verdict::denied;
    verdict = auth::Verdict::allowed;
  }
  return verdict;
}

}  // namespace

objects::Caller OssCall::caller() const {
  std::string principal = identity.kind == auth::Identity::Kind::role ? identity.role : identity.account;
  return {.request_id = request_id, .source_ip = source_ip(request), .principal = std::move(principal)};
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
  bool role = call.identity.kind == auth::Identity::Kind::role;
  const auth::Access access = access_of(call, std::move(action));
  bool allowed = role && call.context.authorizer.allows(call.identity, access);
  auto refused = [&] { return access_denied(fmt::format("You are not authorized to do {} on {}.", access.action, access.resource)); };
  if (call.bucket.empty()) {
    if (allowed) co_return OssExpected<void>{};
    co_return role ? refused() : access_denied("Anonymous access is forbidden for this operation.");
  }
  auto bucket = co_await load_bucket(call);
  if (!bucket) {  // who may not ask about it does not learn that it is missing; a bucket about to be made has no policy
    if (allowed) co_return OssExpected<void>{};
    co_return role ? OssExpected<void>(refused()) : std::unexpected(bucket.error());
  }
  switch (bucket_verdict(*bucket, call.identity, access)) {
    case auth::Verdict::denied: co_return refused();
    case auth::Verdict::allowed: co_return OssExpected<void>{};
    case auth::Verdict::silent: break;
  }
  if (allowed) co_return OssExpected<void>{};
  if (role) co_return refused();
  Acl acl = bucket->acl;
  if (!call.key.empty() && (need == Need::read_object || need == Need::write_object)) {
    auto object = co_await call.context.objects.head(call.loop, call.bucket, call.key, objects::Objects::Links::keep);
    if (object && object->acl != Acl::inherit) acl = object->acl;
  }
  if (opens(acl, need)) co_return OssExpected<void>{};
  co_return access_denied(call.key.empty() ? "You have no right to access this bucket because of bucket acl."
                                           : "You have no right to access this object because of bucket acl.");
}

io::Task<OssExpected<void>> authorize_source(OssCall& call, std::string bucket, std::string key) {
  if (call.identity.kind == auth::Identity::Kind::root) co_return OssExpected<void>{};
  OssCall source{.context = call.context, .loop = call.loop, .request = {}, .query = {}, .bucket = std::move(bucket), .key = std::move(key),
                 .request_id = call.request_id, .identity = call.identity, .loaded = {}};
  source.request.peer = call.request.peer;
  source.request.scheme = call.request.scheme;
  MAYFLY_CO_TRY_VOID(co_await authorize(source, Need::read_object, "oss:GetObject"));
  auto object = co_await call.context.objects.head(call.loop, source.bucket, source.key, objects::Objects::Links::keep);
  if (!object || object->symlink_target.empty()) co_return OssExpected<void>{};
  source.key = object->symlink_target;
  co_return co_await authorize(source, Need::read_object, "oss:GetObject");
}

io::Task<OssExpected<OssAddress>> authorize_copy(OssCall& call) {
  OssAddress source = parse_copy_source(call.header("x-oss-copy-source"));
  if (source.bucket.empty() || source.key.empty()) {
    co_return invalid_argument("Copy Source must mention the source bucket and key: /sourcebucket/sourcekey.", "x-oss-copy-source",
                               call.header("x-oss-copy-source"));
  }
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::write_object, "oss:PutObject"));
  MAYFLY_CO_TRY_VOID(co_await authorize_source(call, source.bucket, source.key));
  MAYFLY_CO_TRY_VOID(co_await call.context.buckets.find(call.loop, source.bucket));
  co_return source;
}

io::Task<OssExpected<void>> authorize_shown(OssCall& call, const objects::ObjectInfo& shown) {
  if (shown.symlink_target.empty()) co_return OssExpected<void>{};
  co_return co_await authorize_source(call, call.bucket, shown.symlink_target);
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
