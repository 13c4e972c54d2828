#pragma once
// Which bucket and key a request names (aliyun-oss.md section 1): in the path, or in the host with the key as the path. A client that
// puts the bucket in both means it once.

#include <string>
#include <vector>

#include "http/message.h"

namespace mayfly::dialects::aliyun {

struct OssAddress {
  std::string bucket, key;  // decoded; both empty for the service itself
  bool operator==(const OssAddress&) const = default;
};

// The readings of a request, the likely one first. There are two when the host names a bucket and the path begins with the same name: the
// signature decides. `public_endpoint` is this server's own host[:port]; "{bucket}.{that}" and "{bucket}.localhost" name buckets too.
std::vector<OssAddress> oss_addresses(const http::Request& request, std::string_view public_endpoint);

// "/bucket/key" or "bucket/key" of x-oss-copy-source, percent-encoded.
OssAddress parse_copy_source(std::string_view source);

}  // namespace mayfly::dialects::aliyun
