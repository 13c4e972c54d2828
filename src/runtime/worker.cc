#include "runtime/worker.h"

#include <signal.h>
#include <sys/wait.h>

#include <cerrno>

#include "base/json.h"
#include "sys/fault.h"

namespace mayfly::runtime {
namespace {

constexpr int64_t kExitKnownUs = 5 * kMicrosPerSecond;   // from the stream's end to the zygote's word about the exit
constexpr int64_t kPeakMaxAgeUs = 20 * kMicrosPerMilli;  // reading it costs as much as a tenth of a call
constexpr int kReadsPerWake = 16;                        // a flood of output must not starve the shard: 1 MiB, then the others' turn
// Without a sandbox, processes that the function left behind keep its output open after its end: so often is looked whether that has come.
constexpr int64_t kOutputLookUs = 2 * kMicrosPerSecond;
constexpr int64_t kGroupRetryUs = kMicrosPerMilli;
constexpr int kGroupRetries = 1000;

std::string error_json(std::string_view message, std::string_view type = {}) {
  json::object body{{"errorMessage", message}};
  if (!type.empty()) body["errorType"] = type;
  return to_text(body);
}

std::string call_meta(const Call& call) {
  const auto& keys = call.credentials;
  std::string meta;
  meta.reserve(call.request_id.size() + keys.access_key_id.size() + keys.access_key_secret.size() + keys.security_token.size() + call.http.size() + 4);
  meta.append(call.request_id).push_back('\1');
  meta.append(keys.access_key_id).push_back('\0');
  meta.append(keys.access_key_secret).push_back('\0');
  meta.append(keys.security_token).push_back('\1');
  return meta.append(call.http);
}

}  // namespace

Worker::Worker(io::Shard& shard, Parts parts) : shard_(shard), parts_(std::move(parts)), started_(shard), gone_(shard) {
  stream_ = shard.adopt_stream(std::move(parts_.process.frames), parts_.instance_id);
}

io::Task<bool> Worker::send(std::string frame, io::Deadline deadline) {
  outbox_ += frame;
  if (writing_) co_return true;  // whoever writes now takes it along
  writing_ = true;
  bool sent = true;
  while (sent && !outbox_.empty()) {
    std::string batch = std::exchange(outbox_, {});
    sent = (co_await stream_->write_all(batch, deadline)).has_value();
  }
  writing_ = false;
  co_return sent;
}

io::Task<std::optional<Worker::Started>> Worker::initialize(std::string start, io::Deadline deadline) {
  co_await send(encode_frame({.kind = FrameKind::start}, "", start), deadline);
  auto started = co_await started_.wait(deadline);
  if (!started) {
    kill();
    co_await gone_.wait();
  }
  co_return started;
}

io::Task<Reply> Worker::call(Call call) {
  Running running(shard_);
  running.request_id = call.request_id;
  running.began_us = shard_.now_us();
  if (!alive_) co_return death_of(running);
  uint32_t number = next_call_++;
  running_[number] = &running;
  request_id_ = call.request_id;
  std::string meta = call_meta(call);
  FrameHeader header{.kind = FrameKind::call, .retries = static_cast<uint16_t>(std::clamp(call.retry_count, 0, UINT16_MAX)), .call = number};
  // A failed write is a dead or a late worker; the wait below says which.
  co_await send(encode_frame(header, meta, call.payload), call.deadline);
  auto reply = co_await running.reply.wait(call.deadline);
  running_.erase(number);
  if (!reply) {
    kill();
    co_await gone_.wait();
    reply = Reply{.kind = Reply::Kind::timed_out, .run_us = shard_.now_us() - running.began_us, .exit_status = exit_status_};
    reply->body = error_json(fmt::format("Function timed out after {} seconds (the function's timeout; raise it if the work takes longer)", parts_.timeout_s), "FunctionTimedOut");
  }
  reply->memory_bytes = memory_bytes();
  co_return std::move(*reply);
}

Reply Worker::death_of(const Running& running) {
  Reply reply{.kind = Reply::Kind::died, .run_us = shard_.now_us() - running.began_us, .memory_bytes = memory_bytes(), .exit_status = exit_status_};
  if (out_of_memory()) {
    reply.kind = Reply::Kind::out_of_memory;
    reply.body = error_json(fmt::format("Function instance exceeded its memory limit of {} MB and was ended", parts_.memory_mb), "FunctionOOMError");
  } else {
    reply.body = error_json(fmt::format("Process exited unexpectedly before completing request (duration: {}ms, maxMemoryUsage: {}MB)", reply.run_us / kMicrosPerMilli,
                                        reply.memory_bytes >> 20));
  }
  return reply;
}

int64_t Worker::memory_bytes() {
  if (alive_ && shard_.now_us() - peak_read_us_ > kPeakMaxAgeUs) {
    peak_bytes_ = static_cast<int64_t>(parts_.cgroup ? parts_.cgroup->peak_bytes() : sys::peak_memory_bytes(parts_.process.pidfd));
    peak_read_us_ = shard_.now_us();
  }
  return peak_bytes_;
}

// One ready or failed, then one reply per call: a worker that says more could keep the shard busy for ever.
bool Worker::take(Frame frame) {
  if (frame.header.kind == FrameKind::reply) return take_reply(std::move(frame));
  if (started_.is_set()) return false;
  take_output();
  end_of_call("");
  if (frame.header.kind == FrameKind::ready) {
    started_.set({.ok = true, .init_us = static_cast<int64_t>(frame.header.duration_us)});
    return true;
  }
  if (frame.header.kind == FrameKind::failed) started_.set({.failure = std::move(frame.payload)});
  return frame.header.kind == FrameKind::failed;
}

bool Worker::take_reply(Frame frame) {
  auto found = running_.find(frame.header.call);
  if (found == running_.end()) return false;
  Running& running = *found->second;
  take_output();  // what it printed before it answered
  end_of_call(running.request_id);
  int64_t elapsed_us = shard_.now_us() - running.began_us;
  Reply reply{.body = std::move(frame.payload), .http = std::move(frame.meta)};
  if (frame.header.status == FrameStatus::handled_error) reply.kind = Reply::Kind::handled_error;
  reply.run_us = std::clamp<int64_t>(static_cast<int64_t>(frame.header.duration_us), 0, elapsed_us);  // the worker's word, within what we saw
  running.reply.set(std::move(reply));
  running_.erase(found);
  return true;
}

io::Task<void> Worker::read_frames(std::shared_ptr<Worker> self) {
  while (true) {
    auto frame = co_await self->reader_.next(*self->stream_);
    if (!frame || !self->take(std::move(*frame))) break;
  }
  co_await self->ended();
}

// Its stream has ended: learn how, and answer for it.
io::Task<void> Worker::ended() {
  kill();  // a stream may end before its process
  auto status = co_await parts_.zygote->exit_of(parts_.process.token, io::Deadline::after_us(shard_, kExitKnownUs));
  exit_status_ = status.value_or(SIGKILL);
  take_output();
  if (parts_.cgroup) {
    memory_kills_ = parts_.cgroup->memory_kills();
    peak_bytes_ = static_cast<int64_t>(parts_.cgroup->peak_bytes());
    for (int tries = 0; tries < kGroupRetries && !parts_.cgroup->remove(); ++tries) co_await io::sleep_us(shard_, kGroupRetryUs);
  }
  alive_ = false;
  started_.set({});
  for (auto& [number, running] : std::exchange(running_, {})) {
    end_of_call(running->request_id);
    running->reply.set(death_of(*running));
  }
  // Whoever was told of its lines may be gone when this instance is: nothing more is told.
  output_ended_ = true;
  parts_.printed = nullptr;
  stream_->close();
  gone_.set();
}

void Worker::kill() { sys::kill(parts_.process.pidfd, SIGKILL); }

io::Task<void> Worker::stop(io::Deadline deadline) {
  if (!stopping_ && alive_) {
    stopping_ = true;
    stream_->shutdown_write();  // the polite end: it reads no further call
    if (co_await gone_.wait(deadline) == io::Wait::timed_out) kill();
  }
  co_await gone_.wait();
}

io::Task<void> Worker::read_output(std::shared_ptr<Worker> self) {
  while (!self->output_ended_) {
    self->take_output();
    auto readable = co_await self->shard_.wait_readable(self->parts_.process.output.get(), io::Deadline::after_us(self->shard_, kOutputLookUs));
    if (!readable && readable.error() != io::StreamError::timed_out) break;
  }
}

// Reads what has been printed. The descriptor stays open, for read_output may be waiting on it.
void Worker::take_output() {
  char buffer[65536];
  for (int reads = 0; reads < kReadsPerWake && !output_ended_; ++reads) {
    ssize_t got = ::read(parts_.process.output.get(), buffer, sizeof buffer);
    if (got > 0) print({buffer, static_cast<size_t>(got)});
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return;
    if (got == 0) output_ended_ = true;
    if (static_cast<size_t>(got) < sizeof buffer) return;
  }
}

void Worker::print(std::string_view text) {
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

void Worker::end_of_call(const std::string& request_id) {
  if (dropped_bytes_ > 0) partial_line_ += fmt::format("\n{} more bytes were printed and dropped: a call may print {} KiB\n", dropped_bytes_, kMaxPrintedBytes >> 10);
  if (!partial_line_.empty() && parts_.printed) parts_.printed(parts_.instance_id, request_id, std::exchange(partial_line_, {}));
  partial_line_.clear();
  printed_bytes_ = dropped_bytes_ = 0;
  if (running_.size() <= 1) request_id_.clear();
}

}  // namespace mayfly::runtime
