#include "base/encoding.h"
#include "cli/commands.h"
#include "cli/table.h"

namespace mayfly::cli {
namespace {

constexpr std::string_view kPath = "/mayfly/v1/dead-letters";

struct Options {
  std::string id, function, older_than;
  size_t limit = 0;  // 0: of a list 100, of the others all
  bool all = false;
};

// "90", "90s", "15m", "2h", "7d" as seconds.
Result<int64_t> seconds_of(const std::string& text) {
  constexpr std::string_view kUnits = "smhd";
  constexpr int64_t kSeconds[] = {1, 60, 3'600, 86'400};
  std::string_view digits = text;
  size_t unit = digits.empty() ? kUnits.npos : kUnits.find(digits.back());
  if (unit != kUnits.npos) digits.remove_suffix(1);
  int64_t number = 0;
  auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (digits.empty() || failed != std::errc() || end != digits.data() + digits.size() || number < 0 || number > 1'000'000'000)
    return fail(Kind::usage, "\"" + text + "\" is no length of time", "write 90s, 15m, 2h or 7d");
  return number * kSeconds[unit == kUnits.npos ? 0 : unit];
}

Result<Parameters> filter_of(const Options& options) {
  Parameters query;
  if (!options.id.empty()) query.emplace_back("id", options.id);
  if (!options.function.empty()) {
    size_t slash = options.function.find('/');
    query.emplace_back("service", options.function.substr(0, slash));
    if (slash != std::string::npos) query.emplace_back("function", options.function.substr(slash + 1));
  }
  if (!options.older_than.empty()) {
    MAYFLY_TRY(int64_t seconds, seconds_of(options.older_than));
    query.emplace_back("older_than_s", fmt::to_string(seconds));
  }
  if (options.limit > 0) query.emplace_back("limit", fmt::to_string(options.limit));
  return query;
}

Result<int> run_list(CliContext& context, const Options& options) {
  MAYFLY_TRY(ApiClient * client, context.client());
  MAYFLY_TRY(Parameters query, filter_of(options));
  MAYFLY_TRY(json::value page, client->native(std::string(kPath), std::move(query)));
  if (context.json) {
    context.print_json(page);
    return 0;
  }
  Table table({"id", "function", "source", "attempts", "since", "died", "reason"});
  for (const json::value& letter : page.at("deadLetters").as_array()) {
    table.add({string_or(letter, "id"), string_or(letter, "service") + "/" + string_or(letter, "function"), string_or(letter, "source"),
               fmt::to_string(int_or(letter, "attempts")), string_or(letter, "since"), string_or(letter, "died"), string_or(letter, "reason")});
  }
  fmt::print("{}", table.empty() ? "no dead letters\n" : table.text());
  return 0;
}

Result<int> run_show(CliContext& context, const Options& options) {
  MAYFLY_TRY(ApiClient * client, context.client());
  MAYFLY_TRY(json::value page, client->native(std::string(kPath), {{"id", options.id}}));
  const json::array& letters = page.at("deadLetters").as_array();
  if (letters.empty()) return fail(Kind::refused, "there is no dead letter " + options.id, "`mayfly dead-letters list` shows them");
  const json::value& letter = letters[0];
  if (context.json) {
    context.print_json(letter);
    return 0;
  }
  for (auto [title, member] : {std::pair{"request", "requestId"}, std::pair{"task", "task"}, std::pair{"source", "source"}, std::pair{"enqueued", "since"},
                               std::pair{"given up", "died"}, std::pair{"reason", "reason"}, std::pair{"first error", "firstError"}, std::pair{"last error", "lastError"}})
    if (std::string text = string_or(letter, member); !text.empty()) fmt::print("{:<12} {}\n", title, text);
  fmt::print("{:<12} {}/{}\n{:<12} {} failed, {} not possible\n", "function", string_or(letter, "service"), string_or(letter, "function"), "runs",
             int_or(letter, "attempts"), int_or(letter, "systemTries"));
  fmt::print("{:<12} {}\n", "payload", base64_decode(string_or(letter, "payloadBase64")).value_or(""));
  return 0;
}

// redrive and purge: one, those of a function or an age, or all.
Result<int> run_end(CliContext& context, const Options& options, const std::string& verb, const std::string& counted) {
  MAYFLY_TRY(Parameters query, filter_of(options));
  if (options.id.empty() && options.function.empty() && options.older_than.empty() && !options.all)
    return fail(Kind::usage, "which dead letters?", "name one by its id, or use --function, --older-than or --all");
  if (options.all) query.emplace_back("all", "true");
  MAYFLY_TRY(ApiClient * client, context.client());
  MAYFLY_TRY(json::value answer, client->native(std::string(kPath) + "/" + verb, std::move(query), kCallTimeoutUs, "POST"));
  int64_t count = int_or(answer, counted);
  if (!options.id.empty() && count == 0) return fail(Kind::refused, "there is no dead letter " + options.id, "it may have been redriven or dropped already");
  if (context.json) context.print_json(answer);
  else fmt::print("{} {}\n", count, counted);
  return 0;
}

void add_filters(CLI::App& command, const std::shared_ptr<Options>& options) {
  command.add_option("--function", options->function, "Only those of this service/function, or of this service");
  command.add_option("--older-than", options->older_than, "Only those given up longer ago: 90s, 15m, 2h, 7d");
  command.add_option("-n,--limit", options->limit, "At most so many, the oldest first")->check(CLI::PositiveNumber);
}

}  // namespace

void add_dead_letters_command(CLI::App& app, CliContext& context) {
  auto options = std::make_shared<Options>();
  CLI::App* letters = app.add_subcommand("dead-letters", "Asynchronous calls that were given up")->require_subcommand(1);
  letters->footer("Example:\n  mayfly dead-letters list");

  CLI::App* list = letters->add_subcommand("list", "List them, oldest first")->alias("ls");
  add_filters(*list, options);
  list->footer("Example:\n  mayfly dead-letters list --function shop/pay --json");
  list->callback([&context, options] { context.finish(run_list(context, *options)); });

  CLI::App* show = letters->add_subcommand("show", "Everything about one: its errors and its payload");
  show->add_option("id", options->id)->required();
  show->footer("Example:\n  mayfly dead-letters show 0005f1c2...");
  show->callback([&context, options] { context.finish(run_show(context, *options)); });

  CLI::App* redrive = letters->add_subcommand("redrive", "Run them again, as new calls")->alias("redeliver");
  redrive->add_option("id", options->id, "This one");
  add_filters(*redrive, options);
  redrive->add_flag("--all", options->all, "All of them");
  redrive->footer("Examples:\n  mayfly dead-letters redrive 0005f1c2...\n  mayfly dead-letters redrive --function shop/pay --limit 100");
  redrive->callback([&context, options] { context.finish(run_end(context, *options, "redrive", "redriven")); });

  CLI::App* drop = letters->add_subcommand("drop", "Forget one");
  drop->add_option("id", options->id)->required();
  drop->footer("Example:\n  mayfly dead-letters drop 0005f1c2...");
  drop->callback([&context, options] { context.finish(run_end(context, *options, "purge", "purged")); });

  CLI::App* purge = letters->add_subcommand("purge", "Forget many");
  add_filters(*purge, options);
  purge->add_flag("--all", options->all, "All of them");
  purge->footer("Example:\n  mayfly dead-letters purge --older-than 30d");
  purge->callback([&context, options] { context.finish(run_end(context, *options, "purge", "purged")); });
}

}  // namespace mayfly::cli
