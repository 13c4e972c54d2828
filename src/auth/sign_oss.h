#pragma once
// The signatures of OSS: V1, V2 and V4, each in the Authorization header or presigned in the query (aliyun-oss.md section 2), and the
// signature of an upload form (section 6). Bucket and key are decoded, as the dialect found them, whichever way they were addressed:
// the signed resource is "/bucket/key" for path-style and virtual-host requests alike. Pure functions; any thread.
//
// V4 clients disagree on how an empty query parameter is signed; three readings are tried and any match is accepted (section 2.4).
// Any region in a V4 scope is accepted (self-hosting has none).

#include <string>

#include "auth/identity.h"
#include "auth/keyring.h"
#include "base/clock.h"
#include "http/message.h"

namespace mayfly::auth {

// A request that carries no signature is Identity::anonymous, not a failure: ACLs decide.
// AuthError::skewed is RequestTimeTooSkewed, AuthError::expired is a presigned URL past its end; both messages are the vendor's.
Result<Identity> verify_oss(const http::Request& request, const std::string& bucket, const std::string& key, const Keyring& keyring, const Clock& clock);
Result<Identity> verify_oss(const http::Request& request, const std::string& bucket, const std::string& key, const Keyring::Find& find_key, const Clock& clock);

// Upload form: `fields` in order, names compare without case. V4 when x-oss-signature-version says so, else V1. Checks key, signature and
// the policy's expiration; the conditions are the caller's. No policy field means anonymous.
Result<Identity> verify_oss_form(const http::Query& fields, const Keyring::Find& find_key, const Clock& clock);
Result<Identity> verify_oss_form(const http::Query& fields, const Keyring& keyring, const Clock& clock);

// True if the V1 resource includes this query parameter (a sub-resource), section 2.1.
bool is_oss_subresource(std::string_view name);

// The building blocks, for our command line and tests. `date` is the Date line: x-oss-date or Date, or the expiry when presigned.
std::string oss_v1_string_to_sign(const http::Request& request, const std::string& bucket, const std::string& key, const std::string& date);
std::string oss_v1_signature(const std::string& string_to_sign, const std::string& secret);  // base64 HMAC-SHA1
std::string oss_form_v1_signature(const std::string& policy_base64, const std::string& secret);
std::string oss_form_v4_signature(const std::string& policy_base64, const std::string& secret, const std::string& date8, const std::string& region);

struct OssTarget {
  std::string method, bucket, key;
  http::Query query;
  std::string region = "local";
};
// Sets x-oss-date, x-oss-content-sha256 (UNSIGNED-PAYLOAD), x-oss-security-token and Authorization (V4).
void sign_oss(const OssTarget& target, http::Headers& headers, const Credentials& credentials, int64_t wall_us);
// The query string that lets anyone do `target` for `seconds` (V4): append it to "/bucket/key?".
std::string presign_oss(const OssTarget& target, const Credentials& credentials, int64_t wall_us, int64_t seconds);

}  // namespace mayfly::auth
