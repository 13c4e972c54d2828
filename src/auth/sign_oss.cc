#include "auth/sign_oss.h"

#include <algorithm>

#include "auth/canonical.h"
#include "base/encoding.h"
#include "base/hash.h"
#include "base/json.h"

namespace mayfly::auth {
namespace {

constexpr std::string_view kV4 = "OSS4-HMAC-SHA256";
constexpr std::string_view kV4Terminator = "aliyun_v4_request";
constexpr std::string_view kUnsigned = "UNSIGNED-PAYLOAD";

enum class Version { v1, v2, v4 };

// What a request says about its own signature.
struct Claim {
  Version version = Version::v1;
  std::string access_key_id, token, signature;
  std::string date;                     // the Date line, or x-oss-date of V4
  std::string scope;                    // V4: "<date>/<region>/<product>/aliyun_v4_request"
  std::vector<std::string> additional;  // V2, V4: further signed headers
};

std::string value_of(const http::Query& query, std::string_view name) {
  const std::string* value = http::find(query, name);
  return value != nullptr ? *value : std::string();
}

std::string resource_path(const std::string& bucket, const std::string& key) { return bucket.empty() ? "/" : "/" + bucket + "/" + key; }

// ---- what each version signs

std::string v1_subresources(const http::Query& query) {
  http::Query signed_ones;
  std::ranges::copy_if(query, std::back_inserter(signed_ones), [](const auto& each) { return is_oss_subresource(each.first); });
  std::ranges::sort(signed_ones);  // by name first: "callback" stands before "callback-var", though '-' sorts before '='
  std::vector<std::string> parts;
  for (const auto& [name, value] : signed_ones) parts.push_back(value.empty() ? name : name + "=" + value);
  return parts.empty() ? "" : "?" + join(parts, '&');
}

std::string v2_string_to_sign(const http::Request& request, const std::string& bucket, const std::string& key, const Claim& claim) {
  SignedHeaders headers;
  collect_prefixed(request.headers, "x-oss-", headers);
  for (const auto& name : claim.additional) collect_named(request.headers, name, headers);
  const std::string query = canonical_query(request.query(), Empties::bare, {"x-oss-signature"});
  return request.method + "\n" + request.headers.get("Content-MD5") + "\n" + request.headers.get("Content-Type") + "\n" + claim.date + "\n" +
         header_lines(headers) + join(claim.additional, ';') + "\n" + percent_encode(resource_path(bucket, key)) + (query.empty() ? "" : "?" + query);
}

std::string v4_canonical(const http::Request& request, const std::string& bucket, const std::string& key, const Claim& claim, Empties empties) {
  SignedHeaders headers;
  collect_prefixed(request.headers, "x-oss-", headers);
  collect_named(request.headers, "content-type", headers);
  collect_named(request.headers, "content-md5", headers);
  for (const auto& name : claim.additional) {
    if (name == "host") headers["host"] = request.host;
    else collect_named(request.headers, name, headers);
  }
  return request.method + "\n" + percent_encode(resource_path(bucket, key), Slash::keep) + "\n" +
         canonical_query(request.query(), empties, {"x-oss-signature"}) + "\n" + header_lines(headers) + "\n" + join(claim.additional, ';') + "\n" +
         request.headers.get("x-oss-content-sha256", kUnsigned);
}

std::string v4_key(const std::string& secret, std::string_view date8, std::string_view region, std::string_view product) {
  return hmac_sha256(hmac_sha256(hmac_sha256(hmac_sha256("aliyun_v4" + secret, date8), region), product), kV4Terminator);
}

// The parts of "<date>/<region>/<product>/aliyun_v4_request".
struct Scope {
  std::string_view date8, region, product;
};
std::optional<Scope> split_scope(std::string_view scope) {
  std::vector<std::string_view> parts;
  while (parts.size() < 4) {
    const size_t slash = scope.find('/');
    parts.push_back(scope.substr(0, slash));
    if (slash == std::string_view::npos) break;
    scope.remove_prefix(slash + 1);
  }
  if (parts.size() != 4 || parts[3] != kV4Terminator || parts[0].size() != 8) return std::nullopt;
  return Scope{parts[0], parts[1], parts[2]};
}

Reading v4_reading(const http::Request& request, const std::string& bucket, const std::string& key, const Claim& claim, const std::string& secret,
                   Empties empties) {
  const std::string canonical = v4_canonical(request, bucket, key, claim, empties);
  const std::string text = std::string(kV4) + "\n" + claim.date + "\n" + claim.scope + "\n" + hex_encode(sha256(canonical));
  const auto scope = split_scope(claim.scope);
  MAYFLY_CHECK(scope.has_value());
  return {text + "\n\n" + canonical, hex_encode(hmac_sha256(v4_key(secret, scope->date8, scope->region, scope->product), text))};
}

std::vector<Reading> readings(const http::Request& request, const std::string& bucket, const std::string& key, const Claim& claim, const std::string& secret) {
  switch (claim.version) {
    case Version::v1: {
      std::string text = oss_v1_string_to_sign(request, bucket, key, claim.date);
      std::string signature = oss_v1_signature(text, secret);
      return {{std::move(text), std::move(signature)}};
    }
    case Version::v2: {
      std::string text = v2_string_to_sign(request, bucket, key, claim);
      std::string signature = base64_encode(hmac_sha256(secret, text));
      return {{std::move(text), std::move(signature)}};
    }
    case Version::v4: break;
  }
  std::vector<Reading> out{v4_reading(request, bucket, key, claim, secret, Empties::bare)};
  if (has_empty_value(request.query()))
    for (auto empties : {Empties::subresources_bare, Empties::with_equals}) out.push_back(v4_reading(request, bucket, key, claim, secret, empties));
  return out;
}

// ---- what a request claims

Result<void> check_expiry(const std::string& text, int64_t start_us, const Clock& clock) {
  const auto seconds = read_seconds(text);
  if (!seconds) return fail(AuthError::malformed, "The expiry of a presigned URL must be a number of seconds.");
  if (start_us + *seconds * kMicrosPerSecond <= clock.wall_us()) return fail(AuthError::expired, "Request has expired.");
  return {};
}

Result<void> check_header_date(const http::Headers& headers, Claim& claim, const Clock& clock) {
  claim.date = headers.get("x-oss-date", headers.get("Date"));
  const auto date = parse_http_date(trim(claim.date));
  if (!date) return fail(AuthError::malformed, "The request needs a Date or x-oss-date header like 'Fri, 20 Nov 2026 10:00:00 GMT'.");
  return check_skew(*date, clock);
}

// "<key id>/<date>/<region>/<product>/aliyun_v4_request" into id and scope, and the scope's date against x-oss-date.
Result<void> read_credential(const std::string& credential, Claim& claim) {
  const size_t slash = credential.find('/');
  if (slash == std::string::npos) return fail(AuthError::malformed, "Credential must be <access key id>/<date>/<region>/oss/aliyun_v4_request.");
  claim.access_key_id = credential.substr(0, slash);
  claim.scope = credential.substr(slash + 1);
  const auto scope = split_scope(claim.scope);
  if (!scope) return fail(AuthError::malformed, "Credential must be <access key id>/<date>/<region>/oss/aliyun_v4_request.");
  if (!claim.date.starts_with(scope->date8)) return fail(AuthError::malformed, "The date in Credential is not the day of x-oss-date.");
  return {};
}

Result<Claim> read_v1_header(const http::Request& request, std::string_view text, const Clock& clock) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return fail(AuthError::malformed, "The Authorization header must be 'OSS <access key id>:<signature>'.");
  Claim claim{.access_key_id = std::string(trim(text.substr(0, colon))),
              .token = request.headers.get("x-oss-security-token"),
              .signature = std::string(trim(text.substr(colon + 1)))};
  MAYFLY_TRY_VOID(check_header_date(request.headers, claim, clock));
  return claim;
}

Result<Claim> read_v2_header(const http::Request& request, std::string_view text, const Clock& clock) {
  auto fields = read_fields(text, ':');
  if (fields["accesskeyid"].empty() || fields["signature"].empty())
    return fail(AuthError::malformed, "The Authorization header must be 'OSS2 AccessKeyId:<id>,Signature:<signature>'.");
  Claim claim{.version = Version::v2,
              .access_key_id = fields["accesskeyid"],
              .token = request.headers.get("x-oss-security-token"),
              .signature = fields["signature"],
              .additional = read_names(fields["additionalheaders"])};
  MAYFLY_TRY_VOID(check_header_date(request.headers, claim, clock));
  return claim;
}

Result<Claim> read_v4_header(const http::Request& request, std::string_view text, const Clock& clock) {
  auto fields = read_fields(text, '=');
  if (fields["credential"].empty() || fields["signature"].empty())
    return fail(AuthError::malformed, "The Authorization header must be 'OSS4-HMAC-SHA256 Credential=..., Signature=...'.");
  Claim claim{.version = Version::v4,
              .token = request.headers.get("x-oss-security-token"),
              .signature = fields["signature"],
              .additional = read_names(fields["additionalheaders"])};
  claim.date = trim(request.headers.get("x-oss-date"));
  if (claim.date.empty())
    if (const auto date = parse_http_date(trim(request.headers.get("Date")))) claim.date = compact_date(*date);
  const auto date_us = parse_compact_date(claim.date);
  if (!date_us) return fail(AuthError::malformed, "The request needs an x-oss-date header like 20261120T100000Z.");
  MAYFLY_TRY_VOID(read_credential(fields["credential"], claim));
  MAYFLY_TRY_VOID(check_skew(*date_us, clock));
  return claim;
}

Result<Claim> read_v4_query(const http::Query& query, const Clock& clock) {
  Claim claim{.version = Version::v4,
              .token = value_of(query, "x-oss-security-token"),
              .signature = value_of(query, "x-oss-signature"),
              .date = value_of(query, "x-oss-date"),
              .additional = read_names(value_of(query, "x-oss-additional-headers"))};
  const auto start_us = parse_compact_date(claim.date);
  if (!start_us) return fail(AuthError::malformed, "x-oss-date must be like 20261120T100000Z.");
  MAYFLY_TRY_VOID(read_credential(value_of(query, "x-oss-credential"), claim));
  if (*start_us >= clock.wall_us() + kMaxSkewUs) MAYFLY_TRY_VOID(check_skew(*start_us, clock));  // signed in the future
  MAYFLY_TRY_VOID(check_expiry(value_of(query, "x-oss-expires"), *start_us, clock));
  return claim;
}

Result<Claim> read_query(const http::Query& query, const Clock& clock) {
  const std::string version = value_of(query, "x-oss-signature-version");
  if (version == kV4) return read_v4_query(query, clock);
  Claim claim;
  if (version == "OSS2") {
    claim.version = Version::v2;
    claim.access_key_id = value_of(query, "x-oss-access-key-id");
    claim.date = value_of(query, "x-oss-expires");
    claim.signature = value_of(query, "x-oss-signature");
    claim.additional = read_names(value_of(query, "x-oss-additional-headers"));
  } else {
    claim.access_key_id = value_of(query, "OSSAccessKeyId");
    claim.date = value_of(query, "Expires");
    claim.signature = value_of(query, "Signature");
  }
  claim.token = value_of(query, "security-token");
  MAYFLY_TRY_VOID(check_expiry(claim.date, 0, clock));
  return claim;
}

bool is_presigned(const http::Query& query) {
  return http::find(query, "x-oss-signature") != nullptr || http::find(query, "Signature") != nullptr || http::find(query, "OSSAccessKeyId") != nullptr;
}

Result<Claim> read_header(const http::Request& request, const std::string& authorization, const Clock& clock) {
  const std::string_view text = authorization;
  if (text.starts_with("OSS ")) return read_v1_header(request, text.substr(4), clock);
  if (text.starts_with("OSS2 ")) return read_v2_header(request, text.substr(5), clock);
  if (text.starts_with(kV4)) return read_v4_header(request, text.substr(kV4.size()), clock);
  return fail(AuthError::malformed, "The Authorization header must begin with 'OSS ', 'OSS2 ' or 'OSS4-HMAC-SHA256 '.");
}

}  // namespace

