#include "store/blobs.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <vector>

#include "store/blob_format.h"
#include "store/workers.h"
#include "sys/fault.h"

namespace mayfly::store {
namespace {

namespace format = blob_format;

constexpr size_t kIdDigits = 32;  // 128 random bits: two blobs never meet
// Body bytes gathered before they are written: four blocks, so that going to another thread (35-45 us) stays under a fifth of the work.
constexpr size_t kWriteBytes = 4 * format::kBlockBytes;

// After a failed sync the kernel has marked the lost pages clean: a second sync would "succeed" without them (reliability.md R3.3).
// Running out of descriptors or memory on the way to the sync lost nothing and is the caller's to see.
template <class Sync>
void sync_or_die(Sync sync) {
  try {
    sync();
  } catch (const sys::Fault& fault) {
    if (fault.error() == EMFILE || fault.error() == ENFILE || fault.error() == ENOMEM) throw;
    fmt::print(stderr, "mayfly: a body cannot be made durable, ending so that a restart recovers: {}\n", fault.what());
    std::abort();
  }
}

bool is_id(std::string_view id) {
  return id.size() == kIdDigits && id.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}
std::string folder_of(std::string_view id) { return "blobs/" + std::string(id.substr(0, 2)); }
std::string path_of(std::string_view id) { return folder_of(id) + "/" + std::string(id); }
std::string draft_of(std::string_view id) { return "tmp/" + std::string(id); }

// The disk with its folders. The 256 folders under blobs/ are made when the first blob of each arrives.
class Folders {
 public:
  explicit Folders(Disk& disk) : disk_(disk) {
    disk_.make_folder("blobs");
    disk_.make_folder("tmp");
    sync_or_die([&] { disk_.sync_folder(""); });
  }
  Disk& disk() { return disk_; }
  void ensure_folder_of(std::string_view id) {
    auto index = static_cast<size_t>(std::stoi(std::string(id.substr(0, 2)), nullptr, 16));
    std::call_once(made_[index], [&] {
      disk_.make_folder(folder_of(id));
      sync_or_die([&] { disk_.sync_folder("blobs"); });
    });
  }

 private:
  Disk& disk_;
  std::array<std::once_flag, 256> made_;
};

class FileWriter final : public BlobWriter {
 public:
  FileWriter(Folders& folders, Workers& workers, io::Loop& loop, std::string id)
      : folders_(folders), workers_(workers), loop_(loop), id_(std::move(id)) {}

  ~FileWriter() override {
    if (state_ == State::finished || !file_) return;
    workers_.run_unwatched([&disk = folders_.disk(), draft = draft_of(id_), file = std::move(file_)] mutable {
      file.reset();
      try {
        disk.remove(draft);
      } catch (const std::exception&) {
        // sweep() finds it at the next start
      }
    });
  }

  io::Task<void> append(std::string data) override {
    MAYFLY_CHECK(state_ == State::open);
    if (waiting_.empty()) waiting_ = std::move(data);
    else waiting_ += data;
    if (waiting_.size() < kWriteBytes) co_return;
    state_ = State::failed;  // until the write has succeeded
    co_await OnWorker<bool>{workers_, loop_, [this] { return write(waiting_.size() / format::kBlockBytes); }};
    state_ = State::open;
  }

  io::Task<std::string> finish() override {
    MAYFLY_CHECK(state_ == State::open);
    state_ = State::failed;
    co_await OnWorker<bool>{workers_, loop_, [this] { return seal(); }};
    state_ = State::finished;
    co_return id_;
  }

 private:
  enum class State { open, failed, finished };

  // Writes the first `count` blocks of what waits (the last may be short).
  bool write(size_t count) {
    std::string out;
    if (!file_) {
      file_ = folders_.disk().create(draft_of(id_));
      out = format::header();
    }
    size_t taken = std::min(count * format::kBlockBytes, waiting_.size());
    out.reserve(out.size() + taken + count * format::kCrcBytes);
    for (size_t at = 0; at < taken; at += format::kBlockBytes) {
      format::append_block(out, id_, next_block_++, std::string_view(waiting_).substr(at, std::min(format::kBlockBytes, taken - at)));
    }
    file_->append(out);
    body_bytes_ += taken;
    waiting_.erase(0, taken);
    return true;
  }

  bool seal() {
    write(format::blocks_of(waiting_.size()));
    file_->append(format::footer(id_, body_bytes_));
    sync_or_die([&] { file_->sync(); });
    folders_.ensure_folder_of(id_);
    folders_.disk().rename(draft_of(id_), path_of(id_));
    sync_or_die([&] { folders_.disk().sync_folder(folder_of(id_)); });
    return true;
  }

  Folders& folders_;
  Workers& workers_;
  io::Loop& loop_;
  std::string id_;
  std::string waiting_;  // body bytes not yet written, less than kWriteBytes between calls
  std::unique_ptr<DiskFile> file_;
  uint64_t next_block_ = 0;
  uint64_t body_bytes_ = 0;  // written
  State state_ = State::open;
};

class FileReader final : public BlobReader {
 public:
  FileReader(std::unique_ptr<DiskFile> file, Workers& workers, io::Loop& loop, std::string id, uint64_t size)
      : file_(std::move(file)), workers_(workers), loop_(loop), id_(std::move(id)), size_(size) {}

  uint64_t size() const override { return size_; }

