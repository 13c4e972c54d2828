#pragma once
// Digests and message authentication (OpenSSL), and the two checksums of the storage protocols. Digests are raw bytes.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace mayfly {

std::string md5(std::string_view data);
std::string sha1(std::string_view data);
std::string sha256(std::string_view data);
std::string hmac_sha1(std::string_view key, std::string_view data);
std::string hmac_sha256(std::string_view key, std::string_view data);

// Digest of a stream of pieces.
class Digest {
 public:
  enum class Kind { md5, sha1, sha256 };
  explicit Digest(Kind kind);
  ~Digest();
  void update(std::string_view data);
  std::string finish();  // once

 private:
  struct Free { void operator()(void* context) const; };
  std::unique_ptr<void, Free> context_;
};

// CRC-64/XZ (ECMA-182 reflected, xorout all ones), running value in and out; start with 0. "123456789" -> 11051210869376104954.
uint64_t crc64(std::string_view data, uint64_t crc = 0);

// CRC-32C (Castagnoli), running value in and out; start with 0. "123456789" -> 0xe3069283.
uint32_t crc32c(std::string_view data, uint32_t crc = 0);

// Compares in time that depends on the lengths only: for signatures and tokens.
bool equals_constant_time(std::string_view a, std::string_view b);

}  // namespace mayfly
