#include "dialects/aliyun/oss_metadata.h"

#include "base/encoding.h"

namespace mayfly::dialects::aliyun {
namespace {

constexpr size_t kMaxTags = 10;
constexpr size_t kMaxUserMetadataBytes = 8 * 1024;
constexpr std::string_view kKeptHeaders[] = {"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Expires"};

// Characters of a UTF-8 text.
size_t characters(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

bool is_tag_text(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || static_cast<unsigned char>(c) >= 0x80 ||
           std::string_view(" +-=._:/").find(c) != std::string_view::npos;
  });
}

std::string_view type_word(objects::ObjectType type) {
  switch (type) {
    case objects::ObjectType::normal: return "Normal";
    case objects::ObjectType::multipart: return "Multipart";
    case objects::ObjectType::appendable: return "Appendable";
    case objects::ObjectType::symlink: return "Symlink";
  }
  return "Normal";
}

// What is stored comes back as response headers. Header fields arrive clean; the fields of an upload form may hold anything.
bool is_field_value(std::string_view value) {
  return std::ranges::none_of(value, [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; });
}
bool is_field_name(std::string_view name) {
  return std::ranges::all_of(name, [](char c) { return c > ' ' && c < 0x7f && std::string_view("\"(),/:;<=>?@[\\]{}").find(c) == std::string_view::npos; });
}

}  // namespace

OssExpected<std::map<std::string, std::string>> check_object_tags(const std::vector<std::pair<std::string, std::string>>& tags) {
  auto invalid = [](std::string message) { return refuse(400, "InvalidTag", std::move(message)); };
  if (tags.size() > kMaxTags) return refuse(400, "BadRequest", "Object tags cannot be greater than 10");
  std::map<std::string, std::string> checked;
  for (const auto& [key, value] : tags) {
    if (key.empty() || characters(key) > 128 || !is_tag_text(key)) return invalid("The TagKey you have provided is invalid");
    if (characters(value) > 256 || !is_tag_text(value)) return invalid("The TagValue you have provided is invalid");
    if (!checked.emplace(key, value).second) return invalid("Cannot provide multiple Tags with the same key");
  }
  return checked;
}

OssExpected<std::map<std::string, std::string>> parse_tag_header(const std::string& header) { return check_object_tags(http::parse_query(header)); }

OssExpected<objects::ObjectInfo> info_from_headers(const OssCall& call) {
  for (const auto& [name, value] : call.request.headers) {
    if (!is_field_name(name) || !is_field_value(value)) return invalid_argument("A name or value holds characters that no header may have.", name, value);
  }
  objects::ObjectInfo info{.bucket = call.bucket, .key = call.key};
  info.content_type = call.header("Content-Type");
  if (info.content_type.empty()) info.content_type = "application/octet-stream";
  info.storage_class = call.header("x-oss-storage-class");
  if (!info.storage_class.empty() && !is_storage_class(info.storage_class)) {
    return invalid_argument("The storage class is not valid.", "x-oss-storage-class", info.storage_class);
  }
  if (std::string word = call.header("x-oss-object-acl"); !word.empty()) {
    std::optional<objects::Acl> acl = parse_object_acl(word);
    if (!acl) return invalid_argument("no such object access control exists", "x-oss-object-acl", word);
    info.acl = *acl;
  }
  if (const std::string* tags = call.request.headers.find("x-oss-tagging")) {
    MAYFLY_TRY(info.tags, parse_tag_header(*tags));
  }
  for (std::string_view name : kKeptHeaders) {
    if (const std::string* value = call.request.headers.find(name)) info.headers[std::string(name)] = *value;
  }
  size_t metadata_bytes = 0;
  constexpr std::string_view kMeta = "x-oss-meta-";
  for (const auto& [name, value] : call.request.headers) {
    if (name.size() <= kMeta.size() || !equals_ignore_case(std::string_view(name).substr(0, kMeta.size()), kMeta)) continue;
    metadata_bytes += name.size() + value.size();
    info.user_metadata[lower(std::string_view(name).substr(kMeta.size()))] = value;
  }
  if (metadata_bytes > kMaxUserMetadataBytes) return refuse(400, "InvalidArgument", "The size of user metadata exceeds 8 KB.");
  return info;
}

objects::Overwrite overwrite_of(const OssCall& call) {
  return equals_ignore_case(call.header("x-oss-forbid-overwrite"), "true") ? objects::Overwrite::forbid : objects::Overwrite::allow;
}

objects::Conditions conditions_of(const OssCall& call, const std::string& prefix) {
  objects::Conditions conditions;
  const http::Headers& headers = call.request.headers;
  if (const std::string* value = headers.find(prefix + "if-match")) conditions.match = *value;
  if (const std::string* value = headers.find(prefix + "if-none-match")) conditions.none_match = *value;
  if (const std::string* value = headers.find(prefix + "if-modified-since")) conditions.modified_since_us = parse_http_date(*value);
  if (const std::string* value = headers.find(prefix + "if-unmodified-since")) conditions.unmodified_since_us = parse_http_date(*value);
  return conditions;
}

std::string quoted(const std::string& etag) { return "\"" + etag + "\""; }

void describe_object(const objects::ObjectInfo& info, const objects::Bucket& bucket, const Clock& clock, http::Headers& headers) {
  headers.set("Content-Type", info.content_type.empty() ? "application/octet-stream" : info.content_type);
  headers.set("ETag", quoted(info.etag));
  headers.set("Last-Modified", http_date(info.modified_us));
  headers.set("Accept-Ranges", "bytes");
  headers.set("x-oss-object-type", std::string(type_word(info.type)));
  headers.set("x-oss-storage-class", info.storage_class.empty() ? bucket.storage_class : info.storage_class);
  headers.set("x-oss-hash-crc64ecma", std::to_string(info.crc64));
  if (!info.content_md5.empty()) headers.set("Content-MD5", info.content_md5);
  if (info.type == objects::ObjectType::appendable) headers.set("x-oss-next-append-position", std::to_string(info.size));
  if (!info.tags.empty()) headers.set("x-oss-tagging-count", std::to_string(info.tags.size()));
  if (info.restore_ready_us != 0) {
    bool ongoing = clock.wall_us() < info.restore_ready_us;
    headers.set("x-oss-restore", ongoing ? std::string("ongoing-request=\"true\"")
                                         : fmt::format("ongoing-request=\"false\", expiry-date=\"{}\"", http_date(info.restored_until_us)));
  }
  for (const auto& [name, value] : info.headers) headers.set(name, value);
  for (const auto& [name, value] : info.user_metadata) headers.set("x-oss-meta-" + name, value);
}

}  // namespace mayfly::dialects::aliyun
