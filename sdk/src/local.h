#pragma once
// One call by hand: what a program of functions does when a person starts it. The answer goes to standard output, the log to standard error.

#include <string>
#include <vector>

#include "mayfly/function.h"

namespace mayfly::detail {

// words[0]: the program. Returns the exit status: 0, 1 when the function failed, 2 when the words made no sense.
int run_locally(const std::vector<Function>& functions, const std::vector<std::string>& words);

}  // namespace mayfly::detail
