#pragma once
// Packages: what CodeUri names, as the bytes of a zip archive. A folder is packed in byte order of the paths, with unix modes, deflate
// and no timestamps, so the same files always give the same bytes and the same checksum: that is what makes a second deploy do nothing.
// Archives (.zip, .jar, .war) are taken as they are.

#include "cli/deploy/ignore.h"
#include "cli/failure.h"

namespace mayfly::cli {

constexpr size_t kMaxPackageFiles = 100'000;          // a package is unpacked on every machine that runs it
constexpr uint64_t kMaxPackageBytes = 1ull << 30;     // before compression

struct PackageOptions {
  std::string base_folder;  // where the template is: the rules' paths are relative to it
  std::string ignore_text;  // contents of .funignore
  std::string runtime;      // decides some built-in rules (aliyun-fc.md section 2.1)
};

struct Package {
  std::string zip;
  std::string checksum;  // CRC-64/XZ of `zip`, decimal: the FC API's codeChecksum
  size_t files = 0;
};

// `path` is a file or folder on this machine.
Result<Package> make_package(const std::string& path, const PackageOptions& options);

}  // namespace mayfly::cli
