#pragma once
// TLS over any Stream, by OpenSSL with memory BIOs, and the local certificate authority (DESIGN 4.10): made at first start, kept in the
// data folder (key readable by the owner only), trusted inside sandboxes, and used to sign one certificate for all the vendors' names.

#include <memory>
#include <string>
#include <vector>

#include "io/stream.h"

namespace mayfly::http {

// A server side ready for handshakes. Immutable, shared by all shards.
class TlsContext {
 public:
  virtual ~TlsContext() = default;
  virtual io::Task<std::unique_ptr<io::Stream>> accept(std::unique_ptr<io::Stream> raw, io::Deadline deadline) const = 0;  // nullptr if the handshake failed
};

// PEM texts in; throws sys::Fault (EINVAL) naming what could not be read.
std::shared_ptr<TlsContext> make_tls_context(const std::string& certificate_chain_pem, const std::string& private_key_pem);

struct Authority {
  std::string certificate_pem;
  std::string private_key_pem;
};
// Reads the authority kept in `folder`, or makes it (EC P-256, 10 years) and stores it durably.
Authority open_authority(const std::string& folder);

struct Certificate {
  std::string chain_pem;
  std::string private_key_pem;
};
// A server certificate for `names` (DNS names, wildcards allowed, or IP addresses), valid for two years.
Certificate issue_certificate(const Authority& authority, const std::vector<std::string>& names);

}  // namespace mayfly::http
