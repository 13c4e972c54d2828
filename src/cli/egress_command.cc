#include "base/encoding.h"
#include "cli/commands.h"

namespace mayfly::cli {
namespace {

struct Options {
  std::string function;
  std::vector<std::string> allow, deny;
  bool deny_all = false;
};

Result<int> run_egress(CliContext& context, const Options& options) {
  MAYFLY_TRY(FunctionName name, parse_function_name(options.function));
  Parameters query;
  for (const std::string& each : options.allow) query.emplace_back("allow", each);
  for (const std::string& each : options.deny) query.emplace_back("deny", each);
  if (options.deny_all) query.emplace_back("deny", "all");
  MAYFLY_TRY(ApiClient * client, context.client());
  std::string path = fmt::format("/mayfly/v1/functions/{}/{}/egress", percent_encode(name.service), percent_encode(name.function));
  bool changes = !query.empty();
  MAYFLY_TRY(json::value about, client->native(path, std::move(query), kCallTimeoutUs, changes ? "PUT" : "GET"));
  if (context.json) {
    context.print_json(about);
    return 0;
  }
  const json::array& granted = about.at("egress").as_array();
  if (granted.empty()) fmt::print("{} reaches the platform and nothing else\n", options.function);
  for (const json::value& each : granted) fmt::print("{}\n", view(each.as_string()));
  return 0;
}

}  // namespace

void add_egress_command(CLI::App& app, CliContext& context) {
  auto options = std::make_shared<Options>();
  CLI::App* egress = app.add_subcommand("egress", "See and set where a function may connect to beyond the platform");
  egress->add_option("function", options->function, "service/function")->required();
  egress->add_option("--allow", options->allow, "host:port to grant; may be repeated")->take_all();
  egress->add_option("--deny", options->deny, "host:port to take back; may be repeated")->take_all();
  egress->add_flag("--deny-all", options->deny_all, "Take everything back");
  egress->footer("A change ends the function's instances as soon as they are idle. Published versions keep what they were published with.\n"
                 "Example:\n  mayfly egress shop/orders --allow db.example.com:5432 --allow api.example.com:443");
  egress->callback([&context, options] { context.finish(run_egress(context, *options)); });
}

}  // namespace mayfly::cli
