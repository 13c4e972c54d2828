#include "sys/fault.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace mayfly::sys {

Fault::Fault(std::string call, std::string subject, int error)
    : std::runtime_error(fmt::format("{}{}{}: {}", call, subject.empty() ? "" : " ", subject, strerrordesc_np(error))), error_(error) {}

long check(long result, const char* call, const std::string& subject) {
  if (result < 0) throw Fault(call, subject, errno);
  return result;
}

}  // namespace mayfly::sys
