#pragma once
// The file of one blob, version 1. All numbers little-endian. Written once from front to back, never changed:
//
//   header   16 bytes
//     0   8  "MAYFBLOB"
//     8   4  version, 1
//    12   4  CRC-32C of bytes 0-11
//   blocks   each up to kBlockBytes of the body (only the last may be shorter) and 4 bytes of CRC-32C over the blob's id, the
//            block's number (8 bytes) and the block's bytes, so that a block cannot stand in for another, or for another file's
//   footer   16 bytes
//     0   8  size of the body in bytes
//     8   4  CRC-32C of the blob's id and bytes 0-7
//    12   4  "MEND"
//
// The footer makes a file cut short at the end of a block visible. Nothing in a file is outside some checksum or constant, so a
// flipped bit is found wherever it is. A reader refuses a version it does not know.

#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mayfly::store::blob_format {

constexpr uint32_t kVersion = 1;
constexpr size_t kBlockBytes = 64 * 1024;  // small enough for a ranged read to check little more than it returns
constexpr size_t kCrcBytes = 4;

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t crc;
};
struct Footer {
  uint64_t body_bytes;
  uint32_t crc;
  char magic[4];
};
static_assert(sizeof(Header) == 16 && alignof(Header) == 4);
static_assert(sizeof(Footer) == 16 && alignof(Footer) == 8);
static_assert(std::endian::native == std::endian::little, "the structs above are copied as they stand");

std::string header();
std::string footer(std::string_view id, uint64_t body_bytes);
uint32_t block_crc(std::string_view id, uint64_t block, std::string_view data);
// Appends one block of at most kBlockBytes to `out`, with its checksum.
void append_block(std::string& out, std::string_view id, uint64_t block, std::string_view data);

bool header_is_valid(std::string_view bytes);
// The body's size; nullopt if the footer is not one of `id`.
std::optional<uint64_t> read_footer(std::string_view bytes, std::string_view id);
// Takes the checksum off a block as it stands in the file; nullopt if it does not fit.
std::optional<std::string_view> read_block(std::string_view bytes, std::string_view id, uint64_t block);

// Where block number `block` begins, and how long the whole file of a body is.
constexpr uint64_t block_offset(uint64_t block) { return sizeof(Header) + block * (kBlockBytes + kCrcBytes); }
constexpr uint64_t blocks_of(uint64_t body_bytes) { return body_bytes / kBlockBytes + (body_bytes % kBlockBytes != 0); }
constexpr uint64_t file_bytes(uint64_t body_bytes) { return sizeof(Header) + body_bytes + blocks_of(body_bytes) * kCrcBytes + sizeof(Footer); }

}  // namespace mayfly::store::blob_format
