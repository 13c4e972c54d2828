#pragma once
// One request on its way through the FC dialect, and the helpers every operation uses. Lives in FcDialect::handle's frame, which
// outlives the operation's task.

#include <expected>
#include <string>
#include <string_view>

#include "dialects/aliyun/fc_dialect.h"

namespace mayfly::dialects::aliyun {

constexpr uint64_t kMaxZipBytes = 100ull << 20;              // through the API (aliyun-fc.md section 12); through OSS 500 MB
constexpr size_t kMaxCodeBody = kMaxZipBytes / 3 * 4 + (1 << 20);  // base64 of it, and the rest of the document
constexpr size_t kMaxJsonBody = 1 << 20;
constexpr size_t kMaxEventBody = 32 << 20;                   // synchronous payloads, the vendor's later limit
constexpr int64_t kMaxWaitUs = 60 * kMicrosPerSecond;        // of a synchronous call for an instance: the node client gives up then

struct FcError {
  int status;
  std::string code, message;
  int64_t retry_after_s = 0;  // > 0: sent as Retry-After
};
template <class T>
using FcExpected = std::expected<T, FcError>;
using FcAnswer = FcExpected<http::Response>;

struct FcCall {
  const FcContext& context;
  io::Loop& loop;
  http::Request request;
  http::Query query;
  std::string version;     // "2016-08-15" or "2021-04-06"
  std::string request_id;
  // From the path, decoded: services/{service[.qualifier]}/functions/{function}/.../{item}
  std::string service, qualifier, function, item;
  std::string rest;        // HTTP triggers: what follows the function, still encoded, beginning with '/'
  bool service_path = true;   // of HTTP triggers: the path names the function; false on a custom domain
  bool serves_port = false;   // of HTTP triggers: the function is a server of its own
  bool streams_body = false;  // of HTTP triggers: `request.body` goes to the function as it comes; else `bytes` has it
  auth::Identity identity;
  std::string bytes;       // the body
  json::value body;        // the same, for operations that take JSON

  std::string parameter(std::string_view name) const {
    const std::string* value = http::find(query, name);
    return value ? *value : std::string();
  }
  std::string if_match() const;
  std::string account() const { return context.keyring.account(); }
  std::string arn(std::string_view resource) const;  // "acs:fc:<region>:<account>:<resource>"
};

std::unexpected<FcError> refuse(int status, std::string_view code, std::string message);
std::unexpected<FcError> invalid_argument(std::string message);
// `noun` ("Function") is what the call is about, for the code of a conflict or of what is missing when nothing above it is.
FcError fc_error(const FcCall& call, const Failure<functions::CatalogueError>& failure, std::string_view noun);
FcError fc_error(const FcCall& call, const Failure<dispatch::InvokeError>& failure);
FcError fc_error(const Failure<auth::AuthError>& failure);
http::Response error_response(const FcError& error);

http::Response json_response(json::object body, std::string etag = {});
http::Response no_content();

// prefix, startKey, nextToken and limit (aliyun-fc.md section 7.2).
FcExpected<functions::ListQuery> list_query(const FcCall& call);

// Unwraps a room's result inside an operation.
#define FC_CO_TRY_(result, declaration, call, noun, ...) \
  auto result = (__VA_ARGS__);                           \
  if (!result) co_return std::unexpected(fc_error(call, result.error(), noun)); \
  declaration = std::move(*result)
#define FC_CO_TRY(declaration, call, noun, ...) FC_CO_TRY_(MAYFLY_CONCAT(fc_try_, __LINE__), declaration, call, noun, __VA_ARGS__)
#define FC_CO_TRY_VOID(call, noun, ...) \
  if (auto result = (__VA_ARGS__); !result) co_return std::unexpected(fc_error(call, result.error(), noun))

}  // namespace mayfly::dialects::aliyun