std::string oss_v1_string_to_sign(const http::Request& request, const std::string& bucket, const std::string& key, const std::string& date) {
  SignedHeaders headers;
  collect_prefixed(request.headers, "x-oss-", headers);
  return request.method + "\n" + request.headers.get("Content-MD5") + "\n" + request.headers.get("Content-Type") + "\n" + date + "\n" + header_lines(headers) +
         resource_path(bucket, key) + v1_subresources(request.query());
}

std::string oss_v1_signature(const std::string& string_to_sign, const std::string& secret) { return base64_encode(hmac_sha1(secret, string_to_sign)); }
std::string oss_form_v1_signature(const std::string& policy_base64, const std::string& secret) { return base64_encode(hmac_sha1(secret, policy_base64)); }
std::string oss_form_v4_signature(const std::string& policy_base64, const std::string& secret, const std::string& date8, const std::string& region) {
  return hex_encode(hmac_sha256(v4_key(secret, date8, region, "oss"), policy_base64));
}

Result<Identity> verify_oss(const http::Request& request, const std::string& bucket, const std::string& key, const Keyring::Find& find_key,
                            const Clock& clock) {
  const std::string* authorization = request.headers.find("Authorization");
  if (authorization == nullptr && !is_presigned(request.query())) return Identity{};
  MAYFLY_TRY(const Claim claim, authorization != nullptr ? read_header(request, *authorization, clock) : read_query(request.query(), clock));
  MAYFLY_TRY(const Keyring::Known known, find_key(claim.access_key_id, claim.token));
  return judge(claim.signature, readings(request, bucket, key, claim, known.secret), known.identity);
}

