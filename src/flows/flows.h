#pragma once
// Flows: durable workflows (DESIGN 1). A definition (FDL; other languages later) compiles to one graph; an execution walks it as a pure
// state machine (machine.h) driven by commands; every transition is one commit that holds the new state, its history events, the
// acknowledgement of its cause and the messages it causes (DESIGN 4.5). Pure steps run on in the same commit (reliability.md R4.2).
// Executions are spread over partitions by hash; one loop owns a partition. Any shard may call this interface.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "io/task.h"
#include "io/loop.h"

namespace mayfly::flows {

enum class FlowError {
  invalid_definition,  // message names the path inside the definition
  invalid_argument, flow_not_found, flow_exists, execution_not_found, execution_exists, task_not_found, too_large,
  schedule_not_found, schedule_exists,  // schedules.h
};
template <class T>
using Result = Expected<T, FlowError>;

struct Flow {
  std::string id, name, definition, description, type = "FDL", role_arn, external_storage, execution_mode;
  int64_t created_us = 0, modified_us = 0;
};

enum class Status { starting, running, stopped, succeeded, failed, timed_out };

struct Execution {
  std::string flow, name, definition, role_arn;
  std::string input = "{}", output;   // JSON objects
  Status status = Status::running;
  std::string error, cause;           // of a failed or stopped one
  std::string origin;                 // StartRequest::origin
  int64_t started_us = 0, stopped_us = 0;  // 0: not yet
};

struct HistoryEvent {
  int64_t id = 0;           // from 1, +1
  int64_t schedule_id = 0;  // the StepEntered this belongs to
  std::string step, type;   // aliyun-fnf.md section 8.1
  std::string detail;       // JSON text
  int64_t time_us = 0;
};

template <class T>
struct Page {
  std::vector<T> items;
  std::string next;  // token, "" on the last page
};

struct StartRequest {
  std::string flow;
  std::string name;                 // empty: a UUID
  std::string input = "{}";
  std::string callback_token;       // reported to when the execution ends
  std::string origin;               // who starts it, unique per intent: a second start with the same name and origin finds the first one
};

struct ExecutionFilter {
  std::string flow, name_prefix, next;
  std::optional<Status> status;
  int64_t started_from_us = 0, started_to_us = INT64_MAX;
  size_t limit = 60;
};

class Flows {
 public:
  virtual ~Flows() = default;
  virtual io::Task<Result<Flow>> create_flow(io::Loop& loop, Flow flow) = 0;
  virtual io::Task<Result<Flow>> update_flow(io::Loop& loop, Flow flow) = 0;  // empty members keep their value
  virtual io::Task<Result<void>> delete_flow(io::Loop& loop, std::string name) = 0;
  virtual io::Task<Result<Flow>> describe_flow(io::Loop& loop, std::string name) = 0;
  virtual io::Task<Page<Flow>> list_flows(io::Loop& loop, std::string next, size_t limit) = 0;

  virtual io::Task<Result<Execution>> start(io::Loop& loop, StartRequest request) = 0;  // durable when it returns
  virtual io::Task<Result<Execution>> stop(io::Loop& loop, std::string flow, std::string name, std::string error, std::string cause) = 0;
  // Waits until the execution has ended, at most until the deadline; Deadline{0} answers at once.
  virtual io::Task<Result<Execution>> describe(io::Loop& loop, std::string flow, std::string name, io::Deadline wait) = 0;
  virtual io::Task<Result<Page<Execution>>> list(io::Loop& loop, ExecutionFilter filter) = 0;
  virtual io::Task<Result<Page<HistoryEvent>>> history(io::Loop& loop, std::string flow, std::string name, std::string next, size_t limit) = 0;
  virtual io::Task<Result<void>> report_succeeded(io::Loop& loop, std::string token, std::string output) = 0;
  virtual io::Task<Result<void>> report_failed(io::Loop& loop, std::string token, std::string error, std::string cause) = 0;
};

}  // namespace mayfly::flows
