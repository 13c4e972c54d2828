#pragma once
// Moving objects between files and buckets: streamed, checked against the server's CRC-64, with a progress line on a terminal.

#include "cli/client.h"

namespace mayfly::cli {

// A line on stderr that is rewritten in place; silent unless stderr is a terminal.
class Progress {
 public:
  explicit Progress(bool shown) : shown_(shown) {}
  ~Progress() { clear(); }
  void begin(std::string name, uint64_t total);
  void advance(uint64_t bytes);
  void clear();

 private:
  bool shown_;
  std::string name_;
  uint64_t total_ = 0, done_ = 0;
  int64_t drawn_us_ = 0;
};

Result<void> upload(ApiClient& client, const std::string& file, const std::string& bucket, const std::string& key, Progress& progress);
// Written beside `file` and renamed into place when complete. "-" is stdout.
Result<void> download(ApiClient& client, const std::string& bucket, const std::string& key, const std::string& file, Progress& progress);

struct ObjectEntry {
  std::string key;  // or a common prefix
  uint64_t size = 0;
  std::string modified;
  bool is_prefix = false;
};
// Every key under `prefix` in order; with delimiter "/" only those directly below, and the prefixes.
Result<std::vector<ObjectEntry>> list_objects(ApiClient& client, const std::string& bucket, const std::string& prefix, const std::string& delimiter);

}  // namespace mayfly::cli
