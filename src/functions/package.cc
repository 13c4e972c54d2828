#include "functions/package.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <locale.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "sys/fault.h"
#include "sys/fd.h"
#include "sys/file.h"

namespace mayfly::functions {
namespace {

constexpr size_t kMaxNameBytes = 1024;  // of one entry: the folder's own path and PATH_MAX leave room for this much
constexpr int kMaxLinkHops = 40;        // as the kernel's own limit
constexpr size_t kCopyBytes = 256 * 1024;

struct CloseArchive {
  void operator()(archive* reader) const { archive_read_free(reader); }
};
using Reader = std::unique_ptr<archive, CloseArchive>;

struct Link {
  std::string path, target;
};

std::unexpected<Failure<CatalogueError>> bad(std::string message) {
  return fail(CatalogueError::invalid, "the code package was refused: " + std::move(message));
}

std::deque<std::string> split(std::string_view path) {
  std::deque<std::string> parts;
  for (size_t from = 0; from <= path.size();) {
    size_t to = std::min(path.find('/', from), path.size());
    parts.emplace_back(path.substr(from, to - from));
    from = to + 1;
  }
  return parts;
}

// The parts of an entry's name, or nullopt if it is absolute, climbs, or is otherwise not a plain relative path.
std::optional<std::vector<std::string>> parts_of(std::string_view name) {
  if (name.empty() || name.size() > kMaxNameBytes || name.front() == '/' || name.find('\0') != name.npos) return std::nullopt;
  std::vector<std::string> parts;
  for (std::string& part : split(name)) {
    if (part == ".." || part.size() > NAME_MAX) return std::nullopt;
    if (!part.empty() && part != ".") parts.push_back(std::move(part));
  }
  return parts;
}

// Makes the folders of `parts` but the last and returns the full path; "" if something that is no folder is in the way.
std::string place(const std::string& root, const std::vector<std::string>& parts) {
  std::string path = root;
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    path += "/" + parts[i];
    if (::mkdir(path.c_str(), 0755) == 0) continue;
    struct stat info {};
    if (errno != EEXIST) sys::check(-1, "mkdir", path);
    if (::lstat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) return {};
  }
  return path + "/" + parts.back();
}

std::string read_link(const std::string& path) {
  std::string target(kMaxNameBytes + 1, '\0');
  ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
  target.resize(size > 0 ? static_cast<size_t>(size) : 0);
  return target;
}

class Unpacker {
 public:
  Unpacker(const std::string& root, PackageLimits limits) : root_(root), limits_(limits) {}

  Result<void> run(archive* reader) {
    archive_entry* entry = nullptr;
    for (;;) {
      int status = archive_read_next_header(reader, &entry);
      if (status == ARCHIVE_EOF) break;
      if (status < ARCHIVE_WARN) return bad(reason(reader));
      if (++entries_ > limits_.files) return fail(CatalogueError::too_large, fmt::format("the code package holds more than {} entries", limits_.files));
      MAYFLY_TRY_VOID(one(reader, entry));
    }
    if (entries_ == 0) return bad("it is empty");
    return make_links();
  }

 private:
  static std::string reason(archive* reader) {
    const char* text = archive_error_string(reader);
    return text ? text : "it is not a readable zip";
  }

  Result<void> one(archive* reader, archive_entry* entry) {
    const char* raw = archive_entry_pathname_utf8(entry);
    if (!raw) raw = archive_entry_pathname(entry);
    std::string name = raw ? raw : "";
    auto parts = parts_of(name);
    if (!parts) return bad(fmt::format("the name '{}' leads outside its folder", name));
    if (parts->empty()) return {};  // "./"
    if (archive_entry_hardlink(entry)) return bad(fmt::format("'{}' is a hard link", name));
    std::string path = place(root_, *parts);
    if (path.empty()) return bad(fmt::format("'{}' lies below something that is not a folder", name));
    switch (archive_entry_filetype(entry)) {
      case AE_IFDIR: return folder(path, name);
      case AE_IFREG: return file(reader, path, name, archive_entry_perm(entry));
      case AE_IFLNK: return link(reader, entry, path);
      default: return bad(fmt::format("'{}' is neither a file, a folder nor a link", name));
    }
  }

  Result<void> folder(const std::string& path, const std::string& name) {
    if (::mkdir(path.c_str(), 0755) == 0) return {};
    struct stat info {};
    if (errno != EEXIST) sys::check(-1, "mkdir", path);
    if (::lstat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) return bad(fmt::format("'{}' is both a folder and a file", name));
    return {};
  }

