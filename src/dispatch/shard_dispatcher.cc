#include "dispatch/shard_dispatcher.h"

#include <algorithm>

#include "runtime/runtimes.h"

namespace mayfly::dispatch {
namespace {

constexpr int64_t kSweepSoonUs = 1 * kMicrosPerSecond;   // while pools drain, or instances are to be kept
constexpr int64_t kSweepUs = 60 * kMicrosPerSecond;      // otherwise: forgetting is not urgent

std::string name_of(const functions::Runnable& runnable) { return runnable.service.name + "/" + runnable.function.name; }
std::string pool_key(const functions::Runnable& runnable) { return runnable.qualifier + "#" + runnable.version; }

const Failure<InvokeError>& stopping_failure() {
  static const Failure<InvokeError> failure{InvokeError::stopping, "the server is shutting down", "try again once it is back"};
  return failure;
}

double dice(Rng& rng) { return static_cast<double>(rng.next() >> 11) * 0x1.0p-53; }  // 53 random bits as [0, 1)

}  // namespace

ShardDispatcher::ShardDispatcher(ShardContext shard, NodeParts node, ShardHooks hooks, DispatchOptions options)
    : catalogue_(node.catalogue), rng_(node.rng), credentials_(node.keyring, shard.loop.clock(), node.rng), tasks_(shard.loop), hooks_(std::move(hooks)),
      context_{.loop = shard.loop, .factory = shard.instances, .budget = node.budget, .waiting_bytes = node.waiting_bytes, .crowd = node.crowd,
               .credentials = credentials_, .observer = node.observer, .rng = node.rng, .tasks = tasks_, .memory_freed = hooks_.memory_freed,
               .memory_needed = [this] { if (!reclaim()) hooks_.memory_needed(); },
               .settled = [this] {
                 if (std::exchange(promoting_, true)) return;
                 context_.loop.post([this] {
                   promoting_ = false;
                   promote();
                 });
               },
               .account = node.keyring.account(), .options = std::move(options)},
      quiet_(shard.loop) {}

io::Task<Expected<Outcome, InvokeError>> ShardDispatcher::run(Invocation invocation, io::Deadline deadline) {
  ++calls_;
  Errand errand{.invocation = std::move(invocation), .deadline = deadline, .ticket = next_ticket_++, .asked_us = context_.loop.now_us(),
                .asked_wall_us = context_.loop.clock().wall_us()};
  const Target& target = errand.invocation.target;
  std::optional<Expected<Outcome, InvokeError>> result;
  while (!result) {  // again when the pool was replaced while the call waited
    if (stopping_) {
      result.emplace(std::unexpected(stopping_failure()));
      break;
    }
    auto runnable = catalogue_.resolve(target.service, target.qualifier, target.function, dice(rng_));
    if (!runnable) {
      result.emplace(fail(InvokeError::not_found, runnable.error().message, runnable.error().hint));
      break;
    }
    result = co_await pool_for(*runnable).run(errand);
  }
  if (--calls_ == 0 && stopping_) quiet_.set();
  co_return std::move(*result);
}

ShardDispatcher::Home& ShardDispatcher::home_of(const std::string& name) {
  auto& home = homes_[name];
  if (!home) home = std::make_unique<Home>(context_.budget);
  return *home;
}

Limits ShardDispatcher::limits_of(const functions::Runnable& runnable) const {
  if (!context_.options.settings) return {};
  return dispatch::limits_of(*context_.options.settings, catalogue_, runnable, runtime::concurrency_of(runnable.function));
}

std::unique_ptr<Pool> ShardDispatcher::make_pool(Home& home, const std::shared_ptr<const functions::Runnable>& runnable) {
  return std::make_unique<Pool>(context_, home.state, runnable, limits_of(*runnable));
}

Pool& ShardDispatcher::pool_for(const std::shared_ptr<const functions::Runnable>& runnable) {
  if (auto known = by_runnable_.find(runnable.get()); known != by_runnable_.end()) return *known->second;
  Home& home = home_of(name_of(*runnable));
  Place& place = home.places[pool_key(*runnable)];
  renew(home, place, runnable);
  schedule_sweep(place.pool->keeps_instances());
  return *place.pool;
}

// Makes `place` run `runnable`: at once, or, when instances are kept, as soon as as many of the new revision are there.
void ShardDispatcher::renew(Home& home, Place& place, const std::shared_ptr<const functions::Runnable>& runnable) {
  if (!place.pool) {
    place.pool = make_pool(home, runnable);
    by_runnable_[runnable.get()] = place.pool.get();
    return;
  }
  if (place.pool->runnable().revision == runnable->revision) {
    if (place.next) retire(std::move(place.next));  // changed and changed back
    // The same, made anew: what is resolved from now on is this one.
    by_runnable_.erase(&place.pool->runnable());
    by_runnable_[runnable.get()] = place.pool.get();
    place.pool->adopt(runnable);
    return;
  }
  if (place.next && place.next->runnable().revision == runnable->revision) return;
  if (place.next) retire(std::move(place.next));
  auto next = make_pool(home, runnable);
  next->follow(*place.pool);
  if (place.pool->keeps_instances() && !next->settled()) {
    place.next = std::move(next);
    return;
  }
  replace(place, std::move(next));
}

void ShardDispatcher::replace(Place& place, std::unique_ptr<Pool> next) {
  by_runnable_[&next->runnable()] = next.get();
  retire(std::exchange(place.pool, std::move(next)));
}

void ShardDispatcher::promote() {
  for (auto& [name, home] : homes_)
    for (auto& [key, place] : home->places)
      if (place.next && place.next->settled()) replace(place, std::move(place.next));
}

void ShardDispatcher::retire(std::unique_ptr<Pool> pool) {
  std::erase_if(by_runnable_, [&pool](const auto& each) { return each.second == pool.get(); });
  retired_.push_back(std::move(pool));
  retired_.back()->drain();
  schedule_sweep(true);
}

void ShardDispatcher::refresh() {
  if (stopping_) return;
  for (auto& [name, home] : homes_)
    for (auto at = home->places.begin(); at != home->places.end();) {
      Place& place = at->second;
      auto now = catalogue_.current(place.pool->runnable());
      if (now) {
        renew(*home, place, now);
        for (Pool* pool : {place.pool.get(), place.next.get()})
          if (pool) pool->set_limits(limits_of(pool->runnable()));  // an alias may have shared them out anew
        ++at;
        continue;
      }
      if (place.next) retire(std::move(place.next));
      retire(std::move(place.pool));
      at = home->places.erase(at);
    }
  start_ahead();
  reserve();
  schedule_sweep(true);  // what is to be kept may have changed
}

void ShardDispatcher::settings_changed() {
  if (stopping_) return;
  for (auto& [name, home] : homes_)
    for (auto& [key, place] : home->places)
      for (Pool* pool : {place.pool.get(), place.next.get()})
        if (pool) pool->set_limits(limits_of(pool->runnable()));
  start_ahead();
  reserve();
  schedule_sweep(true);  // what is to be kept may have changed
}

void ShardDispatcher::expect(const Target& target) {
  if (stopping_) return;
  if (auto runnable = catalogue_.resolve(target.service, target.qualifier, target.function, 0)) context_.factory.expect(**runnable);
}

void ShardDispatcher::start_ahead() {
  if (!context_.options.settings) return;
  for (const Target& target : started_ahead(*context_.options.settings)) {
    if (!hooks_.is_home(target.service, target.function)) continue;
    for (double way : kAliasWays)
      if (auto runnable = catalogue_.resolve(target.service, target.qualifier, target.function, way)) start_ahead(*runnable);
  }
}

// What is only to begin with instances, and may go to none, begins once per revision: not again at each change of anything.
void ShardDispatcher::start_ahead(const std::shared_ptr<const functions::Runnable>& runnable) {
  Limits limits = limits_of(*runnable);
  if (!limits.starts_ahead()) return;
  auto [begun, first] = home_of(name_of(*runnable)).begun.try_emplace(pool_key(*runnable));
  bool is_to_stay = limits.minimum > 0 || !limits.tracking.empty() || limits.kpa->min_scale > 0;
  if (std::exchange(begun->second, runnable->revision) == runnable->revision && !first && !is_to_stay) return;
  pool_for(runnable);
}

void ShardDispatcher::reserve() {
  if (!context_.options.settings) return;
  std::unordered_map<std::string, int64_t> wanted;
  for (const Reservation& each : reservations(*context_.options.settings)) {
    if (!hooks_.is_home(each.service, each.function)) continue;
    auto function = catalogue_.function(each.service, "", each.function);
    if (function) wanted[each.service + "/" + each.function] = each.instances * function->memory_mb;
  }
  bool freed = false;
  for (auto& [name, home] : homes_)
    if (home->state.share.reserved() > 0 && !wanted.contains(name)) freed = home->state.share.reserve(0) || freed;
  for (const auto& [name, mb] : wanted)
    if (Share& share = home_of(name).state.share; share.reserved() != mb) freed = share.reserve(mb) || freed;
  if (freed) context_.memory_freed();
}

void ShardDispatcher::schedule_sweep(bool soon) {
  if (stopping_) return;
  int64_t at_us = context_.loop.now_us() + (soon ? kSweepSoonUs : std::min(kSweepUs, context_.options.forget_us));
  if (sweep_timer_ != 0) {
    if (sweep_at_us_ <= at_us) return;
    context_.loop.cancel(sweep_timer_);
  }
  sweep_at_us_ = at_us;
  sweep_timer_ = context_.loop.call_at(at_us, [this] {
    sweep_timer_ = 0;
    sweep();
  });
}

void ShardDispatcher::sweep_places(Places& places, int64_t unused_since_us, Pace& pace) {
  for (auto at = places.begin(); at != places.end();) {
    Pool& pool = *at->second.pool;
    bool kept = pool.keeps_instances() || at->second.next;
    if (kept) pool.tend();
    if (at->second.next) at->second.next->tend();
    pace.soon = pace.soon || kept;
    if (kept || pool.expects_calls() || !pool.empty() || pool.waiting() || pool.last_used_us() > unused_since_us) {
      ++at;
      continue;
    }
    retire(std::move(at->second.pool));
    at = places.erase(at);
  }
  pace.any = pace.any || !places.empty();
}

void ShardDispatcher::sweep() {
  int64_t unused_since_us = context_.loop.now_us() - context_.options.forget_us;
  Pace pace;
  for (auto& [name, home] : homes_) sweep_places(home->places, unused_since_us, pace);
  for (auto at = retired_.begin(); at != retired_.end();) {
    if (!(*at)->empty()) {
      ++at;
      continue;
    }
    tasks_.spawn(context_.factory.forget((*at)->runnable().key(), (*at)->runnable().revision));
    at = retired_.erase(at);
  }
  if (pace.any || !retired_.empty()) schedule_sweep(pace.soon || !retired_.empty());
}

std::vector<Pool*> ShardDispatcher::pools() const {
  std::vector<Pool*> all;
  for (const auto& [name, home] : homes_)
    for (const auto& [key, place] : home->places)
      for (Pool* pool : {place.pool.get(), place.next.get()})
        if (pool) all.push_back(pool);
  for (const auto& pool : retired_) all.push_back(pool.get());
  return all;
}

void ShardDispatcher::consider() {
  if (stopping_) return;
  for (Pool* pool : pools())
    if (pool->waiting() || pool->keeps_instances()) pool->consider();
}

bool ShardDispatcher::reclaim() {
  std::vector<Pool*> all = pools();
  bool squeezed = false;  // all of them at once: the next to ask find room without this
  for (Pool* pool : all) squeezed = pool->squeeze() || squeezed;
  if (squeezed) return true;
  std::sort(all.begin(), all.end(), [](Pool* a, Pool* b) { return a->last_used_us() < b->last_used_us(); });
  return std::any_of(all.begin(), all.end(), [](Pool* pool) { return !pool->waiting() && pool->evict_one(); });
}

io::Task<FunctionStatus> ShardDispatcher::status(std::string name) {
  FunctionStatus status;
  auto found = homes_.find(name);
  if (found == homes_.end()) co_return status;
  const FunctionState& state = found->second->state;
  status.invocations = state.counters.invocations;
  status.errors = state.counters.errors;
  status.cold_starts = state.counters.cold_starts;
  status.throttled = state.counters.throttled;
  status.last_error = state.counters.last_error;
  status.reserved_mb = state.share.reserved();
  for (const auto& [key, place] : found->second->places)
    for (const Pool* pool : {place.pool.get(), place.next.get()})
      if (pool) pool->add_to(status);
  for (const auto& pool : retired_)
    if (name_of(pool->runnable()) == name) pool->add_to(status);
  co_return status;
}

io::Task<Totals> ShardDispatcher::totals() {
  Totals totals;
  FunctionStatus all;
  for (const Pool* pool : pools()) pool->add_to(all);
  totals.instances = all.instances.size();
  totals.idle = all.idle;
  totals.starting = all.starting;
  totals.queued = all.queued;
  totals.suspended = all.suspended.size();
  totals.ready = context_.factory.ready();
  for (const auto& [name, home] : homes_) {
    if (!home->places.empty()) ++totals.functions;
    const Counters& counters = home->state.counters;
    totals.invocations += counters.invocations;
    totals.errors += counters.errors;
    totals.cold_starts += counters.cold_starts;
    totals.throttled += counters.throttled;
  }
  co_return totals;
}

io::Task<void> ShardDispatcher::stop(io::Deadline deadline) {
  stopping_ = true;
  if (sweep_timer_ != 0) context_.loop.cancel(std::exchange(sweep_timer_, 0));
  for (Pool* pool : pools()) {
    pool->close();
    pool->refuse_waiting(stopping_failure());
  }
  if (calls_ == 0) quiet_.set();
  co_await quiet_.wait(deadline);
  context_.factory.abandon_starts();
  for (Pool* pool : pools()) pool->kill_busy();
  co_await quiet_.wait();  // a killed instance ends its call
  for (Pool* pool : pools()) pool->drain();
  co_await tasks_.drain();
  by_runnable_.clear();
  retired_.clear();
  homes_.clear();
}

}  // namespace mayfly::dispatch
