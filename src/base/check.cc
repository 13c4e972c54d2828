#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace mayfly {

void check_failed(std::string_view file, int line, std::string_view condition, const std::string& operands) {
  fmt::print(stderr, "{}:{}: check failed: {}{}{}\n", file, line, condition, operands.empty() ? "" : ": ", operands);
  std::fflush(stderr);
  std::abort();
}

}  // namespace mayfly
