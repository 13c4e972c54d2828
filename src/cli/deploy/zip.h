#pragma once
// Writing zip archives that depend on nothing but names, modes and contents: byte order, deflate, no timestamps. The same files always give
// the same bytes, which is what makes a second deploy do nothing. Files are copied piece by piece.

#include <functional>
#include <string>
#include <vector>

#include "cli/deploy/ignore.h"
#include "cli/failure.h"

namespace mayfly::cli {

struct ZipEntry {
  std::string source;  // on disk: a file or a link
  std::string name;    // in the archive
};

// What is below `folder`, in byte order of the names within each folder. `rules` may be null; `rules_prefix` is the folder's own path
// relative to them. More than `max_files` is a failure.
Result<std::vector<ZipEntry>> entries_of(const std::string& folder, const IgnoreRules* rules, const std::string& rules_prefix, size_t max_files);

struct ZipLimits {
  uint64_t bytes;       // before compression
  std::string advice;   // for whoever exceeds it
};
using ZipSink = std::function<void(std::string_view)>;
Result<void> write_zip(const std::vector<ZipEntry>& entries, const ZipLimits& limits, const ZipSink& sink);

}  // namespace mayfly::cli
