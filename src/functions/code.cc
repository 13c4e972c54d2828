#include "functions/code.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <mutex>
#include <thread>

#include "base/encoding.h"
#include "base/hash.h"
#include "functions/merge.h"
#include "functions/package.h"
#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::functions {
namespace {

void sync_folder(const std::string& path) {
  sys::Fd fd = sys::open_file(path, O_RDONLY | O_DIRECTORY);
  sys::check(::fsync(fd.get()), "fsync", path);
}

// One call makes a whole unpacked tree durable; fsync of each of 100,000 files would take minutes.
void sync_tree(const std::string& path) {
  sys::Fd fd = sys::open_file(path, O_RDONLY | O_DIRECTORY);
  sys::check(::syncfs(fd.get()), "syncfs", path);
}

uint64_t free_bytes(const std::string& path) {
  struct statvfs info {};
  sys::check(::statvfs(path.c_str(), &info), "statvfs", path);
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

void remove_quietly(const std::string& path) {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

// A package on its way in: a file that goes away with this unless it was renamed.
struct Upload {
  explicit Upload(std::string at) : path(std::move(at)) {}
  Upload(const Upload&) = delete;
  ~Upload() {
    if (file) ::unlink(path.c_str());
  }
  std::string path;
  sys::Fd file;
  Digest digest{Digest::Kind::sha256};
  uint64_t crc = 0, size = 0;
};

// Packages are written, unpacked and merged one at a time on one thread: deployments are rare, and two uploads of the same bytes must not
// race.
class DiskCodeStore final : public CodeStore {
 public:
  DiskCodeStore(std::string folder, uint64_t free_floor_bytes) : folder_(std::move(folder)), free_floor_bytes_(free_floor_bytes) {
    sys::remove_tree(temporary());  // what a crash left half unpacked
    sys::make_folders(temporary());
    worker_ = std::jthread([this] { work(); });
  }
  ~DiskCodeStore() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_one();
  }

  io::Task<Result<Code>> add(io::Loop& loop, std::unique_ptr<http::Body> zip, PackageLimits limits) override {
    if (zip->declared_size().value_or(0) > limits.zip_bytes) co_return too_large(limits);
    Upload upload(fmt::format("{}/upload-{}", temporary(), uploads_.fetch_add(1)));
    for (;;) {
      auto piece = co_await zip->next();
      if (!piece) co_return fail(CatalogueError::invalid, "the package broke off before its end");
      if (!*piece) break;
      if (upload.size + (*piece)->size() > limits.zip_bytes) co_return too_large(limits);
      Result<void> taken;
      Job job{*this, loop, [this, &upload, &piece, &taken] { taken = write(upload, **piece); }};
      co_await job;
      MAYFLY_CO_TRY_VOID(std::move(taken));
    }
    Result<Code> code = fail(CatalogueError::invalid, "");
    Job job{*this, loop, [this, &upload, &code, limits] { code = keep(upload, limits); }};
    co_await job;
    co_return code;
  }

  io::Task<Result<void>> merge(io::Loop& loop, std::vector<LayerRef> layers) override {
    if (layers.size() < 2) co_return Result<void>{};
    Result<void> made;
    Job job{*this, loop, [this, &layers, &made] { made = lay(layers); }};
    co_await job;
    co_return made;
  }

  io::Task<void> keep_only(io::Loop& loop, std::set<std::string> names) override {
    Job job{*this, loop, [this, &names] { sweep(names); }};
    co_await job;
  }

  std::string path(const Code& code) const override { return code.digest.empty() ? std::string() : folder_ + "/" + code.digest; }
  std::string layers_path(const std::vector<LayerRef>& layers) const override {
    return layers.empty() ? std::string() : folder_ + "/" + layers_name(layers);
  }
  std::optional<std::string> package_path(const std::string& digest) const override {
    if (digest.empty() || digest.find('/') != digest.npos) return std::nullopt;
    std::string path = folder_ + "/" + digest + ".zip";
    if (!sys::exists(path)) return std::nullopt;
    return path;
  }

 private:
  // Lives in the frame of its coroutine; the worker thread runs it and posts the frame back to its loop.
  struct Job {
    DiskCodeStore& store;
    io::Loop& loop;
    std::function<void()> work;
    std::exception_ptr fault{};
    std::coroutine_handle<> waiting{};

    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
      waiting = handle;
      {
        std::lock_guard lock(store.mutex_);
        store.jobs_.push_back(this);
      }
      store.changed_.notify_one();
    }
    void await_resume() {
      if (fault) std::rethrow_exception(fault);
    }
  };

  void work() {
    for (;;) {
      Job* job = nullptr;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
        if (jobs_.empty()) return;
        job = jobs_.front();
        jobs_.pop_front();
      }
      try {
        job->work();
      } catch (...) {
        job->fault = std::current_exception();
      }
      job->loop.post([waiting = job->waiting] { waiting.resume(); });
    }
  }

