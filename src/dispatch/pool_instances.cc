// The instances of a pool: how many there should be, how they start, wait and end.

#include <algorithm>

#include "dispatch/outcomes.h"
#include "dispatch/pool.h"
#include "sys/fault.h"

namespace mayfly::dispatch {
namespace {

// Counts a coroutine in and out of a pool.
class Use {
 public:
  explicit Use(size_t& users) : users_(users) { ++users_; }
  Use(const Use&) = delete;
  ~Use() { --users_; }

 private:
  size_t& users_;
};

// A fault of the machine while starting concerns one instance, not the server.
io::Task<Expected<std::unique_ptr<runtime::Instance>, runtime::StartError>> start_safely(runtime::InstanceFactory& factory, runtime::StartContext start) {
  try {
    co_return co_await factory.start(std::move(start));
  } catch (const sys::Fault& fault) {
    co_return fail(runtime::StartError::sandbox, fault.what());
  }
}

}  // namespace

void Pool::arm(io::Loop::TimerId& timer, int64_t at_us, void (Pool::*then)()) {
  if (timer != 0 || draining_) return;
  timer = context_.loop.call_at(at_us, [this, &timer, then] {
    timer = 0;
    (this->*then)();
  });
}

void Pool::disarm(io::Loop::TimerId& timer) {
  if (timer != 0) context_.loop.cancel(std::exchange(timer, 0));
}

size_t Pool::ready() const {
  return static_cast<size_t>(std::count_if(slots_.begin(), slots_.end(), [](const auto& slot) { return !slot->retired; }));
}

size_t Pool::instance_limit() const {
  size_t most = context_.options.max_instances_per_function;
  return std::max(minimum_, limits_.maximum == 0 ? most : std::min(limits_.maximum, most));
}

size_t Pool::kept() const { return std::max(minimum_, scaler_rules() ? static_cast<size_t>(scaler_->settings().min_scale) : size_t{0}); }

// How many instances to start now.
size_t Pool::missing() const {
  size_t have = slots_.size() + starting_;
  size_t for_line = line_.empty() ? 0 : slots_.size() + (line_.size() + concurrency_ - 1) / concurrency_;
  size_t want = scaler_rules() ? std::max(scaler_->last().want, line_.empty() || ready() > 0 ? size_t{0} : size_t{1}) : std::max({minimum_, for_line, prewarming_});
  want = std::min(want, instance_limit());
  return want > have ? want - have : 0;
}

// When the calls in line will be worth another instance, if nothing changes before: patience.h.
int64_t Pool::start_due_us(int64_t now_us) const {
  size_t running = ready(), places = running + starting_;
  if (scaler_rules() || line_.empty() || places == 0 || one_more_ || slots_.size() + starting_ < std::max(minimum_, prewarming_)) return now_us;
  if (running == 0 && !patience_.knows_runs()) return line_.first_since_us() + Patience::kMostUs;
  double frees_per_us = running == 0 ? patience_.frees_per_us(0) : 0;  // of one instance; those that start will be like those that run
  for (const auto& slot : slots_)
    if (!slot->retired) frees_per_us += patience_.frees_per_us(now_us - slot->moved_us) / static_cast<double>(running);
  double wait_us = static_cast<double>(line_.size()) / (frees_per_us * static_cast<double>(places * concurrency_));
  int64_t limit_us = patience_.limit_us();
  if (wait_us > static_cast<double>(limit_us)) return now_us;
  if (starting_ > 0) return now_us + limit_us;  // the first in line has what it waits for; for the others, as it will look then
  return std::max(line_.first_since_us(), last_started_us_) + limit_us;
}

// Each kSteadyUs while somebody is in line: patience.h.
void Pool::watch_line() {
  if (draining_ || scaler_rules() || line_.empty()) return;
  int64_t now_us = context_.loop.now_us();
  if (patience_.watched_us() < std::max(line_.filled_us(), last_started_us_)) {
    patience_.watch(now_us);
  } else if (starting_ == 0 && patience_.saw_enough(now_us)) {
    Patience::Advice advice = patience_.advise(now_us, ready());
    if (advice == Patience::Advice::one_less) retire_one();
    one_more_ = advice == Patience::Advice::one_more;
    if (one_more_) consider();
    one_more_ = false;
  }
  arm(watch_timer_, now_us + Patience::kSteadyUs, &Pool::watch_line);
}

void Pool::retire_one() {
  if (ready() <= std::max<size_t>(1, minimum_)) return;
  auto last = std::find_if(slots_.rbegin(), slots_.rend(), [](const auto& slot) { return !slot->retired; });
  (*last)->retired = true;
  if ((*last)->busy == 0) remove(last->get());
}

void Pool::consider() {
  if (draining_ || closing_) return;
  while (!line_.empty()) {  // an idle instance may have waited for memory
    Slot* slot = take_free();
    if (!slot) break;
    line_.grant_front({.kind = Grant::Kind::slot, .slot = slot}, context_.loop.now_us());
  }
  if (!line_.empty() && watch_timer_ == 0) watch_line();
  for (size_t missing_now = missing(); missing_now > 0; --missing_now) {
    int64_t now_us = context_.loop.now_us();
    if (guard_.suspended(now_us)) return arm(retry_timer_, guard_.until_us(), &Pool::consider);
    // Only a call that nothing else could serve tries again at once.
    bool alone = ready() == 0 && starting_ == 0 && !line_.empty();
    if (now_us < no_start_before_us_ && !alone) return arm(retry_timer_, no_start_before_us_, &Pool::consider);
    if (int64_t due_us = start_due_us(now_us); due_us > now_us) return arm(patience_timer_, due_us, &Pool::consider);
    if (!state_.share.take(runnable_->function.memory_mb)) {
      // What nobody waits for yet takes memory from nobody.
      if (!line_.empty() || minimum_ > 0) context_.memory_needed();
      return no_memory_for_kept();
    }
    short_of_memory_ = false;
    if (std::exchange(one_more_, false)) patience_.tried_one_more(ready());
    ++starting_;
    context_.tasks.spawn(start_one());
  }
}

// There was no memory, and none was made free since the last time: what is to be there without calls cannot be had.
void Pool::no_memory_for_kept() {
  if (!line_.empty() || kept() == 0 || starting_ > 0 || failed_to_start_) return;
  if (!std::exchange(short_of_memory_, true)) return;
  failed_to_start_ = true;
  context_.settled();
}

void Pool::set_limits(Limits limits) {
  if (limits == limits_) return;  // a scaler keeps what it knows
  limits_ = std::move(limits);
  apply_limits();
}

// Of the tracking policies the first whose time it is.
std::optional<size_t> Pool::ruling_policy() const {
  int64_t wall_us = context_.loop.clock().wall_us();
  for (size_t i = 0; i < limits_.tracking.size(); ++i)
    if (limits_.tracking[i].from_us <= wall_us && wall_us < limits_.tracking[i].until_us) return i;
  return std::nullopt;
}

void Pool::apply_limits() {
  int64_t now_us = context_.loop.now_us();
  minimum_ = limits_.minimum;
  scaler_.reset();
  if (limits_.kpa) {
    KpaSettings settings = *limits_.kpa;
    settings.min_scale = std::max(settings.min_scale, static_cast<int64_t>(limits_.minimum));
    scaler_ = std::make_unique<Kpa>(settings, ready(), now_us);
  } else {
    ruling_ = ruling_policy();
    if (ruling_) scaler_ = std::make_unique<Kpa>(limits_.tracking[*ruling_].settings, ready(), now_us);
  }
  if (scaler_) scaler_->in_flight_is(in_flight_, now_us);
  if (!limits_.kpa) line_.set_capacity(context_.options.max_waiting_per_function);
  failed_to_start_ = false;
  bool has_scaler = scaler_ || !limits_.tracking.empty();
  if (has_scaler) scale();
  else consider();
  let_idle_ones_go();
}

// Those that stayed because of a minimum may not be of it any more.
void Pool::let_idle_ones_go() {
  if (scaler_rules()) return;
  for (const auto& slot : slots_)
    if (slot->busy == 0 && slot->idle_timer == 0) become_idle(slot.get(), context_.options.idle_us);
}

void Pool::follow(const Pool& older) {
  if (!scaler_rules() || !older.scaler_rules() || older.scaler_->last().want == 0) return;
  scaler_ = std::make_unique<Kpa>(scaler_->settings(), older.scaler_->last().want, context_.loop.now_us());
  consider();
}

// Asks the scaler, and does what it says.
void Pool::scale() {
  int64_t now_us = context_.loop.now_us();
  if (scaler_) {
    Kpa::Decision decision = scaler_->decide(ready(), now_us);
    if (scaler_rules()) {
      // The queue-proxy's breaker per instance, and the activator's queue while there is none.
      line_.set_capacity(ready() == 0 ? kActivatorDepth : kBreakerDepth * concurrency_ * ready());
    } else {
      if (decision.want < minimum_) let_idle_ones_go();
      minimum_ = decision.want;  // within the policy's own bounds, whatever the target was
    }
  }
  consider();
  end_surplus();
  arm(tick_timer_, now_us + kKpaTickUs, &Pool::tick);
}

void Pool::tick() {
  if (draining_) return;
  if (!scaler_rules()) {
    // A tracking policy may have begun or ended with the time of day.
    if (ruling_policy() != ruling_) return apply_limits();
    if (limits_.tracking.empty()) return;
  } else if (scaler_->last().want == 0 && in_flight_ == 0 && slots_.empty() && starting_ == 0) {
    return;  // at zero: the next call begins again
  }
  scale();
}

// Idle instances beyond what the scaler wants, unused for longest first.
void Pool::end_surplus() {
  if (!scaler_rules()) return;
  size_t want = scaler_->last().want, have = ready();
  for (auto at = slots_.end(); have > want && at != slots_.begin();) {
    Slot* slot = (--at)->get();
    if (slot->retired || slot->busy > 0) continue;
    ++at;
    remove(slot);
    --have;
  }
}

// After the last call of all: how long to stay, and when to be back (habits.h).
void Pool::went_idle() {
  if (draining_ || scaler_rules()) return;
  const Habits::Plan& plan = past_.habits.plan(context_.options.idle_us);
  bool last_used = true;  // a longer stay is for one; the others helped with a burst
  for (const auto& slot : slots_) {
    if (!plan.learnt || slot->retired || slot->busy > 0) continue;
    if (!std::exchange(last_used, false) && plan.keep_us >= context_.options.idle_us) continue;
    disarm(slot->idle_timer);
    become_idle(slot.get(), plan.keep_us);
  }
  if (plan.prewarm_us > 0) arm(prewarm_timer_, past_.idle_since_us + plan.prewarm_us, &Pool::prewarm);
}

void Pool::prewarm() {
  if (draining_ || slots_.size() + starting_ > 0) return;
  prewarming_ = 1;
  consider();
  prewarming_ = 0;
}

io::Task<void> Pool::start_one() {
  Use use(users_);
  int64_t began_us = context_.loop.now_us();
  auto log = std::make_shared<std::string>();
  std::weak_ptr<std::string> before_first_call = log;  // gone with the first call: from then on lines belong to requests
  runtime::StartContext start{.runnable = runnable_, .account = context_.account, .region = context_.options.region,
                              .credentials = context_.credentials.get_for_start(*runnable_), .printed = {}};
  start.printed = [this, before_first_call](const std::string& instance, const std::string& request_id, std::string text) {
    if (auto kept = before_first_call.lock()) keep_tail(*kept, text);
    printed(instance, request_id, std::move(text));
  };
  auto made = co_await start_safely(context_.factory, std::move(start));
  --starting_;
  if (!made) {
    start_failed(began_us, made.error(), *log);
    co_return;
  }
  guard_.started();
  last_started_us_ = context_.loop.now_us();
  patience_.started(last_started_us_ - began_us);
  failed_to_start_ = unsupported_ = false;
  auto slot = std::make_unique<Slot>();
  slot->instance = std::move(*made);
  slot->started_wall_us = context_.loop.clock().wall_us();
  slot->moved_us = last_started_us_;
  slot->start_log = std::move(log);
  slot->charged_mb = runnable_->function.memory_mb;
  slots_.push_front(std::move(slot));
  release(slots_.front().get(), true);
  if (scaler_ && !draining_) scale();
  if (kept() > 0 && settled()) context_.settled();
}

void Pool::start_failed(int64_t began_us, const Failure<runtime::StartError>& failure, const std::string& log) {
  int64_t now_us = context_.loop.now_us();
  give_back_memory(runnable_->function.memory_mb);
  counters_.last_error = failure.message;
  no_start_before_us_ = now_us + kRestartPauseUs;
  failed_to_start_ = true;
  unsupported_ = failure.code == runtime::StartError::unsupported;
  guard_.failed(CrashGuard::Cause::start, began_us, now_us, crash_reason(failure.message, log), context_.rng);
  if (ready() == 0 && starting_ == 0)
    while (line_.grant_front(start_failure(failure, log), now_us)) {}
  if (kept() > 0) context_.settled();
  consider();
}

Grant Pool::start_failure(const Failure<runtime::StartError>& failure, const std::string& log) const {
  switch (failure.code) {
    case runtime::StartError::unsupported: return {.failure = {InvokeError::invalid, failure.message, failure.hint}};
    case runtime::StartError::sandbox: return {.failure = {InvokeError::unavailable, failure.message, failure.hint, 1}};
    default: break;
  }
  Grant grant{.kind = Grant::Kind::outcome, .outcome = failed_start(failure, runnable_->function)};
  grant.outcome.log_tail = log;
  return grant;
}

Slot* Pool::find_free(Squeezed squeezed) {
  for (auto at = slots_.begin(); at != slots_.end();) {
    Slot* slot = (at++)->get();
    if (slot->retired || slot->busy >= concurrency_) continue;
    if (squeezed == Squeezed::no && slot->charged_mb < runnable_->function.memory_mb) continue;
    if (!slot->instance->alive()) {  // it died while idle: the call was never started on it
      slot->retired = true;
      if (slot->busy == 0) remove(slot);
      continue;
    }
    return slot;
  }
  return nullptr;
}

// A free instance, at work from now on. One that was squeezed only if there is no other: others may have its memory.
Slot* Pool::take_free() {
  Slot* slot = find_free(Squeezed::no);
  if (!slot) slot = find_free(Squeezed::too);
  if (!slot) return nullptr;
  hand_over(slot);
  if (afford(*slot)) return slot;
  if (--slot->busy == 0) become_idle(slot, context_.options.idle_us);
  return nullptr;
}

// One that was squeezed takes its whole size back before it works.
bool Pool::afford(Slot& slot) {
  int64_t more = runnable_->function.memory_mb - slot.charged_mb;
  if (more == 0) return true;
  if (!state_.share.take(more)) {
    context_.memory_needed();
    if (!state_.share.take(more)) return false;
  }
  slot.charged_mb += more;
  return true;
}

bool Pool::squeeze() {
  constexpr int64_t kBytesPerMb = 1 << 20;
  int64_t freed_mb = 0;
  size_t untouched = minimum_;  // those that are to be there keep their place
  for (const auto& slot : slots_) {
    if (slot->retired) continue;
    if (untouched > 0) {
      --untouched;
      continue;
    }
    if (slot->busy > 0 || slot->memory_bytes == 0) continue;
    int64_t needs_mb = slot->memory_bytes / kBytesPerMb + kIdleSlackMb;
    if (needs_mb >= slot->charged_mb) continue;
    freed_mb += slot->charged_mb - needs_mb;
    slot->charged_mb = needs_mb;
  }
  if (freed_mb == 0) return false;
  give_back_memory(freed_mb);
  return true;
}

void Pool::hand_over(Slot* slot) {
  ++slot->busy;
  disarm(slot->idle_timer);
  if (slots_.front().get() == slot) return;
  auto at = std::find_if(slots_.begin(), slots_.end(), [slot](const auto& each) { return each.get() == slot; });
  slots_.splice(slots_.begin(), slots_, at);
}

// A call's place on the slot became free, or the slot is new.
void Pool::release(Slot* slot, bool fresh) {
  if (slot->retired || draining_) {
    slot->retired = true;
    if (slot->busy == 0) remove(slot);
    consider();
    return;
  }
  while (!line_.empty() && slot->busy < concurrency_) {
    hand_over(slot);
    line_.grant_front({.kind = Grant::Kind::slot, .slot = slot, .cold = std::exchange(fresh, false)}, context_.loop.now_us());
  }
  if (slot->busy > 0) return;
  if (context_.budget.starved()) context_.memory_freed();  // who waits for memory may have this one's
  // One that was started ahead of an expected call stays as long as the call may come.
  const Habits::Plan& plan = past_.habits.plan(context_.options.idle_us);
  bool ahead = fresh && in_flight_ == 0 && plan.prewarm_end_us > 0 && past_.idle_since_us >= 0;
  become_idle(slot, ahead ? std::max(plan.prewarm_end_us - (context_.loop.now_us() - past_.idle_since_us), kMicrosPerSecond) : context_.options.idle_us);
}

void Pool::become_idle(Slot* slot, int64_t keep_us) {
  if (scaler_rules()) return end_surplus();
  int64_t now_us = context_.loop.now_us();
  slot->idle_until_us = now_us + keep_us;
  bool freezes_first = freezes_ && keep_us > kFreezeAfterUs;
  arm_idle(slot, freezes_first ? now_us + kFreezeAfterUs : slot->idle_until_us);
}

void Pool::arm_idle(Slot* slot, int64_t at_us) {
  slot->idle_timer = context_.loop.call_at(at_us, [this, slot] {
    slot->idle_timer = 0;
    if (context_.loop.now_us() >= slot->idle_until_us) return expire(slot);
    context_.tasks.spawn(freeze(slot->instance));
    arm_idle(slot, slot->idle_until_us);
  });
}

io::Task<void> Pool::freeze(std::shared_ptr<runtime::Instance> instance) {
  Use use(users_);
  co_await instance->freeze();
}

// Idle for long enough: it goes, unless it is of those that are to stay.
void Pool::expire(Slot* slot) {
  if (ready() > minimum_) remove(slot);
}

void Pool::tend() {
  std::vector<Slot*> dead;
  for (const auto& slot : slots_)
    if (!slot->instance->alive() && slot->busy == 0) dead.push_back(slot.get());
  for (Slot* slot : dead) {
    slot->retired = true;
    remove(slot);
  }
  consider();
}

void Pool::give_back_memory(int64_t mb) {
  if (state_.share.give_back(mb)) context_.memory_freed();
}

void Pool::remove(Slot* slot) {
  MAYFLY_CHECK_OP(slot->busy, ==, size_t{0});
  disarm(slot->idle_timer);
  auto at = std::find_if(slots_.begin(), slots_.end(), [slot](const auto& each) { return each.get() == slot; });
  auto instance = std::move(slot->instance);
  bool killed = slot->killed;
  int64_t charged_mb = slot->charged_mb;
  slots_.erase(at);
  if (!killed) return context_.tasks.spawn(stop_instance(std::move(instance), charged_mb));
  give_back_memory(charged_mb);
}

io::Task<void> Pool::stop_instance(std::shared_ptr<runtime::Instance> instance, int64_t charged_mb) {
  Use use(users_);
  co_await instance->stop(io::Deadline::after_us(context_.loop, context_.options.stop_grace_us));
  instance.reset();
  give_back_memory(charged_mb);
}

io::Task<void> Pool::kill(std::shared_ptr<runtime::Instance> instance) {
  Use use(users_);
  co_await instance->stop(io::Deadline::after_us(context_.loop, context_.options.stop_grace_us));
}

void Pool::kill_slot(Slot* slot) {
  if (std::exchange(slot->killed, true)) return;
  slot->retired = true;
  context_.tasks.spawn(kill(slot->instance));
}

void Pool::kill_busy() {
  for (const auto& slot : slots_)
    if (slot->busy > 0) kill_slot(slot.get());
}

void Pool::drain() {
  draining_ = true;
  for (io::Loop::TimerId* timer : {&retry_timer_, &tick_timer_, &prewarm_timer_, &patience_timer_, &watch_timer_}) disarm(*timer);
  while (line_.grant_front({.kind = Grant::Kind::moved}, context_.loop.now_us())) {}
  std::vector<Slot*> idle;
  for (const auto& slot : slots_) {
    slot->retired = true;
    if (slot->busy == 0) idle.push_back(slot.get());
  }
  for (Slot* slot : idle) remove(slot);
}

bool Pool::evict_one() {
  if (ready() <= kept() || (scaler_rules() && in_flight_ > 0)) return false;
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
  status.queued += line_.size();
  if (draining_) return;
  status.minimum += minimum_;
  status.maximum += instance_limit();
  int64_t now_us = context_.loop.now_us();
  if (guard_.suspended(now_us))
    status.suspended.push_back({runnable_->qualifier, guard_.why(), context_.loop.clock().wall_us() + guard_.until_us() - now_us, guard_.failures()});
  if (!scaler_) return;
  const Kpa::Decision& last = scaler_->last();
  status.scalers.push_back({runnable_->qualifier, last.mode == Kpa::Mode::serve ? "serve" : "proxy", last.want, last.excess_burst, scaler_->in_panic()});
}

}  // namespace mayfly::dispatch
