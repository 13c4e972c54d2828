#include "server/handler_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "functions/lifecycle.h"
#include "runtime/runtimes.h"

namespace mayfly::server {
namespace {

namespace fs = std::filesystem;

bool is_file(const fs::path& path) {
  std::error_code unreadable;
  return fs::is_regular_file(path, unreadable);
}

// "lib/index.handler" may be the file lib/index and the name handler, or, where names have dots, every cut further left.
std::vector<std::string> modules_of(const std::string& handler) {
  std::vector<std::string> modules;
  for (size_t dot = handler.rfind('.'); dot != std::string::npos && dot > 0; dot = handler.rfind('.', dot - 1)) modules.push_back(handler.substr(0, dot));
  return modules;
}

bool has_python(const fs::path& code, const std::string& handler) {
  auto modules = modules_of(handler);
  std::string path = modules.front();
  std::replace(path.begin(), path.end(), '.', '/');
  if (is_file(code / (path + ".py")) || is_file(code / (path + ".pyc")) || is_file(code / path / "__init__.py")) return true;
  if (std::error_code none; fs::exists(code / ".fun/python", none)) return true;  // funcraft's own libraries may have it
  fs::path module = code / path;  // a compiled one: index.cpython-311-x86_64-linux-gnu.so
  std::error_code unreadable;
  for (const auto& entry : fs::directory_iterator(module.parent_path(), unreadable)) {
    std::string name = entry.path().filename();
    if (name.starts_with(module.filename().string() + ".") && name.ends_with(".so")) return true;
  }
  return false;
}

bool has_script(const fs::path& code, const std::string& handler, std::initializer_list<const char*> endings) {
  auto modules = modules_of(handler);
  return std::any_of(modules.begin(), modules.end(), [&](const std::string& module) {
    return std::any_of(endings.begin(), endings.end(), [&](const char* ending) { return is_file(code / (module + ending)); });
  });
}

// What the handler needs to find, for the sentence; empty if it is there or cannot be told.
std::string missing_file(const functions::Runnable& runnable, const runtime::Runtime& runtime) {
  const functions::Function& function = runnable.function;
  const fs::path code = runnable.code_path;
  std::string_view family = runtime.prefix;
  auto modules = modules_of(function.handler);
  std::string module = modules.empty() ? function.handler : modules.front();
  if (family == "python3") return has_python(code, function.handler) ? "" : module + ".py";
  if (family == "nodejs") return has_script(code, function.handler, {"", ".js", ".mjs", ".cjs", "/index.js", "/package.json"}) ? "" : module + ".js";
  if (family == "php") return has_script(code, function.handler, {".php"}) ? "" : module + ".php";
  if (family == "dotnet" && function.handler.find("::") != std::string::npos) {
    std::string assembly = function.handler.substr(0, function.handler.find("::")) + ".dll";
    return is_file(code / assembly) || is_file(code / "bin" / assembly) ? "" : assembly;
  }
  if (family == "cpp") return is_file(code / module) ? "" : module;
  if (family == "custom" && !functions::custom_container(function) && functions::custom_runtime(function).command.empty())
    return is_file(code / "bootstrap") ? "" : "bootstrap";
  if (family == "go" || family == "go1.x") return is_file(code / function.handler) || is_file(code / "bootstrap") ? "" : function.handler;
  if (family == "provided" || family == "CustomRuntime") return is_file(code / "bootstrap") ? "" : "bootstrap";
  return {};
}

}  // namespace

std::string why_it_cannot_start(const functions::Runnable& runnable) {
  const functions::Function& function = runnable.function;
  const runtime::Runtime* runtime = runtime::find_runtime(function.runtime);
  if (!runtime) return fmt::format("there is no runtime '{}' here; there are {}", function.runtime, runtime::available_runtimes());
  if (!runtime::found_on_this_machine(*runtime))
    return fmt::format("runtime '{}' needs {}, which is not on this machine: install {}", function.runtime, runtime->program, runtime->package);
  bool names_function = runtime->prefix == "python3" || runtime->prefix == "nodejs" || runtime->prefix == "php";
  if (names_function && modules_of(function.handler).empty()) return fmt::format("the handler '{}' must be 'file.function'", function.handler);
  if (runnable.code_path.empty() || !runnable.layers_path.empty()) return {};
  std::string file = missing_file(runnable, *runtime);
  if (file.empty()) return {};
  return fmt::format("the package has no file '{}', which the handler '{}' of a {} function needs", file, function.handler, function.runtime);
}

}  // namespace mayfly::server
