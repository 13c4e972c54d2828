#include <filesystem>
#include <iostream>

#include "cli/commands.h"
#include "cli/deploy/plan.h"

namespace mayfly::cli {
namespace {

struct Options {
  std::string template_file;
  std::string folder = ".";
  std::vector<std::string> parameters;  // "Name=value"
  bool yes = false;
  bool dry_run = false;
  bool deps = false;
};

// Installs what a function's project names, for its runtime; most name nothing.
Result<std::optional<BuiltLayer>> dependencies(const std::string& folder, const std::string& runtime) {
  MAYFLY_TRY(auto manifests, find_manifests(folder, runtime));
  auto programs = machine_programs();
  Installer installer{.programs = *programs, .cache_folder = default_layer_cache(), .say = [](const std::string& line) { fmt::print(stderr, "{}\n", line); }};
  return build_layer(installer, manifests);
}

Result<std::map<std::string, std::string>> parameters_of(const Options& options) {
  std::map<std::string, std::string> parameters;
  for (const std::string& text : options.parameters) {
    size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) return fail(Kind::usage, "--parameter " + text + ": should be Name=value");
    parameters[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return parameters;
}

// Asks only a person at a terminal.
bool confirmed(const Options& options) {
  if (options.yes || !is_terminal(0) || !is_terminal(1)) return true;
  fmt::print("Do this? [y/N] ");
  std::fflush(stdout);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

std::string_view past_tense(Step::Action action) { return action == Step::Action::create ? "created" : "changed"; }

Result<int> run(CliContext& context, const Options& options) {
  MAYFLY_TRY(auto parameters, parameters_of(options));
  bool names_a_file = options.template_file.empty() && std::filesystem::is_regular_file(options.folder);
  MAYFLY_TRY(Template wanted, load_template(options.folder, names_a_file ? options.folder : options.template_file, std::move(parameters)));
  MAYFLY_TRY(ApiClient * client, context.client());
  PlanOptions plan_options;
  if (options.deps) plan_options.dependencies = dependencies;
  MAYFLY_TRY(Plan plan, make_plan(*client, wanted, plan_options));
  bool changes = plan.changes_something();
  if (!context.json) {
    for (const std::string& warning : plan.warnings) fmt::print(stderr, "warning: {}\n", warning);
    fmt::print("{} on {}\n{}", wanted.file, client->endpoint(), plan_text(plan));
    if (!changes) fmt::print("Nothing to do: everything is as the template says.\n");
    std::fflush(stdout);
  }
  bool does = changes && !options.dry_run;
  if (does && !context.json && !confirmed(options)) {
    fmt::print("Nothing was changed.\n");
    return 0;
  }
  if (does) {
    MAYFLY_TRY_VOID(apply(*client, plan, [&](const Step& step) {
      if (!context.json && step.action != Step::Action::same) fmt::print("{} {} {}\n", past_tense(step.action), step.kind, step.name);
      std::fflush(stdout);
    }));
  }
  if (context.json) {
    json::value report = plan_json(plan);
    report.as_object()["applied"] = does;
    context.print_json(report);
  } else if (!options.dry_run) {
    for (const std::string& url : plan.urls) fmt::print("url {}\n", url);
  }
  return 0;
}

}  // namespace

void add_deploy_command(CLI::App& app, CliContext& context) {
  auto options = std::make_shared<Options>();
  CLI::App* deploy = app.add_subcommand("deploy", "Make the server what a funcraft template.yml says");
  deploy->add_option("path", options->folder, "Template, or its folder")->capture_default_str();
  deploy->add_option("-t,--template", options->template_file, "Template file; default: template.yml and its relatives in the folder");
  deploy->add_option("-p,--parameter", options->parameters, "Value of a template parameter, Name=value; repeatable")->expected(1)->take_all();
  deploy->add_flag("-y,--assume-yes", options->yes, "Do not ask");
  deploy->add_flag("--dry-run", options->dry_run, "Only show the plan: + create, ~ change, = the same");
  deploy->add_flag("--deps", options->deps, "Install each function's requirements.txt, package.json or pom.xml into a layer of its own");
  deploy->footer("Examples:\n  mayfly deploy template.yml\n  mayfly deploy examples/face-batch -y\nA second run changes only what changed in between.");
  deploy->callback([&context, options] { context.finish(run(context, *options)); });
}

}  // namespace mayfly::cli
