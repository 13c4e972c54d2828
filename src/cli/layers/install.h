#pragma once
// Installing a project's dependencies into a layer with the machine's own pip, npm or mvn: no Docker. What they leave is laid out as the
// vendors' runtimes look for it (python/, nodejs/node_modules/, java/lib/), cleaned of what changes from run to run, and packed with fixed
// times and order. Layers that were built are kept in a cache by manifest_key(), so the second time costs a look.

#include <functional>

#include "cli/layers/layer_file.h"
#include "cli/layers/manifest.h"

namespace mayfly::cli {

constexpr size_t kCachedLayers = 50;  // the oldest beyond go; a layer is tens of MiB

// Programs of this machine, so that tests can have others.
class Programs {
 public:
  virtual ~Programs() = default;
  virtual std::string find(const std::string& name) = 0;  // absolute path, "" if it is not on the PATH
  // Runs in `folder` with this process's environment and `extra`; its output goes to stderr. The exit code; 128 + signal if one ended it.
  virtual int run(const std::string& folder, const std::vector<std::string>& command, const std::vector<std::string>& extra) = 0;
};
std::unique_ptr<Programs> machine_programs();

std::string default_layer_cache();  // $XDG_CACHE_HOME/mayfly/layers

struct Installer {
  Programs& programs;
  std::string cache_folder;
  bool use_cache = true;
  std::function<void(const std::string&)> say = [](const std::string&) {};  // one line of progress
};

struct BuiltLayer {
  LayerFile file;                     // in the cache
  std::vector<std::string> runtimes;  // "python3"
  std::vector<std::string> sources;   // "requirements.txt"
  bool cached = false;                // nothing had to be installed
};
// All of the manifests in one layer; nullopt if there is nothing to install for any of them.
Result<std::optional<BuiltLayer>> build_layer(const Installer& installer, const std::vector<Manifest>& manifests);

}  // namespace mayfly::cli
