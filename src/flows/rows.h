#pragma once
// The rows of this room, all below the key part "fl" (store/keys.h makes the keys):
//
//   f  flow                         the flow, JSON
//   d  sha256                       a definition's text; never changes, shared by flows and executions
//   x  flow, execution              the execution as the API shows it, JSON; written when it starts and when it ends
//   s  flow, execution              state between commits (state.h); erased at the end
//   q  flow, execution              its sequence, the fence of every commit; erased at the end
//   h  flow, execution, event id    history of one commit, starting with that event
//   t  flow, -started, execution    every execution of a flow, newest first; empty value
//   u  flow, status, -started, execution
//
// History is text, one event per line: id TAB schedule id TAB microseconds TAB type TAB step TAB detail. JSON text holds no raw newline
// or tab, so nothing needs escaping.

#include "flows/flows.h"
#include "store/engine.h"

namespace mayfly::flows {

std::string flow_key(const std::string& flow);
std::string flow_key_end();
std::string definition_key(const std::string& hash);
std::string execution_key(const std::string& flow, const std::string& name);
std::string state_key(const std::string& flow, const std::string& name);
std::string sequence_key(const std::string& flow, const std::string& name);
std::string history_key(const std::string& flow, const std::string& name, int64_t first_event);
std::string time_index_key(const std::string& flow, int64_t started_us, const std::string& name);
std::string status_index_key(const std::string& flow, Status status, int64_t started_us, const std::string& name);

// A flow's or an execution's row names its definition by hash; `definition` of the value itself is not stored.
struct FlowRow {
  Flow flow;
  std::string definition_hash;
};
std::string write_flow(const FlowRow& row);
FlowRow read_flow(std::string_view text);  // these throw std::runtime_error on a damaged row

struct ExecutionRow {
  Execution execution;
  std::string definition_hash;
};
std::string write_execution(const ExecutionRow& row);
ExecutionRow read_execution(std::string_view text);

std::string write_history(std::span<const HistoryEvent> events);
std::vector<HistoryEvent> read_history(std::string_view text);

}  // namespace mayfly::flows
