#include "runtime/command.h"

namespace mayfly::runtime {
namespace {

constexpr const char* kEnv = "/usr/bin/env";  // finds a program along PATH, and says which it did not find

}  // namespace

std::vector<std::string> split_at_spaces(std::string_view command) {
  std::vector<std::string> words;
  while (!command.empty()) {
    size_t end = std::min(command.find(' '), command.size());
    if (end > 0) words.emplace_back(command.substr(0, end));
    command.remove_prefix(std::min(end + 1, command.size()));
  }
  return words;
}

std::vector<std::string> resolve_command(std::vector<std::string> command, const std::string& code_folder) {
  std::string& program = command.front();
  if (program.starts_with('/')) return command;
  if (program.find('/') == program.npos) {
    command.insert(command.begin(), kEnv);
    return command;
  }
  program = code_folder + "/" + (program.starts_with("./") ? program.substr(2) : program);
  return command;
}

}  // namespace mayfly::runtime
