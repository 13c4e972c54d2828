#include "store/disk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::store {
namespace {

class SystemFile final : public DiskFile {
 public:
  SystemFile(sys::Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  void append(std::string_view data) override { sys::write_all(fd_.get(), data, path_); }

  size_t read_at(uint64_t offset, char* out, size_t size) override {
    size_t got = 0;
    while (got < size) {
      ssize_t part = ::pread(fd_.get(), out + got, size - got, static_cast<off_t>(offset + got));
      if (part < 0 && errno == EINTR) continue;
      if (sys::check(part, "pread", path_) == 0) break;
      got += static_cast<size_t>(part);
    }
    return got;
  }

  uint64_t size() override {
    struct stat status;
    sys::check(::fstat(fd_.get(), &status), "fstat", path_);
    return static_cast<uint64_t>(status.st_size);
  }

  // fdatasync also writes the length, which is all of the metadata that a later read needs.
  void sync() override { sys::check(::fdatasync(fd_.get()), "fdatasync", path_); }

 private:
  sys::Fd fd_;
  std::string path_;
};

class SystemDisk final : public Disk {
 public:
  explicit SystemDisk(std::string root) : root_(std::move(root)) {
    sys::make_folders(root_);
    sync_folder("..");  // the root's own entry
  }

  std::unique_ptr<DiskFile> create(const std::string& path) override {
    return std::make_unique<SystemFile>(sys::open_file(at(path), O_RDWR | O_CREAT | O_EXCL | O_APPEND, 0600), at(path));
  }
  std::unique_ptr<DiskFile> open(const std::string& path) override {
    return std::make_unique<SystemFile>(sys::open_file(at(path), O_RDONLY), at(path));
  }
  void rename(const std::string& from, const std::string& to) override { sys::check(::rename(at(from).c_str(), at(to).c_str()), "rename", at(to)); }
  void remove(const std::string& path) override {
    if (::unlink(at(path).c_str()) < 0 && errno != ENOENT) throw sys::Fault("unlink", at(path), errno);
  }
  std::vector<std::string> list(const std::string& folder) override {
    std::vector<std::string> names;
    std::error_code error;
    for (std::filesystem::directory_iterator entry(at(folder), error), end; !error && entry != end; entry.increment(error)) {
      names.push_back(entry->path().filename().string());
    }
    if (error) throw sys::Fault("readdir", at(folder), error.value());
    return names;
  }
  void make_folder(const std::string& path) override {
    if (::mkdir(at(path).c_str(), 0700) < 0 && errno != EEXIST) throw sys::Fault("mkdir", at(path), errno);
  }
  void sync_folder(const std::string& path) override {
    sys::check(::fsync(sys::open_file(at(path), O_RDONLY | O_DIRECTORY).get()), "fsync", at(path));
  }
  uint64_t free_bytes() override {
    struct statvfs status;
    sys::check(::statvfs(root_.c_str(), &status), "statvfs", root_);
    return static_cast<uint64_t>(status.f_bavail) * status.f_frsize;
  }

 private:
  std::string at(const std::string& path) const { return path.empty() ? root_ : root_ + "/" + path; }

  std::string root_;
};

}  // namespace

std::unique_ptr<Disk> make_system_disk(std::string root) { return std::make_unique<SystemDisk>(std::move(root)); }

}  // namespace mayfly::store
