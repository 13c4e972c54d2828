// The calls of a pool: in line, on an instance, answered.

#include "dispatch/pool.h"

#include <algorithm>

#include "dispatch/outcomes.h"
#include "sys/fault.h"

namespace mayfly::dispatch {
namespace {

Failure<InvokeError> cancelled_failure() { return {InvokeError::cancelled, "the invocation was stopped on request", {}}; }

Failure<InvokeError> why_killed(const Slot& slot, const Invocation& invocation) {
  if (invocation.watch && invocation.watch->cancelled()) return cancelled_failure();
  if (slot.cancelled)
    return {InvokeError::unavailable, "the instance was ended because another invocation on it was stopped on request", "it may have run in part; try again", 1};
  return {InvokeError::stopping, "the server shut down while the function was running", "it may have run in part; try again once the server is back"};
}

}  // namespace

// A call's presence in a pool.
class Pool::Visit {
 public:
  explicit Visit(Pool& pool) : pool_(pool) {
    ++pool_.users_;
    pool_.arrived();
  }
  Visit(const Visit&) = delete;
  ~Visit() {
    pool_.departed();
    --pool_.users_;
  }

 private:
  Pool& pool_;
};

Pool::Pool(PoolContext& context, FunctionState& state, std::shared_ptr<const functions::Runnable> runnable, Limits limits)
    : context_(context), state_(state), past_(state.past[runnable->qualifier]), patience_(state.patience[runnable->qualifier]), runnable_(std::move(runnable)) {
  set_limits(std::move(limits));
}

Pool::~Pool() {
  MAYFLY_CHECK(empty());
  for (io::Loop::TimerId* timer : {&retry_timer_, &tick_timer_, &prewarm_timer_, &patience_timer_, &watch_timer_}) disarm(*timer);
}

void Pool::arrived() {
  last_used_us_ = context_.loop.now_us();
  if (int64_t since_us = std::exchange(past_.idle_since_us, -1); since_us >= 0) past_.habits.idled(last_used_us_ - since_us);
  disarm(prewarm_timer_);
  ++in_flight_;
  if (!scaler_) return;
  scaler_->arrived(last_used_us_);
  scaler_->in_flight_is(in_flight_, last_used_us_);
  scale();
}

void Pool::departed() {
  last_used_us_ = context_.loop.now_us();
  --in_flight_;
  if (scaler_) scaler_->in_flight_is(in_flight_, last_used_us_);
  if (in_flight_ > 0) return;
  past_.idle_since_us = last_used_us_;
  went_idle();
}

// The line became shorter.
void Pool::line_moved() {
  if (!crowded_ || line_.size() * 4 > line_.capacity() * 3) return;
  crowded_ = false;
  context_.crowd.relaxed(Crowd::name_of(*runnable_));
}

Grant Pool::refusal(InvokeError code, std::string message, std::string hint) {
  ++counters_.throttled;
  return {.failure = {code, std::move(message), std::move(hint), line_.retry_after_s(context_.loop.now_us())}};
}

Grant Pool::overflow() {
  Grant grant = scaler_rules() ? refusal(InvokeError::exhausted, "pending request queue full", fmt::format("{} calls of {} are waiting", line_.size(), name()))
                               : refusal(InvokeError::throttled, fmt::format("{} calls of {} are waiting already", line_.size(), name()),
                                         "call less often, or asynchronously");
  bool by_count = line_.size() >= line_.capacity();  // else it is the node's memory, and a smaller call may find room
  if (by_count && !std::exchange(crowded_, true))
    context_.crowd.full(Crowd::name_of(*runnable_), grant.failure);
  return grant;
}

// What a call is answered while nothing may be started for it and nothing runs that could take it.
std::optional<Grant> Pool::suspended() const {
  int64_t now_us = context_.loop.now_us();
  if (!guard_.suspended(now_us) || ready() > 0 || starting_ > 0) return std::nullopt;
  int64_t left_us = guard_.until_us() - now_us, at_us = context_.loop.clock().wall_us() + left_us;
  return Grant{.failure = {unsupported_ ? InvokeError::invalid : InvokeError::unavailable,
                           fmt::format("{} is suspended until {} after {} failures in a row: {}", name(), iso8601_ms(at_us), guard_.failures(), guard_.why()),
                           "the next attempt is made then; a new version of the function is tried at once",
                           std::max<int64_t>(1, (left_us + kMicrosPerSecond - 1) / kMicrosPerSecond)}};
}

void Pool::refuse_if_suspended() {
  if (auto refused = suspended()) refuse_waiting(refused->failure);
}

std::optional<Grant> Pool::without_waiting(const Errand& errand) {
  const std::shared_ptr<CallWatch>& watch = errand.invocation.watch;
  if (watch && watch->cancelled()) return Grant{.failure = cancelled_failure()};
  if (Slot* slot = line_.first(errand.ticket) ? take_free() : nullptr) return Grant{.kind = Grant::Kind::slot, .slot = slot};
  return suspended();
}

io::Task<Grant> Pool::acquire(Errand& errand) {
  Waiter waiter(context_.loop, errand.ticket, errand.invocation.payload.size());
  if (!line_.enter(waiter, errand.admitted)) co_return overflow();
  errand.admitted = true;
  consider();
  CallWatch::Guard guard(errand.invocation.watch, context_.loop, [this, &waiter] {
    if (waiter.grant) return;
    line_.leave(waiter);
    waiter.grant = Grant{.failure = cancelled_failure()};
    waiter.ready.set();
  });
  co_await waiter.ready.wait(errand.deadline);
  if (!waiter.grant) line_.leave(waiter);
  line_moved();
  if (waiter.grant) co_return std::move(*waiter.grant);
  int64_t waited_ms = (context_.loop.now_us() - errand.asked_us) / kMicrosPerMilli;
  const char* hint = "raise the limit of instances per function";
  if (starting_ > 0) hint = "an instance is still starting: keep one ready (a provisioned instance), or give calls more time";
  else if (slots_.size() < instance_limit()) hint = context_.budget.starved() ? "the memory budget of this machine is in use" : "its autoscaler wants no more instances";
  co_return refusal(InvokeError::exhausted,
                    fmt::format("no instance of {} became free in time (queued {} ms, which was all it had): {} run, {} are starting, {} calls are waiting", name(),
                                waited_ms, slots_.size(), starting_, line_.size()),
                    hint);
}

io::Task<std::optional<Expected<Outcome, InvokeError>>> Pool::run(Errand& errand) {
  Visit visit(*this);
  while (true) {
    auto at_once = without_waiting(errand);
    Grant grant = at_once ? std::move(*at_once) : co_await acquire(errand);
    if (grant.kind == Grant::Kind::moved) co_return std::nullopt;
    if (grant.kind == Grant::Kind::refused) co_return std::unexpected(std::move(grant.failure));
    Served served;
    if (grant.kind == Grant::Kind::outcome) {
      served.outcome = std::move(grant.outcome);
      fit_start(served.outcome.phases, context_.loop.now_us() - errand.asked_us);
    } else {
      served = co_await serve(std::move(grant), errand);
      if (!served.taken && !served.cut_short) {
        if (draining_ || closing_) co_return std::nullopt;
        continue;  // its ticket takes it back to its place
      }
    }
    co_return finish(errand, std::move(served));
  }
}

Expected<Outcome, InvokeError> Pool::finish(const Errand& errand, Served served) {
  Outcome& outcome = served.outcome;
  outcome.version = runnable_->version;
  outcome.code_checksum = runnable_->function.code.checksum;
  ++counters_.invocations;
  if (outcome.cold) ++counters_.cold_starts;
  if (outcome.kind != Outcome::Kind::ok && !served.cut_short) {
    ++counters_.errors;
    counters_.last_error = outcome.body.substr(0, kLogTailBytes);
  }
  context_.observer.finished(errand.invocation, outcome, errand.asked_wall_us);
  if (served.cut_short) return std::unexpected(std::move(*served.cut_short));
  return std::move(outcome);
}

io::Task<Pool::Served> Pool::serve(Grant grant, const Errand& errand) {
  Slot* slot = grant.slot;
  const Invocation& invocation = errand.invocation;
  int64_t began_us = slot->moved_us = context_.loop.now_us();
  Tail tail{invocation.request_id, grant.cold && slot->start_log ? *slot->start_log : std::string()};
  tails_.push_back(&tail);
  slot->start_log.reset();
  runtime::Call call{.request_id = invocation.request_id, .payload = invocation.payload, .http = invocation.http, .retry_count = invocation.retry_count,
                     .credentials = context_.credentials.get(*runnable_),
                     .deadline = io::Deadline::after_us(context_.loop, runnable_->function.timeout_s * kMicrosPerSecond), .streams = invocation.streams};
  context_.observer.started(invocation, slot->instance->id());
  if (invocation.watch) invocation.watch->started(slot->instance->id());
  CallWatch::Guard guard(invocation.watch, context_.loop, [this, slot] {
    slot->cancelled = true;
    kill_slot(slot);
  });
  runtime::Reply reply{.kind = runtime::Reply::Kind::died};
  try {
    reply = co_await slot->instance->call(std::move(call));
  } catch (const sys::Fault&) {  // of the machine: it concerns one instance, not the server
  }
  runtime::Reply::Kind kind = reply.kind;
  Phases phases;
  if (grant.cold) phases = start_phases(slot->instance->phases());
  phases.queued_us = std::max<int64_t>(0, began_us - errand.asked_us - phases.start_us());
  Served served{.outcome = finished_call(std::move(reply), phases, runnable_->function), .taken = kind != runtime::Reply::Kind::not_started};
  served.outcome.cold = grant.cold;
  std::erase(tails_, &tail);
  served.outcome.log_tail = std::move(tail.text);
  served.outcome.instance_id = slot->instance->id();
  if (slot->killed && served.outcome.kind == Outcome::Kind::unhandled_error) {
    served.cut_short = why_killed(*slot, invocation);
    served.outcome.body = to_text(json::object{{"errorMessage", served.cut_short->message}, {"errorType", "InvocationEnded"}});
  }
  account_for(slot, kind, began_us, served);
  co_return served;
}

// What a call's end says about its instance and about the function.
void Pool::account_for(Slot* slot, runtime::Reply::Kind kind, int64_t began_us, const Served& served) {
  using Kind = runtime::Reply::Kind;
  slot->moved_us = context_.loop.now_us();
  if (served.taken) patience_.ran(slot->moved_us - began_us);
  if (kind == Kind::ok || kind == Kind::handled_error) {
    guard_.answered();
  } else {
    slot->retired = true;
    bool crashed = kind == Kind::died || kind == Kind::out_of_memory || kind == Kind::not_started;
    if (crashed && !slot->killed && !draining_)
      guard_.failed(CrashGuard::Cause::call, began_us, context_.loop.now_us(), crash_reason(served.outcome.body, served.outcome.log_tail), context_.rng);
  }
  if (!slot->instance->alive()) slot->retired = true;
  slot->calls += served.taken;
  if (served.outcome.memory_bytes > 0) slot->memory_bytes = served.outcome.memory_bytes;
  --slot->busy;
  release(slot);
  refuse_if_suspended();
}

void Pool::refuse_waiting(const Failure<InvokeError>& failure) {
  while (line_.grant_front({.failure = failure}, context_.loop.now_us())) {}
}

void Pool::printed(const std::string& instance, const std::string& request_id, std::string text) {
  for (Tail* tail : tails_)
    if (tail->request_id == request_id) keep_tail(tail->text, text);
  context_.observer.printed({runnable_->service.name, runnable_->function.name, runnable_->qualifier}, request_id, instance, std::move(text));
}

}  // namespace mayfly::dispatch
