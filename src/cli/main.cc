// `mayfly`: one binary for the server, the command line, and the first process of every sandbox.

#include <string_view>

#include "cli/commands.h"
#include "runtime/stdio_runner.h"
#include "sandbox/init.h"
#include "server/up.h"

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "__sandbox-init") return mayfly::sandbox::init_main(argc, argv);
  if (argc > 1 && argv[1] == mayfly::runtime::kStdioRunnerArgument) return mayfly::runtime::stdio_runner_main(argc, argv);

  CLI::App app("Mayfly: a serverless platform on your own machine", "mayfly");
  app.set_version_flag("--version", MAYFLY_VERSION);
  app.require_subcommand(1);
  mayfly::cli::CliContext context;
  mayfly::cli::add_commands(app, context);
  mayfly::server::add_up_command(app, context.data_dir, context.exit_code);
  return mayfly::cli::run_command(app, context, argc, argv);
}
