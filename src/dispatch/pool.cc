#include "dispatch/pool.h"

#include <algorithm>

#include "dispatch/outcomes.h"
#include "sys/fault.h"

namespace mayfly::dispatch {
namespace {

void keep_tail(std::string& tail, std::string_view text) {
  tail.append(text);
  if (tail.size() > kLogTailBytes) tail.erase(0, tail.size() - kLogTailBytes);
}

// Counts a coroutine in and out of a pool.
class Use {
 public:
  explicit Use(size_t& users) : users_(users) { ++users_; }
  Use(const Use&) = delete;
  ~Use() { --users_; }

 private:
  size_t& users_;
};

// Python's bridge runs one call at a time whatever the function allows.
size_t concurrency_of(const functions::Function& function) {
  if (function.runtime.starts_with("python")) return 1;
  return static_cast<size_t>(std::max<int64_t>(1, function.instance_concurrency));
}

// A fault of the machine while starting or calling concerns one instance, not the server.
io::Task<Expected<std::unique_ptr<runtime::Instance>, runtime::StartError>> start_safely(runtime::InstanceFactory& factory, runtime::StartContext start) {
  try {
    co_return co_await factory.start(std::move(start));
  } catch (const sys::Fault& fault) {
    co_return fail(runtime::StartError::sandbox, fault.what());
  }
}

io::Task<runtime::Reply> call_safely(runtime::Instance& instance, runtime::Call call) {
  try {
    co_return co_await instance.call(std::move(call));
  } catch (const sys::Fault&) {
    co_return runtime::Reply{.kind = runtime::Reply::Kind::died};
  }
}

Failure<InvokeError> cancelled_failure() { return {InvokeError::cancelled, "the invocation was stopped on request", {}}; }

Failure<InvokeError> why_killed(const Pool::Slot& slot, const Invocation& invocation) {
  if (invocation.watch && invocation.watch->cancelled()) return cancelled_failure();
  if (slot.cancelled)
    return {InvokeError::unavailable, "the instance was ended because another invocation on it was stopped on request", "it may have run in part; try again"};
  return {InvokeError::stopping, "the server shut down while the function was running", "it may have run in part; try again once the server is back"};
}

}  // namespace

struct Pool::Waiter {
  explicit Waiter(io::Loop& loop) : ready(loop) {}
  io::Signal ready;
  std::optional<Grant> grant;
};

Pool::Pool(PoolContext& context, Counters& counters, std::shared_ptr<const functions::Runnable> runnable)
    : context_(context), counters_(counters), runnable_(std::move(runnable)), concurrency_(concurrency_of(runnable_->function)),
      last_used_us_(context.loop.now_us()) {}

Pool::~Pool() { MAYFLY_CHECK(empty()); }

Pool::Slot* Pool::find_free() {
  for (auto at = slots_.begin(); at != slots_.end();) {
    Slot* slot = (at++)->get();
    if (slot->retired || slot->busy >= concurrency_) continue;
    if (!slot->instance->alive()) {  // it died while idle: the call was never started on it
      slot->retired = true;
      if (slot->busy == 0) remove(slot);
      continue;
    }
    return slot;
  }
  return nullptr;
}

void Pool::hand_over(Slot* slot) {
  ++slot->busy;
  if (slot->idle_timer != 0) context_.loop.cancel(std::exchange(slot->idle_timer, 0));
  auto at = std::find_if(slots_.begin(), slots_.end(), [slot](const auto& each) { return each.get() == slot; });
  slots_.splice(slots_.begin(), slots_, at);
}

bool Pool::grant_front(Grant grant) {
  if (waiting_.empty()) return false;
  Waiter* front = waiting_.front();
  waiting_.pop_front();
  front->grant = std::move(grant);
  front->ready.set();
  return true;
}

io::Task<Pool::Grant> Pool::acquire(io::Deadline deadline, std::shared_ptr<CallWatch> watch) {
  if (watch && watch->cancelled()) co_return Grant{.failure = cancelled_failure()};
  if (Slot* slot = waiting_.empty() ? find_free() : nullptr) {
    hand_over(slot);
    co_return Grant{.kind = Grant::Kind::slot, .slot = slot};
  }
  if (waiting_.size() >= context_.options.max_waiting_per_function) {
    ++counters_.throttled;
    co_return Grant{.failure = {InvokeError::throttled, fmt::format("{} calls of {} are waiting already", waiting_.size(), name()), "call less often, or asynchronously"}};
  }
  Waiter waiter(context_.loop);
  waiting_.push_back(&waiter);
  consider();
  CallWatch::Guard guard(std::move(watch), context_.loop, [this, &waiter] {
    if (waiter.grant) return;
    std::erase(waiting_, &waiter);
    waiter.grant = Grant{.failure = cancelled_failure()};
    waiter.ready.set();
  });
  co_await waiter.ready.wait(deadline);
  if (waiter.grant) co_return std::move(*waiter.grant);
  std::erase(waiting_, &waiter);
  ++counters_.throttled;
  co_return Grant{.failure = {InvokeError::exhausted,
                              fmt::format("no instance of {} became free in time: {} are busy, {} are starting, {} calls are waiting", name(),
                                          slots_.size(), starting_, waiting_.size()),
                              starting_ + slots_.size() < instance_limit() ? "the memory budget of this machine is in use"
                                                                                                      : "raise the limit of instances per function"}};
}

size_t Pool::instance_limit() const {
  size_t most = context_.options.max_instances_per_function;
  size_t own = context_.options.instance_limit ? context_.options.instance_limit(*runnable_) : 0;
  return own == 0 ? most : std::min(own, most);
}

void Pool::consider() {
  if (draining_) return;
  while (starting_ * concurrency_ < waiting_.size() && slots_.size() + starting_ < instance_limit()) {
    bool pause = !slots_.empty() && context_.loop.now_us() < no_start_before_us_;
    if (pause) return;
    if (!context_.budget.take(runnable_->function.memory_mb)) return context_.memory_needed();
    ++starting_;
    context_.tasks.spawn(start_one());
  }
}

io::Task<void> Pool::start_one() {
  Use use(users_);
  auto log = std::make_shared<std::string>();
  std::weak_ptr<std::string> before_first_call = log;  // gone with the first call: from then on lines belong to requests
  runtime::StartContext start{.runnable = runnable_, .account = context_.account, .region = context_.options.region,
                              .credentials = context_.credentials.get(*runnable_), .printed = {}};
  start.printed = [this, before_first_call](const std::string& instance, const std::string& request_id, std::string text) {
    if (auto kept = before_first_call.lock(); kept && request_id.empty()) keep_tail(*kept, text);
    printed(instance, request_id, std::move(text));
  };
  auto made = co_await start_safely(context_.factory, std::move(start));
  --starting_;
  if (!made) {
    if (context_.budget.give_back(runnable_->function.memory_mb)) context_.memory_freed();
    counters_.last_error = made.error().message;
    no_start_before_us_ = context_.loop.now_us() + kRestartPauseUs;
    if (slots_.empty() && starting_ == 0)
      while (grant_front(start_failure(made.error(), *log))) {}
    co_return;
  }
  auto slot = std::make_unique<Slot>();
  slot->instance = std::move(*made);
  slot->started_wall_us = context_.loop.clock().wall_us();
  slot->start_log = std::move(log);
  slots_.push_front(std::move(slot));
  release(slots_.front().get());
}

Pool::Grant Pool::start_failure(const Failure<runtime::StartError>& failure, const std::string& log) const {
  switch (failure.code) {
    case runtime::StartError::unsupported: return {.failure = {InvokeError::invalid, failure.message, failure.hint}};
    case runtime::StartError::sandbox: return {.failure = {InvokeError::unavailable, failure.message, failure.hint}};
    default: break;
  }
  Grant grant{.kind = Grant::Kind::outcome, .outcome = failed_start(failure, runnable_->function)};
  grant.outcome.log_tail = log;
  return grant;
}

io::Task<std::optional<Expected<Outcome, InvokeError>>> Pool::run(Invocation invocation, io::Deadline deadline) {
  Use use(users_);
  int64_t asked_us = context_.loop.now_us(), asked_wall_us = context_.loop.clock().wall_us();
  last_used_us_ = asked_us;
  Grant grant = co_await acquire(deadline, invocation.watch);
  last_used_us_ = context_.loop.now_us();
  if (grant.kind == Grant::Kind::moved) co_return std::nullopt;
  if (grant.kind == Grant::Kind::refused) co_return std::unexpected(std::move(grant.failure));
  int64_t waited_us = last_used_us_ - asked_us;
  Outcome outcome;
  std::optional<Failure<InvokeError>> cut_short;
  if (grant.kind == Grant::Kind::outcome) {
    outcome = std::move(grant.outcome);
    outcome.phases.sandbox_us = waited_us;
    outcome.cold = true;
  } else {
    outcome = co_await serve(grant.slot, invocation, waited_us, cut_short);
  }
  outcome.version = runnable_->version;
  outcome.code_checksum = runnable_->function.code.checksum;
  ++counters_.invocations;
  if (outcome.cold) ++counters_.cold_starts;
  if (outcome.kind != Outcome::Kind::ok && !cut_short) {
    ++counters_.errors;
    counters_.last_error = outcome.body.substr(0, kLogTailBytes);
  }
  context_.observer.finished(invocation, outcome, asked_wall_us);
  if (cut_short) co_return std::unexpected(std::move(*cut_short));
  co_return outcome;
}

// `cut_short`: the platform ended the instance before it answered, and why.
io::Task<Outcome> Pool::serve(Slot* slot, const Invocation& invocation, int64_t waited_us, std::optional<Failure<InvokeError>>& cut_short) {
  bool cold = std::exchange(slot->fresh, false);
  if (cold) tails_[invocation.request_id] = *std::exchange(slot->start_log, nullptr);
  else tails_[invocation.request_id].clear();
  runtime::Call call{.request_id = invocation.request_id, .payload = invocation.payload, .http = invocation.http, .retry_count = invocation.retry_count,
                     .credentials = context_.credentials.get(*runnable_),
                     .deadline = io::Deadline::after_us(context_.loop, runnable_->function.timeout_s * kMicrosPerSecond)};
  context_.observer.started(invocation, slot->instance->id());
  if (invocation.watch) invocation.watch->started(slot->instance->id());
  CallWatch::Guard guard(invocation.watch, context_.loop, [this, slot] {
    slot->cancelled = true;
    kill_slot(slot);
  });
  Outcome outcome = finished_call(co_await call_safely(*slot->instance, std::move(call)), runnable_->function);
  outcome.log_tail = std::move(tails_[invocation.request_id]);
  tails_.erase(invocation.request_id);
  outcome.instance_id = slot->instance->id();
  if (cold) {
    outcome.cold = true;
    auto started = slot->instance->phases();
    outcome.phases.sandbox_us = started.sandbox_us;
    outcome.phases.runtime_us = started.runtime_us;
    outcome.phases.import_us = started.import_us;
    outcome.phases.init_us = started.init_us;
  }
  outcome.phases.queued_us = std::max<int64_t>(0, waited_us - outcome.phases.start_us());
  if (slot->killed && outcome.kind == Outcome::Kind::unhandled_error) cut_short = why_killed(*slot, invocation);
  if (cut_short) outcome.body = to_text(json::object{{"errorMessage", cut_short->message}, {"errorType", "InvocationEnded"}});
  ++slot->calls;
  slot->memory_bytes = outcome.memory_bytes;
  --slot->busy;
  bool ended = outcome.kind != Outcome::Kind::ok && outcome.kind != Outcome::Kind::handled_error;
  if (ended || !slot->instance->alive()) slot->retired = true;
  release(slot);
  co_return outcome;
}

void Pool::release(Slot* slot) {
  if (slot->retired || draining_) {
    slot->retired = true;
    if (slot->busy == 0) remove(slot);
    consider();
    return;
  }
  while (!waiting_.empty() && slot->busy < concurrency_) {
    hand_over(slot);
    grant_front({.kind = Grant::Kind::slot, .slot = slot});
  }
  if (slot->busy == 0) become_idle(slot);
}

void Pool::become_idle(Slot* slot) {
  int64_t at_us = context_.loop.now_us() + context_.options.idle_us;
  slot->idle_timer = context_.loop.call_at(at_us, [this, slot] {
    slot->idle_timer = 0;
    remove(slot);
  });
}

void Pool::remove(Slot* slot) {
  MAYFLY_CHECK_OP(slot->busy, ==, size_t{0});
  if (slot->idle_timer != 0) context_.loop.cancel(slot->idle_timer);
  auto at = std::find_if(slots_.begin(), slots_.end(), [slot](const auto& each) { return each.get() == slot; });
  auto instance = std::move(slot->instance);
  bool killed = slot->killed;
  slots_.erase(at);
  if (!killed) return context_.tasks.spawn(stop_instance(std::move(instance)));
  if (context_.budget.give_back(runnable_->function.memory_mb)) context_.memory_freed();
}

io::Task<void> Pool::stop_instance(std::shared_ptr<runtime::Instance> instance) {
  Use use(users_);
  co_await instance->stop(io::Deadline::after_us(context_.loop, context_.options.stop_grace_us));
  instance.reset();
  if (context_.budget.give_back(runnable_->function.memory_mb)) context_.memory_freed();
}

io::Task<void> Pool::kill(std::shared_ptr<runtime::Instance> instance) {
  Use use(users_);
  co_await instance->stop(io::Deadline::after_us(context_.loop, context_.options.stop_grace_us));
}

void Pool::drain() {
  draining_ = true;
  while (grant_front({.kind = Grant::Kind::moved})) {}
  std::vector<Slot*> idle;
  for (const auto& slot : slots_) {
    slot->retired = true;
    if (slot->busy == 0) idle.push_back(slot.get());
  }
  for (Slot* slot : idle) remove(slot);
}

void Pool::kill_busy() {
  for (const auto& slot : slots_)
    if (slot->busy > 0) kill_slot(slot.get());
}

void Pool::kill_slot(Slot* slot) {
  if (std::exchange(slot->killed, true)) return;
  slot->retired = true;
  context_.tasks.spawn(kill(slot->instance));
}

void Pool::refuse_waiting(const Failure<InvokeError>& failure) {
  while (grant_front({.failure = failure})) {}
}

bool Pool::evict_one() {
  for (auto at = slots_.rbegin(); at != slots_.rend(); ++at)
    if ((*at)->busy == 0) {
      remove(at->get());
      return true;
    }
  return false;
}

void Pool::add_to(FunctionStatus& status) const {
  for (const auto& slot : slots_) {
    status.instances.push_back({.id = slot->instance->id(), .qualifier = runnable_->qualifier, .version = runnable_->version, .busy = slot->busy,
                                .calls = slot->calls, .memory_bytes = slot->memory_bytes, .started_wall_us = slot->started_wall_us});
    if (slot->busy == 0) ++status.idle;
  }
  status.starting += starting_;
  status.queued += waiting_.size();
}

void Pool::printed(const std::string& instance, const std::string& request_id, std::string text) {
  if (auto tail = tails_.find(request_id); tail != tails_.end()) keep_tail(tail->second, text);
  context_.observer.printed(target(), request_id, instance, std::move(text));
}

}  // namespace mayfly::dispatch
