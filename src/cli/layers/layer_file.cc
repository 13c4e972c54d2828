#include "cli/layers/layer_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "base/encoding.h"
#include "base/hash.h"
#include "base/rng.h"
#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::cli {
namespace {

constexpr size_t kPieceBytes = 256 * 1024;

struct Sums {
  Digest digest{Digest::Kind::sha256};
  uint64_t crc = 0, bytes = 0;
  void add(std::string_view piece) {
    digest.update(piece);
    crc = crc64(piece, crc);
    bytes += piece.size();
  }
  LayerFile of(const std::string& path) { return {path, fmt::to_string(crc), hex_encode(digest.finish()), bytes}; }
};

// A file beside `path` that nobody else writes. It takes the place of `path` once it is complete and on the disk, else it goes with this.
class Part {
 public:
  Part(std::string path, Rng& rng) : path_(std::move(path)), part_(fmt::format("{}.{}.part", path_, uuid(rng))), file_(sys::open_file(part_, O_WRONLY | O_CREAT | O_EXCL)) {}
  Part(const Part&) = delete;
  ~Part() {
    if (!part_.empty()) ::unlink(part_.c_str());
  }
  void write(std::string_view piece) { sys::write_all(file_.get(), piece, part_); }
  void take_place() {
    sys::check(::fsync(file_.get()), "fsync", part_);
    sys::check(::rename(part_.c_str(), path_.c_str()), "rename", path_);
    part_.clear();
  }

 private:
  std::string path_, part_;
  sys::Fd file_;
};

}  // namespace

Result<LayerFile> pack_layer(const std::string& folder, const std::string& path) {
  MAYFLY_TRY(auto entries, entries_of(folder, nullptr, "", kMaxLayerFiles));
  if (entries.empty()) return fail(Kind::usage, "nothing to pack in " + folder);
  SystemRng rng;
  Part part(path, rng);
  Sums sums;
  MAYFLY_TRY_VOID(write_zip(entries, {kMaxLayerBytes, "make several layers of it"}, [&](std::string_view piece) {
    sums.add(piece);
    part.write(piece);
  }));
  part.take_place();
  return sums.of(path);
}

Result<LayerFile> read_layer(const std::string& path) {
  if (!std::filesystem::is_regular_file(path)) return fail(Kind::usage, "there is no file " + path);
  sys::Fd file = sys::open_file(path, O_RDONLY);
  Sums sums;
  std::string piece(kPieceBytes, '\0');
  while (ssize_t got = sys::check(::read(file.get(), piece.data(), piece.size()), "read", path)) sums.add(std::string_view(piece).substr(0, static_cast<size_t>(got)));
  return sums.of(path);
}

}  // namespace mayfly::cli
