#include "dialects/aliyun/fnf_json.h"

#include "base/clock.h"
#include "flows/state.h"

namespace mayfly::dialects::aliyun {
namespace {

std::string time_text(int64_t wall_us) { return wall_us == 0 ? "" : iso8601_ms(wall_us); }

}  // namespace

json::object fnf_flow(const flows::Flow& flow) {
  return {{"Id", flow.id}, {"Name", flow.name}, {"Definition", flow.definition}, {"Description", flow.description}, {"Type", flow.type},
          {"RoleArn", flow.role_arn}, {"ExternalStorageLocation", flow.external_storage}, {"ExecutionMode", flow.execution_mode},
          {"CreatedTime", time_text(flow.created_us)}, {"LastModifiedTime", time_text(flow.modified_us)}};
}

// Error and Cause are Mayfly's own: the vendor leaves them to the history.
json::object fnf_execution(const flows::Execution& execution) {
  json::object out{{"FlowName", execution.flow}, {"Name", execution.name}, {"FlowDefinition", execution.definition}, {"Input", execution.input},
                   {"Output", execution.output}, {"Status", flows::to_string(execution.status)}, {"StartedTime", time_text(execution.started_us)},
                   {"StoppedTime", time_text(execution.stopped_us)}, {"RoleArn", execution.role_arn}};
  if (!execution.error.empty()) out["Error"] = execution.error;
  if (!execution.cause.empty()) out["Cause"] = execution.cause;
  return out;
}

json::object fnf_event(const flows::HistoryEvent& event) {
  return {{"StepName", event.step}, {"Type", event.type}, {"EventId", event.id}, {"ScheduleEventId", event.schedule_id},
          {"EventDetail", event.detail}, {"Time", time_text(event.time_us)}};
}

json::object fnf_schedule(const flows::Schedule& schedule) {
  return {{"ScheduleId", schedule.id}, {"ScheduleName", schedule.name}, {"FlowName", schedule.flow}, {"CronExpression", schedule.cron},
          {"Payload", schedule.payload}, {"Description", schedule.description}, {"Enable", schedule.enabled},
          {"CreatedTime", time_text(schedule.created_us)}, {"LastModifiedTime", time_text(schedule.modified_us)}};
}

}  // namespace mayfly::dialects::aliyun
