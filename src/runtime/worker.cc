#include "runtime/worker.h"

#include <algorithm>

#include "base/json.h"
#include "sys/memfd.h"

namespace mayfly::runtime {
namespace {

constexpr std::string_view kInitialize = "Initialize";

size_t size_of(const auth::Credentials& keys) { return keys.access_key_id.size() + keys.access_key_secret.size() + keys.security_token.size() + 2; }

void append(std::string& meta, const auth::Credentials& keys) {
  meta.append(keys.access_key_id).push_back('\0');
  meta.append(keys.access_key_secret).push_back('\0');
  meta.append(keys.security_token);
}

std::string call_meta(const Call& call) {
  std::string meta;
  meta.reserve(call.request_id.size() + size_of(call.credentials) + call.http.size() + 2);
  meta.append(call.request_id).push_back('\1');
  append(meta, call.credentials);
  meta.push_back('\1');
  meta.append(call.http);
  return meta;
}

std::string hook_meta(std::string_view name, const std::string& request_id, const auth::Credentials& credentials) {
  std::string meta = fmt::format("{}\1{}\1", name, request_id);
  append(meta, credentials);
  return meta;
}

}  // namespace

Worker::Worker(io::Shard& shard, std::shared_ptr<Process> process, sys::Fd frames)
    : shard_(shard), process_(std::move(process)), moved_(std::make_shared<io::Signal>(shard)), started_(shard), imported_(shard) {
  stream_ = shard.adopt_passing_stream(std::move(frames), process_->id());
  process_->at_end([this] { break_off(); });
}

io::Task<void> Worker::send(std::string frame, io::Deadline deadline, sys::Fd body) {
  if (!body && !outbox_.empty() && !outbox_.back().body) outbox_.back().bytes += frame;
  else outbox_.push_back({std::move(frame), std::move(body)});
  if (writing_) co_return;  // whoever writes now takes it along
  writing_ = true;
  co_await shard_.turn();  // and so do the calls that begin in the same turn: waking the process costs more than all else
  bool sent = true;
  while (sent && !outbox_.empty()) {
    Outgoing next = std::move(outbox_.front());
    outbox_.pop_front();
    auto written = next.body ? co_await stream_->write_with(next.bytes, next.body.get(), deadline) : co_await stream_->write_all(next.bytes, deadline);
    sent = written.has_value();
    if (!sent && written.error() == io::StreamError::timed_out) process_->kill();  // half a frame may have left: no other can follow it
  }
  writing_ = false;
}

io::Task<std::optional<Worker::Started>> Worker::initialize(std::string start, io::Deadline imported, int64_t initializer_us, std::string initializer) {
  initializer_ = std::move(initializer);
  co_await send(encode_frame({.kind = FrameKind::start}, "", start), imported);
  co_await imported_.wait(imported);
  auto started = co_await started_.wait(imported_us_ == 0 ? imported : io::Deadline{imported_us_ + initializer_us});
  if (initializing()) process_->end_hook(kInitialize, initializer_, !started ? "timed out" : started->ok ? "" : error_line(started->failure));
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
  if (!alive() || stopping_) co_return Reply{.kind = Reply::Kind::not_started};
  if (call.streams && call.streams->body) {
    auto whole = co_await std::exchange(call.streams->body, nullptr)->read_all(kMaxPayloadBytes);
    if (!whole) co_return Reply{.kind = Reply::Kind::handled_error, .body = error_json("the request's body is larger than a function of this runtime takes, or broke off", "InvalidArgument")};
    call.payload = std::move(*whole);
    if (!alive()) {
      call.streams->body = http::make_body(std::move(call.payload));  // for another instance
      co_return Reply{.kind = Reply::Kind::not_started};
    }
  }
  uint32_t number = next_call_++;
  running_[number] = &running;
  moved_->set();  // its frames wait for no other call's client
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
  if (!reply) reply = co_await late(number, running);
  reply->memory_bytes = process_->memory_bytes();
  if (spoilt_ && !calls_run()) process_->kill();
  co_return std::move(*reply);
}

io::Task<Reply> Worker::late(uint32_t number, Running& running) {
  running_.erase(number);
  spoilt_ = true;
  if (running.outflow) running.outflow->fail(http::BodyError::timed_out);
  if (calls_run()) {
    given_up_.insert(number);
    process_->end_call(running.request_id);
  } else {
    process_->kill();
    co_await process_->gone();
  }
  co_return process_->timed_out(running.began_us);
}

bool Worker::calls_run() const {
  return std::any_of(running_.begin(), running_.end(), [](const auto& each) { return !each.second->hook; });
}

io::Task<void> Worker::hook(Hook hook, std::string request_id, auth::Credentials credentials, io::Deadline deadline) {
  if (!alive()) co_return;
  Running running(shard_);
  running.hook = true;
  running.began_us = shard_.now_us();
  uint32_t number = next_call_++;
  running_[number] = &running;
  moved_->set();
  bool stop = hook == Hook::pre_stop;
  std::string_view name = stop ? "PreStop" : "PreFreeze";
  process_->begin_hook(name, request_id);
  co_await send(encode_frame({.kind = FrameKind::hook, .call = number}, hook_meta(stop ? "preStop" : "preFreeze", request_id, credentials), ""), deadline);
  auto reply = co_await running.reply.wait(deadline);
  if (!reply) given_up_.insert(number);
  process_->end_hook(name, request_id, !reply ? "timed out" : reply->kind == Reply::Kind::ok ? "" : error_line(reply->body));
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
    if (initializing()) process_->begin_hook(kInitialize, initializer_);
    imported_.set();
    return true;
  }
  if (started_.is_set() || (frame.header.kind != FrameKind::ready && frame.header.kind != FrameKind::failed)) return false;
  if (!initializing()) process_->end_call("");
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
  if (found == running_.end()) return given_up_.erase(frame.header.call) > 0;
  Running& running = *found->second;
  // What a call printed it printed before its reply: frames that came together are behind one look.
  bool looked = std::exchange(looked_, reader_.receives()) == reader_.receives();
  if (!running.hook) process_->end_call(running.request_id, looked ? Process::Look::done : Process::Look::now);
  int64_t elapsed_us = shard_.now_us() - running.began_us;
  bool failed = frame.header.status == FrameStatus::handled_error;
  if (running.outflow) failed ? running.outflow->fail(http::BodyError::disconnected) : running.outflow->end();
  int64_t said_us = static_cast<int64_t>(frame.header.duration_us);
  Reply reply = reply_of(running, std::move(frame));
  reply.run_us = std::clamp<int64_t>(said_us, 0, elapsed_us);  // the worker's word, within what we saw
  if (running.opened_us != 0) {
    reply.reply_us = shard_.now_us() - running.opened_us;
    reply.run_us = std::max<int64_t>(0, reply.run_us - reply.reply_us);
  }
  running.reply.set(std::move(reply));
  running_.erase(found);
  return true;
}

