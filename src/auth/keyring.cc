#include "auth/keyring.h"

#include <cerrno>

#include "base/encoding.h"
#include "base/hash.h"
#include "base/json.h"
#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::auth {
namespace {

constexpr size_t kMasterBytes = 32;       // HMAC-SHA256 gains nothing from more
constexpr size_t kKeyIdLetters = 22;      // 131 bits: never guessed, never repeated
constexpr size_t kSecretLetters = 30;     // the length clients know
constexpr size_t kMaxTokenBytes = 8192;   // ours are below 600 without a session policy, which has at most 2 KiB; a longer one is not parsed
constexpr std::string_view kTemporary = "STS.";

std::string letters(Rng& rng, size_t count) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  std::string out;
  for (size_t i = 0; i < count; ++i) out.push_back(kAlphabet[rng.below(kAlphabet.size())]);
  return out;
}

// 16 digits, the first not zero, like the cloud's account ids.
std::string new_account(Rng& rng) {
  std::string out(1, static_cast<char>('1' + rng.below(9)));
  while (out.size() < 16) out.push_back(static_cast<char>('0' + rng.below(10)));
  return out;
}

std::string base64url(std::string_view bytes) {
  std::string out = base64_encode(bytes);
  for (char& c : out) c = c == '+' ? '-' : c == '/' ? '_' : c;
  out.erase(out.find_last_not_of('=') + 1);
  return out;
}

// The master key serves two purposes; the words keep their outputs apart.
std::string derive_secret(const std::string& master, const std::string& access_key_id) {
  return base64url(hmac_sha256(master, "secret\n" + access_key_id)).substr(0, 40);
}
std::string token_mac(const std::string& master, std::string_view payload) {
  return base64url(hmac_sha256(master, "token\n" + std::string(payload)));
}

}  // namespace

Keyring Keyring::make(std::string account, std::string root_id, std::string root_secret, std::string master) {
  Keyring keyring;
  keyring.account_ = std::move(account);
  keyring.root_id_ = std::move(root_id);
  keyring.root_secret_ = std::move(root_secret);
  keyring.master_ = std::move(master);
  return keyring;
}

Keyring Keyring::open(const std::string& folder, Rng& rng) {
  const std::string path = folder + "/keys.json";
  if (auto text = sys::read_file_if_exists(path)) {
    auto document = parse_json(*text);
    if (!document) throw sys::Fault("read the keys in", path + ": " + document.error().message, EINVAL);
    auto master = hex_decode(string_or(*document, "masterKey"));
    Keyring keyring =
        make(string_or(*document, "accountId"), string_or(*document, "accessKeyId"), string_or(*document, "accessKeySecret"), master.value_or(""));
    if (keyring.account_.empty() || keyring.root_id_.empty() || keyring.root_secret_.empty() || keyring.master_.size() < kMasterBytes)
      throw sys::Fault("read the keys in", path + ": accountId, accessKeyId, accessKeySecret and masterKey (64 hex digits) are needed", EINVAL);
    return keyring;
  }
  Keyring keyring = make(new_account(rng), "MF" + letters(rng, kKeyIdLetters), letters(rng, kSecretLetters), rng.bytes(kMasterBytes));
  keyring.created_ = true;
  const json::object document{{"accountId", keyring.account_},
                              {"accessKeyId", keyring.root_id_},
                              {"accessKeySecret", keyring.root_secret_},
                              {"masterKey", hex_encode(keyring.master_)}};
  sys::make_folders(folder, 0700);
  sys::write_file_durable(path, to_text(document) + "\n", 0600);
  return keyring;
}

// Token: base64url(JSON {k: key id, r: role, s: session, e: expiry us, p: session policy}) "." MAC over that text, so that no byte of it can change.
Credentials Keyring::issue(const std::string& role, const std::string& session, int64_t seconds, const Clock& clock, Rng& rng,
                           const std::string& session_policy) const {
  Credentials credentials;
  credentials.access_key_id = std::string(kTemporary) + letters(rng, kKeyIdLetters);
  credentials.access_key_secret = derive_secret(master_, credentials.access_key_id);
  credentials.expires_us = clock.wall_us() + seconds * kMicrosPerSecond;
  json::object claims{{"k", credentials.access_key_id}, {"r", role}, {"s", session}, {"e", credentials.expires_us}};
  if (!session_policy.empty()) claims["p"] = session_policy;
  const std::string payload = base64url(to_text(claims));
  credentials.security_token = payload + "." + token_mac(master_, payload);
  return credentials;
}

Result<Keyring::Known> Keyring::find(const std::string& access_key_id, const std::string& token, const Clock& clock) const {
  if (access_key_id.empty()) return fail(AuthError::missing, "No access key id was sent.");
  if (equals_constant_time(access_key_id, root_id_)) {
    if (!token.empty()) return fail(AuthError::bad_token, "A security token was sent with an access key that has none.");
    return Known{root_secret_, Identity{Identity::Kind::root, account_, "", ""}};
  }
  if (!access_key_id.starts_with(kTemporary))
    return fail(AuthError::unknown_key, "The access key id '" + access_key_id.substr(0, 64) + "' is not known here.",
                "The server's own key is in keys.json of its data folder.");
  if (token.empty()) return fail(AuthError::bad_token, "A temporary access key needs its security token.");

  const size_t dot = token.rfind('.');
  if (dot == std::string::npos || token.size() > kMaxTokenBytes) return fail(AuthError::bad_token, "The security token is malformed.");
  const std::string payload = token.substr(0, dot);
  if (!equals_constant_time(token.substr(dot + 1), token_mac(master_, payload))) return fail(AuthError::bad_token, "The security token was not issued here.");
  auto text = base64_decode(payload);
  auto claims = text ? parse_json(*text) : Expected<json::value, JsonError>(json::value());
  if (!claims || string_or(*claims, "k") != access_key_id) return fail(AuthError::bad_token, "The security token belongs to another access key.");
  if (int_or(*claims, "e") <= clock.wall_us()) return fail(AuthError::bad_token, "The security token has expired.");
  return Known{derive_secret(master_, access_key_id),
               Identity{Identity::Kind::role, account_, string_or(*claims, "r"), string_or(*claims, "s"), string_or(*claims, "p")}};
}

Keyring::Find Keyring::finder(const Clock& clock) const {
  return [this, &clock](const std::string& access_key_id, const std::string& token) { return find(access_key_id, token, clock); };
}

}  // namespace mayfly::auth
