#include "base/encoding.h"
#include "cli/commands.h"
#include "cli/table.h"

namespace mayfly::cli {
namespace {

struct Options {
  std::string function, qualifier;
  int64_t min = -1, max = -1, reserved = -1;  // -1: not to be changed
  std::vector<std::string> annotations;
  bool by_calls = false;
};

Result<Parameters> wish_of(const Options& options) {
  Parameters query;
  if (!options.qualifier.empty()) query.emplace_back("qualifier", options.qualifier);
  for (auto [name, value] : {std::pair{"min", options.min}, {"max", options.max}, {"reserved", options.reserved}})
    if (value >= 0) query.emplace_back(name, fmt::to_string(value));
  if (options.by_calls) query.emplace_back("annotations", "{}");
  if (options.annotations.empty()) return query;
  json::object annotations{{"autoscaling.knative.dev/class", "kpa.autoscaling.knative.dev"}};
  for (const std::string& each : options.annotations) {
    size_t equals = each.find('=');
    if (equals == each.npos || equals == 0) return fail(Kind::usage, "\"" + each + "\" should be NAME=VALUE", "as in --kpa target=10 or --kpa window=30s");
    std::string name = each.substr(0, equals);
    if (name.find('/') == name.npos) name = "autoscaling.knative.dev/" + name;
    annotations[name] = each.substr(equals + 1);
  }
  query.emplace_back("annotations", to_text(annotations));
  return query;
}

std::string or_none(int64_t number, std::string_view none) { return number == 0 ? std::string(none) : fmt::to_string(number); }

void print_scaling(const json::value& about) {
  fmt::print("{}/{}  {}\n", string_or(about, "service"), string_or(about, "function"), string_or(about, "qualifier"));
  fmt::print("  ready before calls  {}\n", or_none(int_or(about, "min"), "none"));
  fmt::print("  at most             {}\n", or_none(int_or(about, "max"), "the server's limit"));
  fmt::print("  reserved            {}\n", or_none(int_or(about, "reserved"), "none"));
  const json::value* annotations = find(about, "annotations");
  if (annotations != nullptr && annotations->is_object() && !annotations->get_object().empty())
    for (const auto& each : annotations->get_object()) fmt::print("  {} = {}\n", std::string_view(each.key()), string_or(*annotations, each.key()));
  const json::value* now = find(about, "now");
  if (now == nullptr) return;
  fmt::print("  now                 {} instances ({} idle), {} calls waiting\n", int_or(*now, "instances"), int_or(*now, "idle"), int_or(*now, "queued"));
  if (const json::value* suspended = find(*now, "suspended"); suspended != nullptr && suspended->is_array())
    for (const json::value& each : suspended->get_array())
      fmt::print("  suspended           until {}, because {}\n", string_or(each, "until"), string_or(each, "why"));
}

Result<int> run_scale(CliContext& context, const Options& options) {
  MAYFLY_TRY(FunctionName name, parse_function_name(options.function));
  MAYFLY_TRY(Parameters query, wish_of(options));
  bool changes = query.size() > (options.qualifier.empty() ? 0u : 1u);
  MAYFLY_TRY(ApiClient * client, context.client());
  std::string path = fmt::format("/mayfly/v1/functions/{}/{}/scaling", percent_encode(name.service), percent_encode(name.function));
  MAYFLY_TRY(json::value about, client->native(path, std::move(query), kCallTimeoutUs, changes ? "PUT" : "GET"));
  if (context.json) context.print_json(about);
  else print_scaling(about);
  return 0;
}

}  // namespace

void add_scale_command(CLI::App& app, CliContext& context) {
  auto options = std::make_shared<Options>();
  CLI::App* scale = app.add_subcommand("scale", "See and set how many instances of a function there are");
  scale->add_option("function", options->function, "service/function")->required();
  scale->add_option("--min", options->min, "Instances that are ready before they are called; 0: none")->check(CLI::NonNegativeNumber);
  scale->add_option("--max", options->max, "At most so many; 0: the server's limit")->check(CLI::NonNegativeNumber);
  scale->add_option("--reserved", options->reserved, "Memory for so many is given to no other function; 0: none")->check(CLI::NonNegativeNumber);
  scale->add_option("--qualifier", options->qualifier, "Version or alias; default LATEST");
  scale->add_option("--kpa", options->annotations, "Let Knative's autoscaler rule, with NAME=VALUE of its annotations (target=10, window=30s, max-scale=5)");
  scale->add_flag("--by-calls", options->by_calls, "Back to Mayfly's own way: as many as calls wait for")->excludes("--kpa");
  scale->footer("Example:\n  mayfly scale face-batch/faceDetector --min 2 --max 8");
  scale->callback([&context, options] { context.finish(run_scale(context, *options)); });
}

}  // namespace mayfly::cli
