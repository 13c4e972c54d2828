#include "dispatch/shard_dispatcher.h"

#include <algorithm>

namespace mayfly::dispatch {
namespace {

constexpr int64_t kSweepSoonUs = 1 * kMicrosPerSecond;   // while pools drain
constexpr int64_t kSweepUs = 60 * kMicrosPerSecond;      // otherwise: forgetting is not urgent

std::string name_of(const functions::Runnable& runnable) { return runnable.service.name + "/" + runnable.function.name; }
std::string pool_key(const functions::Runnable& runnable) { return runnable.qualifier + "#" + runnable.version; }

const Failure<InvokeError>& stopping_failure() {
  static const Failure<InvokeError> failure{InvokeError::stopping, "the server is shutting down", "try again once it is back"};
  return failure;
}

double dice(Rng& rng) { return static_cast<double>(rng.next() >> 11) * 0x1.0p-53; }  // 53 random bits as [0, 1)

}  // namespace

ShardDispatcher::ShardDispatcher(ShardContext shard, functions::Catalogue& catalogue, const auth::Keyring& keyring, InvocationObserver& observer,
                                 Budget& budget, Rng& rng, ShardHooks hooks, DispatchOptions options)
    : catalogue_(catalogue), rng_(rng), credentials_(keyring, shard.loop.clock(), rng), tasks_(shard.loop),
      context_{shard.loop, shard.instances, budget, credentials_, observer, tasks_, hooks.memory_freed,
               [this, ask_others = hooks.memory_needed] { if (!reclaim()) ask_others(); }, keyring.account(), std::move(options)},
      quiet_(shard.loop) {}

io::Task<Expected<Outcome, InvokeError>> ShardDispatcher::run(Invocation invocation, io::Deadline deadline) {
  const Target& target = invocation.target;
  ++calls_;
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
    result = co_await pool_for(*runnable).run(invocation, deadline);
  }
  if (--calls_ == 0 && stopping_) quiet_.set();
  co_return std::move(*result);
}

Pool& ShardDispatcher::pool_for(const std::shared_ptr<const functions::Runnable>& runnable) {
  Home& home = homes_[name_of(*runnable)];
  auto& pool = home.pools[pool_key(*runnable)];
  if (pool && pool->runnable().revision != runnable->revision) retire(std::move(pool));
  if (!pool) pool = std::make_unique<Pool>(context_, home.counters, runnable);
  schedule_sweep();
  return *pool;
}

void ShardDispatcher::retire(std::unique_ptr<Pool> pool) {
  retired_.push_back(std::move(pool));
  retired_.back()->drain();
  if (sweep_timer_ != 0) context_.loop.cancel(std::exchange(sweep_timer_, 0));  // it may be a minute away
  schedule_sweep();
}

void ShardDispatcher::refresh() {
  for (auto& [name, home] : homes_)
    for (auto at = home.pools.begin(); at != home.pools.end();) {
      auto now = catalogue_.current(at->second->runnable());
      if (now && now->revision == at->second->runnable().revision) {
        ++at;
        continue;
      }
      retire(std::move(at->second));
      at = home.pools.erase(at);
    }
  schedule_sweep();
}

void ShardDispatcher::schedule_sweep() {
  if (sweep_timer_ != 0 || stopping_) return;
  int64_t pause_us = retired_.empty() ? std::min(kSweepUs, context_.options.forget_us) : kSweepSoonUs;
  sweep_timer_ = context_.loop.call_at(context_.loop.now_us() + pause_us, [this] {
    sweep_timer_ = 0;
    sweep();
  });
}

void ShardDispatcher::sweep() {
  int64_t unused_since_us = context_.loop.now_us() - context_.options.forget_us;
  bool any = false;
  for (auto& [name, home] : homes_)
    for (auto at = home.pools.begin(); at != home.pools.end();) {
      any = true;
      Pool& pool = *at->second;
      if (!pool.empty() || pool.waiting() || pool.last_used_us() > unused_since_us) {
        ++at;
        continue;
      }
      retire(std::move(at->second));
      at = home.pools.erase(at);
    }
  for (auto at = retired_.begin(); at != retired_.end();) {
    if (!(*at)->empty()) {
      ++at;
      continue;
    }
    tasks_.spawn(context_.factory.forget((*at)->runnable().key(), (*at)->runnable().revision));
    at = retired_.erase(at);
  }
  if (any || !retired_.empty()) schedule_sweep();
}

std::vector<Pool*> ShardDispatcher::pools() const {
  std::vector<Pool*> all;
  for (const auto& [name, home] : homes_)
    for (const auto& [key, pool] : home.pools) all.push_back(pool.get());
  for (const auto& pool : retired_) all.push_back(pool.get());
  return all;
}

void ShardDispatcher::consider() {
  if (stopping_) return;
  for (Pool* pool : pools())
    if (pool->waiting()) pool->consider();
}

bool ShardDispatcher::reclaim() {
  std::vector<Pool*> all = pools();
  std::sort(all.begin(), all.end(), [](Pool* a, Pool* b) { return a->last_used_us() < b->last_used_us(); });
  return std::any_of(all.begin(), all.end(), [](Pool* pool) { return !pool->waiting() && pool->evict_one(); });
}

io::Task<FunctionStatus> ShardDispatcher::status(std::string name) {
  FunctionStatus status;
  auto found = homes_.find(name);
  if (found != homes_.end()) {
    const Counters& counters = found->second.counters;
    status.invocations = counters.invocations;
    status.errors = counters.errors;
    status.cold_starts = counters.cold_starts;
    status.throttled = counters.throttled;
    status.last_error = counters.last_error;
  }
  for (const Pool* pool : pools())
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
  for (const auto& [name, home] : homes_) {
    if (!home.pools.empty()) ++totals.functions;
    totals.invocations += home.counters.invocations;
    totals.errors += home.counters.errors;
    totals.cold_starts += home.counters.cold_starts;
    totals.throttled += home.counters.throttled;
  }
  co_return totals;
}

io::Task<void> ShardDispatcher::stop(io::Deadline deadline) {
  stopping_ = true;
  if (sweep_timer_ != 0) context_.loop.cancel(std::exchange(sweep_timer_, 0));
  for (Pool* pool : pools()) pool->refuse_waiting(stopping_failure());
  if (calls_ == 0) quiet_.set();
  co_await quiet_.wait(deadline);
  for (Pool* pool : pools()) pool->kill_busy();
  co_await quiet_.wait();  // a killed instance ends its call
  for (Pool* pool : pools()) pool->drain();
  co_await tasks_.drain();
  retired_.clear();
  homes_.clear();
}

}  // namespace mayfly::dispatch
