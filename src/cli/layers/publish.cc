#include "cli/layers/publish.h"

#include "base/encoding.h"
#include "sys/file.h"

namespace mayfly::cli {
namespace {

constexpr size_t kMaxLayerName = 128;
constexpr std::string_view kSuffix = "-deps";

// "acs:fc:r:a:layers/name" of "acs:fc:r:a:layers/name/versions/3", without region and account.
std::string_view layer_of(std::string_view arn) {
  size_t from = arn.find(":layers/");
  size_t to = arn.rfind("/versions/");
  return from == arn.npos || to == arn.npos || to < from ? arn : arn.substr(from, to - from);
}

PublishedLayer published(const json::value& layer, bool fresh) {
  std::string arn = string_or(layer, "arnV2", string_or(layer, "arn"));
  return {std::move(arn), int_or(layer, "version"), fresh};
}

}  // namespace

std::string layer_name_of(std::string_view project) {
  std::string name;
  for (char c : project) name += std::isalnum(static_cast<unsigned char>(c)) || c == '_' ? c : '-';
  if (name.empty() || !(std::isalpha(static_cast<unsigned char>(name[0])) || name[0] == '_')) name.insert(0, "l");
  name.resize(std::min(name.size(), kMaxLayerName - kSuffix.size()));
  return name + std::string(kSuffix);
}

Result<json::value> package_member(ApiClient& client, const LayerFile& file, Progress& progress) {
  if (file.bytes <= kInlinePackageBytes) return json::value(json::object{{"zipFile", base64_encode(sys::read_file(file.path))}, {"checksum", file.checksum}});
  MAYFLY_TRY(json::value place, client.fc_json("GET", "/tempBucketToken"));
  const json::value* keys = find(place, "credentials");
  if (keys == nullptr) return fail(Kind::refused, "the server gave no credentials to upload the package with");
  ApiClient uploader = client.with_keys({string_or(*keys, "AccessKeyId"), string_or(*keys, "AccessKeySecret"), string_or(*keys, "SecurityToken"), 0});
  std::string bucket = string_or(place, "ossBucket"), key = client.account() + "/" + string_or(place, "objectName");
  MAYFLY_TRY_VOID(upload(uploader, file.path, bucket, key, progress));
  progress.clear();
  return json::value(json::object{{"ossBucketName", bucket}, {"ossObjectName", key}, {"checksum", file.checksum}});
}

Result<std::optional<PublishedLayer>> newest_layer(ApiClient& client, const std::string& name, const std::string& checksum) {
  auto page = client.fc("GET", "/layers/" + name + "/versions", {}, {}, {{"limit", "1"}});
  if (!page && is_missing(page.error())) return std::nullopt;
  if (!page) return std::unexpected(std::move(page).error());
  auto body = parse_json(page->body);
  const json::value* layers = body ? find(*body, "layers") : nullptr;
  if (layers == nullptr || !layers->is_array() || layers->get_array().empty()) return std::nullopt;
  const json::value& newest = layers->get_array()[0];
  if (string_or(newest, "codeChecksum") != checksum) return std::nullopt;
  return published(newest, false);
}

Result<PublishedLayer> publish_layer(ApiClient& client, const LayerToPublish& layer, Progress& progress) {
  MAYFLY_TRY(auto present, newest_layer(client, layer.name, layer.file.checksum));
  if (present) return std::move(*present);
  MAYFLY_TRY(json::value code, package_member(client, layer.file, progress));
  json::object body{{"description", layer.description}, {"compatibleRuntime", json::value_from(layer.runtimes)}, {"code", std::move(code)}};
  MAYFLY_TRY(Reply reply, client.fc("POST", "/layers/" + layer.name + "/versions", to_text(body), {}, {}, kPackageTimeoutUs));
  auto answer = parse_json(reply.body);
  if (!answer) return fail(Kind::refused, "the server's answer is not JSON: " + answer.error().message, "is the endpoint a Mayfly server?");
  return published(*answer, true);
}

json::array with_layer(const json::array& layers, const std::string& arn) {
  json::array out;
  bool placed = false;
  for (const json::value& each : layers) {
    bool same = each.is_string() && layer_of(view(each.get_string())) == layer_of(arn);
    if (!same) out.push_back(each);
    if (same && !placed) out.emplace_back(arn);
    placed = placed || same;
  }
  if (!placed) out.emplace_back(arn);
  return out;
}

Result<bool> give_layer(ApiClient& client, const FunctionName& function, const std::string& arn) {
  std::string path = fmt::format("/services/{}/functions/{}", function.service, function.function);
  MAYFLY_TRY(json::value present, client.fc_json("GET", path));
  const json::value* list = find(present, "layers");
  json::array before = list != nullptr && list->is_array() ? list->get_array() : json::array();
  json::array after = with_layer(before, arn);
  if (after == before) return false;
  MAYFLY_TRY([[maybe_unused]] json::value updated, client.fc_json("PUT", path, json::object{{"layers", std::move(after)}}));
  return true;
}

}  // namespace mayfly::cli
