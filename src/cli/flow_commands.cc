#include "cli/commands.h"
#include "cli/table.h"
#include "sys/file.h"

namespace mayfly::cli {
namespace {

constexpr int64_t kWaitS = 20;            // one long poll of DescribeExecution
constexpr size_t kHistoryPage = 1000;     // the API's most
constexpr int64_t kPollTimeoutUs = (kWaitS + 30) * kMicrosPerSecond;

struct Options {
  std::string flow, execution, input, file;
  std::string error, cause;
  size_t limit = 20;
  bool wait = false;
};

std::string field(const json::value& value, std::string_view name) { return string_or(value, name); }

bool has_ended(const json::value& execution) {
  std::string status = field(execution, "Status");
  return !status.empty() && status != "Running" && status != "Starting";
}

Parameters execution_of(const Options& options) { return {{"FlowName", options.flow}, {"ExecutionName", options.execution}}; }

// New events since `next`; moves it on.
Result<json::array> events_after(ApiClient& client, const Options& options, std::string& next) {
  json::array all;
  while (true) {
    Parameters parameters = execution_of(options);
    parameters.emplace_back("Limit", fmt::to_string(kHistoryPage));
    parameters.emplace_back("NextToken", next);
    MAYFLY_TRY(json::value page, client.rpc(Product::flows, "GetExecutionHistory", std::move(parameters)));
    if (const json::value* events = find(page, "Events"); events != nullptr && events->is_array())
      for (const json::value& event : events->get_array()) all.push_back(event);
    std::string token = field(page, "NextToken");
    if (token.empty() || token == next) return all;
    next = token;
  }
}

void print_progress(const json::array& events, int64_t& seen) {
  for (const json::value& event : events) {
    int64_t id = int_or(event, "EventId");
    if (id <= seen) continue;
    seen = id;
    std::string type = field(event, "Type");
    bool worth = type.starts_with("Execution") || type == "StepEntered" || type.ends_with("Failed") || type.ends_with("TimedOut");
    if (!worth) continue;
    std::string detail = type.ends_with("Failed") ? "  " + field(event, "EventDetail").substr(0, 200) : "";
    fmt::print(stderr, "{}  {:<18} {}{}\n", field(event, "Time"), type, field(event, "StepName"), detail);
  }
}

// Until the execution ends; says on stderr what happens meanwhile.
Result<json::value> wait_for(CliContext& context, ApiClient& client, const Options& options) {
  int64_t seen = 0;
  while (true) {
    Parameters parameters = execution_of(options);
    parameters.emplace_back("WaitTimeSeconds", fmt::to_string(seen == 0 ? 1 : kWaitS));
    MAYFLY_TRY(json::value execution, client.rpc(Product::flows, "DescribeExecution", std::move(parameters), kPollTimeoutUs));
    std::string next;
    if (!context.json) {
      MAYFLY_TRY(json::array events, events_after(client, options, next));
      print_progress(events, seen);
    }
    if (has_ended(execution)) return execution;
    seen = std::max<int64_t>(seen, 1);
  }
}

int report_execution(CliContext& context, const json::value& execution) {
  std::string status = field(execution, "Status");
  if (context.json) context.print_json(execution);
  else fmt::print("{}/{}  {}\n{}\n", field(execution, "FlowName"), field(execution, "Name"), status, field(execution, "Output"));
  return status == "Succeeded" ? 0 : static_cast<int>(Kind::function_failed);
}

Result<int> run_start(CliContext& context, Options options) {
  MAYFLY_TRY(ApiClient * client, context.client());
  if (!options.file.empty()) {
    if (!sys::exists(options.file)) return fail(Kind::local, "there is no file " + options.file);
    options.input = sys::read_file(options.file);
  }
  Parameters parameters{{"FlowName", options.flow}, {"ExecutionName", options.execution}, {"Input", options.input}};
  MAYFLY_TRY(json::value started, client->rpc(Product::flows, "StartExecution", std::move(parameters)));
  options.execution = field(started, "Name");
  if (!options.wait) {
    if (context.json) context.print_json(started);
    else fmt::print("started {}/{}\n", options.flow, options.execution);
    return 0;
  }
  MAYFLY_TRY(json::value execution, wait_for(context, *client, options));
  return report_execution(context, execution);
}

Result<int> run_list(CliContext& context, const Options& options) {
  MAYFLY_TRY(ApiClient * client, context.client());
  bool flows = options.flow.empty();
  json::array all;
  std::string next;
  do {
    Parameters parameters{{"Limit", "100"}, {"NextToken", next}};
    if (!flows) parameters.emplace_back("FlowName", options.flow);
    MAYFLY_TRY(json::value page, client->rpc(Product::flows, flows ? "ListFlows" : "ListExecutions", std::move(parameters)));
    if (const json::value* items = find(page, flows ? "Flows" : "Executions"); items != nullptr && items->is_array())
      for (const json::value& item : items->get_array()) all.push_back(item);
    next = field(page, "NextToken");
  } while (!next.empty() && (flows || all.size() < options.limit));
  if (!flows && all.size() > options.limit) all.resize(options.limit);
  if (context.json) {
    context.print_json(all);
    return 0;
  }
  Table table(flows ? std::vector<std::string>{"flow", "description", "changed"} : std::vector<std::string>{"execution", "status", "started", "stopped"});
  for (const json::value& item : all) {
    if (flows) table.add({field(item, "Name"), field(item, "Description"), field(item, "LastModifiedTime")});
    else table.add({field(item, "Name"), field(item, "Status"), field(item, "StartedTime"), field(item, "StoppedTime")});
  }
  fmt::print("{}", table.empty() ? (flows ? "no flows\n" : "no executions\n") : table.text());
  return 0;
}

Result<int> run_show(CliContext& context, const Options& options) {
  MAYFLY_TRY(ApiClient * client, context.client());
  if (options.execution.empty()) {
    MAYFLY_TRY(json::value flow, client->rpc(Product::flows, "DescribeFlow", {{"Name", options.flow}}));
    if (context.json) context.print_json(flow);
    else fmt::print("# {}: {}\n# changed {}\n{}", field(flow, "Name"), field(flow, "Description"), field(flow, "LastModifiedTime"), field(flow, "Definition"));
    return 0;
  }
  json::value execution;
  if (options.wait) {
    MAYFLY_TRY(execution, wait_for(context, *client, options));
    return report_execution(context, execution);
  }
  MAYFLY_TRY(execution, client->rpc(Product::flows, "DescribeExecution", execution_of(options)));
  if (context.json) {
    context.print_json(execution);
    return 0;
  }
  fmt::print("{}/{}  {}\n  started  {}\n  stopped  {}\n  input    {}\n  output   {}\n", field(execution, "FlowName"), field(execution, "Name"),
             field(execution, "Status"), field(execution, "StartedTime"), field(execution, "StoppedTime"), field(execution, "Input"), field(execution, "Output"));
  return 0;
}

Result<int> run_history(CliContext& context, const Options& options) {
  MAYFLY_TRY(ApiClient * client, context.client());
  std::string next;
  MAYFLY_TRY(json::array events, events_after(*client, options, next));
  if (context.json) {
    context.print_json(events);
    return 0;
  }
  Table table({"event", "after", "time", "type", "step", "detail"});
  for (const json::value& event : events)
    table.add({fmt::to_string(int_or(event, "EventId")), fmt::to_string(int_or(event, "ScheduleEventId")), field(event, "Time"), field(event, "Type"),
               field(event, "StepName"), field(event, "EventDetail")});
  fmt::print("{}", table.text());
  return 0;
}

Result<int> run_stop(CliContext& context, const Options& options) {
  MAYFLY_TRY(ApiClient * client, context.client());
  Parameters parameters = execution_of(options);
  parameters.emplace_back("Error", options.error);
  parameters.emplace_back("Cause", options.cause);
  MAYFLY_TRY(json::value stopped, client->rpc(Product::flows, "StopExecution", std::move(parameters)));
  if (context.json) context.print_json(stopped);
  else fmt::print("stopped {}/{}\n", options.flow, options.execution);
  return 0;
}

}  // namespace

void add_flow_commands(CLI::App& app, CliContext& context) {
  auto options = std::make_shared<Options>();
  CLI::App* flow = app.add_subcommand("flow", "Start and watch flows")->require_subcommand(1);
  flow->footer("Example:\n  mayfly flow start face-flow '{\"bucket\":\"photos\",\"prefix\":\"\"}' --wait");

  CLI::App* start = flow->add_subcommand("start", "Start an execution");
  start->add_option("flow", options->flow)->required();
  start->add_option("input", options->input, "A JSON object");
  start->add_option("-f,--file", options->file, "Read the input from a file");
  start->add_option("--name", options->execution, "Name of the execution; default: a random one");
  start->add_flag("-w,--wait", options->wait, "Wait for its end, show its steps, print its output");
  start->footer("Example:\n  mayfly flow start face-flow '{\"bucket\":\"photos\",\"prefix\":\"\"}' --wait\nExit code 1: the execution did not succeed.");
  start->callback([&context, options] { context.finish(run_start(context, *options)); });

  CLI::App* list = flow->add_subcommand("ls", "List flows, or the executions of one");
  list->add_option("flow", options->flow);
  list->add_option("-n,--limit", options->limit, "Executions at most")->capture_default_str();
  list->footer("Example:\n  mayfly flow ls face-flow");
  list->callback([&context, options] { context.finish(run_list(context, *options)); });

  CLI::App* show = flow->add_subcommand("show", "Show a flow's definition, or one execution");
  show->add_option("flow", options->flow)->required();
  show->add_option("execution", options->execution);
  show->add_flag("-w,--wait", options->wait, "Wait for the execution's end");
  show->footer("Example:\n  mayfly flow show face-flow 6f1d...");
  show->callback([&context, options] { context.finish(run_show(context, *options)); });

  CLI::App* history = flow->add_subcommand("history", "Show every event of one execution");
  history->add_option("flow", options->flow)->required();
  history->add_option("execution", options->execution)->required();
  history->footer("Example:\n  mayfly flow history face-flow 6f1d...");
  history->callback([&context, options] { context.finish(run_history(context, *options)); });

  CLI::App* stop = flow->add_subcommand("stop", "Stop one execution");
  stop->add_option("flow", options->flow)->required();
  stop->add_option("execution", options->execution)->required();
  stop->add_option("--error", options->error, "Error recorded in its history");
  stop->add_option("--cause", options->cause, "Cause recorded in its history");
  stop->footer("Example:\n  mayfly flow stop face-flow 6f1d... --cause 'wrong bucket'");
  stop->callback([&context, options] { context.finish(run_stop(context, *options)); });
}

}  // namespace mayfly::cli
