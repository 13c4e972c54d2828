#include "http/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "http/openssl_handles.h"
#include "io/shard.h"
#include "sys/fault.h"

namespace mayfly::http {
namespace {

using io::Deadline;
using io::StreamError;

constexpr size_t kRecordBytes = 16 * 1024 + 512;  // one TLS record with its overhead

// TLS on top of a raw stream. OpenSSL works on two memory BIOs; this class carries the bytes between them and the stream. After the
// handshake only write_all() sends: the raw stream takes one write at a time, and a reader that sent would let a writer beside it go on
// without waiting for the peer. What reading makes OpenSSL say (it refuses renegotiation) leaves with the next write.
class TlsStream final : public io::Stream {
 public:
  TlsStream(Ssl ssl, std::unique_ptr<io::Stream> raw) : ssl_(std::move(ssl)), raw_(std::move(raw)), in_(BIO_new(BIO_s_mem())), out_(BIO_new(BIO_s_mem())) {
    SSL_set_bio(ssl_.get(), in_, out_);  // owns both
  }

  io::Task<bool> handshake(Deadline deadline) {
    while (true) {
      int result = SSL_do_handshake(ssl_.get());
      int reason = SSL_get_error(ssl_.get(), result);
      ERR_clear_error();
      bool flushed = bool(co_await flush(deadline));  // the alert of a failure is sent as well
      if (result == 1) co_return flushed;
      if (reason != SSL_ERROR_WANT_READ || !flushed) co_return false;
      auto got = co_await fill(deadline);
      if (!got || *got == 0) co_return false;
    }
  }

  io::Task<std::expected<size_t, StreamError>> read_some(std::span<char> buffer, Deadline deadline) override {
    while (true) {
      size_t got = 0;
      int result = SSL_read_ex(ssl_.get(), buffer.data(), buffer.size(), &got);
      int reason = SSL_get_error(ssl_.get(), result);
      ERR_clear_error();
      if (BIO_ctrl_pending(out_) > kRecordBytes) co_return std::unexpected(StreamError::reset);  // the peer makes us talk and talk
      if (result == 1) co_return got;
      if (reason == SSL_ERROR_ZERO_RETURN) co_return size_t{0};
      if (reason != SSL_ERROR_WANT_READ) co_return std::unexpected(StreamError::reset);
      auto filled = co_await fill(deadline);
      if (!filled) co_return std::unexpected(filled.error());
      if (*filled == 0) co_return size_t{0};  // ended without goodbye: HTTP frames its bodies itself
    }
  }

  io::Task<std::expected<void, StreamError>> write_all(std::string_view data, Deadline deadline) override {
    do {
      size_t written = 0;
      std::string_view slice = data.substr(0, kSliceBytes);
      int result = slice.empty() ? 1 : SSL_write_ex(ssl_.get(), slice.data(), slice.size(), &written);
      ERR_clear_error();
      if (result != 1) co_return std::unexpected(StreamError::closed);
      data.remove_prefix(written);
      if (auto flushed = co_await flush(deadline); !flushed) co_return flushed;
    } while (!data.empty());
    if (ending_) raw_->shutdown_write();
    co_return std::expected<void, StreamError>{};
  }

  void shutdown_write() override {
    ending_ = true;
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }
  void close() override { raw_->close(); }
  void abort() override { raw_->abort(); }
  std::string peer() const override { return raw_->peer(); }

 private:
  static constexpr size_t kSliceBytes = 64 * 1024;  // encrypted at once, so that a large body is not held twice

  // Sends what OpenSSL has produced, and what a reader makes it add meanwhile.
  io::Task<std::expected<void, StreamError>> flush(Deadline deadline) {
    std::expected<void, StreamError> result;
    while (result && BIO_ctrl_pending(out_) > 0) {
      std::string bytes(BIO_ctrl_pending(out_), '\0');
      int got = BIO_read(out_, bytes.data(), static_cast<int>(bytes.size()));
      MAYFLY_CHECK_OP(got, ==, static_cast<int>(bytes.size()));
      result = co_await raw_->write_all(bytes, deadline);
    }
    co_return result;
  }

  io::Task<std::expected<size_t, StreamError>> fill(Deadline deadline) {
    buffer_.resize(kRecordBytes);
    auto got = co_await raw_->read_some(buffer_, deadline);
    if (got && *got > 0) BIO_write(in_, buffer_.data(), static_cast<int>(*got));
    buffer_ = {};
    co_return got;
  }

  Ssl ssl_;
  std::unique_ptr<io::Stream> raw_;
  BIO* in_;
  BIO* out_;
  std::string buffer_;
  bool ending_ = false;  // the goodbye has been said, to `out_` at least
};

// ALPN: HTTP/1.1 or nothing.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered, unsigned offered_size, void*) {
  static constexpr unsigned char kOurs[] = "\x08http/1.1";
  unsigned char* chosen = nullptr;
  int result = SSL_select_next_proto(&chosen, out_size, kOurs, sizeof kOurs - 1, offered, offered_size);
  *out = chosen;
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

class Context final : public TlsContext {
 public:
  explicit Context(SslContext context) : context_(std::move(context)) {}
  io::Task<std::unique_ptr<io::Stream>> accept(std::unique_ptr<io::Stream> raw, Deadline deadline) const override {
    Ssl ssl(SSL_new(context_.get()));
    SSL_set_accept_state(ssl.get());
    auto stream = std::make_unique<TlsStream>(std::move(ssl), std::move(raw));
    if (co_await stream->handshake(deadline)) co_return stream;
    stream->close();
    co_return nullptr;
  }

 private:
  SslContext context_;
};

}  // namespace

std::shared_ptr<TlsContext> make_tls_context(const std::string& certificate_chain_pem, const std::string& private_key_pem) {
  SslContext context(SSL_CTX_new(TLS_server_method()));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_num_tickets(context.get(), 1);
  SSL_CTX_set_alpn_select_cb(context.get(), choose_protocol, nullptr);

  Bio chain = memory_bio(certificate_chain_pem);
  X509Handle leaf(PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr));
  if (!leaf || SSL_CTX_use_certificate(context.get(), leaf.get()) != 1) throw openssl_fault("read", "TLS certificate");
  while (X509* next = PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr)) SSL_CTX_add0_chain_cert(context.get(), next);
  Key key = read_key(private_key_pem, "TLS private key");
  if (SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1) throw openssl_fault("match with its certificate", "TLS private key");
  ERR_clear_error();
  return std::make_shared<Context>(std::move(context));
}

}  // namespace mayfly::http
