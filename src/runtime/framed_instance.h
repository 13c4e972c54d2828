#pragma once
// An instance whose process speaks frames, however that process was made.

#include <memory>

#include "runtime/host.h"
#include "runtime/worker.h"

namespace mayfly::runtime {

struct StartFrame {
  std::string payload;
  std::string initializer_id;  // the request id of the function's initializer, which the payload has too; empty: it has none
};
std::string new_initializer_id(Host& host, const functions::Function& function);

// Sends `start` over the process's frame stream and waits until it has imported and initialized its function. `phases` has what the start
// took until now.
io::Task<Expected<std::unique_ptr<Instance>, StartError>> start_framed(Host& host, StartContext context, std::shared_ptr<Process> process, sys::Fd frames, StartFrame start,
                                                                       StartPhases phases);

}  // namespace mayfly::runtime
