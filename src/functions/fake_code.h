#pragma once
// For tests: a code store that keeps nothing but what it was given, and finishes at once on the calling loop.

#include <map>

#include "base/encoding.h"
#include "base/hash.h"
#include "functions/code.h"

namespace mayfly::functions {

class FakeCodeStore final : public CodeStore {
 public:
  io::Task<Result<Code>> add(io::Loop&, std::unique_ptr<http::Body> body, PackageLimits limits) override {
    auto zip = co_await body->read_all(limits.zip_bytes);
    if (!zip) co_return fail(CatalogueError::invalid, "the package broke off");
    if (zip->starts_with("bad")) co_return fail(CatalogueError::invalid, "the code package was refused: it is not a zip archive");
    Code code{hex_encode(sha256(*zip)), std::to_string(crc64(*zip)), zip->size()};
    packages[code.digest] = std::move(*zip);
    co_return code;
  }
  io::Task<Result<void>> merge(io::Loop&, std::vector<LayerRef> layers) override {
    if (layers.size() > 1) merged.insert(layers_name(layers));
    co_return Result<void>{};
  }
  io::Task<void> keep_only(io::Loop&, std::set<std::string> names) override {
    std::erase_if(packages, [&names](const auto& each) { return !names.contains(each.first); });
    std::erase_if(merged, [&names](const std::string& each) { return !names.contains(each); });
    co_return;
  }
  std::string path(const Code& code) const override { return "/packages/" + code.digest; }
  std::string layers_path(const std::vector<LayerRef>& layers) const override { return layers.empty() ? "" : "/packages/" + layers_name(layers); }
  std::optional<std::string> package_path(const std::string& digest) const override {
    if (!packages.contains(digest)) return std::nullopt;
    return "/packages/" + digest + ".zip";
  }

  std::map<std::string, std::string> packages;
  std::set<std::string> merged;
};

}  // namespace mayfly::functions