  Result<void> file(archive* reader, const std::string& path, const std::string& name, mode_t mode) {
    // Readable by whatever user the sandbox maps to, writable by its owner so that it can be removed; execute bits as packed.
    sys::Fd out(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644));
    if (!out && errno == EISDIR) return bad(fmt::format("'{}' is both a folder and a file", name));
    sys::check(out.get(), "open", path);
    std::string buffer(kCopyBytes, '\0');
    for (;;) {
      la_ssize_t got = archive_read_data(reader, buffer.data(), buffer.size());
      if (got < 0) return bad(fmt::format("'{}': {}", name, reason(reader)));
      if (got == 0) break;
      written_ += static_cast<uint64_t>(got);
      if (written_ > limits_.bytes) return fail(CatalogueError::too_large, fmt::format("the code package unpacks to more than {} bytes", limits_.bytes));
      sys::write_all(out.get(), std::string_view(buffer).substr(0, static_cast<size_t>(got)), path);
    }
    mode_t execute = (mode & 0111) ? 0111 : 0;
    sys::check(::fchmod(out.get(), 0644 | execute), "fchmod", path);
    return {};
  }

  Result<void> link(archive* reader, archive_entry* entry, const std::string& path) {
    const char* raw = archive_entry_symlink_utf8(entry);
    if (!raw) raw = archive_entry_symlink(entry);
    std::string target = raw ? raw : "";
    if (target.empty() || target.size() > kMaxNameBytes || target.front() == '/')
      return bad(fmt::format("the link '{}' does not point to a relative path", path.substr(root_.size() + 1)));
    links_.push_back({path, target});
    return {};
  }

  Result<void> make_links() {
    for (const Link& each : links_) {
      std::string name = each.path.substr(root_.size() + 1);
      if (::symlink(each.target.c_str(), each.path.c_str()) == 0) continue;
      if (errno == EEXIST) return bad(fmt::format("'{}' is there twice", name));
      sys::check(-1, "symlink", each.path);
    }
    for (const Link& each : links_) {
      std::string name = each.path.substr(root_.size() + 1);
      if (!stays_inside(root_, name)) return bad(fmt::format("the link '{}' points outside the package", name));
    }
    return {};
  }

  const std::string& root_;
  PackageLimits limits_;
  size_t entries_ = 0;
  uint64_t written_ = 0;
  std::vector<Link> links_;
};

Reader make_reader() {
  Reader reader(archive_read_new());
  archive_read_support_format_zip_seekable(reader.get());
  return reader;
}

constexpr uint64_t kSmallestZip = 22;  // the record that ends every archive

std::unexpected<Failure<CatalogueError>> unreadable(archive* reader, uint64_t size) {
  return bad(size < kSmallestZip ? "it is not a zip archive" : std::string(archive_error_string(reader)));
}

// libarchive converts names through the thread's locale: without one it cannot represent a name that is not ASCII.
class Utf8Names {
 public:
  Utf8Names() : utf8_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)), before_(utf8_ ? ::uselocale(utf8_) : nullptr) {}
  Utf8Names(const Utf8Names&) = delete;
  ~Utf8Names() {
    if (!utf8_) return;
    ::uselocale(before_);
    ::freelocale(utf8_);
  }

 private:
  locale_t utf8_, before_;
};

}  // namespace

bool stays_inside(const std::string& root, const std::string& name) {
  std::deque<std::string> pending = split(name);
  std::vector<std::string> at;
  int links = 0;
  while (!pending.empty()) {
    std::string part = std::move(pending.front());
    pending.pop_front();
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (at.empty()) return false;
      at.pop_back();
      continue;
    }
    at.push_back(part);
    std::string target = read_link(fmt::format("{}/{}", root, fmt::join(at, "/")));
    if (target.empty()) continue;
    if (target.front() == '/' || ++links > kMaxLinkHops) return false;
    at.pop_back();
    std::deque<std::string> parts = split(target);
    pending.insert(pending.begin(), parts.begin(), parts.end());
  }
  return true;
}

Result<void> unpack_package(std::string_view zip, const std::string& folder, PackageLimits limits) {
  Utf8Names names;
  Reader reader = make_reader();
  if (archive_read_open_memory(reader.get(), zip.data(), zip.size()) != ARCHIVE_OK) return unreadable(reader.get(), zip.size());
  return Unpacker(folder, limits).run(reader.get());
}

Result<void> unpack_package_file(const std::string& zip_path, const std::string& folder, PackageLimits limits) {
  Utf8Names names;
  Reader reader = make_reader();
  struct stat info {};
  sys::check(::stat(zip_path.c_str(), &info), "stat", zip_path);
  if (archive_read_open_filename(reader.get(), zip_path.c_str(), kCopyBytes) != ARCHIVE_OK) return unreadable(reader.get(), static_cast<uint64_t>(info.st_size));
  return Unpacker(folder, limits).run(reader.get());
}

}  // namespace mayfly::functions
