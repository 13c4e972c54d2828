#pragma once
// Objects: buckets and objects, bytes under bucket/key (DESIGN 1). Knows no vendor: the dialects (OSS now, S3 and COS later) translate.
// Small bodies sit in the metadata row, larger ones in blobs. A put commits ONE batch: the object's row and whatever the ChangeListener
// adds (its event and deliveries), so that an event exists if and only if its object does (reliability.md R1.2).
// Stateless over the store: safe from any shard.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "http/message.h"
#include "io/task.h"
#include "store/blobs.h"
#include "store/store.h"

namespace mayfly::objects {

enum class ObjectsError {
  invalid_name, no_such_bucket, bucket_exists, bucket_not_empty, no_such_key, no_such_upload, already_exists, precondition_failed,
  not_modified, invalid_part, invalid_part_order, part_too_small, not_appendable, wrong_position, bad_digest, invalid_argument, too_large, body_failed,
  corrupt,    // stored bytes fail their checksum: reported, never served
  disk_full,  // new bytes are refused below the free-space floor (reliability.md R3.5)
};
template <class T>
using Result = Expected<T, ObjectsError>;

enum class Acl { inherit, private_, public_read, public_read_write };
enum class ObjectType { normal, multipart, appendable, symlink };

struct Bucket {
  std::string name, storage_class = "Standard", redundancy = "LRS", region;
  Acl acl = Acl::private_;
  int64_t created_us = 0;
  json::object configuration;  // per sub-resource, as its dialect stored it: "cors", "lifecycle", "website", ...
};

struct ObjectInfo {
  std::string bucket, key;
  ObjectType type = ObjectType::normal;
  uint64_t size = 0;
  std::string etag;          // without quotes: upper-case MD5, "<hex>-N" for multipart, opaque for appended
  uint64_t crc64 = 0;        // CRC-64/XZ of the content
  int64_t modified_us = 0;   // wall clock
  std::string content_type, storage_class, symlink_target;
  std::map<std::string, std::string> headers;  // Cache-Control, Content-Disposition, Content-Encoding, Expires, Content-Language
  std::map<std::string, std::string> user_metadata;  // names without a vendor's prefix, lower case
  std::map<std::string, std::string> tags;
  Acl acl = Acl::inherit;
  uint64_t sequencer = 0;    // grows with every commit of this key
};

// What happened to an object, told inside the commit that makes it so.
struct Change {
  enum class Kind { put, copy, append, post, complete_multipart, symlink, remove, remove_many };
  Kind kind = Kind::put;
  ObjectInfo object;          // the new state; for removals the last one
  uint64_t previous_size = 0;
  std::string request_id, source_ip, principal;
};
class ChangeListener {
 public:
  virtual ~ChangeListener() = default;
  virtual void on_change(const Change& change, store::Batch& batch) = 0;  // adds rows to the same commit
  virtual void committed() = 0;                                           // after it is durable; wakes consumers
};

// Who asks, for events and logs.
struct Caller {
  std::string request_id, source_ip, principal;
};

// Everything else (put, get, ranges, conditions, multipart, append, copy, list) is declared by the room that implements it, below this
// line, in the same terms.

}  // namespace mayfly::objects