Result<Identity> verify_oss(const http::Request& request, const std::string& bucket, const std::string& key, const Keyring& keyring, const Clock& clock) {
  return verify_oss(request, bucket, key, keyring.finder(clock), clock);
}

Result<Identity> verify_oss_form(const http::Query& fields, const Keyring::Find& find_key, const Clock& clock) {
  auto field = [&](std::string_view name) {
    auto at = std::ranges::find_if(fields, [&](const auto& pair) { return equals_ignore_case(pair.first, name); });
    return at == fields.end() ? std::string() : at->second;
  };
  const std::string policy = field("policy");
  if (policy.empty()) return Identity{};
  const auto text = base64_decode(policy);
  auto document = text ? parse_json(*text) : Expected<json::value, JsonError>(json::value());
  const auto expiration = document ? parse_iso8601(string_or(*document, "expiration")) : std::nullopt;
  if (!expiration) return fail(AuthError::malformed, "Invalid Policy: it must be base64 of JSON with an expiration like 2026-11-20T12:00:00.000Z.");
  if (*expiration <= clock.wall_us()) return fail(AuthError::expired, "Invalid according to Policy: Policy expired.");

  Claim claim{.token = field("x-oss-security-token")};
  if (field("x-oss-signature-version") != kV4) {
    MAYFLY_TRY(const Keyring::Known known, find_key(field("OSSAccessKeyId"), claim.token));
    return judge(field("Signature"), {{policy, oss_form_v1_signature(policy, known.secret)}}, known.identity);
  }
  claim.date = field("x-oss-date");
  MAYFLY_TRY_VOID(read_credential(field("x-oss-credential"), claim));
  const auto scope = split_scope(claim.scope);
  MAYFLY_CHECK(scope.has_value());
  MAYFLY_TRY(const Keyring::Known known, find_key(claim.access_key_id, claim.token));
  const std::string signature = oss_form_v4_signature(policy, known.secret, std::string(scope->date8), std::string(scope->region));
  return judge(field("x-oss-signature"), {{policy, signature}}, known.identity);
}

