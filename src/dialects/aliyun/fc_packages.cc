#include "dialects/aliyun/fc_packages.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/encoding.h"
#include "dialects/aliyun/fc_fields.h"
#include "dialects/aliyun/fc_operations.h"
#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::dialects::aliyun {
namespace {

constexpr size_t kDownloadPiece = 256 * 1024;

// A file as a body, read piece by piece from the page cache.
class FileBody final : public http::Body {
 public:
  explicit FileBody(const std::string& path) : path_(path), file_(sys::open_file(path, O_RDONLY)) {
    struct stat info {};
    sys::check(::fstat(file_.get(), &info), "fstat", path);
    size_ = static_cast<uint64_t>(info.st_size);
  }
  io::Task<std::expected<std::optional<std::string>, http::BodyError>> next() override {
    std::string piece(kDownloadPiece, '\0');
    piece.resize(static_cast<size_t>(sys::check(::read(file_.get(), piece.data(), piece.size()), "read", path_)));
    if (piece.empty()) co_return std::nullopt;
    co_return std::optional<std::string>(std::move(piece));
  }
  std::optional<uint64_t> declared_size() const override { return size_; }

 private:
  std::string path_;
  sys::Fd file_;
  uint64_t size_ = 0;
};

using Package = std::unique_ptr<http::Body>;

io::Task<FcExpected<Package>> fetch_package(FcCall& call, std::string bucket, std::string key, uint64_t limit) {
  // What stands in the reserved bucket was put there with a token of this API: it is its key that one must know.
  std::string resource = fmt::format("acs:oss:*:{}:{}/{}", call.account(), bucket, key);
  if (!call.context.objects.is_reserved(bucket) && !call.context.authorizer.allows(call.identity, {"oss:GetObject", resource}))
    co_return refuse(403, "AccessDenied", fmt::format("the caller may not read the code package {}/{}", bucket, key));
  auto zip = co_await call.context.objects.fetch(call.loop, bucket, key, limit);
  if (zip) co_return std::move(*zip);
  switch (zip.error().code) {
    case FetchError::not_found: co_return invalid_argument(fmt::format("the code package {}/{} does not exist", bucket, key));
    case FetchError::too_large: co_return refuse(400, "EntityTooLarge", zip.error().message);
    case FetchError::failed: break;
  }
  co_return refuse(500, "InternalServerError", zip.error().message);
}

FcExpected<Package> inline_package(const std::string& text) {
  auto bytes = base64_decode(text);
  if (!bytes) return invalid_argument("code.zipFile is not base64");
  if (bytes->size() > kMaxZipBytes) return refuse(400, "EntityTooLarge", fmt::format("code.zipFile is larger than {} bytes: upload it to a bucket", kMaxZipBytes));
  return http::make_body(std::move(*bytes));
}

// The keys clients make of the object's name: "<account>/<service>/<name>", "<account>/<name>".
io::Task<FcAnswer> temp_token(FcCall& call, std::string folder, uint64_t limit) {
  std::string name = uuid(call.context.rng);
  auto place = co_await call.context.objects.upload_place(call.loop, fmt::format("{}{}/{}", call.account(), folder, name));
  co_return json_response({{"credentials", {{"AccessKeyId", place.credentials.access_key_id},
                                            {"AccessKeySecret", place.credentials.access_key_secret},
                                            {"SecurityToken", place.credentials.security_token},
                                            {"Expiration", iso8601_s(place.credentials.expires_us)}}},
                           {"ossRegion", "oss-" + call.context.region},
                           {"ossBucket", place.bucket},
                           {"objectName", name},
                           {"codeSizeLimit", limit}});
}

}  // namespace

io::Task<FcExpected<functions::Code>> take_package(FcCall& call, const json::value& code, functions::PackageLimits limits) {
  FcFields fields(code, "code");
  std::string zip, bucket, key, checksum;
  fields.text("zipFile", zip);
  fields.text("ossBucketName", bucket);
  fields.text("ossObjectName", key);
  fields.text("checksum", checksum);
  if (auto good = fields.done(); !good) co_return std::unexpected(good.error());
  FcExpected<Package> package = invalid_argument("code must hold zipFile, or ossBucketName and ossObjectName");
  bool from_bucket = zip.empty() && !bucket.empty() && !key.empty();
  if (!zip.empty()) package = inline_package(zip);
  if (from_bucket) package = co_await fetch_package(call, bucket, key, limits.zip_bytes);
  if (!package) co_return std::unexpected(package.error());
  FC_CO_TRY(const functions::Code kept, call, "Function", co_await call.context.code.add(call.loop, std::move(*package), limits));
  if (!checksum.empty() && checksum != kept.checksum)
    co_return invalid_argument(fmt::format("the package's CRC-64 is {}, not {} as code.checksum says: it was damaged on its way", kept.checksum, checksum));
  if (from_bucket) co_await call.context.objects.taken(call.loop, bucket, key);
  co_return kept;
}

std::string package_url(const FcCall& call, const std::string& digest) {
  return fmt::format("{}://{}/{}/code-packages/{}", call.request.scheme.empty() ? "http" : call.request.scheme, call.request.host, call.version, digest);
}

io::Task<FcAnswer> fc_download_code(FcCall& call) {
  auto path = call.context.code.package_path(call.item);
  if (!path) co_return refuse(404, "CodeNotFound", "there is no such code package");
  http::Response response;
  response.headers.add("Content-Type", "application/zip");
  response.stream = std::make_unique<FileBody>(*path);
  co_return response;
}

io::Task<FcAnswer> fc_temp_code_token(FcCall& call) {
  FC_CO_TRY([[maybe_unused]] const functions::Service service, call, "Service", call.context.catalogue.service(call.service, ""));
  co_return co_await temp_token(call, "/" + call.service, functions::kCodeLimits.zip_bytes);
}

io::Task<FcAnswer> fc_temp_token(FcCall& call) { co_return co_await temp_token(call, "", functions::kLayerLimits.zip_bytes); }

// What the node client asks before it uploads a large layer.
io::Task<FcAnswer> fc_account_configs(FcCall& call) {
  co_return json_response({{"CodeSizeLimit", functions::kLayerLimits.zip_bytes}, {"codeSizeLimit", functions::kLayerLimits.zip_bytes}});
}

}  // namespace mayfly::dialects::aliyun
