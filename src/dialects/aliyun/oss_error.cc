#include "dialects/aliyun/oss_error.h"

#include "base/encoding.h"
#include "dialects/aliyun/oss_xml.h"

namespace mayfly::dialects::aliyun {
namespace {

using objects::ObjectsError;

struct Word {
  int status;
  std::string_view code;
};

Word word_of(ObjectsError error) {
  switch (error) {
    case ObjectsError::invalid_name: return {400, "InvalidObjectName"};
    case ObjectsError::no_such_bucket: return {404, "NoSuchBucket"};
    case ObjectsError::bucket_exists: return {409, "BucketAlreadyExists"};
    case ObjectsError::bucket_not_empty: return {409, "BucketNotEmpty"};
    case ObjectsError::no_such_key: return {404, "NoSuchKey"};
    case ObjectsError::no_such_upload: return {404, "NoSuchUpload"};
    case ObjectsError::already_exists: return {409, "FileAlreadyExists"};
    case ObjectsError::precondition_failed: return {412, "PreconditionFailed"};
    case ObjectsError::not_modified: return {304, "NotModified"};
    case ObjectsError::invalid_part: return {400, "InvalidPart"};
    case ObjectsError::invalid_part_order: return {400, "InvalidPartOrder"};
    case ObjectsError::part_too_small: return {400, "EntityTooSmall"};
    case ObjectsError::not_appendable: return {409, "ObjectNotAppendable"};
    case ObjectsError::wrong_position: return {409, "PositionNotEqualToLength"};
    case ObjectsError::bad_digest: return {400, "InvalidDigest"};
    case ObjectsError::invalid_argument: return {400, "InvalidArgument"};
    case ObjectsError::too_large: return {400, "EntityTooLarge"};
    case ObjectsError::body_failed: return {400, "RequestTimeout"};
    case ObjectsError::corrupt: return {500, "InternalError"};
    case ObjectsError::disk_full: return {503, "ServiceUnavailable"};
    case ObjectsError::busy: return {503, "ServiceUnavailable"};
  }
  return {500, "InternalError"};
}

Word word_of(auth::AuthError error) {
  switch (error) {
    case auth::AuthError::missing: return {403, "AccessDenied"};
    case auth::AuthError::malformed: return {400, "InvalidArgument"};
    case auth::AuthError::unknown_key: return {403, "InvalidAccessKeyId"};
    case auth::AuthError::bad_token: return {403, "InvalidSecurityToken"};
    case auth::AuthError::bad_signature: return {403, "SignatureDoesNotMatch"};
    case auth::AuthError::skewed: return {403, "RequestTimeTooSkewed"};
    case auth::AuthError::expired: return {403, "AccessDenied"};
    case auth::AuthError::denied: return {403, "AccessDenied"};
  }
  return {403, "AccessDenied"};
}

// The vendor's error codes of the second kind, where they are known; clients show them and link to a page.
std::string_view ec_of(std::string_view code) {
  constexpr std::pair<std::string_view, std::string_view> kKnown[] = {
      {"NoSuchKey", "0026-00000001"},         {"NoSuchBucket", "0015-00000101"},       {"AccessDenied", "0003-00000001"},
      {"InvalidAccessKeyId", "0002-00000902"}, {"SignatureDoesNotMatch", "0002-00000040"}, {"RequestTimeTooSkewed", "0002-00000504"},
      {"BucketNotEmpty", "0015-00000301"},    {"BucketAlreadyExists", "0015-00000104"}, {"NoSuchUpload", "0042-00000002"},
  };
  for (const auto& [name, ec] : kKnown) {
    if (name == code) return ec;
  }
  return "0017-00000000";
}

}  // namespace

OssError::OssError(const Failure<ObjectsError>& failure) : message(failure.message) {
  Word word = word_of(failure.code);
  status = word.status;
  code = word.code;
  if (failure.code == ObjectsError::wrong_position) headers.set("x-oss-next-append-position", failure.hint);
  if (failure.code == ObjectsError::precondition_failed) details.emplace_back("Condition", failure.hint);
  if (failure.code == ObjectsError::invalid_part || failure.code == ObjectsError::part_too_small) details.emplace_back("PartNumber", failure.hint);
}

OssError::OssError(const Failure<auth::AuthError>& failure) : message(failure.message) {
  Word word = word_of(failure.code);
  status = word.status;
  code = word.code;
  if (failure.code == auth::AuthError::bad_signature && !failure.hint.empty()) details.emplace_back("StringToSign", failure.hint);
}

std::unexpected<OssError> refuse(int status, std::string code, std::string message) {
  return std::unexpected(OssError(status, std::move(code), std::move(message)));
}

std::unexpected<OssError> invalid_argument(std::string message, std::string name, std::string value) {
  return std::unexpected(
      OssError(400, "InvalidArgument", std::move(message)).with("ArgumentName", std::move(name)).with("ArgumentValue", std::move(value)));
}

std::unexpected<OssError> malformed_xml() {
  return refuse(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema.");
}

std::unexpected<OssError> access_denied(std::string message) { return refuse(403, "AccessDenied", std::move(message)); }

http::Response error_response(const OssError& error, const std::string& request_id, const std::string& host, Carrier carrier) {
  http::Response response{.status = error.status, .headers = error.headers};
  if (error.status == 304) return response;
  Xml xml("Error");
  std::string ec(ec_of(error.code));
  xml.leaf("Code", error.code).leaf("Message", error.message).leaf("RequestId", request_id).leaf("HostId", host);
  for (const auto& [name, value] : error.details) xml.leaf(name, value);
  xml.leaf("EC", ec);
  std::string document = std::move(xml).finish();
  response.headers.set("x-oss-ec", ec);
  if (carrier == Carrier::header) {
    response.headers.set("x-oss-err", base64_encode(document));
    return response;
  }
  response.headers.set("Content-Type", "application/xml");
  response.body = std::move(document);
  return response;
}

}  // namespace mayfly::dialects::aliyun
