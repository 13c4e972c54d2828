#pragma once
// What would change: a request's body against what the server answers for the same thing. Only what the body names counts; keys compare
// without case (aliyun-fc.md section 1.6); an absent value equals an empty one, because servers leave out or fill in defaults.

#include <string>
#include <vector>

#include "base/json.h"

namespace mayfly::cli {

// One line per difference: "timeout: 3 -> 60". Environment variables are named without their values, which may be secrets.
std::vector<std::string> differences(const json::value& wanted, const json::value& present);

}  // namespace mayfly::cli
