#pragma once
// Manifests: the files in which a project names its dependencies (requirements.txt, package.json, pom.xml), and a key that changes whenever
// what would be installed may change: the manifest with its lock file and everything it includes, and the interpreter it is for. The key
// is what built layers are cached by. A manifest that names something on this machine by its path, or more requirements by a URL, has no
// such key. Many name nothing at all, and are no mistake: a package.json is needed to say {"type":"module"}.

#include <optional>
#include <string>
#include <vector>

#include "cli/failure.h"

namespace mayfly::cli {

enum class Tool { pip, npm, maven };

struct Manifest {
  Tool tool = Tool::pip;
  std::string folder, file;        // "requirements.txt", in its folder
  std::vector<std::string> files;  // all that it consists of, absolute
  bool empty = false;              // names nothing to install; of a pom.xml only mvn knows
  bool has_key = true;             // false: what it names may change while its files stay as they are
};

// Those of `folder`, of one language ("python3.9", "nodejs", ...) or, when it is empty, of all. None is no failure.
Result<std::vector<Manifest>> find_manifests(const std::string& folder, const std::string& runtime);

std::string_view language_of(Tool tool);       // "python": the folder in a layer, and the start of its runtimes' names
std::string_view runtime_of(Tool tool);        // "python3": what a layer says it is for
// `program`: the interpreter's path; its name, size and age count, so that an upgrade builds again.
std::string manifest_key(const Manifest& manifest, const std::string& program);

}  // namespace mayfly::cli
