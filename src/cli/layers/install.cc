#include "cli/layers/install.h"

#include <sys/wait.h>
#include <unistd.h>

#include <fmt/ranges.h>

#include <filesystem>

#include "base/encoding.h"
#include "base/hash.h"
#include "base/json.h"
#include "cli/context.h"
#include "cli/table.h"
#include "sys/fault.h"
#include "sys/file.h"
#include "sys/process.h"

namespace mayfly::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kBuild = "build-";  // how the folders begin in which layers are put together
constexpr std::chrono::hours kAbandoned{24};  // after this nobody is at work any more on what is half-made

// Functions run on Debian's interpreter: what is built for another one would not load.
constexpr const char* kSystemPython = "/usr/bin/python3";

class MachinePrograms final : public Programs {
 public:
  std::string find(const std::string& name) override {
    std::string path = environment_or("PATH", "/usr/local/bin:/usr/bin:/bin");
    for (size_t from = 0; from <= path.size();) {
      size_t to = std::min(path.find(':', from), path.size());
      std::string program = path.substr(from, to - from) + "/" + name;
      if (::access(program.c_str(), X_OK) == 0 && fs::is_regular_file(program)) return program;
      from = to + 1;
    }
    return {};
  }

  int run(const std::string& folder, const std::vector<std::string>& command, const std::vector<std::string>& extra) override {
    sys::Spawn what{.path = "/bin/sh", .arguments = {"sh", "-c", "cd \"$0\" && exec \"$@\" >&2", folder}, .environment = {}};
    what.arguments.insert(what.arguments.end(), command.begin(), command.end());
    for (char** each = environ; *each != nullptr; ++each) what.environment.emplace_back(*each);
    for (const std::string& each : extra) {
      std::erase_if(what.environment, [name = each.substr(0, each.find('=') + 1)](const std::string& other) { return other.starts_with(name); });
      what.environment.push_back(each);
    }
    int status = sys::wait_status(sys::spawn(what));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
};

std::unexpected<Failure<Refusal>> missing(std::string_view what, std::string_view file, std::string_view package) {
  return fail(Kind::local, fmt::format("{} needs {}, which is not on this machine", file, what), fmt::format("apt-get install {}", package));
}
std::unexpected<Failure<Refusal>> failed(std::string_view tool, const Manifest& manifest, int code) {
  return fail(Kind::local, fmt::format("{} could not install {}/{} (exit {}): what it said stands above", tool, manifest.folder, manifest.file, code));
}

bool has_files(const fs::path& folder) {
  std::error_code error;
  return fs::is_directory(folder, error) && !fs::is_empty(folder, error);
}

// Where the packages of a tool lie in a layer.
fs::path place_of(Tool tool) {
  switch (tool) {
    case Tool::pip: return "python";
    case Tool::npm: return "nodejs/node_modules";
    case Tool::maven: return "java/lib";
  }
  return {};
}

std::string interpreter_of(Programs& programs, Tool tool) {
  switch (tool) {
    case Tool::pip: return sys::exists(kSystemPython) ? kSystemPython : programs.find("python3");
    case Tool::npm: return programs.find("node");
    case Tool::maven: return programs.find("java");
  }
  return {};
}

// Wheels that are built on the way should not depend on when and in which order.
const std::vector<std::string> kSteady{"SOURCE_DATE_EPOCH=315532800", "PYTHONHASHSEED=0", "PIP_USER=0"};

Result<void> run_pip(Programs& programs, const Manifest& manifest, const fs::path& layer) {
  std::string python = interpreter_of(programs, Tool::pip);
  if (python.empty()) return missing("python3", manifest.file, "python3");
  if (programs.run(manifest.folder, {python, "-c", "import pip"}, {}) != 0) return missing("pip for " + python, manifest.file, "python3-pip");
  fs::path target = layer / place_of(Tool::pip);
  std::vector<std::string> command{python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-compile", "--no-warn-script-location",
                                   "--no-warn-conflicts", "--root-user-action=ignore", "--target", target.string(), "-r", manifest.file};
  if (int code = programs.run(manifest.folder, command, kSteady); code != 0) return failed("pip", manifest, code);
  if (!has_files(target)) return {};
  std::vector<fs::path> compiled;  // byte code holds times, and what runs cannot write it
  for (const auto& entry : fs::recursive_directory_iterator(target))
    if (entry.is_directory() && entry.path().filename() == "__pycache__") compiled.push_back(entry.path());
  for (const fs::path& folder : compiled) sys::remove_tree(folder);
  return {};
}

// The project's own scripts are of its sources, which are not here; those of its dependencies run as ever.
std::string without_scripts(const std::string& package_json) {
  json::value value = *parse_json(package_json);
  value.as_object().erase("scripts");
  return to_text(value);
}

Result<void> run_npm(Programs& programs, const Manifest& manifest, const fs::path& layer) {
  std::string npm = programs.find("npm");
  if (npm.empty()) return missing("npm", manifest.file, "npm");
  fs::path target = layer / "nodejs";
  sys::make_folders(target);
  bool locked = false;
  for (const std::string& file : manifest.files) {
    std::string name = fs::path(file).filename(), text = sys::read_file(file);
    locked = locked || name == "package-lock.json" || name == "npm-shrinkwrap.json";
    sys::write_file(target / name, name == "package.json" ? without_scripts(text) : text);
  }
  std::vector<std::string> command{npm, locked ? "ci" : "install", "--omit=dev", "--no-audit", "--no-fund", "--no-update-notifier", "--no-progress"};
  if (int code = programs.run(target, command, kSteady); code != 0) return failed("npm", manifest, code);
  for (const auto& entry : fs::directory_iterator(target))
    if (entry.path().filename() != "node_modules") sys::remove_tree(entry.path());
  for (const char* own : {".package-lock.json", ".cache"}) sys::remove_tree(target / "node_modules" / own);
  return {};
}

Result<void> run_maven(Programs& programs, const Manifest& manifest, const fs::path& layer) {
  std::string mvn = programs.find("mvn");
  if (mvn.empty()) return missing("mvn", manifest.file, "maven");
  fs::path target = layer / place_of(Tool::maven);
  sys::make_folders(target);
  std::vector<std::string> command{mvn, "-B", "-f", manifest.file, "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=" + target.string()};
  if (int code = programs.run(manifest.folder, command, kSteady); code != 0) return failed("mvn", manifest, code);
  return {};
}

Result<void> run_tool(Programs& programs, const Manifest& manifest, const fs::path& layer) {
  switch (manifest.tool) {
    case Tool::pip: return run_pip(programs, manifest, layer);
    case Tool::npm: return run_npm(programs, manifest, layer);
    case Tool::maven: return run_maven(programs, manifest, layer);
  }
  return {};
}

// The oldest layers, and what was half-made when its process was killed. Others may be at work here, and drop the same.
void drop_oldest(const std::string& cache) {
  std::vector<std::pair<fs::file_time_type, fs::path>> all;
  fs::file_time_type abandoned = fs::file_time_type::clock::now() - kAbandoned;
  for (const auto& entry : fs::directory_iterator(cache)) {
    std::error_code gone;
    fs::file_time_type changed = entry.last_write_time(gone);
    if (gone) continue;
    if (entry.path().extension() == ".zip") all.emplace_back(changed, entry.path());
    else if (changed < abandoned && (entry.path().extension() == ".part" || entry.path().filename().string().starts_with(kBuild))) sys::remove_tree(entry.path());
  }
  std::sort(all.rbegin(), all.rend());
  for (size_t i = kCachedLayers; i < all.size(); ++i) sys::remove_tree(all[i].second);
}

// Removed when the build ends, however it ends.
struct Workshop {
  explicit Workshop(const std::string& cache) {
    path = fmt::format("{}/{}XXXXXX", cache, kBuild);
    if (::mkdtemp(path.data()) == nullptr) throw sys::Fault("mkdtemp", path, errno);
  }
  Workshop(const Workshop&) = delete;
  ~Workshop() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  std::string path;
};

}  // namespace

