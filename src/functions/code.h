#pragma once
// CodeStore: code packages, unpacked once per distinct content under <folder>/<sha256>/ and shared read-only by every instance. The zip
// itself is kept beside it (<sha256>.zip) for "get code". Unpacking refuses what could leave the folder or exhaust the disk: absolute
// paths, "..", links that point outside, devices, more than kMaxCodeFiles entries or kMaxCodeBytes of content (zip bombs).

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "functions/model.h"
#include "io/task.h"
#include "io/loop.h"

namespace mayfly::functions {

constexpr uint64_t kMaxPackageBytes = 500ull << 20;  // aliyun-fc.md section 12, the larger of the vendor's limits
constexpr uint64_t kMaxCodeBytes = 2ull << 30;       // unpacked
constexpr size_t kMaxCodeFiles = 100'000;

class CodeStore {
 public:
  virtual ~CodeStore() = default;
  // Verifies, unpacks and keeps a zip; durable when it returns. The same bytes twice cost nothing. CatalogueError::invalid for a bad
  // archive, too_large beyond a limit. Runs off the shard's thread.
  virtual io::Task<Result<Code>> add(io::Loop& loop, std::string zip) = 0;
  // Removes every package whose digest is not among `digests`. For start-up, before anything is added: what no function and no version
  // names any more would otherwise stay for ever.
  virtual io::Task<void> keep_only(io::Loop& loop, std::set<std::string> digests) = 0;
  virtual std::string path(const Code& code) const = 0;                    // the folder
  virtual std::optional<std::string> package_path(const std::string& digest) const = 0;  // the zip
};

// A package that would leave less free space than `free_floor_bytes` is refused: what is left is the store's own (reliability.md R3.5).
constexpr uint64_t kCodeFreeFloorBytes = 1ull << 30;
std::unique_ptr<CodeStore> make_code_store(std::string folder, uint64_t free_floor_bytes = kCodeFreeFloorBytes);

}  // namespace mayfly::functions
