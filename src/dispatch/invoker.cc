// The dispatcher of a node: one ShardDispatcher per shard, and the way to a function's home.

#include "dispatch/invoker.h"

#include <unistd.h>

#include <algorithm>
#include <functional>
#include <thread>

#include "dispatch/shard_dispatcher.h"
#include "dispatch/streamed.h"
#include "io/hop.h"

namespace mayfly::dispatch {
namespace {

DispatchOptions with_defaults(DispatchOptions options) {
  if (options.max_instances_per_function == 0) options.max_instances_per_function = 2 * std::max(1u, std::thread::hardware_concurrency()) + 2;
  if (options.memory_budget_mb == 0) {
    int64_t machine_mb = static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE) / (1 << 20);
    options.memory_budget_mb = machine_mb * 3 / 4;
  }
  if (options.max_waiting_bytes == 0) options.max_waiting_bytes = static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE) / 16;
  return options;
}

class NodeDispatcher final : public Dispatcher {
 public:
  NodeDispatcher(std::vector<ShardContext> shards, functions::Catalogue& catalogue, const auth::Keyring& keyring, InvocationObserver& observer, Rng& rng,
                 DispatchOptions options)
      : options_(with_defaults(std::move(options))), budget_(options_.memory_budget_mb), waiting_bytes_(options_.max_waiting_bytes), catalogue_(catalogue) {
    MAYFLY_CHECK(!shards.empty());
    for (ShardContext shard : shards) {
      size_t index = shards_.size();
      ShardHooks hooks{.memory_freed = [this] { post_all([](ShardDispatcher& each) { each.consider(); }); },
                       .memory_needed = [this, index] { ask_others(index); },
                       .is_home = [this, index](const std::string& service, const std::string& function) { return home_index(service, function) == index; }};
      NodeParts parts{catalogue, keyring, observer, budget_, waiting_bytes_, crowd_, rng};
      shards_.push_back(std::make_unique<ShardDispatcher>(shard, parts, std::move(hooks), options_));
    }
    // Catalogue and settings cannot forget a listener; the token tells them when this dispatcher is gone.
    catalogue.on_change([this, alive = std::weak_ptr<int>(alive_)] {
      if (alive.lock()) post_all([](ShardDispatcher& each) { each.refresh(); });
    });
    if (options_.settings)
      options_.settings->on_change([this, alive = std::weak_ptr<int>(alive_)] {
        if (alive.lock()) open();
      });
  }

  void open() override { post_all([](ShardDispatcher& each) { each.settings_changed(); }); }
  void expect(const Target& target) override {
    ShardDispatcher& home = home_of(target.service, target.function);
    home.loop().post([&home, target] { home.expect(target); });
  }
  std::optional<Failure<InvokeError>> crowded(const Target& target) const override {
    if (!crowd_.any()) return std::nullopt;
    std::optional<Failure<InvokeError>> refusal;
    for (double way : kAliasWays) {
      auto runnable = catalogue_.resolve(target.service, target.qualifier, target.function, way);
      refusal = runnable ? crowd_.refusal(Crowd::name_of(**runnable)) : std::nullopt;
      if (!refusal) return std::nullopt;
    }
    ++refused_;
    return refusal;
  }

  io::Task<Expected<Outcome, InvokeError>> invoke(io::Loop& loop, Invocation invocation, io::Deadline deadline) override {
    ShardDispatcher& home = home_of(invocation.target.service, invocation.target.function);
    if (&home.loop() == &loop) co_return co_await home.run(std::move(invocation), deadline);
    auto streams = std::move(invocation.streams);  // theirs until the call has ended
    invocation.streams = hop_streams(home.loop(), loop, streams);
    co_return co_await io::call_on<Expected<Outcome, InvokeError>>(
        loop, home.loop(), [&home, invocation = std::move(invocation), deadline]() mutable { return home.run(std::move(invocation), deadline); });
  }

  io::Task<FunctionStatus> status(io::Loop& loop, std::string service, std::string function) override {
    ShardDispatcher& home = home_of(service, function);
    co_return co_await io::call_on<FunctionStatus>(loop, home.loop(), [&home, name = service + "/" + function] { return home.status(name); });
  }

  io::Task<Totals> totals(io::Loop& loop) override {
    Totals sum;
    for (const auto& shard : shards_) {
      Totals one = co_await io::call_on<Totals>(loop, shard->loop(), [&shard] { return shard->totals(); });
      sum.functions += one.functions;
      sum.instances += one.instances;
      sum.idle += one.idle;
      sum.starting += one.starting;
      sum.suspended += one.suspended;
      sum.ready += one.ready;
      sum.queued += one.queued;
      sum.invocations += one.invocations;
      sum.errors += one.errors;
      sum.cold_starts += one.cold_starts;
      sum.throttled += one.throttled;
    }
    sum.throttled += refused_;
    sum.memory_reserved_mb = budget_.used();
    sum.memory_budget_mb = budget_.limit();
    co_return sum;
  }

  io::Task<void> stop(io::Loop& loop, io::Deadline deadline) override {
    for (const auto& shard : shards_) co_await io::call_on<void>(loop, shard->loop(), [&shard, deadline] { return shard->stop(deadline); });
  }

 private:
  size_t home_index(const std::string& service, const std::string& function) const { return std::hash<std::string>()(service + "/" + function) % shards_.size(); }
  ShardDispatcher& home_of(const std::string& service, const std::string& function) { return *shards_[home_index(service, function)]; }
  void post_all(void (*what)(ShardDispatcher&)) {
    for (const auto& shard : shards_) shard->loop().post([&each = *shard, what] { what(each); });
  }
  void ask_others(size_t asking) {
    for (size_t i = 0; i < shards_.size(); ++i)
      if (i != asking) shards_[i]->loop().post([&each = *shards_[i]] { each.reclaim(); });
  }

  const DispatchOptions options_;
  Budget budget_, waiting_bytes_;
  Crowd crowd_;
  functions::Catalogue& catalogue_;
  mutable std::atomic<uint64_t> refused_ = 0;  // by crowded()
  std::vector<std::unique_ptr<ShardDispatcher>> shards_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();  // see the constructor
};

}  // namespace

std::unique_ptr<Dispatcher> make_invoker(std::vector<ShardContext> shards, functions::Catalogue& catalogue, const auth::Keyring& keyring,
                                         InvocationObserver& observer, Rng& rng, DispatchOptions options) {
  return std::make_unique<NodeDispatcher>(std::move(shards), catalogue, keyring, observer, rng, std::move(options));
}

}  // namespace mayfly::dispatch
