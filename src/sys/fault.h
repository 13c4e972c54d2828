#pragma once
// A fault of the environment: a system call that failed for a reason the caller cannot mend (DESIGN 4.11). Thrown where it happens,
// caught once at the root of a request or task. Carries the call, what it was applied to, and errno.

#include <stdexcept>
#include <string>

namespace mayfly::sys {

class Fault : public std::runtime_error {
 public:
  Fault(std::string call, std::string subject, int error);
  int error() const { return error_; }  // errno

 private:
  int error_;
};

// Returns `result`, or throws a Fault made of errno if it is negative.
long check(long result, const char* call, const std::string& subject = {});

}  // namespace mayfly::sys
