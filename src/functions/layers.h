#pragma once
// Layers: named packages that functions share, each an ever longer row of immutable versions (1, 2, ... per name, never reused). Durable
// in the store; an immutable snapshot answers reads on any shard. A layer knows nothing of who uses it: a function keeps the digest of
// the content it named (model.h, LayerRef), so deleting a version stops new functions from naming it and takes nothing from the others.

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "functions/catalogue.h"
#include "functions/turn.h"
#include "store/store.h"

namespace mayfly::functions {

constexpr size_t kMaxLayerVersions = 20'000;  // of all layers: the snapshot is in memory, about 1 KB each
constexpr size_t kMaxLayerRuntimes = 50;      // names in one version's list of runtimes
constexpr size_t kMaxLicenseBytes = 512;

struct LayerVersion {
  std::string name;  // as of functions
  int64_t version = 0;
  std::string description, license;
  std::vector<std::string> runtimes;  // that it says it is for; nothing is refused because of it
  Code code;
  bool is_public = false;  // of the layer, the same in every version
  int64_t created_us = 0;
};
std::string etag(const LayerVersion& layer);

class Layers {
 public:
  Layers(store::Store& store, const Clock& clock);

  io::Task<void> load(io::Loop& loop);  // once, before use

  // The next version: the draft's name, description, license, runtimes and code.
  io::Task<Result<LayerVersion>> publish(io::Loop& loop, LayerVersion draft);
  io::Task<Result<void>> erase(io::Loop& loop, std::string name, int64_t version);
  io::Task<Result<void>> share(io::Loop& loop, std::string name, bool is_public);

  // not_found says whether the layer or only the version is missing: exists() tells them apart.
  Result<LayerVersion> get(const std::string& name, int64_t version) const;
  bool exists(const std::string& name) const;  // has a version left
  Page<LayerVersion> list(const ListQuery& query) const;  // the newest version of each
  // Newest first, from `start` downwards (0: the newest). `next` is a version's number, or "".
  Result<Page<LayerVersion>> versions(const std::string& name, int64_t start, size_t limit) const;
  std::set<std::string> package_names() const;  // for CodeStore::keep_only
  struct Totals {
    size_t versions = 0;
    uint64_t bytes = 0;  // of distinct packages, as they came
  };
  Totals totals() const;

 private:
  struct Layer {
    std::map<int64_t, LayerVersion> versions;  // empty once all are deleted: the row stays for last_version
    int64_t last_version = 0;                  // the last number given out
    bool is_public = false;
    std::string head;                          // as stored, for the expectation of the next write; "" if it is not
  };
  using Table = std::map<std::string, Layer>;

  io::Task<Result<void>> commit(io::Loop& loop, std::string name, Layer changed, store::Batch batch);

  store::Store& store_;
  const Clock& clock_;
  Turns turns_;
  std::atomic<std::shared_ptr<const Table>> table_;  // shared: readers on any shard keep the one they loaded
};

}  // namespace mayfly::functions
