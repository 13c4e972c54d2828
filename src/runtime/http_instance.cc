#include "runtime/http_instance.h"

#include "base/json.h"
#include "http/body_pipe.h"
#include "runtime/frame.h"
#include "runtime/http_contract.h"

namespace mayfly::runtime {
namespace {

// A program that ends closes its connections first: so long its end is waited for before a broken connection is called just that.
constexpr int64_t kEndUs = 500 * kMicrosPerMilli;

// The caller's body, left where it is until it is read: a call that is not started can be given to another instance.
class Borrowed final : public http::Body {
 public:
  explicit Borrowed(std::shared_ptr<Streams> streams) : streams_(std::move(streams)) {}
  io::Task<std::expected<std::optional<std::string>, http::BodyError>> next() override { return streams_->body->next(); }
  std::optional<uint64_t> declared_size() const override { return streams_->body->declared_size(); }

 private:
  std::shared_ptr<Streams> streams_;  // shared with the call
};

// A tunnel that says when nobody uses it any more, and can be closed from this side.
struct TunnelState {
  TunnelState(io::Loop& loop, std::unique_ptr<io::Stream> of) : stream(std::move(of)), ended(loop) {}
  std::unique_ptr<io::Stream> stream;
  io::Signal ended;
};
class Tunnel final : public io::Stream {
 public:
  explicit Tunnel(std::shared_ptr<TunnelState> state) : state_(std::move(state)) {}
  ~Tunnel() override {
    state_->stream->close();
    state_->ended.set();
  }
  io::Task<std::expected<size_t, io::StreamError>> read_some(std::span<char> buffer, io::Deadline deadline) override { return state_->stream->read_some(buffer, deadline); }
  io::Task<std::expected<void, io::StreamError>> write_all(std::string_view data, io::Deadline deadline) override { return state_->stream->write_all(data, deadline); }
  void shutdown_write() override { state_->stream->shutdown_write(); }
  void close() override { state_->stream->close(); }
  std::string peer() const override { return state_->stream->peer(); }

