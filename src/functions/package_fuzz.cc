// Unpacking never writes outside its folder, never crashes, and never exceeds its limits, whatever the bytes.

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/check.h"
#include "functions/package.h"
#include "sys/file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace fs = std::filesystem;
  static const std::string root = [] {
    std::string pattern = fs::temp_directory_path().string() + "/mayfly-fuzz-XXXXXX";
    return std::string(::mkdtemp(pattern.data()));
  }();
  std::string folder = root + "/inside";
  mayfly::sys::make_folders(folder);
  constexpr uint64_t kBytes = 1 << 20;
  auto result = mayfly::functions::unpack_package({reinterpret_cast<const char*>(data), size}, folder, {.bytes = kBytes, .files = 64, .zip_bytes = kBytes});
  uint64_t written = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && !entry.is_symlink()) written += entry.file_size();
    if (entry.is_symlink() && result) MAYFLY_CHECK(fs::weakly_canonical(entry.path()).string().starts_with(fs::canonical(folder).string()));
  }
  MAYFLY_CHECK_OP(written, <=, kBytes);
  size_t beside = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(root)) ++beside;
  MAYFLY_CHECK_OP(beside, ==, size_t{1});
  mayfly::sys::remove_tree(folder);
  return 0;
}
