#pragma once
// The signature of Function Compute 2016-08-15 (aliyun-fc.md section 9.1), in the Authorization header or presigned in the query.
// Paths under /2016-08-15/proxy/ sign their query, other API paths do not. Any path outside /2016-08-15/ is a custom domain's: the bare
// path and its query are signed. Pure functions; any thread.

#include <string>

#include "auth/identity.h"
#include "auth/keyring.h"
#include "base/clock.h"
#include "http/message.h"

namespace mayfly::auth {

// The "FC" scheme in header or query, or ACS3 (sign_acs3.h), which the later API versions use: whichever the request carries.
// AuthError::missing when it carries none.
Result<Identity> verify_fc(const http::Request& request, const Keyring& keyring, const Clock& clock);
Result<Identity> verify_fc(const http::Request& request, const Keyring::Find& find_key, const Clock& clock);
bool carries_fc_signature(const http::Request& request);

// `raw_query` is the wire's; `date` is the Date header, or x-fc-expires when presigned.
std::string fc_string_to_sign(const std::string& method, const std::string& raw_path, const std::string& raw_query, const http::Headers& headers,
                              const std::string& date);
std::string fc_signature(const std::string& string_to_sign, const std::string& secret);  // base64

// Sets Date, x-fc-security-token (when there is one) and Authorization; `target` is the raw path and query. For our own command line.
void sign_fc(const std::string& method, const std::string& target, http::Headers& headers, const Credentials& credentials, int64_t wall_us);

}  // namespace mayfly::auth
