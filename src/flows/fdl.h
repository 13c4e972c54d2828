#pragma once
// FDL, the flow language of Function Flow (aliyun-fnf.md sections 1 to 3): YAML or JSON text to a Definition. Everything that can be
// wrong without running is refused here, and every refusal begins with the path inside the definition:
//   steps[2].choices[0].goto: no sibling step named 'x'
// Fields nobody reads are accepted and listed in Definition::warnings, because flows in the wild carry some.

#include <string_view>

#include "flows/definition.h"
#include "flows/flows.h"

namespace mayfly::flows {

// The code is always FlowError::invalid_definition.
Result<Definition> parse_fdl(std::string_view text);

// "acs:fc:...:services/s/functions/f" of a task, for messages: its resourceArn or its action.
std::string task_label(const TaskNode& task);

}  // namespace mayfly::flows
