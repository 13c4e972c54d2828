#pragma once
// The last steps of a sandbox, taken by the process that becomes its program.

#include <string>

#include "sandbox/protocol.h"

namespace mayfly::sandbox {

// In a fresh fork of the keeper. What stops it before its exec is written to the report, see protocol.h.
[[noreturn]] void become_program(const Plan& plan, Launch what, const std::string& seccomp);

}  // namespace mayfly::sandbox
