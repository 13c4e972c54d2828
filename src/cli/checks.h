#pragma once
// What `mayfly doctor` looks at: one check per thing Mayfly can use on a machine. Each is tried, not guessed from a version; it says what
// is weaker without it and how to get it. Checks change nothing that outlives them.

#include <string>
#include <vector>

#include "cli/context.h"

namespace mayfly::cli {

enum class Health { good, weaker, broken };

struct Check {
  std::string name;
  Health health = Health::good;
  std::string found;   // what is there
  std::string without;  // what is weaker without it; empty when good
  std::string remedy;  // what to do; empty when good
};

std::vector<Check> check_kernel();                                   // namespaces, cgroups, seccomp, pidfd
std::vector<Check> check_programs(const std::string& libraries);     // python3, its libraries, node
std::vector<Check> check_machine(const std::string& data_dir);       // folder, disk, clock, descriptors
std::vector<Check> check_server(CliContext& context);                // reachable, or its port free

}  // namespace mayfly::cli
