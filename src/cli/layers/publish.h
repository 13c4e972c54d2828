#pragma once
// Publishing layers and giving them to functions, through the FC API. A small package travels in the request; a larger one is put in the
// server's reserved bucket with the credentials of a token (aliyun-fc.md section 7.1).

#include <optional>

#include "cli/commands.h"
#include "cli/layers/layer_file.h"
#include "cli/transfer.h"

namespace mayfly::cli {

constexpr uint64_t kInlinePackageBytes = 32ull << 20;                  // base64 of it is built in memory, here and there
constexpr int64_t kPackageTimeoutUs = 3600 * kMicrosPerSecond;         // the server unpacks before it answers

struct LayerToPublish {
  std::string name, description;
  std::vector<std::string> runtimes;
  LayerFile file;
};
struct PublishedLayer {
  std::string arn;
  int64_t version = 0;
  bool fresh = false;  // this call made the version; false: the newest one has the same content
};

// The API's `code` member for a zip of this machine, uploading it when it is large.
Result<json::value> package_member(ApiClient& client, const LayerFile& file, Progress& progress);

// The newest version, if its content is `checksum`.
Result<std::optional<PublishedLayer>> newest_layer(ApiClient& client, const std::string& name, const std::string& checksum);
Result<PublishedLayer> publish_layer(ApiClient& client, const LayerToPublish& layer, Progress& progress);

// The function's layers with `arn` in the place of another version of the same layer, or at the end. False: it was there.
Result<bool> give_layer(ApiClient& client, const FunctionName& function, const std::string& arn);
json::array with_layer(const json::array& layers, const std::string& arn);

// "my project" as a layer may be called: "my-project-deps".
std::string layer_name_of(std::string_view project);

}  // namespace mayfly::cli
