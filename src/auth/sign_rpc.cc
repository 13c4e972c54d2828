#include "auth/sign_rpc.h"

#include <algorithm>

#include "auth/canonical.h"
#include "auth/sign_acs3.h"
#include "base/encoding.h"
#include "base/hash.h"

namespace mayfly::auth {
namespace {

std::string value_of(const http::Query& parameters, std::string_view name) {
  const std::string* value = http::find(parameters, name);
  return value != nullptr ? *value : std::string();
}

}  // namespace

std::string rpc_string_to_sign(const std::string& method, const http::Query& parameters) {
  return method + "&%2F&" + percent_encode(canonical_query(parameters, Empties::with_equals, {"Signature"}));
}

std::string rpc_signature(const std::string& method, const http::Query& parameters, const std::string& secret) {
  return base64_encode(hmac_sha1(secret + "&", rpc_string_to_sign(method, parameters)));
}

Result<Identity> verify_rpc(const std::string& method, const http::Query& parameters, const Keyring::Find& find_key, const Clock& clock) {
  const std::string access_key_id = value_of(parameters, "AccessKeyId");
  if (access_key_id.empty()) return fail(AuthError::missing, "The parameter AccessKeyId is mandatory for this action.");
  const std::string signature = value_of(parameters, "Signature");
  if (signature.empty()) return fail(AuthError::malformed, "The parameter Signature is mandatory for this action.");
  const std::string algorithm = value_of(parameters, "SignatureMethod");
  if (!algorithm.empty() && !equals_ignore_case(algorithm, "HMAC-SHA1"))
    return fail(AuthError::malformed, "The SignatureMethod '" + algorithm.substr(0, 64) + "' is not supported.", "Use HMAC-SHA1.");
  auto date = parse_iso8601(value_of(parameters, "Timestamp"));
  if (!date) return fail(AuthError::malformed, "The parameter Timestamp must be like 2026-11-20T10:00:00Z.");
  MAYFLY_TRY_VOID(check_skew(*date, clock));
  MAYFLY_TRY(const Keyring::Known key, find_key(access_key_id, value_of(parameters, "SecurityToken")));
  return judge(signature, {{rpc_string_to_sign(method, parameters), rpc_signature(method, parameters, key.secret)}}, key.identity);
}

Result<Identity> verify_rpc(const std::string& method, const http::Query& parameters, const Keyring& keyring, const Clock& clock) {
  return verify_rpc(method, parameters, keyring.finder(clock), clock);
}

Result<Identity> verify_rpc_request(const http::Request& request, const http::Query& parameters, const Keyring& keyring, const Clock& clock) {
  if (carries_acs3_signature(request)) return verify_acs3(request, keyring, clock);
  return verify_rpc(request.method, parameters, keyring, clock);
}

http::Query sign_rpc(const std::string& method, http::Query parameters, const Credentials& credentials, const std::string& nonce, int64_t wall_us) {
  parameters.emplace_back("AccessKeyId", credentials.access_key_id);
  parameters.emplace_back("Format", "JSON");
  parameters.emplace_back("SignatureMethod", "HMAC-SHA1");
  parameters.emplace_back("SignatureNonce", nonce);
  parameters.emplace_back("SignatureVersion", "1.0");
  parameters.emplace_back("Timestamp", iso8601_s(wall_us));
  if (!credentials.security_token.empty()) parameters.emplace_back("SecurityToken", credentials.security_token);
  parameters.emplace_back("Signature", rpc_signature(method, parameters, credentials.access_key_secret));
  return parameters;
}

}  // namespace mayfly::auth