Result<Identity> verify_oss_form(const http::Query& fields, const Keyring& keyring, const Clock& clock) {
  return verify_oss_form(fields, keyring.finder(clock), clock);
}

// ---- signing, for our own clients

namespace {

// What `target` looks like on arrival, as far as signing cares.
http::Request as_request(const OssTarget& target, const http::Headers& headers, const http::Query& query) {
  http::Request request;
  request.method = target.method;
  request.headers = headers;
  request.raw_query = canonical_query(query, Empties::bare);
  return request;
}

}  // namespace

void sign_oss(const OssTarget& target, http::Headers& headers, const Credentials& credentials, int64_t wall_us) {
  headers.set("x-oss-date", compact_date(wall_us));
  headers.set("x-oss-content-sha256", std::string(kUnsigned));
  if (!credentials.security_token.empty()) headers.set("x-oss-security-token", credentials.security_token);
  Claim claim{.version = Version::v4, .date = headers.get("x-oss-date")};
  claim.scope = claim.date.substr(0, 8) + "/" + target.region + "/oss/" + std::string(kV4Terminator);
  const Reading reading = v4_reading(as_request(target, headers, target.query), target.bucket, target.key, claim, credentials.access_key_secret, Empties::bare);
  headers.set("Authorization", std::string(kV4) + " Credential=" + credentials.access_key_id + "/" + claim.scope + ", Signature=" + reading.signature);
}

std::string presign_oss(const OssTarget& target, const Credentials& credentials, int64_t wall_us, int64_t seconds) {
  Claim claim{.version = Version::v4, .date = compact_date(wall_us)};
  claim.scope = claim.date.substr(0, 8) + "/" + target.region + "/oss/" + std::string(kV4Terminator);
  http::Query query = target.query;
  query.emplace_back("x-oss-signature-version", kV4);
  query.emplace_back("x-oss-credential", credentials.access_key_id + "/" + claim.scope);
  query.emplace_back("x-oss-date", claim.date);
  query.emplace_back("x-oss-expires", std::to_string(seconds));
  if (!credentials.security_token.empty()) query.emplace_back("x-oss-security-token", credentials.security_token);
  const Reading reading = v4_reading(as_request(target, {}, query), target.bucket, target.key, claim, credentials.access_key_secret, Empties::bare);
  query.emplace_back("x-oss-signature", reading.signature);
  return canonical_query(query, Empties::bare);
}

}  // namespace mayfly::auth
