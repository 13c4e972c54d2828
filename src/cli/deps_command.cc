#include <unistd.h>

#include <fmt/ranges.h>

#include <filesystem>

#include "cli/commands.h"
#include "cli/layers/install.h"
#include "cli/layers/publish.h"
#include "cli/table.h"

namespace mayfly::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string folder = ".";
  std::string runtime, layer, output;
  std::vector<std::string> functions;
  bool no_cache = false;
};

struct Outcome {
  BuiltLayer built;
  std::optional<PublishedLayer> layer;
  std::string name;
  std::vector<std::string> changed;  // functions
};

// Asked before minutes of installing.
Result<void> can_write(const std::string& output) {
  fs::path folder = fs::absolute(output).parent_path();
  if (fs::is_directory(output)) return fail(Kind::usage, output + " is a folder", "name the zip: --output layer.zip");
  if (::access(folder.c_str(), W_OK) != 0) return fail(Kind::local, fmt::format("cannot write {}: {}", output, strerror(errno)));
  return {};
}

Result<BuiltLayer> build(const Options& options) {
  MAYFLY_TRY(auto manifests, find_manifests(options.folder, options.runtime));
  if (manifests.empty())
    return fail(Kind::usage, fmt::format("there is no requirements.txt, package.json or pom.xml in {}", options.folder), "name the project's folder: mayfly deps FOLDER");
  auto programs = machine_programs();
  Installer installer{.programs = *programs, .cache_folder = default_layer_cache(), .use_cache = !options.no_cache,
                      .say = [](const std::string& line) { fmt::print(stderr, "{}\n", line); }};
  MAYFLY_TRY(auto built, build_layer(installer, manifests));
  if (built) return std::move(*built);
  std::vector<std::string> files;
  for (const Manifest& manifest : manifests) files.push_back(manifest.file);
  return fail(Kind::usage, fmt::format("there is nothing to install: no dependencies are named by {} in {}", fmt::join(files, ", "), options.folder));
}

Result<void> publish(ApiClient& client, const Options& options, const std::vector<FunctionName>& functions, Outcome& outcome) {
  outcome.name = options.layer.empty() ? layer_name_of(fs::canonical(options.folder).filename().string()) : options.layer;
  std::string description = fmt::format("made by mayfly deps from {}", fmt::join(outcome.built.sources, ", "));
  Progress progress(is_terminal(2));
  MAYFLY_TRY(outcome.layer, publish_layer(client, {outcome.name, std::move(description), outcome.built.runtimes, outcome.built.file}, progress));
  for (const FunctionName& function : functions) {
    MAYFLY_TRY(bool changed, give_layer(client, function, outcome.layer->arn));
    if (changed) outcome.changed.push_back(function.service + "/" + function.function);
  }
  return {};
}

void print(CliContext& context, const Outcome& outcome) {
  if (context.json) {
    json::object out{{"digest", outcome.built.file.digest}, {"checksum", outcome.built.file.checksum}, {"bytes", outcome.built.file.bytes},
                     {"sources", json::value_from(outcome.built.sources)}, {"cached", outcome.built.cached}};
    if (outcome.layer) {
      out["layer"] = outcome.name;
      out["version"] = outcome.layer->version;
      out["arn"] = outcome.layer->arn;
      out["published"] = outcome.layer->fresh;
      out["functions"] = json::value_from(outcome.changed);
    }
    return context.print_json(out);
  }
  if (!outcome.layer) return;
  fmt::print("layer {} version {}{}\n{}\n", outcome.name, outcome.layer->version, outcome.layer->fresh ? "" : ", which is there already", outcome.layer->arn);
  for (const std::string& function : outcome.changed) fmt::print("function {} has it now\n", function);
}

Result<int> run(CliContext& context, const Options& options) {
  std::vector<FunctionName> functions;
  for (const std::string& text : options.functions) {
    MAYFLY_TRY(FunctionName name, parse_function_name(text));
    functions.push_back(std::move(name));
  }
  Outcome outcome;
  if (!options.output.empty()) {
    if (!functions.empty()) return fail(Kind::usage, "--output only builds the zip: it goes with no --function");
    MAYFLY_TRY_VOID(can_write(options.output));
    MAYFLY_TRY(outcome.built, build(options));
    std::error_code error;
    fs::copy_file(outcome.built.file.path, options.output, fs::copy_options::overwrite_existing, error);
    if (error) return fail(Kind::local, fmt::format("cannot write {}: {}", options.output, error.message()));
    if (!context.json) fmt::print("{} {}\n", options.output, size_text(outcome.built.file.bytes));
  } else {
    MAYFLY_TRY(ApiClient * client, context.client());  // before minutes of installing
    MAYFLY_TRY(outcome.built, build(options));
    MAYFLY_TRY_VOID(publish(*client, options, functions, outcome));
  }
  print(context, outcome);
  return 0;
}

}  // namespace

void add_deps_command(CLI::App& app, CliContext& context) {
  auto options = std::make_shared<Options>();
  CLI::App* deps = app.add_subcommand("deps", "Install a project's dependencies into a layer, without Docker");
  deps->add_option("path", options->folder, "Folder with requirements.txt, package.json or pom.xml")->capture_default_str();
  deps->add_option("-f,--function", options->functions, "service/function that gets the layer; repeatable")->expected(1)->take_all();
  deps->add_option("--layer", options->layer, "Name of the layer; default: the folder's name with -deps behind it");
  deps->add_option("--runtime", options->runtime, "Only the dependencies of this runtime: python3, nodejs, java11");
  deps->add_option("-o,--output", options->output, "Only build the zip and write it here");
  deps->add_flag("--no-cache", options->no_cache, "Install again even if nothing changed");
  deps->footer("Examples:\n  mayfly deps . --function photos/faces\n  mayfly deps app --output layer.zip\npip, npm or mvn of this machine do the work; what they print goes to stderr.");
  deps->callback([&context, options] { context.finish(run(context, *options)); });
}

}  // namespace mayfly::cli
