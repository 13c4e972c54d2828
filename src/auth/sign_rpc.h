#pragma once
// The signature of Alibaba's RPC style APIs: FnF, STS, RAM (aliyun-fnf.md section 7). All parameters, wherever they came from (query
// or form), sorted and encoded twice, under HMAC-SHA1 with the secret and "&". Pure functions; any thread.

#include <string>
#include <utility>
#include <vector>

#include "auth/identity.h"
#include "auth/keyring.h"
#include "base/clock.h"
#include "http/message.h"

namespace mayfly::auth {

// `parameters` are query and form merged and decoded, in any order; "Signature" among them is left out.
std::string rpc_string_to_sign(const std::string& method, const http::Query& parameters);
std::string rpc_signature(const std::string& method, const http::Query& parameters, const std::string& secret);  // base64

// Needs AccessKeyId, Signature, Timestamp (ISO 8601, within kMaxSkewUs), and SecurityToken with a temporary key.
Result<Identity> verify_rpc(const std::string& method, const http::Query& parameters, const Keyring& keyring, const Clock& clock);
Result<Identity> verify_rpc(const std::string& method, const http::Query& parameters, const Keyring::Find& find_key, const Clock& clock);

// What an RPC front needs: newer clients sign the same calls with ACS3 in the Authorization header (sign_acs3.h) instead of a
// Signature parameter. Verifies whichever the request carries.
Result<Identity> verify_rpc_request(const http::Request& request, const http::Query& parameters, const Keyring& keyring, const Clock& clock);

// Adds the system parameters (AccessKeyId, Timestamp, nonce, ...) and Signature to `parameters`, for our own command line.
http::Query sign_rpc(const std::string& method, http::Query parameters, const Credentials& credentials, const std::string& nonce, int64_t wall_us);

}  // namespace mayfly::auth
