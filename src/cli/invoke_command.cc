#include <sys/stat.h>
#include <unistd.h>

#include <cmath>

#include "base/encoding.h"
#include "cli/commands.h"
#include "cli/samples.h"
#include "sys/file.h"

namespace mayfly::cli {
namespace {

struct Options {
  std::string function;
  std::optional<std::string> payload;
  std::string file;
  SampleChoice sample;
  bool async = false;
  std::string id, once_key;  // of an asynchronous call
  bool quiet = false;
};

std::string read_all_of_stdin() {
  std::string data;
  char buffer[64 * 1024];
  while (ssize_t size = read(STDIN_FILENO, buffer, sizeof buffer)) {
    if (size < 0) break;
    data.append(buffer, static_cast<size_t>(size));
  }
  return data;
}

// A pipe or a file was put there on purpose; a terminal, a socket or /dev/null was not.
bool stdin_is_given() {
  struct stat status;
  return fstat(STDIN_FILENO, &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISREG(status.st_mode));
}

Result<std::string> event_of(const Options& options, ApiClient& client) {
  if (!options.sample.kind.empty()) {
    SampleChoice choice = options.sample;
    choice.region = client.region();
    choice.account = client.account();
    choice.wall_us = SystemClock().wall_us();
    if (options.payload) choice.payload = *options.payload;
    return sample_event(choice);
  }
  if (!options.file.empty() && options.file != "-") {
    if (!sys::exists(options.file)) return fail(Kind::local, "there is no file " + options.file);
    return sys::read_file(options.file);
  }
  if (options.file == "-" || options.payload == "-") return read_all_of_stdin();
  if (options.payload) return *options.payload;
  return stdin_is_given() ? read_all_of_stdin() : std::string();
}

json::value as_json_or_text(const std::string& body) {
  auto parsed = parse_json(body);
  return parsed ? *parsed : json::value(json::string(body));
}

void print_for_people(const Reply& reply, const std::string& error, const std::string& log, bool quiet) {
  if (!quiet && !log.empty()) fmt::print(stderr, "{}{}", log, log.ends_with('\n') ? "" : "\n");
  if (!quiet)
    fmt::print(stderr, "[{} ms, {} MB, request {}]\n", reply.headers.get("x-fc-invocation-duration", "?"),
               reply.headers.get("x-fc-max-memory-usage", "?"), reply.headers.get("x-fc-request-id"));
  if (!error.empty()) fmt::print(stderr, "mayfly: the function failed: {}\n", error);
  std::fflush(stderr);
  std::fwrite(reply.body.data(), 1, reply.body.size(), stdout);
  if (!reply.body.empty() && !reply.body.ends_with('\n') && is_terminal(STDOUT_FILENO)) fmt::print("\n");
}

Result<int> run(CliContext& context, const Options& options) {
  MAYFLY_TRY(FunctionName name, parse_function_name(options.function));
  MAYFLY_TRY(ApiClient * client, context.client());
  MAYFLY_TRY(std::string event, event_of(options, *client));
  http::Headers headers;
  headers.set("X-Fc-Invocation-Type", options.async ? "Async" : "Sync");
  if (!options.async) headers.set("X-Fc-Log-Type", "Tail");
  if (!options.id.empty()) headers.set("X-Fc-Stateful-Async-Invocation-Id", options.id);
  if (!options.once_key.empty()) headers.set("Idempotency-Key", options.once_key);
  headers.set("Content-Type", "application/octet-stream");
  std::string path = fmt::format("/services/{}/functions/{}/invocations", name.service, name.function);
  MAYFLY_TRY(Reply reply, client->fc("POST", path, std::move(event), std::move(headers), {}, kInvokeTimeoutUs));
  std::string request_id = reply.headers.get("x-fc-request-id");
  if (options.async) {
    std::string task = reply.headers.get("x-fc-stateful-async-invocation-id");
    bool repeated = reply.headers.has("idempotency-replayed");
    if (context.json) context.print_json(json::object{{"requestId", request_id}, {"task", task}, {"repeated", repeated}});
    else fmt::print("{}, request {}{}\n", repeated ? "queued before" : "queued", request_id, task.empty() ? "" : ", task " + task);
    return 0;
  }
  std::string error = reply.headers.get("x-fc-error-type");
  std::string log = base64_decode(reply.headers.get("x-fc-log-result")).value_or("");
  if (context.json)
    context.print_json(json::object{{"requestId", request_id}, {"errorType", error}, {"durationMs", reply.headers.get("x-fc-invocation-duration")},
                                    {"memoryMb", reply.headers.get("x-fc-max-memory-usage")}, {"result", as_json_or_text(reply.body)}, {"log", log}});
  else
    print_for_people(reply, error, log, options.quiet);
  return error.empty() ? 0 : static_cast<int>(Kind::function_failed);
}

}  // namespace

void add_invoke_command(CLI::App& app, CliContext& context) {
  auto options = std::make_shared<Options>();
  CLI::App* invoke = app.add_subcommand("invoke", "Call a function: its result on stdout, its log on stderr");
  invoke->add_option("function", options->function, "service/function; service.qualifier/function for a version or alias")->required();
  invoke->add_option("payload", options->payload, "The event; - reads stdin, which a pipe does by itself");
  invoke->add_option("-f,--file", options->file, "Read the event from a file");
  invoke->add_option("--sample", options->sample.kind, "Send what a trigger would send")->check(CLI::IsMember({"oss", "timer", "http", "mns"}));
  invoke->add_option("--bucket", options->sample.bucket, "Bucket named in the oss sample")->capture_default_str();
  invoke->add_option("--key", options->sample.key, "Object named in the oss sample")->capture_default_str();
  CLI::Option* async = invoke->add_flag("--async", options->async, "Queue the call and do not wait");
  invoke->add_option("--id", options->id, "Make it a task of this id, which `mayfly tasks` shows and stops")->needs(async);
  invoke->add_option("--idempotency-key", options->once_key, "Queue nothing if a call with this key was queued in the last 24 hours")->needs(async);
  invoke->add_flag("-q,--quiet", options->quiet, "No log and no summary on stderr");
  invoke->footer("Examples:\n  mayfly invoke face-batch/faceLister '{\"bucket\":\"photos\",\"prefix\":\"\",\"marker\":\"\",\"delimiter\":\"/\"}'\n"
                 "  mayfly invoke my/handler --sample oss --bucket photos --key a.jpg\nExit code 1: the function reported an error.");
  invoke->callback([&context, options] { context.finish(run(context, *options)); });
}

}  // namespace mayfly::cli
