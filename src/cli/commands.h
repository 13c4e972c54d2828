#pragma once
// The commands of `mayfly` besides `up`. Each file adds its own to the app; the callbacks end in context.finish(), so main only adds them
// and runs the one that the arguments name.

#include <CLI/CLI.hpp>

#include "cli/context.h"

namespace mayfly::cli {

// Adds the global options (--endpoint, --data-dir, --json, ...) and every command below. `context` must outlive `app`.
void add_commands(CLI::App& app, CliContext& context);
// Parses the arguments and runs their command; the process's exit code. Here faults of the environment end, as Kind::local.
int run_command(CLI::App& app, CliContext& context, int argc, const char* const* argv);

void add_deploy_command(CLI::App& app, CliContext& context);
void add_invoke_command(CLI::App& app, CliContext& context);
void add_logs_command(CLI::App& app, CliContext& context);
void add_list_commands(CLI::App& app, CliContext& context);    // ls, describe
void add_object_commands(CLI::App& app, CliContext& context);  // object cp|ls|rm|cat|mb|rb
void add_flow_commands(CLI::App& app, CliContext& context);    // flow start|ls|show|history|stop
void add_tasks_command(CLI::App& app, CliContext& context);
void add_dead_letters_command(CLI::App& app, CliContext& context);
void add_deps_command(CLI::App& app, CliContext& context);
void add_layer_command(CLI::App& app, CliContext& context);    // layer list|publish|delete
void add_egress_command(CLI::App& app, CliContext& context);
void add_scale_command(CLI::App& app, CliContext& context);
void add_doctor_command(CLI::App& app, CliContext& context);
void add_cloud_command(CLI::App& app, CliContext& context);

// "svc/fn", where svc may carry a qualifier ("svc.prod").
struct FunctionName {
  std::string service, function;
};
Result<FunctionName> parse_function_name(const std::string& text);

}  // namespace mayfly::cli
