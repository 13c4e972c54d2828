#include "auth/sign_fc.h"

#include <algorithm>

#include "auth/canonical.h"
#include "auth/sign_acs3.h"
#include "base/encoding.h"
#include "base/hash.h"

namespace mayfly::auth {
namespace {

constexpr std::string_view kScheme = "FC ";
constexpr std::string_view kApi = "/2016-08-15/";
constexpr std::string_view kProxy = "/2016-08-15/proxy/";

// The query as sorted "key=value" lines. A parameter without "=" on the wire is a bare key to some clients and "key=" to others.
enum class BareKeys { bare, with_equals };
std::string query_lines(std::string_view raw, BareKeys bare_keys) {
  std::vector<std::string> lines;
  while (!raw.empty()) {
    const size_t ampersand = raw.find('&');
    const std::string_view piece = raw.substr(0, ampersand);
    raw = ampersand == std::string_view::npos ? std::string_view() : raw.substr(ampersand + 1);
    if (piece.empty()) continue;
    const size_t equals = piece.find('=');
    std::string line = percent_decode(piece.substr(0, equals), Plus::is_space);
    if (line == "x-fc-signature") continue;
    if (equals != std::string_view::npos || bare_keys == BareKeys::with_equals) line.push_back('=');
    if (equals != std::string_view::npos) line += percent_decode(piece.substr(equals + 1), Plus::is_space);
    lines.push_back(std::move(line));
  }
  std::ranges::sort(lines);
  return join(lines, '\n');
}

std::string string_to_sign(const std::string& method, const http::Headers& headers, const std::string& date, const std::string& resource) {
  SignedHeaders signed_headers;
  collect_prefixed(headers, "x-fc-", signed_headers);
  return method + "\n" + headers.get("Content-MD5") + "\n" + headers.get("Content-Type") + "\n" + date + "\n" + header_lines(signed_headers) + resource;
}

struct Claim {
  std::string access_key_id, token, signature;
  std::string date;  // the Date line
  bool presigned = false;
};

// Every reading of the request that some client signs. The first is the specification's.
std::vector<Reading> readings(const http::Request& request, const Claim& claim, const std::string& secret) {
  const std::string path = percent_decode(request.raw_path);
  const bool custom_domain = !request.raw_path.starts_with(kApi);
  const bool signs_query = claim.presigned || custom_domain || path.starts_with(kProxy);
  std::vector<std::string> resources;
  if (signs_query) {
    resources.push_back(path + "\n" + query_lines(request.raw_query, BareKeys::with_equals));
    if (auto bare = path + "\n" + query_lines(request.raw_query, BareKeys::bare); bare != resources.front()) resources.push_back(std::move(bare));
    if (custom_domain && request.raw_query.empty()) resources.push_back(path);
  } else {
    resources.push_back(path);
    if (path != request.raw_path) resources.push_back(request.raw_path);  // the node client signs an ARN in a path as it sends it: encoded
  }
  std::vector<Reading> out;
  for (const auto& resource : resources) {
    std::string text = string_to_sign(request.method, request.headers, claim.date, resource);
    std::string signature = fc_signature(text, secret);
    out.push_back({std::move(text), std::move(signature)});
  }
  return out;
}

Result<Claim> read_presigned(const http::Query& query, const Clock& clock) {
  auto value = [&](std::string_view name) { const std::string* found = http::find(query, name); return found != nullptr ? *found : std::string(); };
  Claim claim{value("x-fc-access-key-id"), value("x-fc-security-token"), value("x-fc-signature"), value("x-fc-expires"), true};
  const auto seconds = read_seconds(claim.date);
  if (!seconds) return fail(AuthError::malformed, "x-fc-expires must be a number of seconds since 1970.");
  if (*seconds <= clock.wall_us() / kMicrosPerSecond) return fail(AuthError::expired, "The presigned URL has expired.");
  return claim;
}

Result<Claim> read_header(const http::Request& request, const Clock& clock) {
  const std::string* authorization = request.headers.find("Authorization");
  if (authorization == nullptr) return fail(AuthError::missing, "The request carries no signature.");
  if (!authorization->starts_with(kScheme)) return fail(AuthError::malformed, "The Authorization header must begin with 'FC ' or 'ACS3-HMAC-SHA256 '.");
  const std::string_view text = trim(std::string_view(*authorization).substr(kScheme.size()));
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return fail(AuthError::malformed, "The Authorization header must be 'FC <access key id>:<signature>'.");
  Claim claim{std::string(text.substr(0, colon)), request.headers.get("x-fc-security-token"), std::string(text.substr(colon + 1)), request.headers.get("Date"),
              false};
  const auto date = parse_http_date(trim(claim.date));
  if (!date) return fail(AuthError::malformed, "The Date header must be like 'Fri, 20 Nov 2026 10:00:00 GMT'.");
  MAYFLY_TRY_VOID(check_skew(*date, clock));
  return claim;
}

}  // namespace

bool carries_fc_signature(const http::Request& request) {
  const std::string* authorization = request.headers.find("Authorization");
  if (authorization != nullptr && authorization->starts_with(kScheme)) return true;
  return carries_acs3_signature(request) || http::find(request.query(), "x-fc-signature") != nullptr;
}

std::string fc_string_to_sign(const std::string& method, const std::string& raw_path, const std::string& raw_query, const http::Headers& headers,
                              const std::string& date) {
  const std::string path = percent_decode(raw_path);
  const bool signs_query = !raw_path.starts_with(kApi) || path.starts_with(kProxy);
  return string_to_sign(method, headers, date, signs_query ? path + "\n" + query_lines(raw_query, BareKeys::with_equals) : path);
}

std::string fc_signature(const std::string& string_to_sign, const std::string& secret) { return base64_encode(hmac_sha256(secret, string_to_sign)); }

Result<Identity> verify_fc(const http::Request& request, const Keyring::Find& find_key, const Clock& clock) {
  if (carries_acs3_signature(request)) return verify_acs3(request, find_key, clock);
  const bool presigned = !request.headers.has("Authorization") && request.raw_query.contains("x-fc-signature");
  MAYFLY_TRY(const Claim claim, presigned ? read_presigned(request.query(), clock) : read_header(request, clock));
  MAYFLY_TRY(const Keyring::Known key, find_key(claim.access_key_id, claim.token));
  return judge(claim.signature, readings(request, claim, key.secret), key.identity);
}

Result<Identity> verify_fc(const http::Request& request, const Keyring& keyring, const Clock& clock) {
  return verify_fc(request, keyring.finder(clock), clock);
}

void sign_fc(const std::string& method, const std::string& target, http::Headers& headers, const Credentials& credentials, int64_t wall_us) {
  headers.set("Date", http_date(wall_us));
  if (!credentials.security_token.empty()) headers.set("x-fc-security-token", credentials.security_token);
  const size_t mark = target.find('?');
  const std::string path = target.substr(0, mark), query = mark == std::string::npos ? "" : target.substr(mark + 1);
  const std::string text = fc_string_to_sign(method, path, query, headers, headers.get("Date"));
  headers.set("Authorization", std::string(kScheme) + credentials.access_key_id + ":" + fc_signature(text, credentials.access_key_secret));
}

}  // namespace mayfly::auth
