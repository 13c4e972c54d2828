#pragma once
// Commands as templates write them.

#include <string>
#include <string_view>
#include <vector>

namespace mayfly::runtime {

// "python3 index.py" -> its words. At single spaces, no shell (openfaas.md O16.2); empty words fall away.
std::vector<std::string> split_at_spaces(std::string_view command);

// The first word as an absolute path inside: one of its own, one in the code folder when it has a '/', else looked up along PATH.
std::vector<std::string> resolve_command(std::vector<std::string> command, const std::string& code_folder);

}  // namespace mayfly::runtime
