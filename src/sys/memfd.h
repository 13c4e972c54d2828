#pragma once
// Sealed memory files: bytes handed to another process by descriptor, which neither side can change or shrink any more.

#include <optional>
#include <string>
#include <string_view>

#include "sys/fd.h"

namespace mayfly::sys {

// A file in memory that holds `bytes` and nothing else for ever. Throws sys::Fault when memory or descriptors are short.
Fd sealed_memfd(std::string_view bytes);

// The first `size` bytes of one; nullopt if it is no such file, is not sealed, or is shorter: whoever passed it is not to be trusted.
std::optional<std::string> read_sealed(const Fd& file, size_t size);

}  // namespace mayfly::sys
