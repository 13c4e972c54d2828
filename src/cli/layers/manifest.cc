#include "cli/layers/manifest.h"

#include <sys/stat.h>
#include <sys/utsname.h>

#include <algorithm>
#include <filesystem>

#include "base/encoding.h"
#include "base/hash.h"
#include "base/json.h"
#include "sys/file.h"

namespace mayfly::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxIncludes = 50;       // requirement files that name each other
constexpr std::string_view kFormat = "1";  // of the layers made; another one makes every key another

struct Known {
  Tool tool;
  std::string_view file, language, runtime;
};
constexpr Known kKnown[] = {{Tool::pip, "requirements.txt", "python", "python3"},
                            {Tool::npm, "package.json", "nodejs", "nodejs"},
                            {Tool::maven, "pom.xml", "java", "java11"}};

const Known& known(Tool tool) { return *std::find_if(std::begin(kKnown), std::end(kKnown), [tool](const Known& each) { return each.tool == tool; }); }

// A line as pip takes it: without white space around it and the comment behind it.
std::string_view without_comment(std::string_view line) {
  for (size_t hash = line.find('#'); hash != line.npos; hash = line.find('#', hash + 1))
    if (hash == 0 || std::isspace(static_cast<unsigned char>(line[hash - 1]))) return trim(line.substr(0, hash));
  return trim(line);
}

// What stands behind one of the options that name another file: "-r more.txt", "--constraint=c.txt".
std::string_view included(std::string_view line) {
  for (std::string_view option : {"--requirement", "--constraint", "-r", "-c"}) {
    if (!line.starts_with(option)) continue;
    std::string_view rest = line.substr(option.size());
    if (!rest.empty() && (rest.front() == '=' || rest.front() == ' ' || option.size() == 2)) return trim(rest.substr(rest.front() == '=' ? 1 : 0));
  }
  return {};
}

bool names_package(std::string_view line) { return !line.empty() && (line.front() != '-' || line.starts_with("-e") || line.starts_with("--editable")); }

bool is_local(std::string_view line) {
  for (std::string_view start : {".", "/", "-e", "--editable", "file:", "-f", "--find-links"})
    if (line.starts_with(start)) return true;
  return line.find("@ file:") != line.npos;
}

Result<void> read_requirements(const fs::path& file, Manifest& manifest) {
  std::string path = fs::weakly_canonical(file).string();
  if (std::find(manifest.files.begin(), manifest.files.end(), path) != manifest.files.end()) return {};
  if (manifest.files.size() >= kMaxIncludes) return fail(Kind::usage, fmt::format("{} includes more than {} files", manifest.file, kMaxIncludes));
  auto text = sys::read_file_if_exists(path);
  if (!text) return fail(Kind::usage, "there is no requirements file " + path);
  manifest.files.push_back(path);
  for (size_t from = 0; from < text->size();) {
    size_t to = std::min(text->find('\n', from), text->size());
    std::string_view line = without_comment(std::string_view(*text).substr(from, to - from));
    from = to + 1;
    std::string_view other = included(line);
    if (other.find("://") != other.npos) {  // for pip to fetch
      manifest.empty = manifest.has_key = false;
    } else if (!other.empty()) {
      MAYFLY_TRY_VOID(read_requirements(file.parent_path() / other, manifest));
    } else {
      if (names_package(line)) manifest.empty = false;
      if (is_local(line)) manifest.has_key = false;
    }
  }
  return {};
}

// Whether npm installs anything for it; it leaves development dependencies out.
bool names_packages(const json::value& package) {
  for (const char* group : {"dependencies", "optionalDependencies", "peerDependencies", "workspaces"}) {
    const json::value* all = find(package, group);
    if (all == nullptr) continue;
    if ((all->is_object() && !all->get_object().empty()) || (all->is_array() && !all->get_array().empty())) return true;
  }
  return false;
}

Result<void> read_package_json(const fs::path& file, Manifest& manifest) {
  auto parsed = parse_json(sys::read_file(file));
  if (!parsed || !parsed->is_object()) return fail(Kind::usage, fmt::format("{} is no JSON object", file.string()));
  for (const char* group : {"dependencies", "optionalDependencies"}) {
    const json::value* all = find(*parsed, group);
    if (all == nullptr || !all->is_object()) continue;
    for (const auto& each : all->get_object()) {
      std::string where = each.value().is_string() ? std::string(view(each.value().get_string())) : std::string();
      for (std::string_view start : {"file:", "link:", "workspace:", ".", "/"})
        if (where.starts_with(start))
          return fail(Kind::usage, fmt::format("{}: the dependency {} is {}, which a layer cannot hold", file.string(), each.key(), where),
                      "publish it as a package, or keep it in the function's own code");
    }
  }
  manifest.empty = !names_packages(*parsed);
  manifest.files.push_back(file.string());
  for (const char* lock : {"package-lock.json", "npm-shrinkwrap.json", ".npmrc"})
    if (fs::path path = file.parent_path() / lock; fs::is_regular_file(path)) manifest.files.push_back(path.string());
  return {};
}

}  // namespace

std::string_view language_of(Tool tool) { return known(tool).language; }
std::string_view runtime_of(Tool tool) { return known(tool).runtime; }

Result<std::vector<Manifest>> find_manifests(const std::string& folder, const std::string& runtime) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) return fail(Kind::usage, "there is no folder " + folder);
  std::vector<Manifest> found;
  for (const Known& each : kKnown) {
    fs::path file = fs::absolute(fs::path(folder) / each.file);
    if (!fs::is_regular_file(file) || (!runtime.empty() && !runtime.starts_with(each.language))) continue;
    Manifest manifest{.tool = each.tool, .folder = fs::absolute(folder).lexically_normal().string(), .file = std::string(each.file)};
    switch (each.tool) {
      case Tool::pip: {
        manifest.empty = true;  // until a line names something
        MAYFLY_TRY_VOID(read_requirements(file, manifest));
        break;
      }
      case Tool::npm: {
        MAYFLY_TRY_VOID(read_package_json(file, manifest));
        break;
      }
      case Tool::maven: {
        manifest.files.push_back(file.string());
        manifest.has_key = sys::read_file(file).find("<parent>") == std::string::npos;  // else more than this file says what it is
        break;
      }
    }
    found.push_back(std::move(manifest));
  }
  return found;
}

std::string manifest_key(const Manifest& manifest, const std::string& program) {
  struct utsname machine {};
  ::uname(&machine);
  std::string about = fmt::format("{}\n{}\n{}\n", kFormat, manifest.file, machine.machine);
  std::error_code error;
  std::string interpreter = fs::canonical(program, error).string();
  struct stat info {};
  if (::stat(interpreter.c_str(), &info) == 0) about += fmt::format("{} {} {}\n", interpreter, info.st_size, info.st_mtime);
  for (const std::string& file : manifest.files)  // by name relative to the project: where it lies does not matter
    about += fmt::format("{}\n{}\n", fs::path(file).lexically_relative(manifest.folder).string(), hex_encode(sha256(sys::read_file(file))));
  return hex_encode(sha256(about));
}

}  // namespace mayfly::cli
