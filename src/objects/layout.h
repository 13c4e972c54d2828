#pragma once
// The rows of the objects room, and how they are written. All keys are tuples (store/keys.h) that begin with "obj":
//
//   obj b <bucket>                     the bucket, JSON
//   obj g <bucket>                     its gate: exists while objects may be written. Deleting a bucket closes the gate first, so that
//                                      "it is empty" stays true until the bucket row is gone
//   obj o <bucket> <key>               an object, JSON; its bytes are parts, in order
//   obj i <part id>                    a part of up to kInlineBytes: CRC-32C (4 bytes, little-endian), then the bytes
//   obj m <manifest id>                the part list of an object with more than kPartsInRow parts
//   obj u <bucket> <key> <upload id>   a multipart upload in progress, JSON as an object's
//   obj p <upload id> <number>         one uploaded part, JSON
//
// Bytes are never in an object's row, so that a listing reads only what it shows; part ids are new for every write, so a reader that
// holds an old row sees the old bytes or none, never a mix (reliability.md R1.3). Part ids begin with the time: inline rows of a busy
// store are appended to the tree, not scattered.

#include "objects/objects.h"

namespace mayfly::objects {

constexpr size_t kPartsInRow = 8;  // more would make listings read part lists

struct Part {
  enum class Kind { inline_row, blob };
  Kind kind = Kind::inline_row;
  std::string id;
  uint64_t size = 0;
  bool operator==(const Part&) const = default;
};

struct StoredObject {
  ObjectInfo info;
  std::vector<Part> parts;  // empty while `manifest` has not been read
  std::string manifest;     // id of the manifest row, empty when the parts are in the object's row
};

struct UploadedPart {
  int number = 0;
  ObjectInfo info;  // etag, size, crc64, modified_us
  Part part;        // a part of no bytes has an empty id
};

std::string bucket_row_key(std::string_view bucket);
std::string gate_key(std::string_view bucket);
std::string object_key(std::string_view bucket, std::string_view key);
std::string inline_key(std::string_view part_id);
std::string manifest_key(std::string_view manifest_id);
std::string upload_key(std::string_view bucket, std::string_view key, std::string_view upload_id);
std::string upload_part_key(std::string_view upload_id, int number);

// The range start of all keys of a bucket's objects (or uploads: space "u") that begin with `key_prefix`.
std::string prefix_start(std::string_view space, std::string_view bucket, std::string_view key_prefix);
// ... of every row of a space.
std::string space_start(std::string_view space);

std::string encode_bucket(const Bucket& bucket);
Bucket decode_bucket(std::string_view row);
std::string encode_object(const StoredObject& object);
StoredObject decode_object(std::string bucket, std::string key, std::string_view row);
std::string encode_parts(const std::vector<Part>& parts);
std::vector<Part> decode_parts(std::string_view row);
std::string encode_upload_part(const UploadedPart& part);
UploadedPart decode_upload_part(int number, std::string_view row);

std::string encode_inline(std::string_view bytes);
std::optional<std::string> decode_inline(std::string_view row);  // nullopt: the checksum does not fit

// "<16 hex digits of microseconds><16 random hex digits>"
std::string new_part_id(const Clock& clock, Rng& rng);

}  // namespace mayfly::objects
