#pragma once
// ACS3-HMAC-SHA256, the signature of FC 2021-04-06 and 2023-03-30 and of newer RPC clients (aliyun-fc.md section 9.2). The header
// x-acs-content-sha256 is signed; that the body has that digest is checked where the body is read: acs3_body_matches.

#include <string>
#include <vector>

#include "auth/identity.h"
#include "auth/keyring.h"
#include "base/clock.h"
#include "http/message.h"

namespace mayfly::auth {

bool carries_acs3_signature(const http::Request& request);
// The hint of bad_signature is the string to sign, an empty line, and the canonical request that it digests.
Result<Identity> verify_acs3(const http::Request& request, const Keyring& keyring, const Clock& clock);
Result<Identity> verify_acs3(const http::Request& request, const Keyring::Find& find_key, const Clock& clock);
// False if the request announces a digest and `body` has another.
bool acs3_body_matches(const http::Headers& headers, const std::string& body);

// `signed_headers` in lower case and sorted. "host" is taken from Request::host.
std::string acs3_canonical_request(const http::Request& request, const std::vector<std::string>& signed_headers);
std::string acs3_signature(const std::string& canonical_request, const std::string& secret);  // lower-case hex

}  // namespace mayfly::auth
