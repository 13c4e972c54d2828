#pragma once
// `mayfly __stdio-runner classic|of-watchdog`: the resident program of an instance whose function is a process per request (openfaas.md
// section 16). It speaks frames (frame.h) on descriptor 3 and starts the function's process for each call, so that a call costs a
// fork and an exec, not a sandbox: body to its stdin, its stdout to the reply, environment by stdio_request.h. One thread, one poll loop,
// any number of processes at once. Its own settings are in its environment. It ends with its processes when descriptor 3 is closed.

#include <string_view>

namespace mayfly::runtime {

constexpr std::string_view kStdioRunnerArgument = "__stdio-runner";

// What main() calls when argv[1] is kStdioRunnerArgument.
int stdio_runner_main(int argc, char** argv);

}  // namespace mayfly::runtime
