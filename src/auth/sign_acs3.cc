#include "auth/sign_acs3.h"

#include <algorithm>

#include "auth/canonical.h"
#include "base/encoding.h"
#include "base/hash.h"

namespace mayfly::auth {
namespace {

constexpr std::string_view kScheme = "ACS3-HMAC-SHA256";

std::string canonical(const http::Request& request, const std::vector<std::string>& signed_headers, Empties empties) {
  SignedHeaders headers;
  for (const auto& name : signed_headers) {
    if (name == "host") headers["host"] = request.host;
    else collect_named(request.headers, name, headers);
  }
  return request.method + "\n" + request.raw_path + "\n" + canonical_query(request.query(), empties) + "\n" + header_lines(headers) + "\n" +
         join(signed_headers, ';') + "\n" + request.headers.get("x-acs-content-sha256");
}

// Host and every x-acs-* header must be covered, or they could be changed on the way.
Result<void> check_coverage(const http::Request& request, const std::vector<std::string>& signed_headers) {
  auto covered = [&](const std::string& name) { return std::ranges::binary_search(signed_headers, name); };
  if (!covered("host")) return fail(AuthError::malformed, "SignedHeaders must name host.");
  for (const auto& [name, value] : request.headers)
    if (std::string low = lower(name); low.starts_with("x-acs-") && !covered(low)) return fail(AuthError::malformed, "SignedHeaders must name " + low + ".");
  return {};
}

}  // namespace

bool carries_acs3_signature(const http::Request& request) {
  const std::string* authorization = request.headers.find("Authorization");
  return authorization != nullptr && authorization->starts_with("ACS3-");
}

bool acs3_body_matches(const http::Headers& headers, const std::string& body) {
  const std::string* announced = headers.find("x-acs-content-sha256");
  return announced == nullptr || equals_ignore_case(*announced, hex_encode(sha256(body)));
}

std::string acs3_canonical_request(const http::Request& request, const std::vector<std::string>& signed_headers) {
  return canonical(request, signed_headers, Empties::with_equals);
}

std::string acs3_signature(const std::string& canonical_request, const std::string& secret) {
  return hex_encode(hmac_sha256(secret, std::string(kScheme) + "\n" + hex_encode(sha256(canonical_request))));
}

Result<Identity> verify_acs3(const http::Request& request, const Keyring::Find& find_key, const Clock& clock) {
  const std::string* authorization = request.headers.find("Authorization");
  if (authorization == nullptr) return fail(AuthError::missing, "The request carries no signature.");
  if (!authorization->starts_with(std::string(kScheme) + " "))
    return fail(AuthError::malformed, "The Authorization header must begin with 'ACS3-HMAC-SHA256 '.",
                "ACS3-HMAC-SHA256 is the only ACS3 algorithm spoken here.");
  auto fields = read_fields(std::string_view(*authorization).substr(kScheme.size()), '=');
  const std::vector<std::string> signed_headers = read_names(fields["signedheaders"]);
  if (fields["credential"].empty() || fields["signature"].empty())
    return fail(AuthError::malformed, "The Authorization header must name Credential, SignedHeaders and Signature.");
  MAYFLY_TRY_VOID(check_coverage(request, signed_headers));
  auto date = parse_iso8601(request.headers.get("x-acs-date"));
  if (!date) return fail(AuthError::malformed, "The header x-acs-date must be like 2026-11-20T10:00:00Z.");
  if (!request.headers.has("x-acs-content-sha256")) return fail(AuthError::malformed, "The header x-acs-content-sha256 is mandatory.");
  MAYFLY_TRY_VOID(check_skew(*date, clock));
  MAYFLY_TRY(const Keyring::Known key, find_key(fields["credential"], request.headers.get("x-acs-security-token")));

  std::vector<Reading> readings;
  for (auto empties : {Empties::with_equals, Empties::bare}) {
    const std::string text = canonical(request, signed_headers, empties);
    readings.push_back({std::string(kScheme) + "\n" + hex_encode(sha256(text)) + "\n\n" + text, acs3_signature(text, key.secret)});
    if (!has_empty_value(request.query())) break;
  }
  return judge(fields["signature"], readings, key.identity);
}

Result<Identity> verify_acs3(const http::Request& request, const Keyring& keyring, const Clock& clock) {
  return verify_acs3(request, keyring.finder(clock), clock);
}

}  // namespace mayfly::auth
