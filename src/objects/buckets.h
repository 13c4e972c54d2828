#pragma once
// Buckets: names under which objects stand, with an ACL, a storage class and one configuration document per sub-resource, which the
// dialects write and read. Stateless over the store: safe from any shard.

#include "objects/objects.h"

namespace mayfly::objects {

// 3 to 63 of a-z 0-9 '-', beginning and ending with a letter or digit.
bool valid_bucket_name(std::string_view name);

struct BucketListing {
  std::vector<Bucket> buckets;
  bool truncated = false;
  std::string next;  // `after` of the next page, when truncated
};

struct BucketStat {
  struct Count {
    uint64_t objects = 0, bytes = 0;
  };
  std::map<std::string, Count> by_class;  // storage class of the objects
  Count total;
  uint64_t uploads = 0, parts = 0;  // multipart uploads in progress
};

class Buckets {
 public:
  explicit Buckets(Ground ground) : ground_(ground) {}

  io::Task<Result<Bucket>> create(io::Loop& loop, Bucket wanted);  // bucket_exists carries no bucket: find() it
  io::Task<Result<Bucket>> find(io::Loop& loop, std::string name);
  io::Task<BucketListing> list(io::Loop& loop, std::string prefix, std::string after, size_t limit);
  // bucket_not_empty while it holds an object or a multipart upload.
  io::Task<Result<void>> remove(io::Loop& loop, std::string name);
  using Edit = std::function<Result<void>(Bucket&)>;
  io::Task<Result<Bucket>> edit(io::Loop& loop, std::string name, Edit edit);  // acl and configuration
  // Counts by reading every row of the bucket.
  io::Task<BucketStat> stat(io::Loop& loop, Bucket bucket);

 private:
  Ground ground_;
};

}  // namespace mayfly::objects
