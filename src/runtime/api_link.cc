#include "runtime/api_link.h"

#include "base/encoding.h"
#include "runtime/api_http.h"
#include "runtime/frame.h"

namespace mayfly::runtime {
namespace {

constexpr std::string_view kErrorType = "Lambda-Runtime-Function-Error-Type";
constexpr int64_t kDeathNoticeUs = 200 * kMicrosPerMilli;  // between the end of a program's connections and the news of its end

std::string_view prefix_of(Contract contract) {
  switch (contract) {
    case Contract::fc: return "/2020-11-11/runtime/";
    case Contract::lambda: return "/2018-06-01/runtime/";
    default: return "/runtime/";
  }
}

std::string_view name_of(CallType hook) {
  switch (hook) {
    case CallType::initializer: return "Initialize";
    case CallType::pre_stop: return "PreStop";
    default: return "PreFreeze";
  }
}

http::Response wrong_method(std::string allowed) {
  auto response = api_refused(405, "MethodNotAllowed", fmt::format("this path of the runtime API takes {}", allowed));
  response.headers.add("Allow", std::move(allowed));
  return response;
}

}  // namespace

ApiLink::ApiLink(io::Shard& shard, StartContext context, Contract contract, std::shared_ptr<Process> process)
    : shard_(shard), context_(std::move(context)), contract_(contract), process_(std::move(process)), started_(shard) {}

Reply ApiLink::failed(int scf_code, std::string_view type, std::string_view message) const {
  return {.kind = Reply::Kind::handled_error, .body = own_error(contract_, scf_code, type, message)};
}

io::Task<std::optional<Reply>> ApiLink::run(Call call, CallType type) {
  auto job = std::make_shared<Job>(shard_, std::move(call), type);
  if (ended_ || !alive()) co_return Reply{.kind = Reply::Kind::not_started};
  process_->thaw();  // it may have yet to ask
  waiting_.push_back(job);
  hand_out();
  auto reply = co_await job->reply.wait(job->call.deadline);
  if (reply) co_return reply;
  std::erase(waiting_, job);
  if (holds(job)) {
    running_.erase(job->call.request_id);
    if (type != CallType::handle) process_->end_hook(name_of(type), job->call.request_id, "timed out");
    else if (calls_run()) process_->end_call(job->call.request_id);  // else it is killed, and what it prints until then is this call's
  }
  if (job->stream) job->stream->fail(http::BodyError::timed_out);
  co_return std::nullopt;
}

io::Task<Reply> ApiLink::call(Call call) {
  if (!alive()) co_return Reply{.kind = Reply::Kind::not_started};
  if (call.streams && call.streams->body) {
    auto whole = co_await std::exchange(call.streams->body, nullptr)->read_all(kMaxPayloadBytes);
    if (!whole) co_return failed(406, "InvalidArgument", "the request's body is larger than a function of this runtime takes, or broke off");
    call.payload = std::move(*whole);
  }
  if (!call.http.empty() && contract_ != Contract::fc) call.payload = http_event(contract_, context_, call, shard_.clock().wall_us());
  int64_t began_us = shard_.now_us();
  std::string id = call.request_id;
  auto reply = co_await run(std::move(call), CallType::handle);
  if (!reply) reply = co_await late(std::move(id), began_us);
  reply->memory_bytes = process_->memory_bytes();
  if (spoilt_ && !calls_run()) process_->kill();
  co_return std::move(*reply);
}

io::Task<Reply> ApiLink::late(std::string id, int64_t began_us) {
  spoilt_ = true;
  for (auto& job : std::exchange(waiting_, {})) job->reply.set({.kind = Reply::Kind::not_started});
  if (!calls_run()) {
    process_->kill();
    co_await process_->gone();
  }
  Reply reply = process_->timed_out(began_us);
  word_timeout(contract_, id, context_.runnable->function.timeout_s, shard_.clock().wall_us(), reply);
  co_return reply;
}

bool ApiLink::calls_run() const {
  return std::any_of(running_.begin(), running_.end(), [](const auto& each) { return each.second->type == CallType::handle; });
}

// Calls go to those who asked first; one whose id is running already, as of a caller that repeats itself, waits for it.
void ApiLink::hand_out() {
  while (!polls_.empty()) {
    auto job = std::find_if(waiting_.begin(), waiting_.end(), [this](const JobPtr& each) { return !running_.contains(each->call.request_id); });
    if (job == waiting_.end()) return;
    Poll& poll = *polls_.front();
    polls_.pop_front();
    if (!poll.client->client_gone()) {
      poll.job = std::move(*job);
      waiting_.erase(job);
      poll.job->began_us = shard_.now_us();
      running_[poll.job->call.request_id] = poll.job;
      if (poll.job->type == CallType::handle) process_->begin_call(poll.job->call.request_id);
      else process_->begin_hook(name_of(poll.job->type), poll.job->call.request_id);
    }
    poll.woken.set();
  }
}

// Lets go of polls whose client has gone (a program that polls with a time limit leaves one behind each time), or of all.
void ApiLink::drop_polls(bool all) {
  std::erase_if(polls_, [all](Poll* poll) {
    if (!all && !poll->client->client_gone()) return false;
    poll->woken.set();
    return true;
  });
}

http::Response ApiLink::head_of(Job& job) const {
  int64_t left_us = std::max<int64_t>(0, job.call.deadline.at_us - shard_.now_us());
  if (job.call.deadline.is_never()) left_us = context_.runnable->function.timeout_s * kMicrosPerSecond;
  int64_t deadline_ms = (shard_.clock().wall_us() + left_us) / kMicrosPerMilli;
  std::string payload = contract_ == Contract::scf ? job.call.payload : std::move(job.call.payload);  // SCF's may ask for it again
  return {.headers = call_head(contract_, context_, job.call, job.type, deadline_ms), .body = std::move(payload)};
}

io::Task<http::Response> ApiLink::next(http::Request request) {
  if (contract_ != Contract::scf) started_.set({.ok = true});
  if (contract_ == Contract::scf && !running_.empty()) co_return head_of(*running_.begin()->second);
  if (contract_ == Contract::lambda && !running_.empty())
    co_return api_refused(403, "InvalidStateTransition", "State transition from Running to Ready failed for runtime. Error: State transition is not allowed");
  if (ended_) co_return api_refused(503, "InstanceEnding", "this instance gets no more calls");
  drop_polls(false);
  Poll poll(shard_, request.body.get());
  polls_.push_back(&poll);
  hand_out();
  co_await poll.woken.wait();
  if (!poll.job) co_return api_refused(503, "InstanceEnding", "this instance gets no more calls");
  co_return head_of(*poll.job);
}

bool ApiLink::holds(const JobPtr& job) const {
  auto found = running_.find(job->call.request_id);
  return found != running_.end() && found->second == job;
}

http::Response ApiLink::not_held(const std::string& id) const {
  if (contract_ == Contract::scf) return api_refused(400, "InvalidRequest", "no event is being handled: it has been answered, or none was asked for");
  if (contract_ == Contract::lambda && id == last_id_)
    return api_refused(403, "InvalidStateTransition", "State transition from Ready to InvocationResponse failed for runtime. Error: State transition is not allowed");
  if (contract_ == Contract::lambda) return api_refused(400, "InvalidRequestID", "Invalid request ID");
  const char* why = id == last_id_ ? "it has been answered" : "it is unknown, or was answered or ended before";
  return api_refused(404, "InvalidRequestID", fmt::format("no invocation \"{}\" is running here: {}", to_utf8(id), why));
}

std::expected<ApiLink::JobPtr, http::Response> ApiLink::claim(const std::string& id) {
  auto found = contract_ == Contract::scf ? running_.begin() : running_.find(id);
  if (found == running_.end()) return std::unexpected(not_held(id));
  if (found->second->answering)
    return std::unexpected(api_refused(contract_ == Contract::lambda ? 403 : 400, "InvalidStateTransition", "this invocation is being answered already"));
  found->second->answering = true;
  return found->second;
}

void ApiLink::finish(const JobPtr& job, Reply reply) {
  running_.erase(job->call.request_id);
  last_id_ = job->call.request_id;
  if (job->type == CallType::handle) process_->end_call(last_id_);
  else process_->end_hook(name_of(job->type), last_id_, reply.kind == Reply::Kind::ok ? "" : error_line(reply.body));
  reply.run_us = shard_.now_us() - job->began_us;
  job->reply.set(std::move(reply));
  hand_out();  // one of the same id may wait
}

http::Response ApiLink::too_large(const JobPtr& job, size_t limit) {
  std::string_view type = contract_ == Contract::lambda ? "Function.ResponseSizeTooLarge" : "ResponseTooLarge";
  finish(job, failed(407, type, fmt::format("Response payload size exceeded maximum allowed payload size ({} bytes).", limit)));
  return api_refused(413, "RequestEntityTooLarge", fmt::format("Exceeded maximum allowed payload size ({} bytes).", limit));
}

// A body that broke off may be sent again; one that is too large ends the call.
http::Response ApiLink::broken(const JobPtr& job, http::BodyError error, size_t limit) {
  if (error == http::BodyError::too_large) return too_large(job, limit);
  job->answering = false;
  return api_refused(400, "InvalidRequest", "the body broke off or is malformed");
}

Reply ApiLink::reply_of(const Job& job, std::string body, const http::Request& request) const {
  if (contract_ == Contract::lambda)
    if (auto error = trailing_error(request.body->trailers())) return {.kind = Reply::Kind::handled_error, .body = std::move(*error)};
  if (job.call.http.empty()) return {.body = std::move(body)};
  if (contract_ == Contract::fc) {
    const std::string* params = request.headers.find("x-fc-http-params");
    if (!params) return {.body = std::move(body), .http = plain_http("application/octet-stream")};
    auto http = fc_http_answer(*params);
    if (!http) return failed(403, "InvalidResponse", "the x-fc-http-params of the function's answer are not base64 of JSON {status, headersMap}");
    return {.body = std::move(body), .http = std::move(*http)};
  }
  auto result = http_result(std::move(body));
  if (!result) return failed(403, "InvalidResponse", "the function's result has a statusCode, but statusCode, headers and body make no HTTP response");
  return {.body = std::move(result->body), .http = std::move(result->http)};
}

io::Task<http::Response> ApiLink::take_response(std::string id, http::Request request) {
  auto job = claim(id);
  if (!job) co_return std::move(job.error());
  bool streaming = contract_ == Contract::lambda && (equals_ignore_case(request.headers.get("Lambda-Runtime-Function-Response-Mode"), "streaming") ||
                                                     equals_ignore_case(request.headers.get("Content-Type"), kPreludeType));
  if (streaming) co_return co_await take_stream(*job, std::move(request));
  auto body = co_await request.body->read_all(max_reply_bytes(contract_));
  if (!holds(*job)) co_return not_held(id);
  if (!body) co_return broken(*job, body.error(), max_reply_bytes(contract_));
  finish(*job, reply_of(**job, std::move(*body), request));
  co_return api_accepted(contract_);
}

io::Task<http::Response> ApiLink::take_stream(JobPtr job, http::Request request) {
  job->stream = std::make_shared<StreamedReply>(shard_, job->call.streams, !job->call.http.empty(), request.headers.get("Content-Type"));
  auto stream = job->stream;
  while (true) {
    auto piece = co_await request.body->next();
    if (!holds(job)) co_return not_held(job->call.request_id);
    if (!piece) {
      // The end of a connection is often the end of its program, which is the better thing to tell and is known a little later.
      (void)co_await process_->gone(io::Deadline::after_us(shard_, kDeathNoticeUs));
      if (!holds(job)) co_return not_held(job->call.request_id);
      stream->fail(http::BodyError::disconnected);
      finish(job, failed(403, "Runtime.TruncatedResponse", "the function's streamed reply broke off"));
      co_return api_refused(400, "InvalidRequest", "the body broke off or is malformed");
    }
    if (!*piece) break;
    auto added = co_await stream->add(std::move(**piece));
    if (!holds(job)) co_return not_held(job->call.request_id);
    if (added == StreamedReply::Added::too_large) co_return too_large(job, kMaxPayloadBytes);
    if (added == StreamedReply::Added::malformed) {
      finish(job, failed(403, "Runtime.InvalidResponse", "the streamed reply does not begin with a prelude of JSON and eight zero bytes"));
      co_return api_refused(400, "InvalidRequest", "the prelude is malformed");
    }
  }
  finish(job, stream->end(request.body->trailers()));
  co_return api_accepted(contract_);
}

io::Task<http::Response> ApiLink::take_error(std::string id, http::Request request) {
  auto job = claim(id);
  if (!job) co_return std::move(job.error());
  auto body = co_await request.body->read_all(kMaxErrorBytes);
  if (!holds(*job)) co_return not_held(id);
  if (!body) co_return broken(*job, body.error(), kMaxErrorBytes);
  finish(*job, {.kind = Reply::Kind::handled_error, .body = reported_error(contract_, std::move(*body), request.headers.get(kErrorType))});
  co_return api_accepted(contract_);
}

io::Task<http::Response> ApiLink::take_init_error(http::Request request) {
  auto body = co_await request.body->read_all(kMaxErrorBytes);
  if (!body) co_return api_refused(body.error() == http::BodyError::too_large ? 413 : 400, "InvalidRequest", "the body is too large, broke off or is malformed");
  if (started_.is_set()) co_return api_refused(403, "InvalidStateTransition", "State transition from Ready to InitError failed for runtime. Error: State transition is not allowed");
  started_.set({.failure = reported_error(contract_, std::move(*body), request.headers.get(kErrorType))});
  co_return api_accepted(contract_);
}

http::Response ApiLink::take_ready() {
  started_.set({.ok = true});
  return api_accepted(contract_);
}

io::Task<http::Response> ApiLink::answer(http::Request request) {
  std::string_view prefix = prefix_of(contract_);
  std::string path = request.raw_path.starts_with(prefix) ? request.raw_path.substr(prefix.size()) : "";
  bool get = request.method == "GET", post = request.method == "POST";
  if (path == "invocation/next") co_return get ? co_await next(std::move(request)) : wrong_method("GET");
  if (contract_ == Contract::scf && path == "init/ready") co_return post ? take_ready() : wrong_method("POST");
  if (contract_ == Contract::lambda && path == "init/error") co_return post ? co_await take_init_error(std::move(request)) : wrong_method("POST");
  std::string id, what = path;
  if (contract_ != Contract::scf) {
    size_t from = std::string_view("invocation/").size(), slash = path.rfind('/');
    if (path.starts_with("invocation/") && slash > from) {
      id = path.substr(from, slash - from);
      what = "invocation" + path.substr(slash);
    } else {
      what.clear();
    }
  }
  if (what == "invocation/response") co_return post ? co_await take_response(std::move(id), std::move(request)) : wrong_method("POST");
  if (what == "invocation/error") co_return post ? co_await take_error(std::move(id), std::move(request)) : wrong_method("POST");
  co_return api_refused(404, "NotFound", fmt::format("the runtime API has no {} {}: it is at {}invocation/next", request.method, to_utf8(request.raw_path), prefix));
}

void ApiLink::ended() {
  ended_ = true;
  started_.set({});
  drop_polls(true);
  for (auto& [id, job] : std::exchange(running_, {})) {
    if (job->stream) job->stream->fail(http::BodyError::disconnected);
    Reply reply = process_->death(job->began_us);
    word_death(contract_, id, reply);
    job->reply.set(std::move(reply));
  }
  for (auto& job : std::exchange(waiting_, {})) job->reply.set({.kind = Reply::Kind::not_started});
}

}  // namespace mayfly::runtime
