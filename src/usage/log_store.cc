#include "usage/log_store.h"

#include <fcntl.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>

#include "base/encoding.h"
#include "base/json.h"
#include "sys/file.h"

namespace mayfly::usage {
namespace {

constexpr size_t kKeptBytes = 1 << 20;  // of the writer's buffers, between batches

std::string segment_path(const std::string& folder, uint64_t number) { return fmt::format("{}/{:08}.jsonl", folder, number); }

std::vector<uint64_t> segments(const std::string& folder) {
  std::vector<uint64_t> numbers;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".jsonl") numbers.push_back(std::strtoull(entry.path().stem().c_str(), nullptr, 10));
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

using Named = std::pair<std::string_view, std::string_view>;

// The fields of an entry that every line of a call has, in the order of the file.
void append_fields(std::string& out, std::initializer_list<Named> fields) {
  for (const auto& [name, value] : fields) {
    out += name;
    append_json_string(out, value);
  }
}

constexpr std::string_view kCursor = R"({"c":)", kService = R"(,"s":)", kFunction = R"(,"f":)", kRequest = R"(,"r":)", kInstance = R"(,"i":)", kText = R"(,"x":)";

// The cursor of an encoded line, 0 if it is none.
uint64_t cursor_of(std::string_view line) {
  uint64_t cursor = 0;
  if (line.starts_with(kCursor)) std::from_chars(line.data() + kCursor.size(), line.data() + line.size(), cursor);
  return cursor;
}

// The next line of `lines`, cut off there, without its end; empty when there is no whole one.
std::string_view take_line(std::string_view& lines) {
  size_t end = lines.find('\n');
  std::string_view line = end == lines.npos ? std::string_view() : lines.substr(0, end);
  lines.remove_prefix(end == lines.npos ? lines.size() : end + 1);
  return line;
}

std::optional<LogEntry> decode(std::string_view line) {
  auto value = parse_json(line);
  if (!value) return std::nullopt;  // torn by a crash
  return LogEntry{static_cast<uint64_t>(int_or(*value, "c")), int_or(*value, "t"), string_or(*value, "s"), string_or(*value, "f"),
                  string_or(*value, "r"), string_or(*value, "i"), string_or(*value, "x")};
}

// Texts that the encoded line of an entry that is asked for contains. No value can contain one of them: its quotes would be escaped.
std::vector<std::string> needles(const LogQuery& query) {
  std::vector<std::string> out;
  for (const auto& [name, value] : {Named(kService, query.service), Named(kFunction, query.function), Named(kRequest, query.request_id)}) {
    if (value.empty()) continue;
    out.emplace_back();
    append_fields(out.back(), {{name, value}});
  }
  return out;
}

}  // namespace

LogStore::LogStore(std::string folder, const Clock& clock) : folder_(std::move(folder)), clock_(clock) {
  sys::make_folders(folder_, 0700);
  load_newest();
  writer_ = std::thread([this] { write_loop(); });
}

LogStore::~LogStore() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  more_.notify_one();
  writer_.join();
}

// Fills the ring from the newest segment, so that logs survive a restart; a torn last line is skipped.
void LogStore::load_newest() {
  auto numbers = segments(folder_);
  if (numbers.empty()) return;
  segment_ = numbers.back();
  std::string text = sys::read_file(segment_path(folder_, segment_));
  segment_bytes_ = text.size();
  for (std::string_view lines = text; !lines.empty();) {
    std::string_view line = take_line(lines);
    uint64_t cursor = cursor_of(line);
    if (cursor == 0) continue;
    next_cursor_ = std::max(next_cursor_, cursor + 1);
    keep(cursor, std::string(line) + '\n');
  }
}

// Adds an encoded line to the ring, and forgets the oldest beyond its bound.
void LogStore::keep(uint64_t cursor, std::string_view line) {
  if (ring_.empty() || ring_.back()->lines.size() + line.size() > kBlockBytes) {
    ring_.push_back(std::make_shared<Block>());
    ring_.back()->lines.reserve(std::max(kBlockBytes, line.size()));
  }
  ring_.back()->last = cursor;
  ring_.back()->lines += line;
  ring_bytes_ += line.size();
  for (; ring_bytes_ > kMaxRingBytes; ring_.pop_front()) ring_bytes_ -= ring_.front()->lines.size();
}

