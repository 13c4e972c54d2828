#include "store/sim_faults.h"

#include "io/group.h"
#include "io/sync.h"
#include "store/blob_format.h"
#include "store/workers.h"
#include "sys/fault.h"

namespace mayfly::store {
namespace {

namespace format = blob_format;

class ProcessDisk final : public Disk {
 public:
  ProcessDisk(Disk& disk, SimPower& power, SimFaults faults) : disk_(disk), power_(power), faults_(faults) {}

  std::unique_ptr<DiskFile> create(const std::string& path) override { return std::make_unique<File>(*this, disk_.create(path)); }
  std::unique_ptr<DiskFile> open(const std::string& path) override { return disk_.open(path); }
  void rename(const std::string& from, const std::string& to) override { disk_.rename(from, to); }
  void remove(const std::string& path) override { disk_.remove(path); }
  std::vector<std::string> list(const std::string& folder) override { return disk_.list(folder); }
  void make_folder(const std::string& path) override { disk_.make_folder(path); }
  void sync_folder(const std::string& path) override {
    if (!faults_.skip_folder_sync) sync([&] { disk_.sync_folder(path); });
  }
  uint64_t free_bytes() override { return disk_.free_bytes(); }

 private:
  class File final : public DiskFile {
   public:
    File(ProcessDisk& disk, std::unique_ptr<DiskFile> file) : disk_(disk), file_(std::move(file)) {}
    void append(std::string_view data) override { file_->append(data); }
    size_t read_at(uint64_t offset, char* out, size_t size) override { return file_->read_at(offset, out, size); }
    uint64_t size() override { return file_->size(); }
    void sync() override {
      if (!disk_.faults_.skip_blob_sync) disk_.sync([this] { file_->sync(); });
    }

   private:
    ProcessDisk& disk_;
    std::unique_ptr<DiskFile> file_;
  };

  template <class Sync>
  void sync(Sync sync) {
    try {
      sync();
    } catch (const sys::Fault&) {
      if (!faults_.ignore_sync_failure) power_.cut();
    }
  }

  Disk& disk_;
  SimPower& power_;
  SimFaults faults_;
};

class UncheckedReader final : public BlobReader {
 public:
  UncheckedReader(io::Loop& loop, std::unique_ptr<DiskFile> file) : loop_(loop), file_(std::move(file)) {
    uint64_t bytes = file_->size() - std::min<uint64_t>(file_->size(), sizeof(format::Header) + sizeof(format::Footer));
    constexpr uint64_t kWhole = format::kBlockBytes + format::kCrcBytes;
    uint64_t rest = bytes % kWhole;
    size_ = bytes / kWhole * format::kBlockBytes + rest - std::min<uint64_t>(rest, format::kCrcBytes);
  }
  uint64_t size() const override { return size_; }
  io::Task<std::expected<std::string, BlobError>> read(uint64_t offset, size_t size) override {
    co_return co_await OnWorker<std::string>{*workers_, loop_, [this, offset, size] { return read_now(offset, size); }};
  }

 private:
  std::string read_now(uint64_t offset, size_t size) {
    std::string out;
    for (uint64_t end = std::min(size_, offset + size); offset < end; offset += format::kBlockBytes - offset % format::kBlockBytes) {
      uint64_t within = offset % format::kBlockBytes;
      std::string part(static_cast<size_t>(std::min(end - offset, format::kBlockBytes - within)), '\0');
      file_->read_at(format::block_offset(offset / format::kBlockBytes) + within, part.data(), part.size());
      out += part;
    }
    return out;
  }

  io::Loop& loop_;
  std::unique_ptr<DiskFile> file_;
  std::unique_ptr<Workers> workers_ = make_inline_workers();
  uint64_t size_ = 0;
};

class UncheckedBlobs final : public Blobs {
 public:
  UncheckedBlobs(Blobs& blobs, Disk& disk) : blobs_(blobs), disk_(disk) {}
  std::unique_ptr<BlobWriter> create(io::Loop& loop) override { return blobs_.create(loop); }
  io::Task<std::expected<std::unique_ptr<BlobReader>, BlobError>> open(io::Loop& loop, std::string id) override {
    auto reader = co_await blobs_.open(loop, id);
    if (!reader && reader.error() == BlobError::missing) co_return reader;
    co_return std::make_unique<UncheckedReader>(loop, disk_.open("blobs/" + id.substr(0, 2) + "/" + id));
  }
  io::Task<void> remove(io::Loop& loop, std::string id) override { return blobs_.remove(loop, std::move(id)); }
  io::Task<void> sweep(io::Loop& loop, std::function<bool(const std::string& id)> is_named) override {
    return blobs_.sweep(loop, std::move(is_named));
  }
  uint64_t free_bytes() override { return blobs_.free_bytes(); }

 private:
  Blobs& blobs_;
  Disk& disk_;
};

class ProcessStore final : public Store {
 public:
  ProcessStore(Store& store, io::Loop& loop, Rng& rng, SimFaults faults)
      : store_(store), rng_(rng), faults_(faults), late_(loop, [](std::exception_ptr) {}) {}

  io::Task<std::optional<std::string>> get(io::Loop& loop, std::string key) override {
    co_await take_time(loop);
    co_return co_await store_.get(loop, std::move(key));
  }
  io::Task<std::vector<Entry>> scan(io::Loop& loop, Range range) override {
    co_await take_time(loop);
    co_return co_await store_.scan(loop, std::move(range));
  }
  io::Task<Commit> commit(io::Loop& loop, Batch batch) override {
    if (faults_.ignore_expectations) batch.expectations.clear();
    if (!faults_.acknowledge_before_commit) co_return co_await commit_now(loop, std::move(batch));
    late_.spawn(commit_late(loop, std::move(batch)));
    co_return Commit::done;
  }
  uint64_t commits() const override { return store_.commits(); }

 private:
  io::Task<void> take_time(io::Loop& loop) { return io::sleep_us(loop, static_cast<int64_t>(rng_.below(kMaxStoreUs + 1))); }
  io::Task<Commit> commit_now(io::Loop& loop, Batch batch) {
    co_await take_time(loop);
    co_return co_await store_.commit(loop, std::move(batch));
  }
  io::Task<void> commit_late(io::Loop& loop, Batch batch) { co_await commit_now(loop, std::move(batch)); }

  Store& store_;
  Rng& rng_;
  SimFaults faults_;
  io::TaskGroup late_;
};

}  // namespace

std::unique_ptr<Disk> make_process_disk(Disk& disk, SimPower& power, SimFaults faults) { return std::make_unique<ProcessDisk>(disk, power, faults); }
std::unique_ptr<Blobs> make_unchecked_blobs(Blobs& blobs, Disk& disk) { return std::make_unique<UncheckedBlobs>(blobs, disk); }
std::unique_ptr<Store> make_process_store(Store& store, io::Loop& loop, Rng& rng, SimFaults faults) {
  return std::make_unique<ProcessStore>(store, loop, rng, faults);
}

}  // namespace mayfly::store
