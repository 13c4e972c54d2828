// Functions, their code and their triggers.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/encoding.h"
#include "dialects/aliyun/fc_fields.h"
#include "dialects/aliyun/fc_json.h"
#include "dialects/aliyun/fc_operations.h"
#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::dialects::aliyun {
namespace {

constexpr int kMaxTries = 8;                // as for services: changes without If-Match
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

io::Task<FcExpected<std::string>> fetch_package(FcCall& call, std::string bucket, std::string key) {
  std::string resource = fmt::format("acs:oss:*:{}:{}/{}", call.account(), bucket, key);
  if (!call.context.authorizer.allows(call.identity, {"oss:GetObject", resource}))
    co_return refuse(403, "AccessDenied", fmt::format("the caller may not read the code package {}/{}", bucket, key));
  auto zip = co_await call.context.objects.fetch(call.loop, bucket, key, functions::kMaxPackageBytes);
  if (zip) co_return std::move(*zip);
  switch (zip.error().code) {
    case FetchError::not_found: co_return invalid_argument(fmt::format("the code package {}/{} does not exist", bucket, key));
    case FetchError::too_large: co_return refuse(400, "EntityTooLarge", zip.error().message);
    case FetchError::failed: break;
  }
  co_return refuse(500, "InternalServerError", zip.error().message);
}

// Stores the code of the body, if it has any, and points `function` at it.
io::Task<FcExpected<void>> take_code(FcCall& call, functions::Function& function) {
  FcFields fields(call.body);
  const json::value* code = fields.any("code");
  if (!code) co_return FcExpected<void>{};
  FcFields inner(*code, "code");
  std::string zip, bucket, key;
  inner.text("zipFile", zip);
  inner.text("ossBucketName", bucket);
  inner.text("ossObjectName", key);
  if (auto good = inner.done(); !good) co_return good;
  if (!zip.empty()) {
    auto bytes = base64_decode(zip);
    if (!bytes) co_return invalid_argument("code.zipFile is not base64");
    if (bytes->size() > kMaxZipBytes) co_return refuse(400, "EntityTooLarge", fmt::format("code.zipFile is larger than {} bytes: upload it to a bucket", kMaxZipBytes));
    zip = std::move(*bytes);
  } else if (!bucket.empty() && !key.empty()) {
    auto fetched = co_await fetch_package(call, bucket, key);
    if (!fetched) co_return std::unexpected(fetched.error());
    zip = std::move(*fetched);
  } else {
    co_return invalid_argument("code must hold zipFile, or ossBucketName and ossObjectName");
  }
  FC_CO_TRY(function.code, call, "Function", co_await call.context.code.add(call.loop, std::move(zip)));
  co_return FcExpected<void>{};
}

}  // namespace

io::Task<FcAnswer> fc_create_function(FcCall& call) {
  functions::Function function{.service = call.service};
  FcFields fields(call.body);
  fields.required_text("functionName", function.name);
  fields.required_text("runtime", function.runtime);
  if (auto good = fields.done(); !good) co_return std::unexpected(good.error());
  if (auto good = read_function(call.body, function); !good) co_return std::unexpected(good.error());
  FC_CO_TRY([[maybe_unused]] const functions::Service service, call, "Service", call.context.catalogue.service(call.service, ""));
  if (auto taken = co_await take_code(call, function); !taken) co_return std::unexpected(taken.error());
  FC_CO_TRY(function, call, "Function", co_await call.context.catalogue.create_function(call.loop, std::move(function)));
  co_return json_response(function_json(function), etag(function));
}

io::Task<FcAnswer> fc_get_function(FcCall& call) {
  FC_CO_TRY(const functions::Function function, call, "Function", call.context.catalogue.function(call.service, call.qualifier, call.function));
  co_return json_response(function_json(function), etag(function));
}

io::Task<FcAnswer> fc_update_function(FcCall& call) {
  functions::Function holder;
  for (int tries = 1;; ++tries) {
    FC_CO_TRY(functions::Function function, call, "Function", call.context.catalogue.function(call.service, "", call.function));
    std::string match = call.if_match().empty() ? etag(function) : call.if_match();
    if (auto good = read_function(call.body, function); !good) co_return std::unexpected(good.error());
    if (tries == 1)
      if (auto taken = co_await take_code(call, holder); !taken) co_return std::unexpected(taken.error());
    if (!holder.code.digest.empty()) function.code = holder.code;
    auto updated = co_await call.context.catalogue.update_function(call.loop, std::move(function), match);
    if (updated) co_return json_response(function_json(*updated), etag(*updated));
    bool again = updated.error().code == functions::CatalogueError::precondition && call.if_match().empty() && tries < kMaxTries;
    if (!again) co_return std::unexpected(fc_error(call, updated.error(), "Function"));
  }
}

