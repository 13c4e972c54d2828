#include "base/hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>
#include <memory>

#include "base/check.h"

namespace mayfly {
namespace {

// An algorithm, found once: OpenSSL 3 looks it up by name at every use of EVP_sha256() and its kind, which costs more than hashing a request.
struct Algorithm {
  explicit Algorithm(const char* name, size_t block) : md(EVP_MD_fetch(nullptr, name, nullptr)), block_bytes(block) { MAYFLY_CHECK(md != nullptr); }
  const EVP_MD* const md;
  const size_t block_bytes;
};
const Algorithm& algorithm(Digest::Kind kind) {
  static const Algorithm md5("MD5", 64), sha1("SHA1", 64), sha256("SHA256", 64);
  return kind == Digest::Kind::md5 ? md5 : kind == Digest::Kind::sha1 ? sha1 : sha256;
}

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

// Digest of two pieces in a context that the thread keeps.
size_t digest_of(const Algorithm& kind, std::string_view first, std::string_view second, unsigned char* out) {
  thread_local const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
  unsigned size = 0;
  MAYFLY_CHECK_OP(EVP_DigestInit_ex2(context.get(), kind.md, nullptr), ==, 1);
  MAYFLY_CHECK_OP(EVP_DigestUpdate(context.get(), first.data(), first.size()), ==, 1);
  MAYFLY_CHECK_OP(EVP_DigestUpdate(context.get(), second.data(), second.size()), ==, 1);
  MAYFLY_CHECK_OP(EVP_DigestFinal_ex(context.get(), out, &size), ==, 1);
  return size;
}

std::string digest(Digest::Kind kind, std::string_view data) {
  unsigned char out[EVP_MAX_MD_SIZE];
  size_t size = digest_of(algorithm(kind), data, {}, out);
  return {reinterpret_cast<char*>(out), size};
}

// RFC 2104: H(key ^ 5c.. | H(key ^ 36.. | data)), the key padded with zeros to a block, hashed first if it is longer.
std::string hmac(Digest::Kind kind, std::string_view key, std::string_view data) {
  constexpr unsigned char kInner = 0x36, kOuter = 0x5c;
  const Algorithm& hash = algorithm(kind);
  unsigned char out[EVP_MAX_MD_SIZE];
  std::string block(key);
  if (key.size() > hash.block_bytes) block = digest(kind, key);
  block.resize(hash.block_bytes);
  for (char& byte : block) byte = static_cast<char>(byte ^ kInner);
  size_t size = digest_of(hash, block, data, out);
  for (char& byte : block) byte = static_cast<char>(byte ^ kInner ^ kOuter);
  size = digest_of(hash, block, {reinterpret_cast<char*>(out), size}, out);
  OPENSSL_cleanse(block.data(), block.size());
  return {reinterpret_cast<char*>(out), size};
}

// Slice-by-8 tables for a reflected polynomial: table[k][b] is the checksum of byte b followed by k zero bytes.
template <class Word>
constexpr auto make_tables(Word polynomial) {
  std::array<std::array<Word, 256>, 8> table{};
  for (unsigned i = 0; i < 256; ++i) {
    Word crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ polynomial : crc >> 1;
    table[0][i] = crc;
  }
  for (unsigned k = 1; k < 8; ++k)
    for (unsigned i = 0; i < 256; ++i) table[k][i] = table[0][table[k - 1][i] & 255] ^ table[k - 1][i] >> 8;
  return table;
}

template <class Word>
Word crc_by_tables(const std::array<std::array<Word, 256>, 8>& table, std::string_view data, Word crc) {
  auto* at = reinterpret_cast<const unsigned char*>(data.data());
  auto* end = at + data.size();
  crc = ~crc;
  for (; end - at >= 8; at += 8) {
    Word next = 0;
    for (unsigned k = 0; k < 8; ++k) {
      unsigned char byte = at[k];
      if (k < sizeof(Word)) byte ^= static_cast<unsigned char>(crc >> 8 * k);
      next ^= table[7 - k][byte];
    }
    crc = next;
  }
  for (; at != end; ++at) crc = table[0][(crc ^ *at) & 255] ^ crc >> 8;
  return ~crc;
}

constexpr auto kCrc64 = make_tables<uint64_t>(0xc96c5795d7870f42);  // 0x42f0e1eba9ea3693 reflected
constexpr auto kCrc32c = make_tables<uint32_t>(0x82f63b78);         // 0x1edc6f41 reflected

}  // namespace

std::string md5(std::string_view data) { return digest(Digest::Kind::md5, data); }
std::string sha1(std::string_view data) { return digest(Digest::Kind::sha1, data); }
std::string sha256(std::string_view data) { return digest(Digest::Kind::sha256, data); }
std::string hmac_sha1(std::string_view key, std::string_view data) { return hmac(Digest::Kind::sha1, key, data); }
std::string hmac_sha256(std::string_view key, std::string_view data) { return hmac(Digest::Kind::sha256, key, data); }

void Digest::Free::operator()(void* context) const { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context)); }
Digest::Digest(Kind kind) : context_(EVP_MD_CTX_new()) {
  MAYFLY_CHECK_OP(EVP_DigestInit_ex2(static_cast<EVP_MD_CTX*>(context_.get()), algorithm(kind).md, nullptr), ==, 1);
}
Digest::~Digest() = default;
void Digest::update(std::string_view data) {
  MAYFLY_CHECK_OP(EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_.get()), data.data(), data.size()), ==, 1);
}
std::string Digest::finish() {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  MAYFLY_CHECK_OP(EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_.get()), out, &size), ==, 1);
  return {reinterpret_cast<char*>(out), size};
}

uint64_t crc64(std::string_view data, uint64_t crc) { return crc_by_tables(kCrc64, data, crc); }
uint32_t crc32c(std::string_view data, uint32_t crc) { return crc_by_tables(kCrc32c, data, crc); }

bool equals_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace mayfly
