#pragma once
// One request on its way through the OSS dialect, and the helpers every operation uses. Lives in OssDialect::handle's frame, which
// outlives the operation's task.

#include "dialects/aliyun/oss_address.h"
#include "dialects/aliyun/oss_dialect.h"
#include "dialects/aliyun/oss_error.h"
#include "dialects/aliyun/oss_xml.h"

namespace mayfly::dialects::aliyun {

struct OssCall {
  const OssContext& context;
  io::Loop& loop;
  http::Request request;
  http::Query query;
  std::string bucket, key;
  std::string request_id;
  auth::Identity identity;
  std::optional<objects::Bucket> loaded;  // the bucket's row, once somebody asked for it

  bool has(std::string_view parameter) const { return http::find(query, parameter) != nullptr; }
  std::string parameter(std::string_view name, std::string_view fallback = {}) const {
    const std::string* value = http::find(query, name);
    return value ? *value : std::string(fallback);
  }
  std::string header(std::string_view name) const { return request.headers.get(name); }
  objects::Caller caller() const;
  std::string endpoint() const;  // host[:port] clients should use
};

// The bucket of the call; NoSuchBucket. Read once.
io::Task<OssExpected<objects::Bucket>> load_bucket(OssCall& call);

// Whether the caller may do `action` ("oss:GetObject") on the call's bucket or key: root always; others by the bucket's policy, whose Deny
// is final, a role by its own policies as well, and who carries no signature by ACL.
// `need` says which ACLs would open it: the object's own (if it has one) comes before the bucket's.
enum class Need { owner, read_bucket, read_object, write_object };
io::Task<OssExpected<void>> authorize(OssCall& call, Need need, std::string action);
// The same for a role or root on something else than what the call names, such as the source of a copy.
io::Task<OssExpected<void>> authorize_source(OssCall& call, std::string bucket, std::string key);
// Whether the caller may write the call's key with what x-oss-copy-source names; and what that is. InvalidArgument, NoSuchBucket.
io::Task<OssExpected<OssAddress>> authorize_copy(OssCall& call);
// The same as authorize_source for what `shown` was read from: behind a symlink that is its target, which the caller must be allowed to read as well.
io::Task<OssExpected<void>> authorize_shown(OssCall& call, const objects::ObjectInfo& shown);

// The request's body as a whole, at most `limit` bytes; checks Content-MD5 when sent.
io::Task<OssExpected<std::string>> read_body(OssCall& call, size_t limit);

http::Response xml_response(std::string document);
http::Response empty_response(int status);

// "private" and so on. parse: nullopt for a word that is none.
std::string_view acl_word(objects::Acl acl);
std::optional<objects::Acl> parse_bucket_acl(std::string_view word);
std::optional<objects::Acl> parse_object_acl(std::string_view word);
bool is_storage_class(std::string_view word);
bool is_archived_class(std::string_view storage_class);

// A decimal parameter within [low, high]: InvalidArgument otherwise, `fallback` when absent or empty.
OssExpected<int64_t> number_parameter(const OssCall& call, std::string_view name, int64_t low, int64_t high, int64_t fallback);

}  // namespace mayfly::dialects::aliyun