void LogStore::append(const std::string& service, const std::string& function, const std::string& request_id, const std::string& instance, std::string_view text) {
  int64_t now_us = clock_.wall_us();
  bool wake;
  {
    std::lock_guard lock(mutex_);
    fields_.clear();
    append_fields(fields_, {{kService, service}, {kFunction, function}, {kRequest, request_id}, {kInstance, instance}});
    while (!text.empty()) {
      size_t end = text.find('\n');
      std::string_view printed = text.substr(0, std::min(end, kMaxLineBytes));
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      uint64_t cursor = next_cursor_++;
      line_ = kCursor;
      append_number(line_, cursor);
      line_ += R"(,"t":)";
      append_number(line_, static_cast<uint64_t>(now_us));
      line_ += fields_;
      line_ += kText;
      append_json_string(line_, is_ascii(printed) ? printed : to_utf8(printed));  // functions print what they like
      line_ += "}\n";
      // Disk slower than the printing: what cannot be buffered is in the ring only.
      if (unwritten_.size() < kSegmentBytes) unwritten_ += line_;
      keep(cursor, line_);
    }
    for (auto& [id, follower] : std::exchange(followers_, {})) {
      io::Signal* signal = follower.signal;
      follower.loop->post([signal] { signal->set(); });
    }
    wake = writer_idle_ && !unwritten_.empty();
    if (wake) writer_idle_ = false;
  }
  if (wake) more_.notify_one();
}

std::vector<LogEntry> LogStore::query(const LogQuery& query) const {
  std::vector<std::shared_ptr<Block>> blocks;
  {
    std::lock_guard lock(mutex_);
    for (const auto& block : ring_)
      if (block->last > query.after) blocks.push_back(block);
    if (!blocks.empty()) blocks.back() = std::make_shared<Block>(*blocks.back());  // the one that is still being written
  }
  std::vector<std::string> wanted = needles(query);
  std::vector<LogEntry> out;
  for (const auto& block : blocks) {
    for (std::string_view lines = block->lines; !lines.empty() && out.size() < query.limit;) {
      std::string_view line = take_line(lines);
      if (cursor_of(line) <= query.after || !std::ranges::all_of(wanted, [line](const std::string& each) { return line.contains(each); })) continue;
      if (auto entry = decode(line)) out.push_back(std::move(*entry));
    }
  }
  return out;
}

uint64_t LogStore::last_cursor() const {
  std::lock_guard lock(mutex_);
  return next_cursor_ - 1;
}

io::Task<void> LogStore::wait_newer(io::Loop& loop, uint64_t after, io::Deadline deadline) {
  io::Signal signal(loop);
  uint64_t id = 0;
  {
    std::lock_guard lock(mutex_);
    if (next_cursor_ - 1 > after) co_return;
    id = next_follower_++;
    followers_.emplace(id, Follower{&loop, &signal});
  }
  if (co_await signal.wait(deadline) == io::Wait::done) co_return;
  bool posted;
  {
    std::lock_guard lock(mutex_);
    posted = followers_.erase(id) == 0;
  }
  if (posted) co_await signal.wait();  // its wake-up is already on the way to this loop and refers to `signal`
}

void LogStore::write_loop() {
  std::string lines;
  std::unique_lock lock(mutex_);
  while (true) {
    more_.wait_for(lock, std::chrono::microseconds(kFlushUs), [this] { return stopping_; });
    std::swap(lines, unwritten_);
    bool last = stopping_;
    lock.unlock();
    if (!lines.empty()) write_segment(lines);
    lines.clear();
    if (lines.capacity() > kKeptBytes) lines = {};
    lock.lock();
    if (last && unwritten_.empty()) return;
    writer_idle_ = unwritten_.empty();
    if (writer_idle_) more_.wait(lock, [this] { return stopping_ || !unwritten_.empty(); });
    writer_idle_ = false;
  }
}

void LogStore::write_segment(const std::string& lines) {
  if (segment_bytes_ + lines.size() > kSegmentBytes || segment_ == 0) {
    ++segment_;
    segment_bytes_ = 0;
    auto numbers = segments(folder_);
    for (size_t i = 0; i + kMaxSegments <= numbers.size(); ++i) std::filesystem::remove(segment_path(folder_, numbers[i]));
  }
  try {
    sys::Fd fd = sys::open_file(segment_path(folder_, segment_), O_WRONLY | O_CREAT | O_APPEND, 0600);
    sys::write_all(fd.get(), lines, folder_);
    segment_bytes_ += lines.size();
  } catch (const std::exception& error) {  // a full disk must not end the server: the ring still has the lines
    fmt::print(stderr, "logs are not written: {}\n", error.what());
  }
}

}  // namespace mayfly::usage
