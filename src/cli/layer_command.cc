#include <fmt/ranges.h>
#include <unistd.h>

#include <filesystem>

#include "cli/commands.h"
#include "cli/layers/publish.h"
#include "cli/table.h"
#include "sys/file.h"

namespace mayfly::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string name, path, description;
  std::vector<std::string> runtimes, functions;
  int64_t version = 0;
};

std::string runtimes_text(const json::value& layer) {
  std::vector<std::string> names;
  if (const json::value* list = find(layer, "compatibleRuntime"); list != nullptr && list->is_array())
    for (const json::value& each : list->get_array())
      if (each.is_string()) names.emplace_back(view(each.get_string()));
  return fmt::format("{}", fmt::join(names, " "));
}

Result<int> run_list(CliContext& context, const Options& options) {
  MAYFLY_TRY(ApiClient * client, context.client());
  MAYFLY_TRY(json::array layers, client->fc_list(options.name.empty() ? "/layers" : "/layers/" + options.name + "/versions", "layers"));
  if (context.json) {
    context.print_json(json::object{{"layers", std::move(layers)}});
    return 0;
  }
  Table table({"layer", "version", "size", "runtimes", "created", "description"});
  for (const json::value& layer : layers)
    table.add({string_or(layer, "layerName"), fmt::to_string(int_or(layer, "version")), size_text(static_cast<uint64_t>(int_or(layer, "codeSize"))),
               runtimes_text(layer), string_or(layer, "createTime"), string_or(layer, "description")});
  fmt::print("{}", table.empty() ? "no layers\n" : table.text());
  return 0;
}

// A zip as it is, a folder packed beside the system's temporary files.
struct Packed {
  LayerFile file;
  std::string folder;  // removed with this, if any
  ~Packed() {
    std::error_code ignored;
    if (!folder.empty()) fs::remove_all(folder, ignored);
  }
};

Result<void> pack(const std::string& path, Packed& packed) {
  if (!fs::is_directory(path)) {
    MAYFLY_TRY(packed.file, read_layer(path));
    return {};
  }
  packed.folder = fs::temp_directory_path().string() + "/mayfly-layer-XXXXXX";
  if (::mkdtemp(packed.folder.data()) == nullptr) return fail(Kind::local, "cannot make a temporary folder in " + fs::temp_directory_path().string());
  MAYFLY_TRY(packed.file, pack_layer(path, packed.folder + "/layer.zip"));
  return {};
}

Result<int> run_publish(CliContext& context, const Options& options) {
  std::vector<FunctionName> functions;
  for (const std::string& text : options.functions) {
    MAYFLY_TRY(FunctionName name, parse_function_name(text));
    functions.push_back(std::move(name));
  }
  MAYFLY_TRY(ApiClient * client, context.client());
  Packed packed;
  MAYFLY_TRY_VOID(pack(options.path, packed));
  Progress progress(is_terminal(2));
  MAYFLY_TRY(PublishedLayer layer, publish_layer(*client, {options.name, options.description, options.runtimes, packed.file}, progress));
  json::array changed;
  for (const FunctionName& function : functions) {
    MAYFLY_TRY(bool given, give_layer(*client, function, layer.arn));
    if (given) changed.emplace_back(function.service + "/" + function.function);
  }
  if (context.json) {
    context.print_json(json::object{{"layer", options.name}, {"version", layer.version}, {"arn", layer.arn}, {"published", layer.fresh}, {"functions", std::move(changed)}});
    return 0;
  }
  fmt::print("layer {} version {}{}\n{}\n", options.name, layer.version, layer.fresh ? "" : ", which is there already", layer.arn);
  for (const json::value& function : changed) fmt::print("function {} has it now\n", view(function.as_string()));
  return 0;
}

Result<int> run_delete(CliContext& context, const Options& options) {
  MAYFLY_TRY(ApiClient * client, context.client());
  MAYFLY_TRY([[maybe_unused]] Reply reply, client->fc("DELETE", fmt::format("/layers/{}/versions/{}", options.name, options.version)));
  if (context.json) context.print_json(json::object{{"layer", options.name}, {"version", options.version}, {"deleted", true}});
  else fmt::print("deleted version {} of layer {}; functions that have it keep it\n", options.version, options.name);
  return 0;
}

}  // namespace

void add_layer_command(CLI::App& app, CliContext& context) {
  auto options = std::make_shared<Options>();
  CLI::App* layer = app.add_subcommand("layer", "Packages that functions share at /opt")->require_subcommand(1);
  layer->footer("Example:\n  mayfly layer list");

  CLI::App* list = layer->add_subcommand("list", "List layers, or the versions of one, newest first");
  list->add_option("name", options->name, "A layer");
  list->footer("Example:\n  mayfly layer list --json");
  list->callback([&context, options] { context.finish(run_list(context, *options)); });

  CLI::App* publish = layer->add_subcommand("publish", "Make a folder or zip the next version of a layer, unless the newest has the same content");
  publish->add_option("name", options->name)->required();
  publish->add_option("path", options->path, "Folder or zip that becomes /opt")->required();
  publish->add_option("--description", options->description);
  publish->add_option("--runtime", options->runtimes, "A runtime it is for; repeatable")->expected(1)->take_all();
  publish->add_option("-f,--function", options->functions, "service/function that gets it; repeatable")->expected(1)->take_all();
  publish->footer("Example:\n  mayfly layer publish models ./models --function photos/faces");
  publish->callback([&context, options] { context.finish(run_publish(context, *options)); });

  CLI::App* remove = layer->add_subcommand("delete", "Delete one version; functions that have it keep it");
  remove->add_option("name", options->name)->required();
  remove->add_option("version", options->version)->required()->check(CLI::PositiveNumber);
  remove->footer("Example:\n  mayfly layer delete models 1");
  remove->callback([&context, options] { context.finish(run_delete(context, *options)); });
}

}  // namespace mayfly::cli
