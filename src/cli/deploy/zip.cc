#include "cli/deploy/zip.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPieceBytes = 256 * 1024;

struct FreeWriter {
  void operator()(archive* writer) const { archive_write_free(writer); }
};
struct FreeEntry {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};

// Where libarchive writes. It is C, and writes once more when it is freed: what the sink throws waits here until it is done, and what is
// written after that is dropped.
struct Output {
  const ZipSink& sink;
  std::exception_ptr fault = nullptr;
};

la_ssize_t forward(archive*, void* to, const void* data, size_t size) {
  auto* output = static_cast<Output*>(to);
  try {
    if (!output->fault) output->sink({static_cast<const char*>(data), size});
  } catch (...) {
    output->fault = std::current_exception();
  }
  return static_cast<la_ssize_t>(size);
}

class Walker {
 public:
  Walker(const IgnoreRules* rules, const std::string& prefix, size_t max_files) : rules_(rules), prefix_(prefix), max_files_(max_files) {}

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
        if (entries.size() > max_files_)
          return fail(Kind::usage, fmt::format("{} holds more than {} files", folder.string(), max_files_), "list what to leave out in .funignore");
      }
    }
    return {};
  }

  std::vector<ZipEntry> entries;

 private:
  const IgnoreRules* rules_;
  const std::string& prefix_;
  size_t max_files_;
};

std::unexpected<Failure<Refusal>> cannot_pack(const ZipEntry& item, const char* why) { return fail(Kind::local, "cannot pack " + item.source + ": " + why); }

Result<void> write_link(archive* writer, archive_entry* entry, const ZipEntry& item) {
  std::string target = fs::read_symlink(item.source).string();
  archive_entry_set_filetype(entry, AE_IFLNK);
  archive_entry_set_symlink(entry, target.c_str());
  archive_entry_set_perm(entry, 0777);
  if (archive_write_header(writer, entry) != ARCHIVE_OK) return cannot_pack(item, archive_error_string(writer));
  return {};
}

Result<void> write_file(archive* writer, archive_entry* entry, const ZipEntry& item, const struct stat& status) {
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_entry_set_perm(entry, status.st_mode & 0100 ? 0755 : 0644);  // only the executable bit matters to a function
  archive_entry_set_size(entry, status.st_size);
  if (archive_write_header(writer, entry) != ARCHIVE_OK) return cannot_pack(item, archive_error_string(writer));
  sys::Fd file = sys::open_file(item.source, O_RDONLY);
  std::string piece(kPieceBytes, '\0');
  int64_t left = status.st_size;
  while (left > 0) {
    ssize_t got = sys::check(::read(file.get(), piece.data(), piece.size()), "read", item.source);
    if (got == 0) return cannot_pack(item, "it became shorter meanwhile");
    got = std::min<ssize_t>(got, left);
    if (archive_write_data(writer, piece.data(), static_cast<size_t>(got)) != got) return cannot_pack(item, archive_error_string(writer));
    left -= got;
  }
  return {};
}

Result<void> write_entry(archive* writer, const ZipEntry& item, const ZipLimits& limits, uint64_t& total) {
  struct stat status;
  if (lstat(item.source.c_str(), &status) != 0) return fail(Kind::local, "cannot read " + item.source + ": " + strerror(errno));
  std::unique_ptr<archive_entry, FreeEntry> entry(archive_entry_new());
  archive_entry_set_pathname_utf8(entry.get(), item.name.c_str());
  if (S_ISLNK(status.st_mode)) return write_link(writer, entry.get(), item);
  total += static_cast<uint64_t>(status.st_size);
  if (total > limits.bytes) return fail(Kind::usage, fmt::format("the package is larger than {} MiB", limits.bytes >> 20), limits.advice);
  return write_file(writer, entry.get(), item, status);
}

Result<void> write_entries(const std::vector<ZipEntry>& entries, const ZipLimits& limits, Output& output) {
  std::unique_ptr<archive, FreeWriter> writer(archive_write_new());
  archive_write_set_format_zip(writer.get());
  archive_write_set_options(writer.get(), "zip:compression=deflate,zip:hdrcharset=UTF-8");
  archive_write_set_bytes_per_block(writer.get(), 0);
  archive_write_open2(writer.get(), &output, nullptr, forward, nullptr, nullptr);
  uint64_t total = 0;
  for (const ZipEntry& entry : entries) {
    MAYFLY_TRY_VOID(write_entry(writer.get(), entry, limits, total));
    if (output.fault) return {};
  }
  if (archive_write_close(writer.get()) != ARCHIVE_OK)
    return fail(Kind::local, std::string("cannot finish the package: ") + archive_error_string(writer.get()));
  return {};
}

}  // namespace

Result<std::vector<ZipEntry>> entries_of(const std::string& folder, const IgnoreRules* rules, const std::string& rules_prefix, size_t max_files) {
  Walker walker(rules, rules_prefix, max_files);
  MAYFLY_TRY_VOID(walker.walk(folder, ""));
  return std::move(walker.entries);
}

Result<void> write_zip(const std::vector<ZipEntry>& entries, const ZipLimits& limits, const ZipSink& sink) {
  Output output{sink};
  auto written = write_entries(entries, limits, output);
  if (output.fault) std::rethrow_exception(output.fault);
  return written;
}

}  // namespace mayfly::cli
