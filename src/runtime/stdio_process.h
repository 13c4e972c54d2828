#pragma once
// One process of the stdio runner (stdio_runner.h), from its fork to its end: its pipes, what it has written, how it ended.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sys/fd.h"

namespace mayfly::runtime {

struct StdioProcess {
  // Starts it in a process group of its own; throws sys::Fault when that fails. `separate_errors`: stderr goes to `errors`.
  StdioProcess(const std::vector<std::string>& command, const std::vector<std::string>& environment, std::string input, bool separate_errors);
  StdioProcess(const StdioProcess&) = delete;
  ~StdioProcess();

  void write_input();   // what fits; closes stdin at the end
  // Takes what is there; false once the pipe has ended.
  static bool drain(sys::Fd& pipe, std::string& into);
  void reap();          // after `pidfd` became readable
  bool ended() const { return reaped && (killed || (!output && !errors)); }  // what escaped a kill is not waited for
  void kill();          // it and its group

  pid_t pid = -1;
  sys::Fd pidfd, input, output, errors;  // our ends; empty once done
  std::string unwritten, written, error_text;
  bool reaped = false, killed = false;
  int status = 0;       // wait status
};

// "exit status 3" or "signal: killed", as Go says it.
std::string end_text(int status);

}  // namespace mayfly::runtime
