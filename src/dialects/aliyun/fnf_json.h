#pragma once
// What FnF answers look like (aliyun-fnf.md sections 6 and 8.1): flat objects, times as "2020-09-22T23:43:40.073Z", "" for not yet.

#include "base/json.h"
#include "flows/flows.h"
#include "flows/schedules.h"

namespace mayfly::dialects::aliyun {

json::object fnf_flow(const flows::Flow& flow);
json::object fnf_execution(const flows::Execution& execution);
json::object fnf_event(const flows::HistoryEvent& event);
json::object fnf_schedule(const flows::Schedule& schedule);

}  // namespace mayfly::dialects::aliyun
