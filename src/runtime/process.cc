#include "runtime/process.h"

#include <signal.h>

#include <algorithm>
#include <cerrno>

#include "base/encoding.h"
#include "base/json.h"
#include "sys/process.h"

namespace mayfly::runtime {
namespace {

constexpr int64_t kPeakMaxAgeUs = 20 * kMicrosPerMilli;  // reading it costs as much as a tenth of a call
constexpr int kReadsPerWake = 16;                        // a flood of output must not starve the shard: 1 MiB, then the others' turn
// Without a sandbox, processes that the function left behind keep its output open after its end: so often is looked whether that has come.
constexpr int64_t kOutputLookUs = 2 * kMicrosPerSecond;
constexpr int64_t kGroupRetryUs = kMicrosPerMilli;
constexpr int kGroupRetries = 1000;

}  // namespace

std::string error_json(std::string_view message, std::string_view type) {
  json::object body{{"errorMessage", message}};
  if (!type.empty()) body["errorType"] = type;
  return to_text(body);
}

std::string error_line(std::string_view body) {
  constexpr size_t kMostBytes = 256;
  auto parsed = parse_json(body);
  std::string line = parsed && parsed->is_object() ? string_or(*parsed, "errorMessage") : std::string();
  std::replace_if(line.begin(), line.end(), [](unsigned char c) { return c < ' '; }, ' ');
  line = std::string(trim(line));
  if (line.empty()) return "failed";
  if (line.size() <= kMostBytes) return line;
  size_t end = kMostBytes;
  while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xc0) == 0x80) --end;  // no half character
  return line.substr(0, end) + "...";
}

Process::Process(io::Shard& shard, Parts parts) : shard_(shard), parts_(std::move(parts)), gone_(shard) {}

int64_t Process::memory_bytes() {
  if (alive_ && shard_.now_us() - peak_read_us_ > kPeakMaxAgeUs) {
    peak_bytes_ = static_cast<int64_t>(parts_.cgroup ? parts_.cgroup->peak_bytes() : sys::peak_memory_bytes(parts_.pidfd));
    peak_read_us_ = shard_.now_us();
  }
  return peak_bytes_;
}

void Process::kill() { sys::kill(parts_.pidfd, SIGKILL); }
void Process::terminate() { sys::kill(parts_.pidfd, SIGTERM); }

std::string Process::how_it_ended() const { return "the program ended " + sys::how_it_ended(exit_status_); }

io::Task<void> Process::gone() { (void)co_await gone_.wait(); }
io::Task<io::Wait> Process::gone(io::Deadline deadline) { co_return co_await gone_.wait(deadline); }

void Process::freeze() {
  if (!alive_ || !running_.empty() || stays_awake_ || !parts_.move || std::exchange(frozen_, true)) return;
  parts_.move(Motion::stop);
}

void Process::thaw() {
  if (std::exchange(frozen_, false) && alive_) parts_.move(Motion::go);
}

void Process::stay_awake() {
  stays_awake_ = true;
  thaw();
}

void Process::begin_call(const std::string& request_id) {
  thaw();
  running_.push_back(request_id);
}

void Process::end_call(const std::string& request_id, Look look) {
  if (look == Look::now) take_output();
  tell_rest(request_id);
  if (auto found = std::find(running_.begin(), running_.end(), request_id); found != running_.end()) running_.erase(found);
}

void Process::begin_hook(std::string_view name, const std::string& request_id) {
  begin_call(request_id);
  say(request_id, fmt::format("FC {} Start RequestId: {}\n", name, request_id));
}

void Process::end_hook(std::string_view name, const std::string& request_id, std::string_view error) {
  end_call(request_id);
  say(request_id, fmt::format("FC {} End RequestId: {}{}{}\n", name, request_id, error.empty() ? "" : ", Error: ", error));
}

// What waits for the end of its line, which will not come.
void Process::tell_rest(const std::string& request_id) {
  if (dropped_bytes_ > 0) partial_line_ += fmt::format("\n{} more bytes were printed and dropped: a call may print {} KiB\n", dropped_bytes_, kMaxPrintedBytes >> 10);
  if (!partial_line_.empty()) tell_lines(request_id, std::exchange(partial_line_, {}));
  printed_bytes_ = dropped_bytes_ = 0;
}

// "<time> <request id> [level] text": the one that runs and is named; null: none is.
const std::string* Process::named_in(std::string_view line) const {
  size_t from = line.find(' ');
  if (from == line.npos) return nullptr;
  std::string_view word = line.substr(from + 1, line.find(' ', from + 1) - from - 1);
  auto found = std::find(running_.begin(), running_.end(), word);
  return found == running_.end() ? nullptr : &*found;
}

