#include "flows/rows.h"

#include <stdexcept>

#include "flows/state.h"
#include "store/keys.h"

namespace mayfly::flows {
namespace {

using store::make_key;
using store::ordered_int;

json::value parse_row(std::string_view text) {
  auto value = parse_json(text);
  if (!value) throw std::runtime_error("a row of the flows room is damaged: " + value.error().message);
  return std::move(*value);
}

std::string_view take_field(std::string_view& line) {
  size_t end = line.find('\t');
  if (end == std::string_view::npos) throw std::runtime_error("a history row is damaged");
  std::string_view field = line.substr(0, end);
  line.remove_prefix(end + 1);
  return field;
}

int64_t take_int(std::string_view& line) {
  std::string_view field = take_field(line);
  int64_t out = 0;
  std::from_chars(field.data(), field.data() + field.size(), out);
  return out;
}

}  // namespace

std::string flow_key(const std::string& flow) { return make_key({"fl", "f", flow}); }
std::string flow_key_end() { return store::after_prefix(make_key({"fl", "f"})); }
std::string definition_key(const std::string& hash) { return make_key({"fl", "d", hash}); }
std::string execution_key(const std::string& flow, const std::string& name) { return make_key({"fl", "x", flow, name}); }
std::string state_key(const std::string& flow, const std::string& name) { return make_key({"fl", "s", flow, name}); }
std::string sequence_key(const std::string& flow, const std::string& name) { return make_key({"fl", "q", flow, name}); }
std::string history_key(const std::string& flow, const std::string& name, int64_t first_event) {
  return make_key({"fl", "h", flow, name, ordered_int(first_event)});
}
std::string time_index_key(const std::string& flow, int64_t started_us, const std::string& name) {
  return make_key({"fl", "t", flow, ordered_int(-started_us), name});
}
std::string status_index_key(const std::string& flow, Status status, int64_t started_us, const std::string& name) {
  return make_key({"fl", "u", flow, to_string(status), ordered_int(-started_us), name});
}

std::string write_flow(const FlowRow& row) {
  const Flow& flow = row.flow;
  return to_text(json::object{{"id", flow.id}, {"name", flow.name}, {"hash", row.definition_hash}, {"description", flow.description}, {"type", flow.type},
                              {"role", flow.role_arn}, {"storage", flow.external_storage}, {"mode", flow.execution_mode},
                              {"created", flow.created_us}, {"modified", flow.modified_us}});
}

FlowRow read_flow(std::string_view text) {
  json::value value = parse_row(text);
  Flow flow{.id = string_or(value, "id"), .name = string_or(value, "name"), .definition = {}, .description = string_or(value, "description"),
            .type = string_or(value, "type"), .role_arn = string_or(value, "role"), .external_storage = string_or(value, "storage"),
            .execution_mode = string_or(value, "mode"), .created_us = int_or(value, "created"), .modified_us = int_or(value, "modified")};
  return {std::move(flow), string_or(value, "hash")};
}

std::string write_execution(const ExecutionRow& row) {
  const Execution& execution = row.execution;
  json::object out{{"flow", execution.flow}, {"name", execution.name}, {"hash", row.definition_hash}, {"input", execution.input},
                   {"status", to_string(execution.status)}, {"started", execution.started_us}};
  if (!execution.role_arn.empty()) out["role"] = execution.role_arn;
  if (!execution.output.empty()) out["output"] = execution.output;
  if (!execution.error.empty()) out["error"] = execution.error;
  if (!execution.cause.empty()) out["cause"] = execution.cause;
  if (!execution.origin.empty()) out["origin"] = execution.origin;
  if (execution.stopped_us != 0) out["stopped"] = execution.stopped_us;
  return to_text(out);
}

ExecutionRow read_execution(std::string_view text) {
  json::value value = parse_row(text);
  Execution out{.flow = string_or(value, "flow"), .name = string_or(value, "name"), .definition = {}, .role_arn = string_or(value, "role"),
                .input = string_or(value, "input"), .output = string_or(value, "output"),
                .status = parse_status(string_or(value, "status")).value_or(Status::running), .error = string_or(value, "error"),
                .cause = string_or(value, "cause"), .origin = string_or(value, "origin"), .started_us = int_or(value, "started"),
                .stopped_us = int_or(value, "stopped")};
  return {std::move(out), string_or(value, "hash")};
}

std::string write_history(std::span<const HistoryEvent> events) {
  std::string out;
  for (const auto& event : events)
    fmt::format_to(std::back_inserter(out), "{}\t{}\t{}\t{}\t{}\t{}\n", event.id, event.schedule_id, event.time_us, event.type, event.step, event.detail);
  return out;
}

std::vector<HistoryEvent> read_history(std::string_view text) {
  std::vector<HistoryEvent> out;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    HistoryEvent event;
    event.id = take_int(line);
    event.schedule_id = take_int(line);
    event.time_us = take_int(line);
    event.type = take_field(line);
    event.step = take_field(line);
    event.detail = line;
    out.push_back(std::move(event));
  }
  return out;
}

}  // namespace mayfly::flows
