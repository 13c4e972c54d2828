#pragma once
// Bodies too large to sit in a row (> kInlineBytes), one file each, named by a random id. Discipline (reliability.md R3.1, R3.2):
// write to tmp/, fsync, rename into blobs/xx/, fsync that folder, and only then may a metadata commit name the id. A blob nobody
// names is garbage; sweep() removes it. Every 64 KiB block carries a CRC-32C that is checked when it is read (R3.4): a mismatch is
// an error, never wrong bytes.

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/rng.h"
#include "io/loop.h"
#include "io/task.h"
#include "store/disk.h"

namespace mayfly::store {

constexpr size_t kInlineBytes = 16 * 1024;  // bodies up to this stay in the metadata row (DESIGN 4.6)

enum class BlobError { missing, corrupt };

class BlobWriter {
 public:
  virtual ~BlobWriter() = default;  // an unfinished blob is discarded
  virtual io::Task<void> append(std::string data) = 0;
  virtual io::Task<std::string> finish() = 0;  // durable; the blob's id
};

class BlobReader {
 public:
  virtual ~BlobReader() = default;
  virtual uint64_t size() const = 0;
  // Up to `size` bytes at `offset`, checked; shorter only at the end. The caller bounds `size`: about twice as much memory is used.
  virtual io::Task<std::expected<std::string, BlobError>> read(uint64_t offset, size_t size) = 0;
};

class Blobs {
 public:
  virtual ~Blobs() = default;
  virtual std::unique_ptr<BlobWriter> create(io::Loop& loop) = 0;
  virtual io::Task<std::expected<std::unique_ptr<BlobReader>, BlobError>> open(io::Loop& loop, std::string id) = 0;
  virtual io::Task<void> remove(io::Loop& loop, std::string id) = 0;
  // Removes blobs for which `is_named` is false and leftovers in tmp/; call at start, before serving.
  virtual io::Task<void> sweep(io::Loop& loop, std::function<bool(const std::string& id)> is_named) = 0;
  virtual uint64_t free_bytes() = 0;
};

// File work runs on a small pool of threads so that no shard blocks on the disk. The loops of its callers must outlive it.
std::unique_ptr<Blobs> make_file_blobs(Disk& disk, Rng& rng, unsigned threads);
// File work runs inline on the calling loop; for simulation.
std::unique_ptr<Blobs> make_inline_blobs(Disk& disk, Rng& rng);

}  // namespace mayfly::store
