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
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(mayfly::cli::Kind::usage);  // 0: help or version was asked for
  } catch (const std::exception& error) {
    fmt::print(stderr, "mayfly: {}\n", error.what());
    return 1;
  }
  return context.exit_code;
}
