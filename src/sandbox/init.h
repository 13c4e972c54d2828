#pragma once
// `mayfly __sandbox-init`: the process between the server and a program that runs sandboxed. The server starts its own binary again with
// this argument (never fork without exec in a multithreaded process); it reads a Plan from descriptor 3, goes through the checklist in
// init.cc, and becomes the program.

#include <string_view>

namespace mayfly::sandbox {

constexpr std::string_view kInitArgument = "__sandbox-init";

// What main() calls when argv[1] is kInitArgument. Returns an exit status only when a step failed.
int init_main(int argc, char** argv);

}  // namespace mayfly::sandbox
