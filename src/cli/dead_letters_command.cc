#include "base/encoding.h"
#include "cli/commands.h"
#include "cli/table.h"

namespace mayfly::cli {
namespace {

struct Options {
  std::string id;
  size_t limit = 100;
};

std::string path_of(const std::string& id, std::string_view rest = {}) { return "/mayfly/v1/dead-letters/" + percent_encode(id) + std::string(rest); }

Result<int> run_list(CliContext& context, const Options& options) {
  MAYFLY_TRY(ApiClient * client, context.client());
  MAYFLY_TRY(json::value page, client->native("/mayfly/v1/dead-letters", {{"limit", fmt::to_string(options.limit)}}));
  if (context.json) {
    context.print_json(page);
    return 0;
  }
  Table table({"id", "function", "source", "attempts", "since", "reason"});
  for (const json::value& letter : page.at("deadLetters").as_array()) {
    table.add({string_or(letter, "id"), string_or(letter, "service") + "/" + string_or(letter, "function"), string_or(letter, "source"),
               fmt::to_string(int_or(letter, "attempts")), string_or(letter, "since"), string_or(letter, "reason")});
  }
  fmt::print("{}", table.empty() ? "no dead letters\n" : table.text());
  return 0;
}

Result<int> run_end(CliContext& context, const std::string& method, const std::string& path, std::string_view done) {
  MAYFLY_TRY(ApiClient * client, context.client());
  MAYFLY_TRY(json::value answer, client->native(path, {}, kCallTimeoutUs, method));
  if (context.json) context.print_json(answer);
  else fmt::print("{}\n", done);
  return 0;
}

}  // namespace

void add_dead_letters_command(CLI::App& app, CliContext& context) {
  auto options = std::make_shared<Options>();
  CLI::App* letters = app.add_subcommand("dead-letters", "Asynchronous calls that were given up")->require_subcommand(1);
  letters->footer("Example:\n  mayfly dead-letters ls");

  CLI::App* list = letters->add_subcommand("ls", "List them, oldest first");
  list->add_option("-n,--limit", options->limit, "At most so many")->capture_default_str();
  list->footer("Example:\n  mayfly dead-letters ls --json");
  list->callback([&context, options] { context.finish(run_list(context, *options)); });

  CLI::App* redeliver = letters->add_subcommand("redeliver", "Run one again, as new");
  redeliver->add_option("id", options->id)->required();
  redeliver->footer("Example:\n  mayfly dead-letters redeliver 0005f1c2...");
  redeliver->callback([&context, options] { context.finish(run_end(context, "POST", path_of(options->id, "/redeliver"), "redelivered")); });

  CLI::App* drop = letters->add_subcommand("drop", "Forget one");
  drop->add_option("id", options->id)->required();
  drop->footer("Example:\n  mayfly dead-letters drop 0005f1c2...");
  drop->callback([&context, options] { context.finish(run_end(context, "DELETE", path_of(options->id), "dropped")); });
}

}  // namespace mayfly::cli
