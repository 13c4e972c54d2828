#pragma once
// CodeStore: packages of code and of layers, unpacked once per distinct content under <folder>/<sha256>/ and shared read-only by every
// instance. The zip itself is kept beside it (<sha256>.zip) for "get code". Unpacking refuses what could leave the folder or exhaust the
// disk: absolute paths, "..", links that point outside, devices, more entries or bytes than PackageLimits (zip bombs). A package comes in
// by pieces and never stands in memory whole.
//
// Several layers of one function are merged into one folder, <folder>/layers-<sha256 of the digests in order>/, which is made of hard
// links: directories are new, the bytes of files are those of the layers. An instance binds that folder at /opt.

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "functions/model.h"
#include "http/message.h"
#include "io/loop.h"
#include "io/task.h"

namespace mayfly::functions {

struct PackageLimits {  // of a function's own code, unless said otherwise
  uint64_t bytes = 2ull << 30;  // unpacked
  size_t files = 100'000;
  uint64_t zip_bytes = 500ull << 20;  // as it comes: aliyun-fc.md section 12, the larger of the vendor's limits
};
constexpr PackageLimits kCodeLimits{};
// Of a layer: models and whole runtimes live there, so what one object of a bucket can hold (5 GiB), and four times that unpacked. What
// really bounds them is the disk, see kCodeFreeFloorBytes.
constexpr PackageLimits kLayerLimits{.bytes = 20ull << 30, .files = 1'000'000, .zip_bytes = 5ull << 30};

class CodeStore {
 public:
  virtual ~CodeStore() = default;
  // Verifies, unpacks and keeps a zip; durable when it returns. The same bytes twice cost no space. CatalogueError::invalid for a bad
  // archive or a body that broke off, too_large beyond a limit. Works off the shard's thread.
  virtual io::Task<Result<Code>> add(io::Loop& loop, std::unique_ptr<http::Body> zip, PackageLimits limits) = 0;
  // Makes the folder of these layers, later ones over earlier ones, unless it is there; durable when it returns. Nothing to do for fewer
  // than two. not_found if the content of one is missing, invalid if together they hold a link that leads out.
  virtual io::Task<Result<void>> merge(io::Loop& loop, std::vector<LayerRef> layers) = 0;
  // Removes everything whose name is not in `names`: digests of packages, and layers_name() of what is merged. For start-up, before
  // anything is added: what no function, no version and no layer names any more would otherwise stay for ever.
  virtual io::Task<void> keep_only(io::Loop& loop, std::set<std::string> names) = 0;
  virtual std::string path(const Code& code) const = 0;                                  // the folder; "" without code
  virtual std::string layers_path(const std::vector<LayerRef>& layers) const = 0;        // the folder for /opt; "" without layers
  virtual std::optional<std::string> package_path(const std::string& digest) const = 0;  // the zip
};

// The name below the store's folder of what `layers` are together: the digest of the only one, or that of the merged folder, or "".
std::string layers_name(const std::vector<LayerRef>& layers);

// A package that would leave less free space than `free_floor_bytes` is refused: what is left is the store's own (reliability.md R3.5).
constexpr uint64_t kCodeFreeFloorBytes = 1ull << 30;
std::unique_ptr<CodeStore> make_code_store(std::string folder, uint64_t free_floor_bytes = kCodeFreeFloorBytes);

}  // namespace mayfly::functions
