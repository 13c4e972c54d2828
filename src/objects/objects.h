#pragma once
// Objects: buckets and objects, bytes under bucket/key (DESIGN 1). Knows no vendor: the dialects (OSS now, S3 and COS later) translate.
// Small bodies sit in the metadata row, larger ones in blobs. A put commits ONE batch: the object's row and whatever the ChangeListener
// adds (its event and deliveries), so that an event exists if and only if its object does (reliability.md R1.2).
// Stateless over the store: safe from any shard.

#include <cstdint>
#include <functional>
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
  busy,       // kCommitAttempts writers of the same key were faster; nothing was written, try again
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
  std::string content_md5;   // base64 of the whole content's MD5 where it is known, else empty (multipart)
  // Restoring an archived object: wall-clock times at which it becomes readable and archived again; 0 when never asked.
  int64_t restore_ready_us = 0, restored_until_us = 0;
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

constexpr uint64_t kMaxObjectBytes = 5ull << 30;        // one put or part: the vendors' common limit
constexpr uint64_t kMaxTotalBytes = 50ull << 40;        // a completed multipart object: 10,000 parts of 5 GiB, rounded
constexpr uint64_t kFreeFloorBytes = 1ull << 30;        // reliability.md R3.5
constexpr size_t kMaxKeyBytes = 1023;
constexpr size_t kReadBytes = 256 * 1024;               // piece of a body read or written at a time: amortises the hop to the file pool
constexpr int kCommitAttempts = 64;                     // each refusal means another writer of the same key got through

// What the room stands on. Everything outlives it; `listener` may be null.
struct Ground {
  store::Store& store;
  store::Blobs& blobs;
  const Clock& clock;
  Rng& rng;
  ChangeListener* listener = nullptr;
  uint64_t free_floor_bytes = kFreeFloorBytes;
};

// The If-* family. Times compare by whole seconds, as HTTP dates do.
struct Conditions {
  std::optional<std::string> match, none_match;           // entity tags without quotes, "*" for any; match may be a comma-separated list
  std::optional<int64_t> modified_since_us, unmodified_since_us;
};
// not_modified or precondition_failed where `info` does not meet them.
Result<void> check(const Conditions& conditions, const ObjectInfo& info);

// A part of an object to read: [offset, offset + length).
struct Span {
  uint64_t offset = 0, length = 0;
};
// "bytes=a-b", "a-", "-n" against a body of `size` bytes, clamped; nullopt when it is malformed, names several ranges or misses the body.
std::optional<Span> resolve_range(std::string_view range, uint64_t size);

enum class Overwrite { allow, forbid };

// What a put says about the object besides its bytes. Of `info` the caller sets bucket, key, content_type, storage_class (empty: the
// bucket's), headers, user_metadata, tags and acl; the room the rest.
struct PutRequest {
  ObjectInfo info;
  Overwrite overwrite = Overwrite::allow;
  std::string content_md5;  // base64 as sent, or empty: bad_digest when the bytes differ
  uint64_t limit_bytes = kMaxObjectBytes;
  Change::Kind kind = Change::Kind::put;
  Caller caller;
};

enum class BadRange { whole, refuse };  // what a range that does not fit gives: all of the object, or invalid_argument

struct GetRequest {
  std::string bucket, key;
  Conditions conditions;
  std::string range;  // the header's value, empty for none
  BadRange bad_range = BadRange::whole;
};
struct Opened {
  ObjectInfo info;      // of the target when the key is a symlink, with the link's own user metadata
  Span span;
  bool partial = false;
  std::unique_ptr<http::Body> body;
};

enum class Directive { copy, replace };
struct CopyRequest {
  std::string source_bucket, source_key;
  Conditions conditions;                     // on the source
  ObjectInfo info;                           // target bucket and key; with `replace` its metadata
  Directive metadata = Directive::copy, tags = Directive::copy;
  Overwrite overwrite = Overwrite::allow;
  uint64_t limit_bytes = kMaxObjectBytes;
  Caller caller;
};

struct AppendRequest {
  ObjectInfo info;         // metadata applies to the first append only
  uint64_t position = 0;
  std::string content_md5;
  Caller caller;
};

struct ListRequest {
  std::string bucket, prefix, delimiter;
  std::string after;       // exclusive
  size_t limit = 100;      // objects and common prefixes together
};
struct Listing {
  std::vector<ObjectInfo> objects;
  std::vector<std::string> common_prefixes;
  bool truncated = false;
  std::string next;        // `after` of the next page, when truncated
};

struct StoredObject;  // layout.h
struct Received;      // body.h

class Objects {
 public:
  explicit Objects(Ground ground) : ground_(ground) {}

  io::Task<Result<ObjectInfo>> put(io::Loop& loop, PutRequest request, std::unique_ptr<http::Body> body);
  io::Task<Result<Opened>> get(io::Loop& loop, GetRequest request);
  enum class Links { follow, keep };
  io::Task<Result<ObjectInfo>> head(io::Loop& loop, std::string bucket, std::string key, Links links = Links::follow);
  // True if there was one.
  io::Task<Result<bool>> remove(io::Loop& loop, std::string bucket, std::string key, Caller caller);
  // All of them in one commit.
  io::Task<Result<void>> remove_many(io::Loop& loop, std::string bucket, std::vector<std::string> keys, Caller caller);
  io::Task<Result<ObjectInfo>> copy(io::Loop& loop, CopyRequest request);
  // wrong_position carries the position it should have been in Failure::hint.
  io::Task<Result<ObjectInfo>> append(io::Loop& loop, AppendRequest request, std::unique_ptr<http::Body> body);
  io::Task<Result<ObjectInfo>> symlink(io::Loop& loop, PutRequest request);  // info.symlink_target names a key of the same bucket
  // Changes what is said about an object (acl, tags, restore times); its bytes, times and entity tag stay.
  using Edit = std::function<Result<void>(ObjectInfo&)>;
  io::Task<Result<ObjectInfo>> edit(io::Loop& loop, std::string bucket, std::string key, Edit edit);
  io::Task<Listing> list(io::Loop& loop, ListRequest request);

 private:
  Ground ground_;
};

}  // namespace mayfly::objects
