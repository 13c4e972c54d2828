#include "cli/deploy/package.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/hash.h"
#include "sys/file.h"

namespace mayfly::cli {
namespace {

namespace fs = std::filesystem;

// aliyun-fc.md section 2.1
constexpr std::string_view kBuiltInRules =
    ".git\n.svn\n.env\n.DS_Store\n/template.packaged.yml\n/.nas.yml\n/.fun/nas\n/.fun/tmp\n/.fun/package\n";

struct Entry {
  std::string source;  // on disk
  std::string name;    // in the archive
};

struct FreeWriter {
  void operator()(archive* writer) const { archive_write_free(writer); }
};
struct FreeEntry {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};

la_ssize_t append(archive*, void* out, const void* data, size_t size) {
  static_cast<std::string*>(out)->append(static_cast<const char*>(data), size);
  return static_cast<la_ssize_t>(size);
}

// Collects what is to be packed, in byte order of the names within each folder.
class Walker {
 public:
  Walker(const IgnoreRules* rules, std::string rules_prefix) : rules_(rules), prefix_(std::move(rules_prefix)) {}

  Result<void> walk(const fs::path& folder, const std::string& name) {
    std::vector<fs::path> children;
    std::error_code error;
    for (const fs::directory_entry& child : fs::directory_iterator(folder, error)) children.push_back(child.path());
    if (error) return fail(Kind::local, fmt::format("cannot read the folder {}: {}", folder.string(), error.message()));
    std::sort(children.begin(), children.end());
    for (const fs::path& child : children) {
      std::string inside = name.empty() ? child.filename().string() : name + "/" + child.filename().string();
      bool is_folder = fs::is_directory(child, error) && !fs::is_symlink(child, error);
      if (rules_ != nullptr && rules_->ignores(prefix_ + inside, is_folder ? IgnoreRules::Entry::folder : IgnoreRules::Entry::file)) continue;
      if (is_folder) {
        MAYFLY_TRY_VOID(walk(child, inside));
      } else if (fs::is_regular_file(child, error) || fs::is_symlink(child, error)) {
        entries.push_back({child.string(), inside});
        if (entries.size() > kMaxPackageFiles)
          return fail(Kind::usage, fmt::format("{} holds more than {} files", folder.string(), kMaxPackageFiles), "list what to leave out in .funignore");
      }
    }
    return {};
  }

  std::vector<Entry> entries;

 private:
  const IgnoreRules* rules_;
  std::string prefix_;  // of the packed folder, relative to the rules
};

Result<void> write_entry(archive* writer, const Entry& item, uint64_t& total) {
  struct stat status;
  if (lstat(item.source.c_str(), &status) != 0) return fail(Kind::local, "cannot read " + item.source + ": " + strerror(errno));
  std::unique_ptr<archive_entry, FreeEntry> entry(archive_entry_new());
  archive_entry_set_pathname_utf8(entry.get(), item.name.c_str());
  std::string data;
  if (S_ISLNK(status.st_mode)) {
    data = fs::read_symlink(item.source).string();
    archive_entry_set_filetype(entry.get(), AE_IFLNK);
    archive_entry_set_symlink(entry.get(), data.c_str());
    archive_entry_set_perm(entry.get(), 0777);
    data.clear();
  } else {
    data = sys::read_file(item.source);
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), status.st_mode & 0100 ? 0755 : 0644);  // only the executable bit matters to a function
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(data.size()));
  }
  total += data.size();
  if (total > kMaxPackageBytes)
    return fail(Kind::usage, fmt::format("the package is larger than {} MiB", kMaxPackageBytes >> 20), "list what to leave out in .funignore");
  if (archive_write_header(writer, entry.get()) != ARCHIVE_OK ||
      archive_write_data(writer, data.data(), data.size()) != static_cast<la_ssize_t>(data.size()))
    return fail(Kind::local, "cannot pack " + item.source + ": " + archive_error_string(writer));
  return {};
}

Result<std::string> zip(const std::vector<Entry>& entries) {
  std::string bytes;
  std::unique_ptr<archive, FreeWriter> writer(archive_write_new());
  archive_write_set_format_zip(writer.get());
  archive_write_set_options(writer.get(), "zip:compression=deflate,zip:hdrcharset=UTF-8");
  archive_write_set_bytes_per_block(writer.get(), 0);
  archive_write_open2(writer.get(), &bytes, nullptr, append, nullptr, nullptr);
  uint64_t total = 0;
  for (const Entry& entry : entries) MAYFLY_TRY_VOID(write_entry(writer.get(), entry, total));
  if (archive_write_close(writer.get()) != ARCHIVE_OK)
    return fail(Kind::local, std::string("cannot finish the package: ") + archive_error_string(writer.get()));
  return bytes;
}

IgnoreRules rules_for(const PackageOptions& options) {
  IgnoreRules rules(kBuiltInRules);
  if (options.runtime.starts_with("python")) rules.add("node_modules");
  if (options.runtime.starts_with("nodejs")) rules.add(".fun/python");
  rules.add(options.ignore_text);
  return rules;
}

bool is_archive(const fs::path& path) {
  std::string extension = path.extension().string();
  return extension == ".zip" || extension == ".jar" || extension == ".war";
}

Result<Package> packed(std::string bytes, size_t files) {
  Package package{.zip = std::move(bytes), .checksum = {}, .files = files};
  package.checksum = fmt::to_string(crc64(package.zip));
  return package;
}

}  // namespace

Result<Package> make_package(const std::string& path, const PackageOptions& options) {
  std::error_code error;
  fs::path full = fs::weakly_canonical(path, error);
  fs::path base = fs::weakly_canonical(options.base_folder, error);
  if (fs::is_regular_file(full, error)) {
    if (is_archive(full)) return packed(sys::read_file(full), 1);
    MAYFLY_TRY(std::string bytes, zip({{full.string(), full.filename().string()}}));
    return packed(std::move(bytes), 1);
  }
  if (!fs::is_directory(full, error)) return fail(Kind::usage, "there is no file or folder " + path);
  std::string relative = full.lexically_relative(base).string();
  bool outside = relative.starts_with("..");
  IgnoreRules rules = rules_for(options);
  Walker walker(outside ? nullptr : &rules, relative == "." || outside ? "" : relative + "/");
  MAYFLY_TRY_VOID(walker.walk(full, ""));
  if (walker.entries.empty()) return fail(Kind::usage, "nothing to pack in " + path, "is everything in it listed in .funignore?");
  MAYFLY_TRY(std::string bytes, zip(walker.entries));
  return packed(std::move(bytes), walker.entries.size());
}

}  // namespace mayfly::cli
