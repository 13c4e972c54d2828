#include "sys/file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>

#include "sys/fault.h"

namespace mayfly::sys {
namespace {

void sync_folder_of(const std::string& path) {
  auto folder = std::filesystem::path(path).parent_path().string();
  check(::fsync(open_file(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY).get()), "fsync", folder);
}

std::string read_all(int fd, const std::string& path) {
  std::string out;
  char buffer[65536];
  while (auto got = check(::read(fd, buffer, sizeof buffer), "read", path)) out.append(buffer, static_cast<size_t>(got));
  return out;
}

}  // namespace

Fd open_file(const std::string& path, int flags, unsigned mode) {
  return Fd(static_cast<int>(check(::open(path.c_str(), flags | O_CLOEXEC, mode), "open", path)));
}

std::string read_file(const std::string& path) { return read_all(open_file(path, O_RDONLY).get(), path); }

std::optional<std::string> read_file_if_exists(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd && errno == ENOENT) return std::nullopt;
  check(fd.get(), "open", path);
  return read_all(fd.get(), path);
}

void write_file(const std::string& path, std::string_view data, unsigned mode) {
  write_all(open_file(path, O_WRONLY | O_CREAT | O_TRUNC, mode).get(), data, path);
}

void write_file_durable(const std::string& path, std::string_view data, unsigned mode) {
  std::string temporary = path + ".new";
  {
    Fd fd = open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode);
    write_all(fd.get(), data, temporary);
    check(::fsync(fd.get()), "fsync", temporary);
  }
  check(::rename(temporary.c_str(), path.c_str()), "rename", path);
  sync_folder_of(path);
}

void write_all(int fd, std::string_view data, const std::string& subject) {
  while (!data.empty()) {
    ssize_t wrote = ::write(fd, data.data(), data.size());
    if (wrote < 0 && errno == EINTR) continue;
    data.remove_prefix(static_cast<size_t>(check(wrote, "write", subject)));
  }
}

namespace {

// Calls `made` with each folder that was not there.
void make_each_folder(const std::string& path, unsigned mode, void (*made)(const std::string&)) {
  for (size_t at = 1; at != std::string::npos;) {
    at = path.find('/', at);
    std::string part = path.substr(0, at);
    if (::mkdir(part.c_str(), mode) == 0) {
      made(part);
    } else if (errno != EEXIST) {
      throw Fault("mkdir", part, errno);
    }
    if (at != std::string::npos) ++at;
    if (at == path.size()) break;
  }
}

}  // namespace

void make_folders(const std::string& path, unsigned mode) {
  make_each_folder(path, mode, [](const std::string&) {});
}

void make_folders_durable(const std::string& path, unsigned mode) { make_each_folder(path, mode, sync_folder_of); }

bool is_executable(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & 0111) != 0;
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

void remove_tree(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) throw Fault("remove", path, error.value());
}

std::string self_path() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

}  // namespace mayfly::sys
