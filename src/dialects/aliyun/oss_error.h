#pragma once
// Refusals as OSS words them (aliyun-oss.md section 5).

#include <string>
#include <vector>

#include "auth/identity.h"
#include "http/message.h"
#include "objects/objects.h"

namespace mayfly::dialects::aliyun {

struct OssError {
  int status = 400;
  std::string code, message;
  std::vector<std::pair<std::string, std::string>> details{};  // more elements of the document
  http::Headers headers{};

  OssError(int status, std::string code, std::string message) : status(status), code(std::move(code)), message(std::move(message)) {}
  // The vendor's word for what the objects room or the auth room refused.
  OssError(const Failure<objects::ObjectsError>& failure);  // NOLINT(google-explicit-constructor): lets MAYFLY_CO_TRY pass failures on
  OssError(const Failure<auth::AuthError>& failure);        // NOLINT(google-explicit-constructor)

  OssError with(std::string name, std::string value) && {
    details.emplace_back(std::move(name), std::move(value));
    return std::move(*this);
  }
};

template <class T>
using OssExpected = std::expected<T, OssError>;
using OssResult = OssExpected<http::Response>;

std::unexpected<OssError> refuse(int status, std::string code, std::string message);
std::unexpected<OssError> invalid_argument(std::string message, std::string name, std::string value);
std::unexpected<OssError> malformed_xml();
std::unexpected<OssError> access_denied(std::string message);

// The error's document; a HEAD answer carries it in x-oss-err instead.
enum class Carrier { body, header };
http::Response error_response(const OssError& error, const std::string& request_id, const std::string& host, Carrier carrier);

}  // namespace mayfly::dialects::aliyun
