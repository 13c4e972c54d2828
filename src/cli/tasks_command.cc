#include "base/encoding.h"
#include "cli/commands.h"
#include "cli/table.h"

namespace mayfly::cli {
namespace {

constexpr size_t kMaxPage = 100;  // of the API
constexpr std::string_view kStopping = "Stopping";

struct Options {
  std::string function, id, status, prefix;
  size_t limit = 100;
  bool ascending = false;
};

std::string path_of(const FunctionName& name, const std::string& id = {}) {
  return fmt::format("/services/{}/functions/{}/stateful-async-invocations{}", name.service, name.function, id.empty() ? "" : "/" + id);
}

std::string time_text(const json::value& task, std::string_view member) {
  int64_t at_ms = int_or(task, member);
  return at_ms == 0 ? std::string("-") : iso8601_ms(at_ms * kMicrosPerMilli);
}

Result<json::array> tasks_of(ApiClient& client, const FunctionName& name, const Options& options) {
  json::array all;
  std::string next;
  do {
    Parameters query{{"limit", fmt::to_string(std::min(kMaxPage, options.limit - all.size()))}, {"sortOrderByTimeAsc", options.ascending ? "true" : "false"}};
    for (auto [key, value] : {std::pair{"status", options.status}, std::pair{"invocationIdPrefix", options.prefix}, std::pair{"nextToken", next}})
      if (!value.empty()) query.emplace_back(key, value);
    MAYFLY_TRY(Reply reply, client.fc("GET", path_of(name), {}, {}, std::move(query)));
    auto page = parse_json(reply.body);
    if (!page) return fail(Kind::refused, "the server's answer is not JSON");
    if (const json::value* tasks = find(*page, "invocations"); tasks && tasks->is_array())
      for (const json::value& task : tasks->get_array()) all.push_back(task);
    next = string_or(*page, "nextToken");
  } while (!next.empty() && all.size() < options.limit);
  return all;
}

Result<int> run_list(CliContext& context, const Options& options) {
  MAYFLY_TRY(FunctionName name, parse_function_name(options.function));
  MAYFLY_TRY(ApiClient * client, context.client());
  MAYFLY_TRY(json::array tasks, tasks_of(*client, name, options));
  if (context.json) {
    context.print_json(json::object{{"invocations", std::move(tasks)}});
    return 0;
  }
  Table table({"task", "status", "started", "ended", "ms", "retries", "error"});
  for (const json::value& task : tasks)
    table.add({string_or(task, "invocationId"), string_or(task, "status"), time_text(task, "startedTime"), time_text(task, "endTime"),
               fmt::to_string(int_or(task, "durationMs")), fmt::to_string(int_or(task, "alreadyRetriedTimes")), string_or(task, "invocationErrorMessage").substr(0, 60)});
  fmt::print("{}", table.empty() ? "no tasks\n" : table.text());
  return 0;
}

Result<int> run_describe(CliContext& context, const Options& options) {
  MAYFLY_TRY(FunctionName name, parse_function_name(options.function));
  MAYFLY_TRY(ApiClient * client, context.client());
  MAYFLY_TRY(json::value task, client->fc_json("GET", path_of(name, options.id)));
  if (context.json) {
    context.print_json(task);
    return 0;
  }
  fmt::print("{} {}\n", string_or(task, "invocationId"), string_or(task, "status"));
  for (auto [title, member] : {std::pair{"qualifier", "qualifier"}, std::pair{"request", "requestId"}, std::pair{"instance", "instanceId"},
                               std::pair{"error", "invocationErrorMessage"}, std::pair{"destination", "destinationStatus"},
                               std::pair{"payload", "invocationPayload"}, std::pair{"result", "returnPayload"}})
    if (std::string text = string_or(task, member); !text.empty()) fmt::print("  {:<12} {}\n", title, text);
  if (const json::value* events = find(task, "events"); events && events->is_array())
    for (const json::value& event : events->get_array())
      fmt::print("  {:<24} {:<10} {}\n", time_text(event, "timestamp"), string_or(event, "status"), string_or(event, "eventDetail"));
  return 0;
}

// Any asynchronous call by its request id.
Result<void> cancel_call(ApiClient& client, const FunctionName& name, const Options& options) {
  std::string service = name.service.substr(0, name.service.find('.'));
  auto cancelled = client.native(fmt::format("/mayfly/v1/async/{}/{}/{}/cancel", percent_encode(service), percent_encode(name.function), percent_encode(options.id)),
                                 {}, kCallTimeoutUs, "POST");
  if (cancelled) return {};
  if (is_missing(cancelled.error()))
    cancelled.error().message = fmt::format("\"{}\" is neither a task of {} nor an asynchronous call that waits or runs", options.id, options.function);
  return std::unexpected(std::move(cancelled).error());
}

// What has come of a task that was asked to stop: its run may still be being ended.
std::string status_of(ApiClient& client, const FunctionName& name, const Options& options) {
  auto task = client.fc_json("GET", path_of(name, options.id));
  return task ? string_or(*task, "status", kStopping) : std::string(kStopping);
}

Result<int> run_stop(CliContext& context, const Options& options) {
  MAYFLY_TRY(FunctionName name, parse_function_name(options.function));
  MAYFLY_TRY(ApiClient * client, context.client());
  auto stopped = client->fc("PUT", path_of(name, options.id));
  if (!stopped && stopped.error().code.code != "StatefulAsyncInvocationNotFound") return std::unexpected(stopped.error());
  if (!stopped) MAYFLY_TRY_VOID(cancel_call(*client, name, options));
  std::string status = stopped ? status_of(*client, name, options) : std::string(kStopping);  // a plain call has no record to ask
  if (context.json) context.print_json(json::object{{"id", options.id}, {"status", status}});
  else fmt::print("{} is {}\n", options.id, status);
  return 0;
}

}  // namespace

void add_tasks_command(CLI::App& app, CliContext& context) {
  auto options = std::make_shared<Options>();
  CLI::App* tasks = app.add_subcommand("tasks", "Stateful asynchronous calls: their state, and their end")->require_subcommand(1);
  tasks->footer("Example:\n  mayfly tasks list media/transcode");

  CLI::App* list = tasks->add_subcommand("list", "List a function's tasks, the newest first")->alias("ls");
  list->add_option("function", options->function, "service/function; service.qualifier/function for a version or alias")->required();
  list->add_option("--status", options->status, "Only those that are Enqueued, Running, Failed, ...");
  list->add_option("--prefix", options->prefix, "Only those whose id begins with this");
  list->add_option("-n,--limit", options->limit, "At most so many")->capture_default_str()->check(CLI::PositiveNumber);
  list->add_flag("--oldest-first", options->ascending, "The other way round");
  list->footer("Example:\n  mayfly tasks list media/transcode --status Running");
  list->callback([&context, options] { context.finish(run_list(context, *options)); });

  CLI::App* describe = tasks->add_subcommand("describe", "One task: its payload, its result and what happened when");
  describe->add_option("function", options->function, "service/function")->required();
  describe->add_option("id", options->id, "The task")->required();
  describe->footer("Example:\n  mayfly tasks describe media/transcode film-7");
  describe->callback([&context, options] { context.finish(run_describe(context, *options)); });

  CLI::App* stop = tasks->add_subcommand("stop", "End a task, or any asynchronous call by its request id");
  stop->add_option("function", options->function, "service/function")->required();
  stop->add_option("id", options->id, "The task, or the request id that `mayfly invoke --async` printed")->required();
  stop->footer("Example:\n  mayfly tasks stop media/transcode film-7");
  stop->callback([&context, options] { context.finish(run_stop(context, *options)); });
}

}  // namespace mayfly::cli
