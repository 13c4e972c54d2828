#include "usage/log_store.h"

#include <fcntl.h>

#include <filesystem>

#include "base/encoding.h"
#include "base/json.h"
#include "sys/file.h"

namespace mayfly::usage {
namespace {

std::string segment_path(const std::string& folder, uint64_t number) { return fmt::format("{}/{:08}.jsonl", folder, number); }

std::vector<uint64_t> segments(const std::string& folder) {
  std::vector<uint64_t> numbers;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".jsonl") numbers.push_back(std::strtoull(entry.path().stem().c_str(), nullptr, 10));
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

// `text` as JSON. Most of it needs no escape; serializing a json::object for every line costs more than the call that printed it.
void append_quoted(std::string& out, std::string_view text) {
  bool special = false;  // without an early end the compiler looks at many bytes at a time
  for (unsigned char c : text) special |= (c < 0x20) | (c == '"') | (c == '\\');
  if (special) {
    out += json::serialize(json::string_view(text.data(), text.size()));
    return;
  }
  out += '"';
  out += text;
  out += '"';
}

void append_encoded(std::string& out, const LogEntry& e) {
  fmt::format_to(std::back_inserter(out), R"({{"c":{},"t":{})", e.cursor, e.time_us);
  for (auto [name, value] : {std::pair(R"(,"s":)", &e.service), {R"(,"f":)", &e.function}, {R"(,"r":)", &e.request_id}, {R"(,"i":)", &e.instance}, {R"(,"x":)", &e.text}}) {
    out += name;
    append_quoted(out, *value);
  }
  out += "}\n";
}

size_t weight(const LogEntry& e) { return sizeof(LogEntry) + e.service.size() + e.function.size() + e.request_id.size() + e.instance.size() + e.text.size(); }

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
  for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
    auto value = parse_json(std::string_view(text).substr(at, end - at));
    if (!value) continue;
    LogEntry entry{static_cast<uint64_t>(int_or(*value, "c")), int_or(*value, "t"), string_or(*value, "s"), string_or(*value, "f"),
                   string_or(*value, "r"), string_or(*value, "i"), string_or(*value, "x")};
    next_cursor_ = std::max(next_cursor_, entry.cursor + 1);
    ring_bytes_ += weight(entry);
    ring_.push_back(std::move(entry));
    for (; ring_bytes_ > kMaxRingBytes; ring_.pop_front()) ring_bytes_ -= weight(ring_.front());
  }
}

void LogStore::append(const std::string& service, const std::string& function, const std::string& request_id, const std::string& instance, std::string_view text) {
  bool wake;
  {
    std::lock_guard lock(mutex_);
    while (!text.empty()) {
      size_t end = text.find('\n');
      std::string_view line = text.substr(0, std::min(end, kMaxLineBytes));
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      LogEntry entry{next_cursor_++, clock_.wall_us(), service, function, request_id, instance, to_utf8(line)};  // functions print what they like
      // Disk slower than the printing: what cannot be buffered is in the ring only.
      if (unwritten_.size() < kSegmentBytes) append_encoded(unwritten_, entry);
      ring_bytes_ += weight(entry);
      ring_.push_back(std::move(entry));
      for (; ring_bytes_ > kMaxRingBytes; ring_.pop_front()) ring_bytes_ -= weight(ring_.front());
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
  std::lock_guard lock(mutex_);
  std::vector<LogEntry> out;
  auto first = std::partition_point(ring_.begin(), ring_.end(), [&](const LogEntry& e) { return e.cursor <= query.after; });
  for (auto it = first; it != ring_.end() && out.size() < query.limit; ++it) {
    if (!query.service.empty() && it->service != query.service) continue;
    if (!query.function.empty() && it->function != query.function) continue;
    if (!query.request_id.empty() && it->request_id != query.request_id) continue;
    out.push_back(*it);
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
  std::unique_lock lock(mutex_);
  while (true) {
    more_.wait_for(lock, std::chrono::microseconds(kFlushUs), [this] { return stopping_; });
    std::string lines = std::exchange(unwritten_, {});
    bool last = stopping_;
    lock.unlock();
    if (!lines.empty()) write_segment(lines);
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
