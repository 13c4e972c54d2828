#include "sandbox/protocol.h"

#include <algorithm>

#include "base/check.h"

namespace mayfly::sandbox {

std::vector<int> fds_of(const Launch& launch, With with) {
  std::vector<int> out;
  if (with == With::lifeline) out.push_back(launch.lifeline.get());
  out.push_back(launch.report.get());
  if (launch.program) out.push_back(launch.program.get());
  if (launch.output) out.push_back(launch.output.get());
  for (const auto& entry : launch.entries) out.push_back(entry.get());
  return out;
}

Launch take_launch(const Plan& plan, With with, std::vector<sys::Fd>& fds, size_t rest) {
  size_t next = 0;
  auto take = [&] {
    MAYFLY_CHECK_OP(next + rest, <, fds.size());
    return std::move(fds[next++]);
  };
  Launch out;
  if (with == With::lifeline) out.lifeline = take();
  out.report = take();
  if (has_program_fd(plan)) out.program = take();
  if (plan.confined) out.output = take();
  while (next + rest < fds.size()) out.entries.push_back(take());
  fds.erase(fds.begin(), fds.begin() + static_cast<ptrdiff_t>(next));
  return out;
}

std::vector<Bind> select_binds(const Plan& plan, const std::vector<Bind>& system, Binds which) {
  std::vector<Bind> out;
  for (const auto& bind : plan.binds) {
    bool of_system = std::find(system.begin(), system.end(), bind) != system.end();
    if (of_system == (which == Binds::of_system)) out.push_back(bind);
  }
  return out;
}

}  // namespace mayfly::sandbox