std::unique_ptr<Programs> machine_programs() { return std::make_unique<MachinePrograms>(); }

std::string default_layer_cache() {
  std::string base = environment_or("XDG_CACHE_HOME");
  if (base.empty()) base = environment_or("HOME", "/tmp") + "/.cache";
  return base + "/mayfly/layers";
}

Result<std::optional<BuiltLayer>> build_layer(const Installer& installer, const std::vector<Manifest>& all) {
  auto say_empty = [&installer](const Manifest& manifest) { installer.say(fmt::format("{}/{} names no dependencies", manifest.folder, manifest.file)); };
  std::vector<Manifest> manifests;
  for (const Manifest& each : all) {
    if (each.empty) say_empty(each);
    else manifests.push_back(each);
  }
  if (manifests.empty()) return std::nullopt;
  BuiltLayer built;
  std::string keys;
  bool steady = installer.use_cache;
  for (const Manifest& manifest : manifests) {
    built.runtimes.emplace_back(runtime_of(manifest.tool));
    built.sources.push_back(manifest.file);
    keys += manifest_key(manifest, interpreter_of(installer.programs, manifest.tool)) + "\n";
    steady = steady && manifest.has_key;
  }
  std::string path = fmt::format("{}/{}.zip", installer.cache_folder, hex_encode(sha256(keys)));
  if (steady && sys::exists(path)) {
    MAYFLY_TRY(built.file, read_layer(path));
    std::error_code gone;
    fs::last_write_time(path, fs::file_time_type::clock::now(), gone);
    built.cached = true;
    installer.say(fmt::format("{}: unchanged since it was last installed", fmt::join(built.sources, ", ")));
    return built;
  }
  sys::make_folders(installer.cache_folder);
  Workshop workshop(installer.cache_folder);
  bool any = false;
  for (const Manifest& manifest : manifests) {
    installer.say(fmt::format("installing {}/{}", manifest.folder, manifest.file));
    MAYFLY_TRY_VOID(run_tool(installer.programs, manifest, workshop.path));
    bool left = has_files(workshop.path / place_of(manifest.tool));  // its lines may all be for other machines
    if (!left) say_empty(manifest);
    any = any || left;
  }
  if (!any) return std::nullopt;
  installer.say("packing");
  MAYFLY_TRY(built.file, pack_layer(workshop.path, path));
  installer.say(fmt::format("a layer of {}, digest {}", size_text(built.file.bytes), built.file.digest));
  drop_oldest(installer.cache_folder);
  return built;
}

}  // namespace mayfly::cli
