#include "functions/code.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <mutex>
#include <thread>

#include "base/encoding.h"
#include "base/hash.h"
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

// Packages are added one at a time on one thread: deployments are rare, and two uploads of the same bytes must not race.
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

  io::Task<Result<Code>> add(io::Loop& loop, std::string zip) override {
    if (zip.size() > kMaxPackageBytes) co_return fail(CatalogueError::too_large, fmt::format("the code package is larger than {} bytes", kMaxPackageBytes));
    Result<Code> code = fail(CatalogueError::invalid, "");
    Job job{*this, loop, [this, &zip, &code] { code = keep(zip); }};
    co_await job;
    co_return code;
  }

  io::Task<void> keep_only(io::Loop& loop, std::set<std::string> digests) override {
    Job job{*this, loop, [this, &digests] { sweep(digests); }};
    co_await job;
  }

  std::string path(const Code& code) const override { return code.digest.empty() ? std::string() : folder_ + "/" + code.digest; }
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

  Result<Code> keep(const std::string& zip) {
    Code code{.digest = hex_encode(sha256(zip)), .checksum = std::to_string(crc64(zip)), .size_bytes = zip.size()};
    std::string home = path(code), package = home + ".zip";
    if (sys::exists(home) && sys::exists(package)) return code;
    uint64_t free = free_bytes(folder_), taken = free_floor_bytes_ + zip.size();
    if (free <= taken) return fail(CatalogueError::too_large, "the disk is nearly full: no code package is accepted", "delete objects or functions, or add space");
    std::string fresh = temporary() + "/" + code.digest;
    sys::remove_tree(fresh);
    sys::make_folders(fresh);
    try {
      if (auto unpacked = unpack_package(zip, fresh, {.bytes = std::min(kMaxCodeBytes, free - taken)}); !unpacked) {
        sys::remove_tree(fresh);
        return std::unexpected(std::move(unpacked).error());
      }
      sys::write_file_durable(package, zip, 0600);
      sys::check(::chmod(fresh.c_str(), 0755), "chmod", fresh);
      sync_tree(fresh);
      sys::remove_tree(home);
      sys::check(::rename(fresh.c_str(), home.c_str()), "rename", home);
      sync_folder(folder_);
    } catch (...) {  // a full or failing disk must not keep what nobody will ever name
      remove_quietly(fresh);
      remove_quietly(package);
      throw;
    }
    return code;
  }

  void sweep(const std::set<std::string>& digests) {
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      std::string name = entry.path().filename().string();
      std::string digest = name.ends_with(".zip") ? name.substr(0, name.size() - 4) : name;
      if (name != "tmp" && !digests.contains(digest)) sys::remove_tree(entry.path().string());
    }
    sync_folder(folder_);
  }

  std::string temporary() const { return folder_ + "/tmp"; }

  const std::string folder_;
  const uint64_t free_floor_bytes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job*> jobs_;
  bool stopping_ = false;
  std::jthread worker_;  // last: joins first
};

}  // namespace

std::unique_ptr<CodeStore> make_code_store(std::string folder, uint64_t free_floor_bytes) {
  return std::make_unique<DiskCodeStore>(std::move(folder), free_floor_bytes);
}

}  // namespace mayfly::functions
