#include "store/blob_format.h"

#include <cstring>

#include "base/check.h"
#include "base/hash.h"

namespace mayfly::store::blob_format {
namespace {

constexpr std::string_view kHeaderMagic = "MAYFBLOB";
constexpr std::string_view kFooterMagic = "MEND";

template <class T>
std::string_view bytes_of(const T& value) { return {reinterpret_cast<const char*>(&value), sizeof value}; }

uint32_t footer_crc(std::string_view id, uint64_t body_bytes) { return crc32c(bytes_of(body_bytes), crc32c(id)); }

}  // namespace

std::string header() {
  Header header{};
  std::memcpy(header.magic, kHeaderMagic.data(), sizeof header.magic);
  header.version = kVersion;
  header.crc = crc32c(bytes_of(header).substr(0, offsetof(Header, crc)));
  return std::string(bytes_of(header));
}

bool header_is_valid(std::string_view bytes) { return bytes == header(); }

std::string footer(std::string_view id, uint64_t body_bytes) {
  Footer footer{.body_bytes = body_bytes, .crc = footer_crc(id, body_bytes), .magic = {}};
  std::memcpy(footer.magic, kFooterMagic.data(), sizeof footer.magic);
  return std::string(bytes_of(footer));
}

std::optional<uint64_t> read_footer(std::string_view bytes, std::string_view id) {
  Footer footer;
  if (bytes.size() != sizeof footer) return std::nullopt;
  std::memcpy(&footer, bytes.data(), sizeof footer);
  if (std::string_view(footer.magic, sizeof footer.magic) != kFooterMagic || footer.crc != footer_crc(id, footer.body_bytes)) return std::nullopt;
  return footer.body_bytes;
}

uint32_t block_crc(std::string_view id, uint64_t block, std::string_view data) { return crc32c(data, crc32c(bytes_of(block), crc32c(id))); }

void append_block(std::string& out, std::string_view id, uint64_t block, std::string_view data) {
  MAYFLY_CHECK_OP(data.size(), <=, kBlockBytes);
  uint32_t crc = block_crc(id, block, data);
  out.append(data);
  out.append(bytes_of(crc));
}

std::optional<std::string_view> read_block(std::string_view bytes, std::string_view id, uint64_t block) {
  if (bytes.size() <= kCrcBytes) return std::nullopt;
  std::string_view data = bytes.substr(0, bytes.size() - kCrcBytes);
  uint32_t stored;
  std::memcpy(&stored, bytes.data() + data.size(), sizeof stored);
  if (stored != block_crc(id, block, data)) return std::nullopt;
  return data;
}

}  // namespace mayfly::store::blob_format