// Lines that stand together and are one request's are told together.
void Process::tell_lines(const std::string& otherwise, std::string text) {
  if (running_.size() <= 1) return tell(otherwise, std::move(text));
  std::string owner = otherwise;
  size_t from = 0;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    bool continues = text[at] == ' ' || text[at] == '\t';
    const std::string* named = named_in(std::string_view(text).substr(at, end - at));
    const std::string& whose = continues ? owner : named ? *named : otherwise;
    if (whose != owner) {
      if (at > from) tell(owner, text.substr(from, at - from));
      owner = whose;
      from = at;
    }
    at = end;
  }
  tell(owner, text.substr(from));
}

// Its words.
void Process::tell(const std::string& request_id, std::string text) {
  if (filter_) text = filter_(std::move(text));
  if (!text.empty()) say(request_id, std::move(text));
}

void Process::say(const std::string& request_id, std::string line) {
  if (parts_.printed) parts_.printed(parts_.instance_id, request_id, std::move(line));
}

Reply Process::death(int64_t began_us) {
  Reply reply{.kind = Reply::Kind::died, .run_us = shard_.now_us() - began_us, .memory_bytes = memory_bytes(), .exit_status = exit_status_};
  if (out_of_memory()) {
    reply.kind = Reply::Kind::out_of_memory;
    reply.body = error_json(fmt::format("Function instance exceeded its memory limit of {} MB and was ended", parts_.memory_mb), "FunctionOOMError");
  } else {
    reply.body = error_json(fmt::format("Process exited unexpectedly before completing request (duration: {}ms, maxMemoryUsage: {}MB)", reply.run_us / kMicrosPerMilli,
                                        reply.memory_bytes >> 20));
  }
  return reply;
}

Reply Process::timed_out(int64_t began_us) {
  Reply reply{.kind = Reply::Kind::timed_out, .run_us = shard_.now_us() - began_us, .memory_bytes = memory_bytes(), .exit_status = exit_status_};
  reply.body = error_json(fmt::format("Function timed out after {} seconds (the function's timeout; raise it if the work takes longer)", parts_.timeout_s), "FunctionTimedOut");
  return reply;
}

io::Task<void> Process::watch(std::shared_ptr<Process> self) {
  auto& parts = self->parts_;
  auto status = co_await parts.exit_status(io::Deadline::never());
  self->exit_status_ = status.value_or(SIGKILL);
  self->take_output();
  self->tell_rest(self->current());
  if (parts.cgroup) {
    self->memory_kills_ = parts.cgroup->memory_kills();
    self->peak_bytes_ = static_cast<int64_t>(parts.cgroup->peak_bytes());
    for (int tries = 0; tries < kGroupRetries && !parts.cgroup->remove(); ++tries) co_await io::sleep_us(self->shard_, kGroupRetryUs);
  }
  self->alive_ = false;
  if (self->at_end_) std::exchange(self->at_end_, nullptr)();
  // Whoever was told of its lines may be gone when this instance is: nothing more is told.
  self->output_ended_ = true;
  parts.printed = nullptr;
  parts.move = nullptr;
  parts.exit_status = nullptr;
  parts.home.reset();
  self->gone_.set();
}

io::Task<void> Process::read_output(std::shared_ptr<Process> self) {
  while (!self->output_ended_) {
    self->take_output();
    auto readable = co_await self->shard_.wait_readable(self->parts_.output.get(), io::Deadline::after_us(self->shard_, kOutputLookUs));
    if (!readable && readable.error() != io::StreamError::timed_out) break;
  }
}

// Reads what has been printed. The descriptor stays open, for read_output may be waiting on it.
void Process::take_output() {
  char buffer[65536];
  for (int reads = 0; reads < kReadsPerWake && !output_ended_; ++reads) {
    ssize_t got = ::read(parts_.output.get(), buffer, sizeof buffer);
    if (got > 0) print({buffer, static_cast<size_t>(got)});
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return;
    if (got == 0) output_ended_ = true;
    if (static_cast<size_t>(got) < sizeof buffer) return;
  }
}

void Process::print(std::string_view text) {
  if (!parts_.heap_words.empty() && text.find(parts_.heap_words) != text.npos) heap_ran_out_ = true;
  size_t room = kMaxPrintedBytes - std::min(kMaxPrintedBytes, printed_bytes_);
  size_t kept = std::min(room, text.size());
  printed_bytes_ += kept;
  dropped_bytes_ += text.size() - kept;
  partial_line_.append(text.substr(0, kept));
  size_t last = partial_line_.rfind('\n');
  if (last == std::string::npos) return;
  std::string rest = partial_line_.substr(last + 1);
  partial_line_.resize(last + 1);
  tell_lines(current(), std::exchange(partial_line_, std::move(rest)));
}

}  // namespace mayfly::runtime