  static std::unexpected<Failure<CatalogueError>> too_large(const PackageLimits& limits) {
    return fail(CatalogueError::too_large, fmt::format("the package is larger than {} bytes", limits.zip_bytes));
  }
  static std::unexpected<Failure<CatalogueError>> disk_full() {
    return fail(CatalogueError::too_large, "the disk is nearly full: no package is accepted", "delete objects or functions, or add space");
  }

  Result<void> write(Upload& upload, const std::string& piece) {
    if (free_bytes(folder_) <= free_floor_bytes_ + piece.size()) return disk_full();
    if (!upload.file) upload.file = sys::open_file(upload.path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    sys::write_all(upload.file.get(), piece, upload.path);
    upload.digest.update(piece);
    upload.crc = crc64(piece, upload.crc);
    upload.size += piece.size();
    return {};
  }

  Result<Code> keep(Upload& upload, const PackageLimits& limits) {
    if (!upload.file) return fail(CatalogueError::invalid, "the code package was refused: it is empty");
    Code code{.digest = hex_encode(upload.digest.finish()), .checksum = std::to_string(upload.crc), .size_bytes = upload.size};
    std::string home = path(code), package = home + ".zip";
    if (sys::exists(home) && sys::exists(package)) return code;
    uint64_t free = free_bytes(folder_);
    if (free <= free_floor_bytes_) return disk_full();
    std::string fresh = temporary() + "/" + code.digest;
    sys::remove_tree(fresh);
    sys::make_folders(fresh);
    PackageLimits room = limits;
    room.bytes = std::min(limits.bytes, free - free_floor_bytes_);
    try {
      if (auto unpacked = unpack_package_file(upload.path, fresh, room); !unpacked) {
        sys::remove_tree(fresh);
        return std::unexpected(std::move(unpacked).error());
      }
      sys::check(::fsync(upload.file.get()), "fsync", upload.path);
      sys::check(::rename(upload.path.c_str(), package.c_str()), "rename", package);
      publish(fresh, home);
    } catch (...) {  // a full or failing disk must not keep what nobody will ever name
      remove_quietly(fresh);
      remove_quietly(package);
      throw;
    }
    return code;
  }

  // Durably gives a finished folder its name.
  void publish(const std::string& fresh, const std::string& home) {
    sys::check(::chmod(fresh.c_str(), 0755), "chmod", fresh);
    sync_tree(fresh);
    sys::remove_tree(home);
    sys::check(::rename(fresh.c_str(), home.c_str()), "rename", home);
    sync_folder(folder_);
  }

  Result<void> lay(const std::vector<LayerRef>& layers) {
    std::string home = layers_path(layers);
    if (sys::exists(home)) return {};
    if (free_bytes(folder_) <= free_floor_bytes_) return disk_full();  // folders and links take room too
    std::vector<std::string> folders;
    for (const LayerRef& layer : layers) {
      folders.push_back(folder_ + "/" + layer.digest);
      if (!sys::exists(folders.back()))
        return fail(CatalogueError::not_found, fmt::format("the content of layer {} version {} is not on this machine", layer.name, layer.version));
    }
    std::string fresh = temporary() + "/" + layers_name(layers);
    sys::remove_tree(fresh);
    sys::make_folders(fresh);
    try {
      if (auto merged = merge_layers(folders, fresh); !merged) {
        sys::remove_tree(fresh);
        return merged;
      }
      publish(fresh, home);
    } catch (...) {
      remove_quietly(fresh);
      throw;
    }
    return {};
  }

  void sweep(const std::set<std::string>& names) {
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      std::string file = entry.path().filename().string();
      std::string name = file.ends_with(".zip") ? file.substr(0, file.size() - 4) : file;
      if (file != "tmp" && !names.contains(name)) sys::remove_tree(entry.path().string());
    }
    sync_folder(folder_);
  }

  std::string temporary() const { return folder_ + "/tmp"; }

  const std::string folder_;
  const uint64_t free_floor_bytes_;
  std::atomic<uint64_t> uploads_ = 0;  // names of temporary files; counted on any shard
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job*> jobs_;
  bool stopping_ = false;
  std::jthread worker_;  // last: joins first
};

}  // namespace

std::string layers_name(const std::vector<LayerRef>& layers) {
  if (layers.empty()) return {};
  if (layers.size() == 1) return layers[0].digest;
  std::string digests;
  for (const LayerRef& layer : layers) digests += layer.digest + "\n";
  return "layers-" + hex_encode(sha256(digests));
}

std::unique_ptr<CodeStore> make_code_store(std::string folder, uint64_t free_floor_bytes) {
  return std::make_unique<DiskCodeStore>(std::move(folder), free_floor_bytes);
}

}  // namespace mayfly::functions
