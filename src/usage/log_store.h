#pragma once
// LogStore: what functions print, one entry per line, in order, with a cursor to go on from. The newest entries are kept in memory
// (kMaxRingBytes) and answered from there; all are appended to segment files <folder>/<n>.jsonl by a writer thread, oldest segments
// removed beyond kMaxSegments. Logs are not acknowledged writes: a crash may lose the last moments (kFlushUs), never more.
// Every call writes here and few are ever read: entries are kept as the encoded lines that go to disk, and decoded by queries.
// Thread-safe: called from every shard; the lock is held for a copy, never for the disk nor for decoding.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "io/loop.h"
#include "io/sync.h"

namespace mayfly::usage {

struct LogEntry {
  uint64_t cursor = 0;  // from 1, +1 per entry since the folder was made
  int64_t time_us = 0;  // wall clock
  std::string service, function, request_id, instance, text;
};

struct LogQuery {
  std::string service, function, request_id;  // empty: any
  uint64_t after = 0;                         // entries with a greater cursor
  size_t limit = 1000;
};

class LogStore {
 public:
  static constexpr size_t kMaxRingBytes = 4 << 20;      // bounds resident memory; about 20,000 lines
  static constexpr size_t kBlockBytes = 64 << 10;       // what the ring forgets at once
  static constexpr size_t kMaxLineBytes = 32 << 10;     // longer lines are cut, as on the real service (aliyun-fc.md section 12)
  static constexpr size_t kSegmentBytes = 8 << 20;
  static constexpr size_t kMaxSegments = 16;            // 128 MiB on disk
  static constexpr int64_t kFlushUs = 200'000;

  LogStore(std::string folder, const Clock& clock);
  ~LogStore();

  // Splits `text` into lines and keeps each.
  void append(const std::string& service, const std::string& function, const std::string& request_id, const std::string& instance, std::string_view text);
  std::vector<LogEntry> query(const LogQuery& query) const;
  uint64_t last_cursor() const;
  // Resumes when an entry newer than `after` exists, or at the deadline.
  io::Task<void> wait_newer(io::Loop& loop, uint64_t after, io::Deadline deadline);

 private:
  struct Follower {
    io::Loop* loop;
    io::Signal* signal;
  };
  // A piece of the ring: lines as in the segment files.
  struct Block {
    uint64_t last = 0;  // cursor of its last line
    std::string lines;
  };
  void load_newest();
  void keep(uint64_t cursor, std::string_view line);
  void write_loop();
  void write_segment(const std::string& lines);

  const std::string folder_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable more_;
  std::deque<std::shared_ptr<Block>> ring_;  // oldest first; all but the last are read without the lock
  size_t ring_bytes_ = 0;
  uint64_t next_cursor_ = 1;
  std::string unwritten_;
  std::string line_, fields_;  // what append() builds, kept for their memory
  std::map<uint64_t, Follower> followers_;
  uint64_t next_follower_ = 1;
  bool stopping_ = false;
  bool writer_idle_ = false;      // waits for the first line of a batch: only then is it woken
  uint64_t segment_ = 0;          // writer thread only
  size_t segment_bytes_ = 0;      // writer thread only
  std::thread writer_;
};

}  // namespace mayfly::usage
