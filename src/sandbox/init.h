#pragma once
// `mayfly __sandbox-init`: the nursery, see protocol.h. The server starts its own binary again with this argument (never fork without
// exec in a multithreaded process). What then serves is a program of its own that the binary carries: fork copies, and each exit takes
// down, the tables of all that is mapped, and a server with its libraries is fifty times what the nursery needs.

#include <string_view>

namespace mayfly::sandbox {

constexpr std::string_view kInitArgument = "__sandbox-init";

// What main() calls when argv[1] is kInitArgument. Returns when the server's end of descriptor 3 is closed.
int init_main(int argc, char** argv);

}  // namespace mayfly::sandbox
