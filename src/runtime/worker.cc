#include "runtime/worker.h"

#include "base/json.h"
#include "sys/memfd.h"

namespace mayfly::runtime {
namespace {

std::string call_meta(const Call& call) {
  const auto& keys = call.credentials;
  std::string meta;
  meta.reserve(call.request_id.size() + keys.access_key_id.size() + keys.access_key_secret.size() + keys.security_token.size() + call.http.size() + 4);
  meta.append(call.request_id).push_back('\1');
  meta.append(keys.access_key_id).push_back('\0');
  meta.append(keys.access_key_secret).push_back('\0');
  meta.append(keys.security_token).push_back('\1');
  meta.append(call.http);
  return meta;
}

}  // namespace

Worker::Worker(io::Shard& shard, std::shared_ptr<Process> process, sys::Fd frames) : shard_(shard), process_(std::move(process)), started_(shard), imported_(shard) {
  stream_ = shard.adopt_passing_stream(std::move(frames), process_->id());
  process_->at_end([this] { break_off(); });
}

io::Task<bool> Worker::send(std::string frame, io::Deadline deadline, sys::Fd body) {
  if (!body && !outbox_.empty() && !outbox_.back().body) outbox_.back().bytes += frame;
  else outbox_.push_back({std::move(frame), std::move(body)});
  if (writing_) co_return true;  // whoever writes now takes it along
  writing_ = true;
  co_await shard_.turn();  // and so do the calls that begin in the same turn: waking the process costs more than all else
  bool sent = true;
  while (sent && !outbox_.empty()) {
    Outgoing next = std::move(outbox_.front());
    outbox_.pop_front();
    auto written = next.body ? co_await stream_->write_with(next.bytes, next.body.get(), deadline) : co_await stream_->write_all(next.bytes, deadline);
    sent = written.has_value();
  }
  writing_ = false;
  co_return sent;
}

io::Task<std::optional<Worker::Started>> Worker::initialize(std::string start, io::Deadline imported, int64_t initializer_us) {
  co_await send(encode_frame({.kind = FrameKind::start}, "", start), imported);
  co_await imported_.wait(imported);
  auto started = co_await started_.wait(imported_us_ == 0 ? imported : io::Deadline{imported_us_ + initializer_us});
  if (!started) {
    process_->kill();
    co_await process_->gone();
  }
  co_return started;
}

io::Task<Reply> Worker::call(Call call) {
  Running running(shard_);
  running.request_id = call.request_id;
  running.began_us = shard_.now_us();
  running.streams = call.streams;
  if (!process_->alive() || stopping_) co_return Reply{.kind = Reply::Kind::not_started};
  if (call.streams && call.streams->body) {
    auto whole = co_await std::exchange(call.streams->body, nullptr)->read_all(kMaxPayloadBytes);
    if (!whole) co_return Reply{.kind = Reply::Kind::handled_error, .body = error_json("the request's body is larger than a function of this runtime takes, or broke off", "InvalidArgument")};
    call.payload = std::move(*whole);
    if (!process_->alive()) co_return Reply{.kind = Reply::Kind::not_started};
  }
  uint32_t number = next_call_++;
  running_[number] = &running;
  process_->begin_call(call.request_id);
  std::string meta = call_meta(call);
  FrameHeader header{.kind = FrameKind::call, .retries = static_cast<uint16_t>(std::clamp(call.retry_count, 0, UINT16_MAX)), .call = number};
  // A failed write is a dead or a late worker; the wait below says which.
  if (takes_memfds_ && call.payload.size() >= kMemfdBytes) {
    co_await send(encode_memfd_frame(header, meta, call.payload.size()), call.deadline, sys::sealed_memfd(call.payload));
  } else {
    co_await send(encode_frame(header, meta, call.payload), call.deadline);
  }
  auto reply = co_await running.reply.wait(call.deadline);
  running_.erase(number);
  if (!reply) {
    process_->kill();
    co_await process_->gone();
    reply = process_->timed_out(running.began_us);
    if (running.pipe) running.pipe->fail(http::BodyError::timed_out);
  }
  reply->memory_bytes = process_->memory_bytes();
  co_return std::move(*reply);
}

io::Task<void> Worker::hook(std::string name, io::Deadline deadline) {
  if (!process_->alive()) co_return;
  Running running(shard_);
  running.began_us = shard_.now_us();
  uint32_t number = next_call_++;
  running_[number] = &running;
  co_await send(encode_frame({.kind = FrameKind::hook, .call = number}, name, ""), deadline);
  (void)co_await running.reply.wait(deadline);
  running_.erase(number);
}

bool Worker::take(Frame frame) {
  switch (frame.header.kind) {
    case FrameKind::reply: return take_reply(std::move(frame));
    case FrameKind::head: return take_head(std::move(frame));
    case FrameKind::chunk: return take_chunk(std::move(frame));
    case FrameKind::failed: return started_.is_set() ? take_last_words(std::move(frame)) : take_started(std::move(frame));
    default: return take_started(std::move(frame));
  }
}

// One imported at most, one ready or failed, then one reply per call: a worker that says more could keep the shard busy for ever.
bool Worker::take_started(Frame frame) {
  if (frame.header.kind == FrameKind::imported && !imported_.is_set()) {
    imported_us_ = shard_.now_us();
    imported_.set();
    return true;
  }
  if (started_.is_set() || (frame.header.kind != FrameKind::ready && frame.header.kind != FrameKind::failed)) return false;
  process_->end_call("");
  imported_.set();
  if (frame.header.kind == FrameKind::failed) {
    started_.set({.failure = std::move(frame.payload)});
    return true;
  }
  auto took_us = static_cast<int64_t>(frame.header.duration_us);
  auto split = parse_json(frame.meta);
  int64_t init_us = split ? std::clamp<int64_t>(int_or(*split, "init_us", 0), 0, took_us) : 0;
  takes_memfds_ = split && bool_or(*split, "memfd");
  started_.set({.ok = true, .import_us = took_us - init_us, .init_us = init_us});
  return true;
}

// The last frame of a process: nothing that comes behind it is read, and it gets no further call.
bool Worker::take_last_words(Frame frame) {
  culprit_ = frame.header.call;
  last_words_ = std::move(frame.payload);
  return false;
}

bool Worker::take_reply(Frame frame) {
  auto found = running_.find(frame.header.call);
  if (found == running_.end()) return false;
  Running& running = *found->second;
  // What a call printed it printed before its reply: frames that came together are behind one look.
  bool looked = std::exchange(looked_, reader_.receives()) == reader_.receives();
  process_->end_call(running.request_id, looked ? Process::Look::done : Process::Look::now);
  int64_t elapsed_us = shard_.now_us() - running.began_us;
  Reply reply;
  bool failed = frame.header.status == FrameStatus::handled_error;
  if (failed) reply.kind = Reply::Kind::handled_error;
  if (running.pipe) failed ? running.pipe->fail(http::BodyError::disconnected) : running.pipe->end();
  bool collected = running.streaming && !running.pipe && !failed;  // streamed to a caller who wants it whole
  reply.body = collected ? std::move(running.pieces) : std::move(frame.payload);
  reply.http = collected ? std::move(running.http) : std::move(frame.meta);
  reply.run_us = std::clamp<int64_t>(static_cast<int64_t>(frame.header.duration_us), 0, elapsed_us);  // the worker's word, within what we saw
  if (running.opened_us != 0) {
    reply.reply_us = shard_.now_us() - running.opened_us;
    reply.run_us = std::max<int64_t>(0, reply.run_us - reply.reply_us);
  }
  running.reply.set(std::move(reply));
  running_.erase(found);
  return true;
}

bool Worker::take_head(Frame frame) {
  auto found = running_.find(frame.header.call);
  if (found == running_.end() || found->second->streaming) return false;
  Running& running = *found->second;
  running.streaming = true;
  if (running.streams && running.streams->opened) {
    running.pipe = http::BodyPipe::make(shard_);
    running.opened_us = shard_.now_us();
    std::exchange(running.streams->opened, nullptr)({.http = std::move(frame.meta), .body = running.pipe->reader(), .tunnel = nullptr});
  } else {
    running.http = std::move(frame.meta);
  }
  return true;
}

bool Worker::take_chunk(Frame frame) {
  auto found = running_.find(frame.header.call);
  if (found == running_.end() || !found->second->streaming) return false;
  Running& running = *found->second;
  if (running.pipe) {
    running.pipe->push(std::move(frame.payload));
    full_ = running.pipe;
    return true;
  }
  running.pieces += frame.payload;
  return running.pieces.size() <= kMaxPayloadBytes;
}

io::Task<void> Worker::read_frames(std::shared_ptr<Worker> self) {
  while (true) {
    auto frame = self->reader_.cut(*self->stream_);
    if (!frame) frame.emplace(co_await self->reader_.next(*self->stream_));
    if (!*frame || !self->take(std::move(**frame))) break;
    // A client that reads slowly holds up this worker's frames, not the server's memory.
    if (auto full = std::exchange(self->full_, nullptr)) (void)co_await full->room();
  }
  self->process_->kill();  // a stream may end before its process
  co_await self->process_->gone();
  self->ended();
}

// Wakes the reader of frames, should it wait for a client.
void Worker::break_off() {
  for (auto& [number, running] : running_)
    if (running->pipe) running->pipe->fail(http::BodyError::disconnected);
}

void Worker::ended() {
  started_.set({});
  imported_.set();
  for (auto& [number, running] : std::exchange(running_, {})) {
    Reply reply = process_->death(running->began_us);
    if (reply.kind == Reply::Kind::died && (culprit_ == 0 || culprit_ == number)) reply.last_words = last_words_;
    running->reply.set(std::move(reply));
  }
  stream_->close();
}

io::Task<void> Worker::stop(io::Deadline deadline) {
  if (!stopping_ && process_->alive()) {
    stopping_ = true;
    stream_->shutdown_write();  // the polite end: it reads no further call
    if (co_await process_->gone(deadline) == io::Wait::timed_out) process_->kill();
  }
  co_await process_->gone();
}

}  // namespace mayfly::runtime
