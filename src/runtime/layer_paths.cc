#include "runtime/layer_paths.h"

#include <algorithm>
#include <filesystem>

namespace mayfly::runtime {
namespace {

namespace fs = std::filesystem;

// Adds a path to a variable's list, behind what is there and once.
void append(Environment& environment, const std::string& name, const std::string& path) {
  std::string& list = environment[name];
  if ((":" + list + ":").find(":" + path + ":") != std::string::npos) return;
  list += (list.empty() ? "" : ":") + path;
}

struct Layers {
  const std::string& here;    // on this machine
  const std::string& inside;  // as the code sees them
  Environment& environment;

  void add(const std::string& name, const std::string& folder, const std::string& suffix = {}) const {
    std::error_code ignored;
    if (fs::is_directory(here + folder, ignored)) append(environment, name, inside + folder + suffix);
  }
  // Each <folder>/<start>*<rest>, the highest version first, so 3.11 before 3.9: python/lib/python3.11/site-packages.
  void add_versions(const std::string& name, const std::string& folder, std::string_view start, const std::string& rest) const {
    std::error_code ignored;
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(here + folder, ignored))
      if (std::string each = entry.path().filename(); each.starts_with(start)) found.push_back(std::move(each));
    std::sort(found.begin(), found.end(), [](const std::string& a, const std::string& b) { return a.size() != b.size() ? a.size() > b.size() : a > b; });
    for (const std::string& each : found) add(name, folder + "/" + each + rest);
  }
};

}  // namespace

void add_layer_paths(const functions::Runnable& runnable, const Places& inside, Contract contract, Environment& environment) {
  bool tencent = contract == Contract::scf || contract == Contract::scf_web;
  if (tencent) {
    for (const char* folder : {"", "/node_modules"}) append(environment, "NODE_PATH", inside.code + folder);
    append(environment, "PYTHONPATH", inside.code);
  }
  if (runnable.layers_path.empty()) return;
  Layers layers{runnable.layers_path, inside.layers, environment};
  layers.add("PYTHONPATH", "/python");
  layers.add_versions("PYTHONPATH", "/python/lib", "python3", "/site-packages");
  layers.add("NODE_PATH", "/nodejs/node_modules");
  layers.add_versions("NODE_PATH", "/nodejs", "node", "/node_modules");  // Lambda: nodejs/node18/node_modules
  layers.add("LD_LIBRARY_PATH", "/lib");
  layers.add("PATH", "/bin");
  bool java = runnable.function.runtime.starts_with("java");
  if (java) layers.add("CLASSPATH", "/java/lib", "/*");
  if (!tencent) return;
  for (const char* name : {"PYTHONPATH", "NODE_PATH", "LD_LIBRARY_PATH"}) layers.add(name, "");
  layers.add("NODE_PATH", "/node_modules");
  if (java) layers.add("CLASSPATH", "", "/*");
}

}  // namespace mayfly::runtime
