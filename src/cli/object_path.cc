#include "cli/object_path.h"

#include "base/encoding.h"

namespace mayfly::cli {

Result<ObjectPath> parse_object_path(const std::string& text) {
  for (std::string_view scheme : {"mayfly://", "oss://"}) {
    if (!text.starts_with(scheme)) continue;
    std::string rest = text.substr(scheme.size());
    size_t slash = std::min(rest.find('/'), rest.size());
    ObjectPath path{.remote = true, .bucket = rest.substr(0, slash), .key = rest.substr(std::min(slash + 1, rest.size())), .path = {}};
    if (path.bucket.empty()) return fail(Kind::usage, "\"" + text + "\" names no bucket", "write mayfly://bucket/key");
    return path;
  }
  return ObjectPath{.remote = false, .bucket = {}, .key = {}, .path = text};
}

Result<ObjectPath> parse_remote_path(const std::string& text, Needs needs) {
  MAYFLY_TRY(ObjectPath path, parse_object_path(text));
  if (!path.remote) return fail(Kind::usage, "\"" + text + "\" is not an object", "write mayfly://bucket/key");
  if (needs == Needs::key && path.key.empty()) return fail(Kind::usage, "\"" + text + "\" names a bucket, not an object");
  return path;
}

std::string media_type(std::string_view name) {
  static const std::map<std::string, std::string, std::less<>> kTypes{
      {"jpg", "image/jpeg"}, {"jpeg", "image/jpeg"}, {"png", "image/png"}, {"gif", "image/gif"}, {"webp", "image/webp"}, {"bmp", "image/bmp"},
      {"tif", "image/tiff"}, {"tiff", "image/tiff"}, {"svg", "image/svg+xml"}, {"txt", "text/plain"}, {"csv", "text/csv"}, {"html", "text/html"},
      {"css", "text/css"}, {"js", "application/javascript"}, {"json", "application/json"}, {"xml", "application/xml"}, {"pdf", "application/pdf"},
      {"zip", "application/zip"}, {"gz", "application/gzip"}, {"mp3", "audio/mpeg"}, {"wav", "audio/wav"}, {"mp4", "video/mp4"}, {"md", "text/markdown"}};
  auto found = kTypes.find(lower(name.substr(name.rfind('.') + 1)));
  return found == kTypes.end() ? "application/octet-stream" : found->second;
}

}  // namespace mayfly::cli