// What the frame that ends a call makes of it.
Reply Worker::reply_of(Running& running, Frame frame) const {
  if (frame.header.status == FrameStatus::handled_error) return {.kind = Reply::Kind::handled_error, .body = std::move(frame.payload), .http = std::move(frame.meta)};
  bool collected = running.streaming && !running.outflow;  // streamed to a caller who wants it whole
  if (!collected) return {.body = std::move(frame.payload), .http = std::move(frame.meta)};
  if (!running.too_large) return {.body = std::move(running.pieces), .http = std::move(running.http)};
  std::string words = fmt::format("the function's answer is larger than {} bytes, which is what this way of calling it can carry", kMaxPayloadBytes);
  return {.kind = Reply::Kind::handled_error, .body = error_json(words, "ResponseTooLarge")};
}

bool Worker::take_head(Frame frame) {
  auto found = running_.find(frame.header.call);
  if (found == running_.end()) return given_up_.contains(frame.header.call);
  if (found->second->streaming) return false;
  Running& running = *found->second;
  running.streaming = true;
  if (running.streams && running.streams->opened) {
    running.outflow = std::make_shared<Outflow>(shard_, moved_);
    running.opened_us = shard_.now_us();
    std::exchange(running.streams->opened, nullptr)({.http = std::move(frame.meta), .body = running.outflow->reader(), .tunnel = nullptr});
  } else {
    running.http = std::move(frame.meta);
  }
  return true;
}

bool Worker::take_chunk(Frame frame) {
  auto found = running_.find(frame.header.call);
  if (found == running_.end()) return given_up_.contains(frame.header.call);
  if (!found->second->streaming) return false;
  Running& running = *found->second;
  if (running.outflow) {
    running.outflow->push(std::move(frame.payload));
    return true;
  }
  running.too_large = running.too_large || running.pieces.size() + frame.payload.size() > kMaxPayloadBytes;
  if (running.too_large) (void)std::exchange(running.pieces, {});
  else running.pieces += frame.payload;
  return true;
}

// Whether all that run wait for clients that read slowly. Then their frames wait too, which holds up the function, not the server's memory;
// a call that waits for none must not wait for the others' (outflow.h).
bool Worker::held_up() const {
  return !running_.empty() && std::all_of(running_.begin(), running_.end(), [](const auto& each) { return each.second->outflow && each.second->outflow->behind(); });
}

io::Task<void> Worker::read_frames(std::shared_ptr<Worker> self) {
  while (true) {
    auto frame = self->reader_.cut(*self->stream_);
    if (!frame) frame.emplace(co_await self->reader_.next(*self->stream_));
    if (!*frame || !self->take(std::move(**frame))) break;
    while (self->held_up()) {
      self->moved_->reset();
      co_await self->moved_->wait();
    }
  }
  self->process_->kill();  // a stream may end before its process
  co_await self->process_->gone();
  self->ended();
}

// Wakes the reader of frames, should it wait for a client.
void Worker::break_off() {
  for (auto& [number, running] : running_)
    if (running->outflow) running->outflow->fail(http::BodyError::disconnected);
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
    process_->stay_awake();
    stream_->shutdown_write();  // the polite end: it reads no further call
    if (co_await process_->gone(deadline) == io::Wait::timed_out) process_->kill();
  }
  co_await process_->gone();
}

}  // namespace mayfly::runtime
