#pragma once
// Unpacking a code package: a zip (or jar, war) in memory into a folder. The archive is hostile input. Directories and files are written
// first and links last, so that nothing is ever written through a link; a link must be relative and must resolve inside the folder;
// devices and sockets are refused; the number of entries and the bytes written are bounded whatever the headers claim.
// Blocking; the code store calls it on its worker thread. A failure of the disk throws sys::Fault.

#include <cstdint>
#include <string>
#include <string_view>

#include "functions/code.h"

namespace mayfly::functions {

struct PackageLimits {
  uint64_t bytes = kMaxCodeBytes;
  size_t files = kMaxCodeFiles;
};

// `folder` must exist and be empty. After a failure it may hold a part, which the caller removes.
Result<void> unpack_package(std::string_view zip, const std::string& folder, PackageLimits limits = {});

}  // namespace mayfly::functions
