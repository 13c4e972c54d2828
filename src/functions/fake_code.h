#pragma once
// For tests: a code store that keeps nothing but what it was given, and finishes at once on the calling loop.

#include <map>

#include "base/encoding.h"
#include "base/hash.h"
#include "functions/code.h"

namespace mayfly::functions {

class FakeCodeStore final : public CodeStore {
 public:
  io::Task<Result<Code>> add(io::Loop& loop, std::string zip) override {
    if (zip.starts_with("bad")) co_return fail(CatalogueError::invalid, "the code package was refused: it is not a zip archive");
    Code code{hex_encode(sha256(zip)), std::to_string(crc64(zip)), zip.size()};
    packages[code.digest] = std::move(zip);
    co_return code;
  }
  io::Task<void> keep_only(io::Loop&, std::set<std::string> digests) override {
    std::erase_if(packages, [&digests](const auto& each) { return !digests.contains(each.first); });
    co_return;
  }
  std::string path(const Code& code) const override { return "/packages/" + code.digest; }
  std::optional<std::string> package_path(const std::string& digest) const override {
    if (!packages.contains(digest)) return std::nullopt;
    return "/packages/" + digest + ".zip";
  }

  std::map<std::string, std::string> packages;
};

}  // namespace mayfly::functions
