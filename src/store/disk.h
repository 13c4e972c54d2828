#pragma once
// Disk: the few file operations bodies need, as an interface, so that a simulated disk can lose what was not fsynced
// (reliability.md R8.2). Paths are relative to the disk's root folder, which itself is "". Blocking calls: run them through Blobs
// (blobs.h), which keeps them off the shards. Calls on different files may come from different threads. Every failure throws
// sys::Fault; a failed sync must end the process (R3.3).

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace mayfly::store {

class DiskFile {
 public:
  virtual ~DiskFile() = default;
  virtual void append(std::string_view data) = 0;
  virtual size_t read_at(uint64_t offset, char* out, size_t size) = 0;  // bytes read; 0 at the end
  virtual uint64_t size() = 0;
  virtual void sync() = 0;  // the file's bytes and length are durable when this returns
};

class Disk {
 public:
  virtual ~Disk() = default;
  virtual std::unique_ptr<DiskFile> create(const std::string& path) = 0;  // must not exist
  virtual std::unique_ptr<DiskFile> open(const std::string& path) = 0;    // for reading
  virtual void rename(const std::string& from, const std::string& to) = 0;
  virtual void remove(const std::string& path) = 0;  // absent is fine
  virtual std::vector<std::string> list(const std::string& folder) = 0;
  virtual void make_folder(const std::string& path) = 0;  // exists is fine
  virtual void sync_folder(const std::string& path) = 0;  // its entries (creations, renames, removals) are durable when this returns
  virtual uint64_t free_bytes() = 0;
};

std::unique_ptr<Disk> make_system_disk(std::string root);

}  // namespace mayfly::store
