#pragma once
// Multipart uploads: an object arrives in numbered parts, in any order and in parallel, and becomes visible in one commit that lists
// them, without a copy (reliability.md R3.8). Stateless over the store: safe from any shard.

#include "objects/layout.h"

namespace mayfly::objects {

constexpr int kMaxPartNumber = 10'000;

struct Upload {
  std::string id;
  ObjectInfo info;  // what the object will be; modified_us is when the upload began
};

struct PartRequest {
  std::string bucket, key, upload_id;
  int number = 1;
  std::string content_md5;
  uint64_t limit_bytes = kMaxObjectBytes;
};

struct PartCopyRequest {
  PartRequest part;
  std::string source_bucket, source_key, range;  // range: "bytes=a-b" or empty
  Conditions conditions;
};

struct PartListing {
  Upload upload;
  std::vector<UploadedPart> parts;
  bool truncated = false;
  int next = 0;  // number of the last part listed
};

struct UploadListRequest {
  std::string bucket, prefix, delimiter, key_after, id_after;  // id_after counts only together with key_after
  size_t limit = 1000;
};
struct UploadListing {
  std::vector<Upload> uploads;  // by key, then by id
  std::vector<std::string> common_prefixes;
  bool truncated = false;
  std::string next_key, next_id;
};

struct CompleteRequest {
  std::string bucket, key, upload_id;
  struct Piece {
    int number = 0;
    std::string etag;
  };
  std::vector<Piece> pieces;     // ascending
  enum class Take { listed, all } take = Take::listed;  // all: every uploaded part, `pieces` is ignored
  uint64_t min_part_bytes = 0;   // of each part but the last; part_too_small otherwise
  Acl acl = Acl::inherit;        // when set, instead of the one given at the beginning
  Overwrite overwrite = Overwrite::allow;
  Caller caller;
};

class Uploads {
 public:
  explicit Uploads(Ground ground) : ground_(ground), objects_(ground) {}

  io::Task<Result<std::string>> begin(io::Loop& loop, ObjectInfo info);  // the upload's id
  io::Task<Result<UploadedPart>> put_part(io::Loop& loop, PartRequest request, std::unique_ptr<http::Body> body);
  io::Task<Result<UploadedPart>> copy_part(io::Loop& loop, PartCopyRequest request);
  io::Task<Result<PartListing>> list_parts(io::Loop& loop, std::string bucket, std::string key, std::string upload_id, int after, size_t limit);
  io::Task<UploadListing> list(io::Loop& loop, UploadListRequest request);
  io::Task<Result<ObjectInfo>> complete(io::Loop& loop, CompleteRequest request);
  io::Task<Result<void>> abort(io::Loop& loop, std::string bucket, std::string key, std::string upload_id);

 private:
  Ground ground_;
  Objects objects_;  // reads the sources of copied parts
};

}  // namespace mayfly::objects
