#include "cli/deploy/package.h"

#include <filesystem>

#include "base/hash.h"
#include "cli/deploy/zip.h"
#include "sys/file.h"

namespace mayfly::cli {
namespace {

namespace fs = std::filesystem;

// aliyun-fc.md section 2.1
constexpr std::string_view kBuiltInRules =
    ".git\n.svn\n.env\n.DS_Store\n/template.packaged.yml\n/.nas.yml\n/.fun/nas\n/.fun/tmp\n/.fun/package\n";

constexpr const char* kAdvice = "list what to leave out in .funignore";

Result<std::string> zip(const std::vector<ZipEntry>& entries) {
  std::string bytes;
  MAYFLY_TRY_VOID(write_zip(entries, {kMaxPackageBytes, kAdvice}, [&bytes](std::string_view piece) { bytes += piece; }));
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
  MAYFLY_TRY(auto entries, entries_of(full.string(), outside ? nullptr : &rules, relative == "." || outside ? "" : relative + "/", kMaxPackageFiles));
  if (entries.empty()) return fail(Kind::usage, "nothing to pack in " + path, "is everything in it listed in .funignore?");
  MAYFLY_TRY(std::string bytes, zip(entries));
  return packed(std::move(bytes), entries.size());
}

}  // namespace mayfly::cli