 private:
  std::shared_ptr<TunnelState> state_;  // shared with the call
};

std::string failure_text(const std::string& body, std::string_view type) {
  auto parsed = parse_json(body);
  if (parsed && parsed->is_object() && find(*parsed, "errorMessage")) return body;
  return error_json(body.empty() ? "the function's server answered with an error and no words" : body, type);
}

}  // namespace

HttpInstance::~HttpInstance() { parts_.process->kill(); }  // stopped already, unless its owner gave up

io::Task<Reply> HttpInstance::call(Call call) {
  if (!alive()) co_return Reply{.kind = Reply::Kind::not_started};
  int64_t began_us = parts_.host.shard().now_us();
  ++busy_;
  if (parts_.pre_stop || parts_.pre_freeze) parts_.credentials = call.credentials;
  parts_.process->begin_call(call.request_id);
  Reply reply = co_await exchange(call, began_us);
  parts_.process->end_call(call.request_id);
  --busy_;
  if (reply.kind == Reply::Kind::failed) spoilt_ = true;
  if (reply.memory_bytes == 0) reply.memory_bytes = parts_.process->memory_bytes();
  co_return reply;
}

io::Task<Reply> HttpInstance::exchange(Call& call, int64_t began_us) {
  http::ClientRequest request = request_of(call, parts_.fixed_headers, parts_.contract);
  bool may_stream = call.streams && call.streams->opened;
  request.upgrade = request.upgrade && may_stream;
  if (call.streams && call.streams->body && !request.upgrade) {
    request.stream = std::make_unique<Borrowed>(call.streams);
    request.uploads = &parts_.host.tasks();
  } else {
    request.body = std::move(call.payload);
  }
  auto answer = co_await parts_.client->send(std::move(request), call.deadline);
  if (!answer) co_return co_await no_answer(answer.error(), began_us);
  bool is_event = call.http.empty();
  Verdict verdict = verdict_of(answer->status, answer->headers, is_event, parts_.contract, since(began_us));
  Reply reply{.kind = verdict.kind, .http = std::move(verdict.http), .run_us = since(began_us)};
  if (answer->tunnel) co_return co_await tunnelled(call, std::move(*answer), std::move(reply));
  bool stream = may_stream && !is_event && !answer->arrived && reply.kind == Reply::Kind::ok;
  if (stream) co_return co_await streamed(call, std::move(*answer), std::move(reply), began_us);
  co_return co_await whole(call, std::move(*answer), std::move(reply), began_us);
}

io::Task<Reply> HttpInstance::whole(Call& call, http::ClientResponse answer, Reply reply, int64_t began_us) {
  auto body = co_await answer.body->read_all(kMaxPayloadBytes);
  if (!body && body.error() == http::BodyError::timed_out) co_return co_await late(began_us);
  if (!body && body.error() == http::BodyError::too_large)
    co_return Reply{.kind = Reply::Kind::handled_error, .body = error_json("the function's answer is larger than this way of calling it can carry", "ResponseTooLarge"), .run_us = since(began_us)};
  if (!body) co_return co_await broken(began_us, "the function's server broke off its answer");
  reply.body = std::move(*body);
  reply.run_us = since(began_us);
  if (call.http.empty() && reply.kind != Reply::Kind::ok) reply.body = failure_text(reply.body, "FunctionError");
  co_return reply;
}

io::Task<Reply> HttpInstance::streamed(Call& call, http::ClientResponse answer, Reply reply, int64_t began_us) {
  int64_t opened_us = parts_.host.shard().now_us();
  auto pipe = http::BodyPipe::make(parts_.host.shard(), answer.body->declared_size());
  pipe->on_abandoned([body = answer.body.get()] { body->abandon(); });
  std::exchange(call.streams->opened, nullptr)({.http = std::move(reply.http), .body = pipe->reader(), .tunnel = nullptr});
  reply.http.clear();
  std::optional<http::BodyError> error;
  bool wanted = true;
  while (wanted) {
    auto piece = co_await answer.body->next();
    if (!piece) error = piece.error();
    if (!piece || !*piece) break;
    wanted = pipe->push(std::move(**piece)) && co_await pipe->room();
  }
  pipe->on_abandoned(nullptr);
  wanted = wanted && co_await pipe->room();  // false when it was abandoned while the function was silent
  answer.body.reset();
  int64_t reply_us = since(opened_us);
  if (error && wanted) {
    bool timed_out = *error == http::BodyError::timed_out;
    reply = timed_out ? co_await late(began_us) : co_await broken(began_us, "the function's server broke off its answer");
    reply.http.clear();
    reply.body.clear();
    pipe->fail(*error);
  } else {
    pipe->end();
  }
  reply.run_us = opened_us - began_us;
  reply.reply_us = reply_us;
  co_return reply;
}

io::Task<Reply> HttpInstance::tunnelled(Call& call, http::ClientResponse answer, Reply reply) {
  int64_t opened_us = parts_.host.shard().now_us();
  auto state = std::make_shared<TunnelState>(parts_.host.shard(), std::move(answer.tunnel));
  std::exchange(call.streams->opened, nullptr)({.http = std::move(reply.http), .body = nullptr, .tunnel = std::make_unique<Tunnel>(state)});
  reply.http.clear();
  reply.kind = Reply::Kind::ok;
  if (co_await state->ended.wait(call.deadline) == io::Wait::timed_out) {
    state->stream->close();
    co_await state->ended.wait();  // whoever joined it to the client lets go
  }
  reply.reply_us = since(opened_us);
  co_return reply;
}

io::Task<Reply> HttpInstance::no_answer(http::ClientError error, int64_t began_us) {
  switch (error) {
    case http::ClientError::connect_failed: {
      // Nothing has left. If the program has not ended either, it has stopped listening.
      if (co_await parts_.process->gone(io::Deadline::after_us(parts_.host.shard(), kEndUs)) == io::Wait::timed_out) spoilt_ = true;
      co_return Reply{.kind = Reply::Kind::not_started};
    }
    case http::ClientError::timed_out: co_return co_await late(began_us);
    case http::ClientError::body_failed:
      co_return Reply{.kind = Reply::Kind::handled_error, .body = error_json("the request's body broke off", "InvalidArgument"), .run_us = since(began_us)};
    case http::ClientError::malformed: co_return co_await broken(began_us, "the function's server answered what is not HTTP, or more than is allowed");
    case http::ClientError::disconnected: co_return co_await broken(began_us, "the function's server closed the connection without an answer");
  }
  std::unreachable();
}

io::Task<Reply> HttpInstance::broken(int64_t began_us, std::string what) {
  if (co_await parts_.process->gone(io::Deadline::after_us(parts_.host.shard(), kEndUs)) == io::Wait::done) co_return parts_.process->death(began_us);
  co_return Reply{.kind = Reply::Kind::failed, .body = error_json(what, "InvalidFunctionResponse"), .run_us = since(began_us)};
}

io::Task<Reply> HttpInstance::late(int64_t began_us) {
  Reply reply = late_reply(parts_.contract, since(began_us));
  if (reply.kind != Reply::Kind::timed_out) co_return reply;
  spoilt_ = true;
  if (busy_ == 1) {
    parts_.process->kill();
    co_await parts_.process->gone();
  }
  co_return parts_.process->timed_out(began_us);
}

io::Task<Expected<void, StartError>> HttpInstance::initialize(const StartContext& context, io::Deadline deadline) {
  std::string request_id = parts_.host.new_request_id();
  parts_.process->begin_hook("Initialize", request_id);
  auto initialized = co_await post_initialize(context, request_id, deadline);
  parts_.process->end_hook("Initialize", request_id, initialized ? "" : initialized.error().code == StartError::timed_out ? "timed out" : "failed");
  co_return initialized;
}

io::Task<Expected<void, StartError>> HttpInstance::post_initialize(const StartContext& context, std::string request_id, io::Deadline deadline) {
  Call call{.request_id = std::move(request_id), .payload = {}, .http = {}, .credentials = context.credentials, .deadline = deadline};
  http::ClientRequest request = request_of(call, parts_.fixed_headers, parts_.contract);
  request.target = "/initialize";
  request.headers.set("x-fc-control-path", "/initialize");
  auto answer = co_await parts_.client->send(std::move(request), deadline);
  std::string words;
  if (answer) {
    auto body = co_await answer->body->read_all(kMaxPayloadBytes);
    bool good = body && verdict_of(answer->status, answer->headers, true, parts_.contract, 0).kind == Reply::Kind::ok;
    if (good) co_return Expected<void, StartError>{};
    words = failure_text(body.value_or(""), "InitializerError");
  } else if (answer.error() == http::ClientError::timed_out) {
    co_return fail(StartError::timed_out, fmt::format("Function initialization timed out after {} seconds: POST /initialize has not been answered",
                                                      functions::initialization_limit_s(context.runnable->function)));
  } else {
    words = error_json("the function's server gave no answer to POST /initialize", "InitializerError");
    if (co_await parts_.process->gone(io::Deadline::after_us(parts_.host.shard(), kEndUs)) == io::Wait::done) words.clear();
  }
  co_return std::unexpected(failed_start(*parts_.process, context.runnable->function, std::move(words)));
}

io::Task<void> HttpInstance::run(std::string_view name, std::string path, functions::Hook hook) {
  auto& shard = parts_.host.shard();
  std::string id = parts_.host.new_request_id();
  http::ClientRequest request = hook_request(path, id, parts_.credentials, parts_.fixed_headers);
  parts_.process->begin_hook(name, id);
  auto answer = co_await parts_.client->send(std::move(request), io::Deadline::after_us(shard, hook.timeout_s * kMicrosPerSecond));
  std::string error;
  if (!answer) error = answer.error() == http::ClientError::timed_out ? "timed out" : "no answer";
  else if (answer->status >= 400) error = fmt::format("answered {}", answer->status);
  if (answer) (void)co_await answer->body->read_all(kMaxPayloadBytes);
  parts_.process->end_hook(name, id, error);
}

io::Task<void> HttpInstance::freeze() {
  if (parts_.pre_freeze && alive() && busy_ == 0) co_await run("PreFreeze", "/pre-freeze", *parts_.pre_freeze);
  if (busy_ == 0) parts_.process->freeze();
}

// The hook has a time of its own, beyond the grace of the end.
io::Task<void> HttpInstance::stop(io::Deadline deadline) {
  auto& process = *parts_.process;
  auto& shard = parts_.host.shard();
  process.stay_awake();
  if (auto hook = std::exchange(parts_.pre_stop, std::nullopt); hook && alive() && busy_ == 0) {
    int64_t grace_us = deadline.at_us - shard.now_us();
    co_await run("PreStop", "/pre-stop", *hook);
    deadline = io::Deadline::after_us(shard, std::max<int64_t>(0, grace_us));
  }
  if (process.alive()) {
    process.terminate();
    if (co_await process.gone(deadline) == io::Wait::timed_out) process.kill();
  }
  co_await process.gone();
}

}  // namespace mayfly::runtime
