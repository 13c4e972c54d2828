#include "sys/memfd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>

#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::sys {
namespace {

// Not F_SEAL_SEAL: more seals harm nobody. Without these two the far end could change what was checked, or make a mapping of it fault.
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_WRITE;

}  // namespace

Fd sealed_memfd(std::string_view bytes) {
  Fd file(static_cast<int>(check(::memfd_create("body", MFD_CLOEXEC | MFD_ALLOW_SEALING), "memfd_create", "body")));
  write_all(file.get(), bytes, "memfd");
  check(::fcntl(file.get(), F_ADD_SEALS, kSeals | F_SEAL_GROW), "fcntl(F_ADD_SEALS)", "memfd");
  return file;
}

std::optional<std::string> read_sealed(const Fd& file, size_t size) {
  int seals = ::fcntl(file.get(), F_GET_SEALS);
  struct stat about;
  if (seals < 0 || (seals & kSeals) != kSeals || ::fstat(file.get(), &about) < 0 || static_cast<size_t>(about.st_size) < size) return std::nullopt;
  std::string bytes(size, '\0');
  for (size_t have = 0; have < size;) {
    ssize_t got = ::pread(file.get(), bytes.data() + have, size - have, static_cast<off_t>(have));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return std::nullopt;
    have += static_cast<size_t>(got);
  }
  return bytes;
}

}  // namespace mayfly::sys
