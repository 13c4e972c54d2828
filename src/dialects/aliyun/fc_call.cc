#include "dialects/aliyun/fc_call.h"

#include <algorithm>
#include <charconv>

#include "base/encoding.h"

namespace mayfly::dialects::aliyun {
namespace {

constexpr size_t kMaxPage = 100;  // aliyun-fc.md section 7.2

// Which of the things the path names is the first that does not exist.
std::string missing_noun(const FcCall& call, std::string_view noun) {
  if (!call.service.empty() && !call.context.catalogue.service(call.service, "")) return "Service";
  if (!call.qualifier.empty() && !call.context.catalogue.service(call.service, call.qualifier))
    return call.qualifier.find_first_not_of("0123456789") == std::string::npos ? "Version" : "Alias";
  if (!call.function.empty() && !call.context.catalogue.function(call.service, call.qualifier, call.function)) return "Function";
  return std::string(noun);
}

std::string with_hint(const std::string& message, const std::string& hint) { return hint.empty() ? message : message + ": " + hint; }

}  // namespace

std::string FcCall::if_match() const {
  std::string match = request.headers.get("if-match");
  if (match.size() >= 2 && match.front() == '"' && match.back() == '"') match = match.substr(1, match.size() - 2);
  return match == "*" ? std::string() : match;
}

std::string FcCall::arn(std::string_view resource) const { return fmt::format("acs:fc:{}:{}:{}", context.region, account(), resource); }

std::unexpected<FcError> refuse(int status, std::string_view code, std::string message) {
  return std::unexpected(FcError{status, std::string(code), std::move(message)});
}
std::unexpected<FcError> invalid_argument(std::string message) { return refuse(400, "InvalidArgument", std::move(message)); }

FcError fc_error(const FcCall& call, const Failure<functions::CatalogueError>& failure, std::string_view noun) {
  using functions::CatalogueError;
  std::string message = with_hint(failure.message, failure.hint);
  switch (failure.code) {
    case CatalogueError::invalid: return {400, "InvalidArgument", message};
    case CatalogueError::not_found: {
      std::string missing = missing_noun(call, noun);
      return {404, missing == "AsyncConfig" ? "AsyncConfigNotExists" : missing + "NotFound", message};
    }
    case CatalogueError::already_exists: return {409, std::string(noun) + "AlreadyExists", message};
    case CatalogueError::conflict: return {409, "Conflict", message};
    case CatalogueError::precondition: return {412, "PreconditionFailed", message};
    case CatalogueError::too_large: return {400, "LimitExceededError", message};
  }
  return {500, "InternalServerError", message};
}

FcError fc_error(const FcCall& call, const Failure<dispatch::InvokeError>& failure) {
  using dispatch::InvokeError;
  std::string message = with_hint(failure.message, failure.hint);
  int64_t retry_after_s = std::max<int64_t>(1, failure.retry_after_s);  // where nothing is known: soon
  switch (failure.code) {
    case InvokeError::not_found: return {404, missing_noun(call, "Function") + "NotFound", message};
    case InvokeError::throttled: return {429, "ResourceThrottled", message, retry_after_s};
    case InvokeError::exhausted:
    case InvokeError::unavailable:
    case InvokeError::stopping:
    case InvokeError::cancelled: return {503, "ResourceExhausted", message, retry_after_s};
    case InvokeError::invalid: return {400, "InvalidArgument", message};
  }
  return {500, "InternalServerError", message};
}

FcError fc_error(const Failure<auth::AuthError>& failure) {
  using auth::AuthError;
  switch (failure.code) {
    case AuthError::missing: return {400, "MissingRequiredHeader", "required HTTP header Authorization was not specified"};
    case AuthError::malformed: return {400, "InvalidArgument", failure.message};
    case AuthError::unknown_key: return {403, "InvalidAccessKeyID", failure.message};
    case AuthError::bad_token: return {403, "AccessDenied", failure.message};
    case AuthError::bad_signature: return {403, "SignatureNotMatch", with_hint(failure.message, failure.hint)};
    case AuthError::skewed: return {403, "AccessDenied", with_hint(failure.message, failure.hint)};
    case AuthError::expired: return {403, "AccessDenied", failure.message};
    case AuthError::denied: return {403, "AccessDenied", failure.message};
  }
  return {500, "InternalServerError", failure.message};
}

http::Response error_response(const FcError& error) {
  http::Response response{.status = error.status, .body = to_text(json::object{{"ErrorCode", error.code}, {"ErrorMessage", error.message}})};
  response.headers.add("Content-Type", "application/json");
  if (error.retry_after_s > 0) response.headers.add("Retry-After", std::to_string(error.retry_after_s));
  return response;
}

http::Response json_response(json::object body, std::string etag) {
  http::Response response{.body = to_text(body)};
  response.headers.add("Content-Type", "application/json");
  if (!etag.empty()) response.headers.add("Etag", std::move(etag));
  return response;
}

http::Response no_content() { return {.status = 204, .body = {}}; }

FcExpected<functions::ListQuery> list_query(const FcCall& call) {
  functions::ListQuery query{.prefix = call.parameter("prefix"), .start = call.parameter("nextToken"), .limit = kMaxPage};
  if (query.start.empty()) query.start = call.parameter("startKey");
  std::string limit = call.parameter("limit");
  if (limit.empty()) return query;
  int64_t number = 0;
  auto [end, error] = std::from_chars(limit.data(), limit.data() + limit.size(), number);
  if (error != std::errc() || end != limit.data() + limit.size() || number < 1 || number > static_cast<int64_t>(kMaxPage))
    return invalid_argument(fmt::format("limit must be a number from 1 to {}, not '{}'", kMaxPage, limit));
  query.limit = static_cast<size_t>(number);
  return query;
}

}  // namespace mayfly::dialects::aliyun
