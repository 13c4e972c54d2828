#pragma once
// Blobs in memory, for tests: what is finished is there, what is not is gone, and a test may damage or lose any of them.

#include <map>
#include <set>

#include "store/blobs.h"

namespace mayfly::objects {

class MemoryBlobs final : public store::Blobs {
 public:
  std::map<std::string, std::string> files;
  std::set<std::string> damaged;
  uint64_t free = uint64_t{1} << 40;

  std::unique_ptr<store::BlobWriter> create(io::Loop&) override { return std::make_unique<Writer>(*this); }
  io::Task<std::expected<std::unique_ptr<store::BlobReader>, store::BlobError>> open(io::Loop&, std::string id) override {
    auto file = files.find(id);
    if (file == files.end()) co_return std::unexpected(store::BlobError::missing);
    co_return std::make_unique<Reader>(file->second, damaged.contains(id));
  }
  io::Task<void> remove(io::Loop&, std::string id) override {
    files.erase(id);
    co_return;
  }
  io::Task<void> sweep(io::Loop&, std::function<bool(const std::string&)> is_named) override {
    std::erase_if(files, [&](const auto& file) { return !is_named(file.first); });
    co_return;
  }
  uint64_t free_bytes() override { return free; }

 private:
  struct Writer final : store::BlobWriter {
    explicit Writer(MemoryBlobs& owner) : blobs(owner) {}
    io::Task<void> append(std::string data) override {
      bytes += data;
      co_return;
    }
    io::Task<std::string> finish() override {
      std::string id = "blob" + std::to_string(++blobs.last_);
      blobs.files[id] = std::move(bytes);
      co_return id;
    }
    MemoryBlobs& blobs;
    std::string bytes;
  };
  struct Reader final : store::BlobReader {
    Reader(std::string content, bool bad) : bytes(std::move(content)), damaged(bad) {}
    uint64_t size() const override { return bytes.size(); }
    io::Task<std::expected<std::string, store::BlobError>> read(uint64_t offset, size_t size) override {
      if (damaged) co_return std::unexpected(store::BlobError::corrupt);
      co_return bytes.substr(offset, size);
    }
    std::string bytes;
    bool damaged;
  };
  uint64_t last_ = 0;
};

}  // namespace mayfly::objects
