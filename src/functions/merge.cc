#include "functions/merge.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "functions/package.h"
#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::functions {
namespace {

namespace fs = std::filesystem;

enum class Present { nothing, folder, other };
Present present(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) return S_ISDIR(info.st_mode) ? Present::folder : Present::other;
  if (errno != ENOENT) sys::check(-1, "lstat", path);
  return Present::nothing;
}

void clear(const std::string& path) {
  switch (present(path)) {
    case Present::nothing: return;
    case Present::folder: return sys::remove_tree(path);
    case Present::other: sys::check(::unlink(path.c_str()), "unlink", path);
  }
}

void make_folder(const std::string& path) {
  if (present(path) == Present::folder) return;
  clear(path);
  sys::check(::mkdir(path.c_str(), 0755), "mkdir", path);
}

// A file that has as many names as its file system allows is copied instead.
void make_file(const std::string& from, const std::string& to) {
  clear(to);
  if (::link(from.c_str(), to.c_str()) == 0) return;
  if (errno != EMLINK) sys::check(-1, "link", to);
  fs::copy_file(from, to);
}

void lay(const std::string& layer, const std::string& target) {
  for (fs::recursive_directory_iterator at(layer), end; at != end; ++at) {  // a folder comes before what it holds; links are not followed
    std::string to = target + at->path().string().substr(layer.size());
    if (at->is_symlink()) {
      clear(to);
      sys::check(::symlink(fs::read_symlink(at->path()).c_str(), to.c_str()), "symlink", to);
    } else if (at->is_directory()) {
      make_folder(to);
    } else {
      make_file(at->path().string(), to);
    }
  }
}

}  // namespace

Result<void> merge_layers(const std::vector<std::string>& folders, const std::string& target) {
  for (const std::string& layer : folders) lay(layer, target);
  for (fs::recursive_directory_iterator at(target), end; at != end; ++at) {
    if (!at->is_symlink()) continue;
    std::string name = at->path().string().substr(target.size() + 1);
    if (!stays_inside(target, name))
      return fail(CatalogueError::invalid, fmt::format("the layers do not fit together: with all of them in /opt, the link '{}' leads outside", name));
  }
  return {};
}

}  // namespace mayfly::functions
