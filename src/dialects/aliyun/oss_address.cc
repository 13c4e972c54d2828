#include "dialects/aliyun/oss_address.h"

#include "base/encoding.h"
#include "dialects/aliyun/endpoints.h"

namespace mayfly::dialects::aliyun {
namespace {

// "/a/b%2Fc" -> "a", "b/c": split raw, then decode.
OssAddress split_path(std::string_view raw_path) {
  if (raw_path.starts_with('/')) raw_path.remove_prefix(1);
  size_t slash = raw_path.find('/');
  OssAddress address{.bucket = percent_decode(raw_path.substr(0, slash)), .key = {}};
  if (slash != std::string_view::npos) address.key = percent_decode(raw_path.substr(slash + 1));
  return address;
}

std::string host_bucket(std::string_view host, std::string_view public_endpoint) {
  if (std::optional<std::string> bucket = oss_host_bucket(host)) return *bucket;
  std::string name = lower(without_port(host));
  std::string own = lower(without_port(public_endpoint));
  for (std::string_view base : {std::string_view(own), std::string_view("localhost")}) {
    bool is_name = !base.empty() && base.find_first_not_of("0123456789.") != std::string_view::npos && !base.starts_with('[');
    if (is_name && name.size() > base.size() + 1 && name.ends_with(base) && name[name.size() - base.size() - 1] == '.') {
      return name.substr(0, name.size() - base.size() - 1);
    }
  }
  return {};
}

}  // namespace

std::vector<OssAddress> oss_addresses(const http::Request& request, std::string_view public_endpoint) {
  OssAddress by_path = split_path(request.raw_path);
  std::string bucket = host_bucket(request.host, public_endpoint);
  if (bucket.empty()) return {by_path};
  std::string_view key = request.raw_path;
  if (key.starts_with('/')) key.remove_prefix(1);
  OssAddress by_host{bucket, percent_decode(key)};
  if (by_path.bucket == bucket) return {by_path, by_host};
  return {by_host};
}

OssAddress parse_copy_source(std::string_view source) {
  std::string_view path = source.substr(0, source.find('?'));
  // Some clients encode the slash between bucket and key as well.
  if (path.starts_with("%2F") || path.starts_with("%2f")) path.remove_prefix(3);
  if (path.starts_with('/')) path.remove_prefix(1);
  if (path.find('/') != std::string_view::npos) return split_path(path);
  std::string decoded = percent_decode(path);
  size_t slash = decoded.find('/');
  if (slash == std::string::npos) return {decoded, {}};
  return {decoded.substr(0, slash), decoded.substr(slash + 1)};
}

}  // namespace mayfly::dialects::aliyun
