#pragma once
// OpenSSL's objects with one owner each, and its errors as sys::Fault. For this room's TLS files only.

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

#include "sys/fault.h"

namespace mayfly::http {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* object) const { Free(object); }
};
using Ssl = std::unique_ptr<SSL, Freer<SSL_free>>;
using SslContext = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;
using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using X509Handle = std::unique_ptr<X509, Freer<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;

// A BIO that reads from `text`, which must outlive it.
Bio memory_bio(const std::string& text);
Key read_key(const std::string& pem, const char* subject);
// What OpenSSL last complained about, as EINVAL: "could not read TLS certificate (no start line)".
sys::Fault openssl_fault(const char* call, const std::string& subject);

}  // namespace mayfly::http