io::Task<FcAnswer> fc_delete_function(FcCall& call) {
  FC_CO_TRY_VOID(call, "Function", co_await call.context.catalogue.delete_function(call.loop, call.service, call.function, call.if_match()));
  std::string prefix = dispatch::async_config_name(call.service, "", call.function);
  prefix.resize(prefix.rfind('/') + 1);
  for (const auto& document : call.context.settings.list(dispatch::kAsyncConfig, {.prefix = prefix}).items)
    co_await call.context.settings.erase(call.loop, dispatch::kAsyncConfig, document.name);
  for (const auto& document : call.context.settings.list(dispatch::kOnDemandConfig, {.prefix = "services/" + call.service + "."}).items)
    if (document.name.ends_with("/functions/" + call.function)) co_await call.context.settings.erase(call.loop, dispatch::kOnDemandConfig, document.name);
  co_return no_content();
}

io::Task<FcAnswer> fc_list_functions(FcCall& call) {
  auto query = list_query(call);
  if (!query) co_return std::unexpected(query.error());
  FC_CO_TRY(const auto page, call, "Function", call.context.catalogue.functions(call.service, call.qualifier, *query));
  json::array functions;
  for (const auto& function : page.items) functions.push_back(function_json(function));
  co_return json_response({{"functions", functions}, {"nextToken", page.next}});
}

// The url names the package by its digest, which only who may read the function learns.
io::Task<FcAnswer> fc_get_code(FcCall& call) {
  FC_CO_TRY(const functions::Function function, call, "Function", call.context.catalogue.function(call.service, call.qualifier, call.function));
  if (function.code.digest.empty()) co_return refuse(404, "FunctionNotFound", "the function runs a container and has no code package");
  std::string url = fmt::format("{}://{}/{}/code-packages/{}", call.request.scheme.empty() ? "http" : call.request.scheme, call.request.host, call.version, function.code.digest);
  co_return json_response({{"url", url}, {"checksum", function.code.checksum}}, etag(function));
}

io::Task<FcAnswer> fc_download_code(FcCall& call) {
  auto path = call.context.code.package_path(call.item);
  if (!path) co_return refuse(404, "CodeNotFound", "there is no such code package");
  http::Response response;
  response.headers.add("Content-Type", "application/zip");
  response.stream = std::make_unique<FileBody>(*path);
  co_return response;
}

io::Task<FcAnswer> fc_create_trigger(FcCall& call) {
  functions::Trigger trigger{.service = call.service, .function = call.function};
  FcFields fields(call.body);
  fields.required_text("triggerName", trigger.name);
  fields.required_text("triggerType", trigger.type);
  if (auto good = fields.done(); !good) co_return std::unexpected(good.error());
  if (auto good = read_trigger(call.body, trigger); !good) co_return std::unexpected(good.error());
  FC_CO_TRY(trigger, call, "Trigger", co_await call.context.catalogue.create_trigger(call.loop, std::move(trigger)));
  co_return json_response(trigger_json(trigger, call.version), etag(trigger));
}

io::Task<FcAnswer> fc_get_trigger(FcCall& call) {
  FC_CO_TRY(const functions::Trigger trigger, call, "Trigger", call.context.catalogue.trigger(call.service, call.function, call.item));
  co_return json_response(trigger_json(trigger, call.version), etag(trigger));
}

io::Task<FcAnswer> fc_update_trigger(FcCall& call) {
  for (int tries = 1;; ++tries) {
    FC_CO_TRY(functions::Trigger trigger, call, "Trigger", call.context.catalogue.trigger(call.service, call.function, call.item));
    std::string match = call.if_match().empty() ? etag(trigger) : call.if_match();
    std::string type = trigger.type;
    if (auto good = read_trigger(call.body, trigger); !good) co_return std::unexpected(good.error());
    if (trigger.type != type) co_return invalid_argument("the type of a trigger cannot be changed");
    auto updated = co_await call.context.catalogue.update_trigger(call.loop, std::move(trigger), match);
    if (updated) co_return json_response(trigger_json(*updated, call.version), etag(*updated));
    bool again = updated.error().code == functions::CatalogueError::precondition && call.if_match().empty() && tries < kMaxTries;
    if (!again) co_return std::unexpected(fc_error(call, updated.error(), "Trigger"));
  }
}

io::Task<FcAnswer> fc_delete_trigger(FcCall& call) {
  FC_CO_TRY_VOID(call, "Trigger", co_await call.context.catalogue.delete_trigger(call.loop, call.service, call.function, call.item, call.if_match()));
  co_return no_content();
}

io::Task<FcAnswer> fc_list_triggers(FcCall& call) {
  auto query = list_query(call);
  if (!query) co_return std::unexpected(query.error());
  FC_CO_TRY(const auto page, call, "Trigger", call.context.catalogue.triggers(call.service, call.function, *query));
  json::array triggers;
  for (const auto& trigger : page.items) triggers.push_back(trigger_json(trigger, call.version));
  co_return json_response({{"triggers", triggers}, {"nextToken", page.next}});
}

}  // namespace mayfly::dialects::aliyun
