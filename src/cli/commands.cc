#include "cli/commands.h"

namespace mayfly::cli {

void add_commands(CLI::App& app, CliContext& context) {
  app.fallthrough();  // global options are understood after a command too
  app.add_option("--endpoint", context.endpoint, "Server to talk to (environment MAYFLY_ENDPOINT; default: the one running on the data folder)");
  app.add_option("--data-dir", context.data_dir, "Data folder of the server on this machine (environment MAYFLY_DATA_DIR)")->capture_default_str();
  app.add_option("--access-key-id", context.access_key_id, "Access key (environment MAYFLY_ACCESS_KEY_ID; default: the data folder's)");
  app.add_option("--access-key-secret", context.access_key_secret, "Its secret (environment MAYFLY_ACCESS_KEY_SECRET)");
  app.add_option("--security-token", context.security_token, "Token of a temporary key (environment MAYFLY_SECURITY_TOKEN)");
  app.add_option("--account", context.account, "Account id (environment MAYFLY_ACCOUNT_ID; default: the data folder's)");
  app.add_flag("--json", context.json, "Print JSON for programs instead of tables for people");
  add_deploy_command(app, context);
  add_invoke_command(app, context);
  add_logs_command(app, context);
  add_list_commands(app, context);
  add_object_commands(app, context);
  add_flow_commands(app, context);
  add_tasks_command(app, context);
  add_dead_letters_command(app, context);
  add_deps_command(app, context);
  add_layer_command(app, context);
  add_egress_command(app, context);
  add_scale_command(app, context);
  add_doctor_command(app, context);
  add_cloud_command(app, context);
  app.footer(std::string(kExitCodes));
}

int run_command(CLI::App& app, CliContext& context, int argc, const char* const* argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(Kind::usage);  // 0: help or version was asked for
  } catch (const std::exception& fault) {
    context.finish(fail(Kind::local, fault.what()));
  }
  return context.exit_code;
}

Result<FunctionName> parse_function_name(const std::string& text) {
  size_t slash = text.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == text.size() || text.find('/', slash + 1) != std::string::npos)
    return fail(Kind::usage, "\"" + text + "\" should be service/function", "`mayfly ls functions` lists them");
  return FunctionName{text.substr(0, slash), text.substr(slash + 1)};
}

}  // namespace mayfly::cli
