#pragma once
// TaskTarget: something a task step can call: functions, flows, message services. A target is asked once per try, may be asked again
// for the same token after a crash, and answers with what the machine understands.

#include "auth/access.h"
#include "base/rng.h"
#include "dispatch/invoker.h"
#include "flows/flows.h"
#include "flows/machine.h"

namespace mayfly::flows {

struct TaskRequest {
  std::string flow, execution, role_arn;
  TaskCall call;  // call.token is the idempotency key of this try
};

struct TaskOutcome {
  Command::Result result = Command::Result::succeeded;
  std::string output;        // succeeded: a JSON object's text, `$local` of the step
  std::string error, cause;  // failed; names of aliyun-fnf.md section 4.5
  bool undecided = false;    // the server is ending: nothing is recorded, and the next start asks again
};

class TaskTarget {
 public:
  virtual ~TaskTarget() = default;
  virtual bool claims(const TaskCall& call) const = 0;
  // What the flow's role must be allowed for it.
  virtual auth::Access access(const TaskCall& call) const = 0;
  // `submitted` means: a report on the token will come.
  virtual io::Task<TaskOutcome> run(io::Loop& loop, TaskRequest request) = 0;
};

TaskOutcome task_succeeded(json::object output);
TaskOutcome task_failed(std::string error, std::string cause);

// acs:fc:{region}:{account}:services/{service[.qualifier]}/functions/{function} (section 4.1).
std::unique_ptr<TaskTarget> make_function_target(dispatch::Invoker& invoker, Rng& rng);
// acs:fnf:{region}:{account}:flow/{name}, and the actions fnf:StartExecution, StopExecution, DescribeExecution, ReportTaskSucceeded and
// ReportTaskFailed (sections 4.3, 4.4).
std::unique_ptr<TaskTarget> make_flow_target(Flows& flows, Rng& rng);

}  // namespace mayfly::flows
