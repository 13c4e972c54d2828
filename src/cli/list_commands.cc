#include <pugixml.hpp>

#include "cli/commands.h"
#include "cli/table.h"

namespace mayfly::cli {
namespace {

struct Options {
  std::string what = "all";
  std::string function;
};

// Every row of one kind of thing, as the API gave it, with the names of what it belongs to added.
struct Listing {
  json::array services, functions, triggers, flows, buckets;
};

void adopt(json::array& into, json::array&& items, const json::object& owners) {
  for (json::value& item : items) {
    for (const auto& owner : owners) item.as_object()[owner.key()] = owner.value();
    into.push_back(std::move(item));
  }
}

Result<void> list_functions(ApiClient& client, Listing& listing, bool triggers) {
  MAYFLY_TRY(listing.services, client.fc_list("/services", "services"));
  for (const json::value& service : listing.services) {
    std::string name = string_or(service, "serviceName");
    MAYFLY_TRY(json::array functions, client.fc_list("/services/" + name + "/functions", "functions"));
    if (triggers) {
      for (const json::value& function : functions) {
        std::string function_name = string_or(function, "functionName");
        MAYFLY_TRY(json::array found, client.fc_list("/services/" + name + "/functions/" + function_name + "/triggers", "triggers"));
        adopt(listing.triggers, std::move(found), {{"serviceName", name}, {"functionName", function_name}});
      }
    }
    adopt(listing.functions, std::move(functions), {{"serviceName", name}});
  }
  return {};
}

Result<json::array> list_flows(ApiClient& client) {
  json::array all;
  std::string next;
  do {
    MAYFLY_TRY(json::value page, client.rpc(Product::flows, "ListFlows", {{"Limit", "100"}, {"NextToken", next}}));
    if (const json::value* flows = find(page, "Flows"); flows != nullptr && flows->is_array())
      for (const json::value& flow : flows->get_array()) all.push_back(flow);
    next = string_or(page, "NextToken");
  } while (!next.empty());
  return all;
}

Result<json::array> list_buckets(ApiClient& client) {
  json::array all;
  MAYFLY_TRY(Reply reply, client.object({.query = {{"max-keys", "1000"}}}));
  pugi::xml_document xml;
  xml.load_buffer(reply.body.data(), reply.body.size());
  for (const auto& bucket : xml.child("ListAllMyBucketsResult").child("Buckets").children("Bucket"))
    all.push_back(json::object{{"name", bucket.child_value("Name")}, {"created", bucket.child_value("CreationDate")}});
  return all;
}

std::string trigger_summary(const json::value& trigger) {
  const json::value* config = find(trigger, "triggerConfig");
  if (config == nullptr) return {};
  std::string type = string_or(trigger, "triggerType");
  if (type == "timer") return string_or(*config, "cronExpression") + (bool_or(*config, "enable", true) ? "" : " (off)");
  if (type == "oss") {
    std::string arn = string_or(trigger, "sourceArn");
    return "bucket " + arn.substr(arn.rfind(':') + 1);
  }
  if (type == "http") return string_or(*config, "authType");
  return string_or(trigger, "sourceArn");
}

void print_section(std::string_view title, const Table& table, bool only) {
  if (table.empty()) {
    if (only) fmt::print("no {}\n", title);
    return;
  }
  if (only) fmt::print("{}", table.text());
  else fmt::print("{}\n{}\n", title, table.text(2));
}

void print_tables(const Listing& listing, const std::string& what) {
  bool all = what == "all";
  if (what == "services") {
    Table table({"service", "description", "role"});
    for (const json::value& s : listing.services) table.add({string_or(s, "serviceName"), string_or(s, "description"), string_or(s, "role")});
    print_section("services", table, true);
  }
  if (all || what == "functions") {
    Table table({"function", "runtime", "handler", "memory", "timeout", "code"});
    for (const json::value& f : listing.functions)
      table.add({string_or(f, "serviceName") + "/" + string_or(f, "functionName"), string_or(f, "runtime"), string_or(f, "handler"),
                 fmt::format("{} MB", int_or(f, "memorySize")), fmt::format("{} s", int_or(f, "timeout")),
                 size_text(static_cast<uint64_t>(int_or(f, "codeSize")))});
    print_section("functions", table, !all);
  }
  if (all || what == "triggers") {
    Table table({"trigger", "type", "function", "when"});
    for (const json::value& t : listing.triggers)
      table.add({string_or(t, "triggerName"), string_or(t, "triggerType"), string_or(t, "serviceName") + "/" + string_or(t, "functionName"),
                 trigger_summary(t)});
    print_section("triggers", table, !all);
  }
  if (all || what == "flows") {
    Table table({"flow", "description", "changed"});
    for (const json::value& f : listing.flows) table.add({string_or(f, "Name"), string_or(f, "Description"), string_or(f, "LastModifiedTime")});
    print_section("flows", table, !all);
  }
  if (all || what == "buckets") {
    Table table({"bucket", "created"});
    for (const json::value& b : listing.buckets) table.add({string_or(b, "name"), string_or(b, "created")});
    print_section("buckets", table, !all);
  }
}

Result<int> run_list(CliContext& context, const Options& options) {
  MAYFLY_TRY(ApiClient * client, context.client());
  bool all = options.what == "all";
  Listing listing;
  bool triggers = all || options.what == "triggers";
  if (options.what == "services") {
    MAYFLY_TRY(listing.services, client->fc_list("/services", "services"));
  } else if (triggers || options.what == "functions") {
    MAYFLY_TRY_VOID(list_functions(*client, listing, triggers));
  }
  if (all || options.what == "flows") {
    MAYFLY_TRY(listing.flows, list_flows(*client));
  }
  if (all || options.what == "buckets") {
    MAYFLY_TRY(listing.buckets, list_buckets(*client));
  }
  if (!context.json) {
    print_tables(listing, options.what);
    if (all && listing.functions.empty() && listing.flows.empty() && listing.buckets.empty())
      fmt::print("Nothing here yet. `mayfly deploy examples/face-batch` is a start.\n");
    return 0;
  }
  json::object out;
  for (auto [name, items] : {std::pair("services", &listing.services), std::pair("functions", &listing.functions), std::pair("triggers", &listing.triggers),
                             std::pair("flows", &listing.flows), std::pair("buckets", &listing.buckets)})
    if (all || options.what == name) out[name] = std::move(*items);
  context.print_json(out);
  return 0;
}

void print_description(const json::value& about) {
  bool ready = bool_or(about, "can_invoke");
  fmt::print("{}/{}  {}\n", string_or(about, "service"), string_or(about, "function"), ready ? "can be called now" : "CANNOT be called now");
  if (!ready) fmt::print("  why          {}\n", string_or(about, "why_not"));
  fmt::print("  runtime      {}, handler {}\n", string_or(about, "runtime"), string_or(about, "handler"));
  fmt::print("  limits       {} MB, {} s\n", int_or(about, "memoryMb"), int_or(about, "timeoutS"));
  fmt::print("  code         {}\n", size_text(static_cast<uint64_t>(int_or(about, "codeSize"))));
  if (const json::value* layers = find(about, "layers"); layers != nullptr && layers->is_array() && !layers->get_array().empty()) {
    std::string names;
    for (const json::value& layer : layers->get_array()) names += fmt::format("{}{} {}", names.empty() ? "" : ", ", string_or(layer, "name"), int_or(layer, "version"));
    fmt::print("  layers       {} (a later one covers an earlier one)\n", names);
  }
  fmt::print("  invocations  {} ({} errors, {} timeouts, {} cold starts)\n", int_or(about, "invocations"), int_or(about, "errors"),
             int_or(about, "timeouts"), int_or(about, "coldStarts"));
  const json::value* instances = find(about, "instances");
  fmt::print("  instances    {} ({} idle, {} starting), {} calls waiting\n", instances != nullptr && instances->is_array() ? instances->get_array().size() : 0,
             int_or(about, "idle"), int_or(about, "starting"), int_or(about, "queued"));
  if (const json::value* scaling = find(about, "scaling"); scaling != nullptr && (int_or(*scaling, "minimum") > 0 || int_or(*scaling, "reservedMb") > 0))
    fmt::print("  scaling      {} ready before calls, at most {}, {} MB reserved (`mayfly scale` changes it)\n", int_or(*scaling, "minimum"),
               int_or(*scaling, "maximum"), int_or(*scaling, "reservedMb"));
  if (std::string error = string_or(about, "last_error"); !error.empty())
    fmt::print("  last error   {} {}\n", string_or(about, "last_error_time"), error);
  if (const json::value* recent = find(about, "recent"); recent != nullptr && recent->is_array() && !recent->get_array().empty()) {
    Table table({"time", "result", "queued ms", "sandbox", "runtime", "import", "init", "run", "reply", "source", "request"});
    auto ms = [](const json::value& record, const char* key) { return fmt::format("{:.1f}", static_cast<double>(int_or(record, key)) / 1000); };
    for (const json::value& record : recent->get_array())
      table.add({string_or(record, "time"), string_or(record, "result"), ms(record, "queuedUs"), ms(record, "sandboxUs"),
                 ms(record, "runtimeUs"), ms(record, "importUs"), ms(record, "initUs"), ms(record, "runUs"), ms(record, "replyUs"),
                 string_or(record, "source"), string_or(record, "requestId")});
    fmt::print("  recent calls\n{}", table.text(4));
  }
}

Result<int> run_describe(CliContext& context, const Options& options) {
  MAYFLY_TRY(FunctionName name, parse_function_name(options.function));
  MAYFLY_TRY(ApiClient * client, context.client());
  MAYFLY_TRY(json::value about, client->native("/mayfly/v1/functions/" + name.service + "/" + name.function));
  if (context.json) context.print_json(about);
  else print_description(about);
  return 0;
}

}  // namespace

void add_list_commands(CLI::App& app, CliContext& context) {
  auto options = std::make_shared<Options>();
  CLI::App* list = app.add_subcommand("ls", "List what is on the server");
  list->add_option("what", options->what, "services, functions, triggers, flows, buckets or all")
      ->capture_default_str()
      ->check(CLI::IsMember({"services", "functions", "triggers", "flows", "buckets", "all"}));
  list->footer("Example:\n  mayfly ls functions --json");
  list->callback([&context, options] { context.finish(run_list(context, *options)); });

  CLI::App* describe = app.add_subcommand("describe", "Say whether a function can be called now, if not why, and how its last calls went");
  describe->add_option("function", options->function, "service/function")->required();
  describe->footer("Example:\n  mayfly describe face-batch/faceDetector");
  describe->callback([&context, options] { context.finish(run_describe(context, *options)); });
}

}  // namespace mayfly::cli
