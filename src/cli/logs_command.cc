#include "cli/commands.h"

namespace mayfly::cli {
namespace {

constexpr int64_t kFollowS = 30;    // one long poll
constexpr size_t kPage = 10'000;    // entries a request, the server's most

struct Options {
  std::string target;    // "svc", "svc/fn" or empty
  std::string function;
  std::string request_id;
  std::string since;
  size_t limit = 200;
  bool follow = false;
};

void print_entry(CliContext& context, const json::value& entry) {
  if (context.json) return context.print_json(entry);
  std::string text = string_or(entry, "text");
  while (text.ends_with('\n')) text.pop_back();
  fmt::print("{}  {}/{}  {}\n", string_or(entry, "time"), string_or(entry, "service"), string_or(entry, "function"), text);
}

json::array entries_of(json::value& page) {
  json::value* entries = page.as_object().if_contains("entries");
  return entries != nullptr && entries->is_array() ? std::move(entries->get_array()) : json::array();
}

// What is there now, oldest first; only the last `limit` when the start was not named. `since` ends after the last entry.
Result<std::deque<json::value>> present(ApiClient& client, const Parameters& filter, const Options& options, std::string& since) {
  std::deque<json::value> last;
  while (true) {
    Parameters query = filter;
    query.emplace_back("limit", fmt::to_string(kPage));
    if (!since.empty()) query.emplace_back("since", since);
    MAYFLY_TRY(json::value page, client.native("/mayfly/v1/logs", std::move(query)));
    since = string_or(page, "next", since);
    json::array entries = entries_of(page);
    for (json::value& entry : entries) {
      last.push_back(std::move(entry));
      if (options.since.empty() && last.size() > options.limit) last.pop_front();
    }
    if (entries.size() < kPage) return last;
  }
}

Result<int> run(CliContext& context, Options options) {
  std::string service = options.target;
  if (options.target.find('/') != std::string::npos) {
    MAYFLY_TRY(FunctionName name, parse_function_name(options.target));
    service = name.service;
    options.function = name.function;
  }
  MAYFLY_TRY(ApiClient * client, context.client());
  Parameters filter;
  for (auto [name, value] : {std::pair("service", service), std::pair("function", options.function), std::pair("request_id", options.request_id)})
    if (!value.empty()) filter.emplace_back(name, value);
  std::string since = options.since;
  MAYFLY_TRY(auto last, present(*client, filter, options, since));
  if (last.empty() && !service.empty() && !options.function.empty())  // silent, or misspelt
    MAYFLY_TRY_VOID(client->native("/mayfly/v1/functions/" + service + "/" + options.function));
  for (const json::value& entry : last) print_entry(context, entry);
  while (options.follow) {
    std::fflush(stdout);
    Parameters query = filter;
    query.emplace_back("since", since);
    query.emplace_back("follow", fmt::to_string(kFollowS));
    MAYFLY_TRY(json::value page, client->native("/mayfly/v1/logs", std::move(query), (kFollowS + 30) * kMicrosPerSecond));
    since = string_or(page, "next", since);
    for (const json::value& entry : entries_of(page)) print_entry(context, entry);
  }
  return 0;
}

}  // namespace

void add_logs_command(CLI::App& app, CliContext& context) {
  auto options = std::make_shared<Options>();
  CLI::App* logs = app.add_subcommand("logs", "Show what functions wrote");
  logs->add_option("target", options->target, "service or service/function; default: all");
  logs->add_option("--function", options->function, "Only this function");
  logs->add_option("--request", options->request_id, "Only this request");
  logs->add_option("--since", options->since, "Only after this cursor (the \"cursor\" of an entry in --json)");
  logs->add_option("-n,--limit", options->limit, "Show the last so many")->capture_default_str();
  logs->add_flag("-f,--follow", options->follow, "Go on with new entries as they come");
  logs->footer("Example:\n  mayfly logs -f face-batch/faceDetector");
  logs->callback([&context, options] { context.finish(run(context, *options)); });
}

}  // namespace mayfly::cli
