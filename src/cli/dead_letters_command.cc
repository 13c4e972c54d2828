#include "base/encoding.h"
#include "cli/commands.h"
#include "cli/table.h"

namespace mayfly::cli {
namespace {

constexpr std::string_view kPath = "/mayfly/v1/dead-letters";
constexpr size_t kPage = 100;                    // letters a request: each has its payload, up to 128 KiB
constexpr size_t kListed = 100;                  // unless --limit says otherwise
constexpr size_t kMostLetters = 1'000'000'000;   // the server's most for a limit
constexpr int64_t kMostSeconds = 1'000'000'000;  // 31 years, likewise

// What was given. An empty text is given too: a script's variable that is not set must not widen what is meant.
struct Options {
  std::optional<std::string> id, function, older_than;
  size_t limit = 0;  // 0: of a list kListed, of the others all
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
  int64_t seconds = kSeconds[unit == kUnits.npos ? 0 : unit];
  if (digits.empty() || failed != std::errc() || end != digits.data() + digits.size() || number < 0 || number > kMostSeconds / seconds)
    return fail(Kind::usage, "\"" + text + "\" is no length of time", "write 90s, 15m, 2h or 7d, at most 31 years");
  return number * seconds;
}

// "shop/pay", or "shop" for all of a service.
Result<FunctionName> target_of(const std::string& text) {
  if (text.find('/') != text.npos) return parse_function_name(text);
  if (text.empty()) return fail(Kind::usage, "--function is empty", "name a service/function or a service, or leave it out");
  return FunctionName{text, {}};
}

Result<Parameters> filter_of(const Options& options) {
  Parameters query;
  if (options.id) {
    if (options.id->empty()) return fail(Kind::usage, "the id of the dead letter is empty", "`mayfly dead-letters list` shows them");
    query.emplace_back("id", *options.id);
  }
  if (options.function) {
    MAYFLY_TRY(FunctionName target, target_of(*options.function));
    query.emplace_back("service", target.service);
    if (!target.function.empty()) query.emplace_back("function", target.function);
  }
  if (options.older_than) {
    MAYFLY_TRY(int64_t seconds, seconds_of(*options.older_than));
    query.emplace_back("older_than_s", fmt::to_string(seconds));
  }
  return query;
}

// The oldest that `filter` names, page by page, `wanted` at most.
Result<json::array> letters_of(ApiClient& client, const Parameters& filter, size_t wanted) {
  json::array all;
  while (all.size() < wanted) {
    size_t asked = std::min(kPage, wanted - all.size()), before = all.size();
    Parameters query = filter;
    query.emplace_back("limit", fmt::to_string(asked));
    if (!all.empty()) query.emplace_back("after", string_or(all.back(), "id"));
    MAYFLY_TRY(json::value page, client.native(std::string(kPath), std::move(query)));
    if (json::value* letters = page.is_object() ? page.get_object().if_contains("deadLetters") : nullptr; letters != nullptr && letters->is_array())
      for (json::value& letter : letters->get_array()) all.push_back(std::move(letter));
    if (all.size() < before + asked) break;
  }
  return all;
}

Result<int> run_list(CliContext& context, const Options& options) {
  MAYFLY_TRY(Parameters filter, filter_of(options));
  MAYFLY_TRY(ApiClient * client, context.client());
  size_t limit = options.limit > 0 ? options.limit : kListed;
  MAYFLY_TRY(json::array letters, letters_of(*client, filter, limit + 1));  // one more tells that there are more
  bool more = letters.size() > limit;
  if (more) letters.resize(limit);
  if (context.json) {
    context.print_json(json::object{{"deadLetters", std::move(letters)}, {"more", more}});
    return 0;
  }
  Table table({"id", "function", "source", "attempts", "since", "died", "reason"});
  for (const json::value& letter : letters) {
    table.add({string_or(letter, "id"), string_or(letter, "service") + "/" + string_or(letter, "function"), string_or(letter, "source"),
               fmt::to_string(int_or(letter, "attempts")), string_or(letter, "since"), string_or(letter, "died"), string_or(letter, "reason")});
  }
  fmt::print("{}", table.empty() ? "no dead letters\n" : table.text());
  if (more) fmt::print(stderr, "these are the oldest {}, there are more: --limit shows them\n", limit);
  return 0;
}

Result<int> run_show(CliContext& context, const Options& options) {
  MAYFLY_TRY(Parameters filter, filter_of(options));
  MAYFLY_TRY(ApiClient * client, context.client());
  MAYFLY_TRY(json::array letters, letters_of(*client, filter, 1));
  if (letters.empty()) return fail(Kind::refused, "there is no dead letter " + *options.id, "`mayfly dead-letters list` shows them");
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
  if (query.empty() && !options.all)
    return fail(Kind::usage, "which dead letters?", "name one by its id, or use --function, --older-than or --all");
  if (options.limit > 0) query.emplace_back("limit", fmt::to_string(options.limit));
  if (options.all) query.emplace_back("all", "true");
  MAYFLY_TRY(ApiClient * client, context.client());
  MAYFLY_TRY(json::value answer, client->native(std::string(kPath) + "/" + verb, std::move(query), kCallTimeoutUs, "POST"));
  int64_t count = int_or(answer, counted);
  if (options.id && count == 0) return fail(Kind::refused, "there is no dead letter " + *options.id, "it may have been redriven or dropped already");
  if (context.json) context.print_json(answer);
  else fmt::print("{} {}\n", count, counted);
  return 0;
}

// Not add_option(): CLI11 reads an empty text into an optional as if it had not been given.
CLI::Option* add_text(CLI::App& command, const std::string& name, std::optional<std::string>& into, const std::string& about = {}) {
  return command.add_option_function<std::string>(name, [&into](const std::string& text) { into = text; }, about);
}

void add_filters(CLI::App& command, const std::shared_ptr<Options>& options, const std::string& without_limit) {
  add_text(command, "--function", options->function, "Only those of this service/function, or of this service");
  add_text(command, "--older-than", options->older_than, "Only those given up longer ago: 90s, 15m, 2h, 7d");
  command.add_option("-n,--limit", options->limit, "At most so many, the oldest first; default: " + without_limit)->check(CLI::Range(size_t{1}, kMostLetters));
}

}  // namespace

void add_dead_letters_command(CLI::App& app, CliContext& context) {
  auto options = std::make_shared<Options>();
  CLI::App* letters = app.add_subcommand("dead-letters", "Asynchronous calls that were given up")->require_subcommand(1);
  letters->footer("Example:\n  mayfly dead-letters list");

  CLI::App* list = letters->add_subcommand("list", "List them, oldest first")->alias("ls");
  add_filters(*list, options, fmt::to_string(kListed));
  list->footer("Example:\n  mayfly dead-letters list --function shop/pay --json");
  list->callback([&context, options] { context.finish(run_list(context, *options)); });

  CLI::App* show = letters->add_subcommand("show", "Everything about one: its errors and its payload");
  add_text(*show, "id", options->id)->required();
  show->footer("Example:\n  mayfly dead-letters show 0005f1c2...");
  show->callback([&context, options] { context.finish(run_show(context, *options)); });

  CLI::App* redrive = letters->add_subcommand("redrive", "Run them again, as new calls")->alias("redeliver");
  add_text(*redrive, "id", options->id, "This one");
  add_filters(*redrive, options, "all");
  redrive->add_flag("--all", options->all, "All of them");
  redrive->footer("Examples:\n  mayfly dead-letters redrive 0005f1c2...\n  mayfly dead-letters redrive --function shop/pay --limit 100");
  redrive->callback([&context, options] { context.finish(run_end(context, *options, "redrive", "redriven")); });

  CLI::App* drop = letters->add_subcommand("drop", "Forget one");
  add_text(*drop, "id", options->id)->required();
  drop->footer("Example:\n  mayfly dead-letters drop 0005f1c2...");
  drop->callback([&context, options] { context.finish(run_end(context, *options, "purge", "purged")); });

  CLI::App* purge = letters->add_subcommand("purge", "Forget many");
  add_filters(*purge, options, "all");
  purge->add_flag("--all", options->all, "All of them");
  purge->footer("Example:\n  mayfly dead-letters purge --older-than 30d");
  purge->callback([&context, options] { context.finish(run_end(context, *options, "purge", "purged")); });
}

}  // namespace mayfly::cli
