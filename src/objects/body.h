#pragma once
// Bytes on their way in and out: receive() turns a request's body into at most one stored part while it computes both checksums, and
// a parts body reads a span of an object's parts, a piece at a time, each piece verified by the store below (reliability.md R1.7).

#include "objects/layout.h"

namespace mayfly::objects {

// What a body became. The blob, if any, is durable; nothing names it yet, so whoever does not commit it must discard() it.
struct Received {
  uint64_t size = 0;
  uint64_t crc64 = 0;
  std::string md5;             // 16 raw bytes
  std::optional<Part> part;    // none when size is 0
  std::string inline_bytes;    // of an inline part
};

// too_large, body_failed, disk_full, or bad_digest when `content_md5` (base64, may be empty) differs. `crc_seed` is the checksum of the
// bytes this body will stand behind.
io::Task<Result<Received>> receive(Ground ground, io::Loop& loop, std::unique_ptr<http::Body> body, uint64_t limit_bytes, std::string content_md5,
                                   uint64_t crc_seed = 0);
io::Task<void> discard(Ground ground, io::Loop& loop, Received received);

// The parts of an object, from its manifest when they are not in its row; nullopt when the manifest is gone: the object was replaced.
io::Task<std::optional<std::vector<Part>>> load_parts(Ground ground, io::Loop& loop, StoredObject object);

enum class Opening { ready, missing, corrupt };
// A body over `span` of `parts`; its first piece has been read, so that damage shows before an answer begins. Damage further on ends the
// body with BodyError::malformed, which cuts the connection: wrong bytes are never served.
struct OpenedBody {
  Opening outcome = Opening::ready;
  std::unique_ptr<http::Body> body;
};
io::Task<OpenedBody> open_parts(Ground ground, io::Loop& loop, std::vector<Part> parts, Span span);

// The checksum of two stretches of bytes, from theirs: crc64(a + b) where b has `b_size` bytes.
uint64_t combine_crc64(uint64_t a, uint64_t b, uint64_t b_size);

// Upper-case hex, as entity tags are written.
std::string upper_hex(std::string_view bytes);

}  // namespace mayfly::objects
