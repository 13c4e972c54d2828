#pragma once
// The last steps of a sandbox, taken by the process that becomes its program.

#include <string>

#include "sandbox/protocol.h"

namespace mayfly::sandbox {

// In a fresh fork of the keeper: waits on `link` for its launch. What stops it before its exec is written to the report, see protocol.h.
[[noreturn]] void become_program(sys::Fd link, const std::string& seccomp);

}  // namespace mayfly::sandbox