  io::Task<std::expected<std::string, BlobError>> read(uint64_t offset, size_t size) override {
    if (offset >= size_ || size == 0) co_return std::string();
    size = static_cast<size_t>(std::min<uint64_t>(size, size_ - offset));
    co_return co_await OnWorker<std::expected<std::string, BlobError>>{workers_, loop_, [this, offset, size] { return read_now(offset, size); }};
  }

 private:
  std::expected<std::string, BlobError> read_now(uint64_t offset, size_t size) {
    uint64_t first = offset / format::kBlockBytes, last = (offset + size - 1) / format::kBlockBytes;
    uint64_t end = std::min(format::block_offset(last + 1), format::file_bytes(size_) - sizeof(format::Footer));
    std::string raw(static_cast<size_t>(end - format::block_offset(first)), '\0');
    if (file_->read_at(format::block_offset(first), raw.data(), raw.size()) != raw.size()) return std::unexpected(BlobError::corrupt);
    std::string out;
    out.reserve(size);
    for (uint64_t block = first; block <= last; ++block) {
      auto bytes = std::string_view(raw).substr(format::block_offset(block) - format::block_offset(first), format::kBlockBytes + format::kCrcBytes);
      auto data = format::read_block(bytes, id_, block);
      if (!data) return std::unexpected(BlobError::corrupt);
      size_t skip = block == first ? static_cast<size_t>(offset % format::kBlockBytes) : 0;
      out.append(data->substr(skip, size - out.size()));
    }
    return out;
  }

  std::unique_ptr<DiskFile> file_;
  Workers& workers_;
  io::Loop& loop_;
  std::string id_;
  uint64_t size_;
};

class FileBlobs final : public Blobs {
 public:
  FileBlobs(Disk& disk, Rng& rng, std::unique_ptr<Workers> workers) : folders_(disk), rng_(rng), workers_(std::move(workers)) {}

  std::unique_ptr<BlobWriter> create(io::Loop& loop) override {
    return std::make_unique<FileWriter>(folders_, *workers_, loop, rng_.hex(kIdDigits));
  }

  io::Task<std::expected<std::unique_ptr<BlobReader>, BlobError>> open(io::Loop& loop, std::string id) override {
    co_return co_await OnWorker<Opened>{*workers_, loop, [&] { return open_now(loop, id); }};
  }

  // Needs no sync: a removal that a crash undoes leaves garbage, which sweep() finds.
  io::Task<void> remove(io::Loop& loop, std::string id) override {
    if (is_id(id)) co_await OnWorker<bool>{*workers_, loop, [&] { return folders_.disk().remove(path_of(id)), true; }};
  }

  io::Task<void> sweep(io::Loop& loop, std::function<bool(const std::string& id)> is_named) override {
    auto ids = co_await OnWorker<std::vector<std::string>>{*workers_, loop, [&] { return clear_drafts_and_list(); }};
    std::erase_if(ids, is_named);  // on the caller's loop, where its tables live
    co_await OnWorker<bool>{*workers_, loop, [&] {
      for (const auto& id : ids) folders_.disk().remove(path_of(id));
      return true;
    }};
  }

  uint64_t free_bytes() override { return folders_.disk().free_bytes(); }

 private:
  using Opened = std::expected<std::unique_ptr<BlobReader>, BlobError>;

  Opened open_now(io::Loop& loop, const std::string& id) {
    if (!is_id(id)) return std::unexpected(BlobError::missing);
    std::unique_ptr<DiskFile> file;
    try {
      file = folders_.disk().open(path_of(id));
    } catch (const sys::Fault& fault) {
      if (fault.error() == ENOENT) return std::unexpected(BlobError::missing);
      throw;
    }
    uint64_t size = file->size();
    char head[sizeof(format::Header)], foot[sizeof(format::Footer)];
    if (size < sizeof head + sizeof foot) return std::unexpected(BlobError::corrupt);
    if (file->read_at(0, head, sizeof head) != sizeof head || file->read_at(size - sizeof foot, foot, sizeof foot) != sizeof foot) {
      return std::unexpected(BlobError::corrupt);
    }
    auto body_bytes = format::read_footer({foot, sizeof foot}, id);
    if (!format::header_is_valid({head, sizeof head}) || !body_bytes || format::file_bytes(*body_bytes) != size) {
      return std::unexpected(BlobError::corrupt);
    }
    return std::make_unique<FileReader>(std::move(file), *workers_, loop, id, *body_bytes);
  }

  std::vector<std::string> clear_drafts_and_list() {
    Disk& disk = folders_.disk();
    for (const auto& name : disk.list("tmp")) disk.remove("tmp/" + name);
    std::vector<std::string> ids;
    for (const auto& folder : disk.list("blobs")) {
      for (auto& name : disk.list("blobs/" + folder)) {
        if (is_id(name)) ids.push_back(std::move(name));
      }
    }
    return ids;
  }

  Folders folders_;
  Rng& rng_;
  std::unique_ptr<Workers> workers_;  // last: its threads use the folders until it is gone
};

}  // namespace

std::unique_ptr<Blobs> make_file_blobs(Disk& disk, Rng& rng, unsigned threads) {
  return std::make_unique<FileBlobs>(disk, rng, make_worker_threads(threads));
}

std::unique_ptr<Blobs> make_inline_blobs(Disk& disk, Rng& rng) { return std::make_unique<FileBlobs>(disk, rng, make_inline_workers()); }

}  // namespace mayfly::store
