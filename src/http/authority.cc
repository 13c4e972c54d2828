// The local certificate authority and the certificates it signs (tls.h).
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "http/openssl_handles.h"
#include "http/tls.h"
#include "sys/file.h"

namespace mayfly::http {
namespace {

constexpr long kDay = 24 * 3600;
constexpr long kAuthorityDays = 10 * 365;
constexpr long kCertificateDays = 2 * 365;  // clients refuse more than 825 days
constexpr long kBackdateDays = 1;           // a sandbox or device whose clock is a little behind must accept it
constexpr size_t kMaxCommonName = 64;       // X.520 upper bound

std::string to_pem(const auto& write) {
  Bio bio(BIO_new(BIO_s_mem()));
  if (write(bio.get()) != 1) throw openssl_fault("encode", "PEM");
  char* data = nullptr;
  long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<size_t>(size)};
}
std::string certificate_pem(X509* certificate) {
  return to_pem([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}
std::string key_pem(EVP_PKEY* key) {
  return to_pem([&](BIO* bio) { return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr); });
}

Key make_key() {
  Key key(EVP_EC_gen("P-256"));
  if (!key) throw openssl_fault("make", "EC key");
  return key;
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>> extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  if (!extension || X509_add_ext(certificate, extension.get(), -1) != 1) throw openssl_fault("add certificate extension", value);
}

// A certificate with everything but its extensions and signature.
X509Handle draft(const std::string& common_name, EVP_PKEY* key, long days) {
  X509Handle certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  unsigned char serial[16];
  if (RAND_bytes(serial, sizeof serial) != 1) throw openssl_fault("draw", "certificate serial");
  serial[0] &= 0x7f;  // positive
  std::unique_ptr<BIGNUM, Freer<BN_free>> number(BN_bin2bn(serial, sizeof serial, nullptr));
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate.get()));
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -kBackdateDays * kDay);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), days * kDay);
  X509_NAME* name = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>("Mayfly"), -1, -1, 0);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0);
  X509_set_pubkey(certificate.get(), key);
  return certificate;
}

void sign(X509* certificate, EVP_PKEY* key) {
  if (X509_sign(certificate, key, EVP_sha256()) == 0) throw openssl_fault("sign", "certificate");
}

X509Handle read_certificate(const std::string& pem, const char* subject) {
  Bio bio = memory_bio(pem);
  X509Handle certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (!certificate) throw openssl_fault("read", subject);
  return certificate;
}

Authority make_authority() {
  Key key = make_key();
  X509Handle certificate = draft("Mayfly local authority", key.get(), kAuthorityDays);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate.get()));
  add_extension(certificate.get(), certificate.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  add_extension(certificate.get(), certificate.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  add_extension(certificate.get(), certificate.get(), NID_subject_key_identifier, "hash");
  sign(certificate.get(), key.get());
  return {certificate_pem(certificate.get()), key_pem(key.get())};
}

// Subject alternative names: "DNS:*.example.com,IP:127.0.0.1". Refuses what would end a name early in that notation.
std::string alternative_names(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) {
    if (name.empty() || name.find_first_of(",:\r\n \\") != std::string::npos) {
      in6_addr ignored;
      if (::inet_pton(AF_INET6, name.c_str(), &ignored) != 1) throw sys::Fault("issue a certificate for", name, EINVAL);
    }
    in_addr v4;
    bool address = name.find(':') != std::string::npos || ::inet_pton(AF_INET, name.c_str(), &v4) == 1;
    list += (list.empty() ? "" : ",") + std::string(address ? "IP:" : "DNS:") + name;
  }
  return list;
}

}  // namespace

Bio memory_bio(const std::string& text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

Key read_key(const std::string& pem, const char* subject) {
  Bio bio = memory_bio(pem);
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  if (!key) throw openssl_fault("read", subject);
  return key;
}

sys::Fault openssl_fault(const char* call, const std::string& subject) {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return sys::Fault(call, reason != nullptr ? fmt::format("{} ({})", subject, reason) : subject, EINVAL);
}

Authority open_authority(const std::string& folder) {
  std::string certificate_path = folder + "/authority.crt", key_path = folder + "/authority.key";
  if (auto certificate = sys::read_file_if_exists(certificate_path)) {
    Authority authority{*certificate, sys::read_file(key_path)};
    X509Handle parsed = read_certificate(authority.certificate_pem, "authority certificate");
    Key key = read_key(authority.private_key_pem, "authority key");
    if (X509_check_private_key(parsed.get(), key.get()) != 1) throw openssl_fault("match with its certificate", key_path);
    return authority;
  }
  // The key first: a certificate on disk means that the authority is whole and may already be trusted somewhere.
  Authority authority = make_authority();
  sys::make_folders(folder, 0700);
  sys::write_file_durable(key_path, authority.private_key_pem, 0600);
  sys::write_file_durable(certificate_path, authority.certificate_pem, 0644);
  return authority;
}

Certificate issue_certificate(const Authority& authority, const std::vector<std::string>& names) {
  MAYFLY_CHECK(!names.empty());
  X509Handle issuer = read_certificate(authority.certificate_pem, "authority certificate");
  Key issuer_key = read_key(authority.private_key_pem, "authority key");
  Key key = make_key();
  X509Handle certificate = draft(names[0].size() <= kMaxCommonName ? names[0] : "mayfly", key.get(), kCertificateDays);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer.get()));
  add_extension(certificate.get(), issuer.get(), NID_basic_constraints, "critical,CA:FALSE");
  add_extension(certificate.get(), issuer.get(), NID_key_usage, "critical,digitalSignature");
  add_extension(certificate.get(), issuer.get(), NID_ext_key_usage, "serverAuth");
  add_extension(certificate.get(), issuer.get(), NID_subject_key_identifier, "hash");
  add_extension(certificate.get(), issuer.get(), NID_authority_key_identifier, "keyid");
  add_extension(certificate.get(), issuer.get(), NID_subject_alt_name, alternative_names(names));
  sign(certificate.get(), issuer_key.get());
  return {certificate_pem(certificate.get()) + authority.certificate_pem, key_pem(key.get())};
}

}  // namespace mayfly::http
