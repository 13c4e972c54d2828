#include "runtime/process.h"

#include <signal.h>

#include <cerrno>

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

void Process::begin_call(const std::string& request_id) {
  ++calls_;
  request_id_ = request_id;
}

void Process::end_call(const std::string& request_id, Look look) {
  if (look == Look::now) take_output();
  if (dropped_bytes_ > 0) partial_line_ += fmt::format("\n{} more bytes were printed and dropped: a call may print {} KiB\n", dropped_bytes_, kMaxPrintedBytes >> 10);
  if (!partial_line_.empty() && parts_.printed) parts_.printed(parts_.instance_id, request_id, std::exchange(partial_line_, {}));
  partial_line_.clear();
  printed_bytes_ = dropped_bytes_ = 0;
  if (calls_ > 0) --calls_;
  if (calls_ == 0) request_id_.clear();
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
  if (last == std::string::npos || !parts_.printed) return;
  std::string rest = partial_line_.substr(last + 1);
  partial_line_.resize(last + 1);
  parts_.printed(parts_.instance_id, request_id_, std::exchange(partial_line_, std::move(rest)));
}

}  // namespace mayfly::runtime
