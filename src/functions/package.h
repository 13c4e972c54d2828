#pragma once
// Unpacking a package: a zip (or jar, war) into a folder. The archive is hostile input. Directories and files are written first and links
// last, so that nothing is ever written through a link; a link must be relative and must resolve inside the folder; devices and sockets
// are refused; the number of entries and the bytes written are bounded whatever the headers claim.
// Blocking; the code store calls it on its worker thread. A failure of the disk throws sys::Fault.

#include <cstdint>
#include <string>
#include <string_view>

#include "functions/code.h"

namespace mayfly::functions {

// `folder` must exist and be empty. After a failure it may hold a part, which the caller removes.
Result<void> unpack_package(std::string_view zip, const std::string& folder, PackageLimits limits = kCodeLimits);
Result<void> unpack_package_file(const std::string& zip_path, const std::string& folder, PackageLimits limits = kCodeLimits);

// Follows `name` below `root` as the kernel would, and says whether it ever leaves. What does not exist counts as a plain name.
bool stays_inside(const std::string& root, const std::string& name);

}  // namespace mayfly::functions
