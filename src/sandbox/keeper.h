#pragma once
// The keeper: the first process of a sandbox, see protocol.h.

#include <string>

#include "sys/fd.h"

namespace mayfly::sandbox {

// What a fresh fork of the nursery becomes. The links lead to the nursery; `seccomp` is the filter of confined programs.
[[noreturn]] void keep(sys::Fd link, sys::Fd program_link, const std::string& seccomp);

}  // namespace mayfly::sandbox
