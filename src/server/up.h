#pragma once
// `mayfly up`: runs a server in the foreground until SIGINT or SIGTERM.

#include <CLI/CLI.hpp>

namespace mayfly::server {

// Adds the command; when it is given, `exit_code` is set once the server has stopped. `data_folder` is the global --data-dir, read late.
void add_up_command(CLI::App& app, const std::string& data_folder, int& exit_code);

}  // namespace mayfly::server
