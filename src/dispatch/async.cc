#include "dispatch/async.h"

#include <algorithm>
#include <atomic>

#include "base/encoding.h"
#include "base/hash.h"
#include "dispatch/async_message.h"
#include "io/hop.h"
#include "store/keys.h"

namespace mayfly::dispatch {
namespace {

constexpr int64_t kFirstRetryUs = 1 * kMicrosPerSecond;         // after a function error
constexpr int64_t kFirstSystemRetryUs = kMicrosPerSecond / 2;   // aliyun-fc.md section 7.4
constexpr int64_t kMaxRetryPauseUs = 60 * kMicrosPerSecond;     // longer pauses only make recovery slower

int64_t pause_us(int64_t first_us, int64_t tries) { return std::min(kMaxRetryPauseUs, first_us << std::min<int64_t>(tries, 16)); }

// Of the stored layout, so not std::hash.
size_t partition_of(const Target& target) { return crc32c(target.service + "/" + target.function) % kAsyncPartitions; }
std::string queue_name(size_t partition) { return fmt::format("async-{}", partition); }
std::string dead_prefix() { return store::make_key({"async-dead"}); }
std::string dead_key(int64_t died_us, const std::string& request_id) { return store::make_key({"async-dead", store::ordered_int(died_us), request_id}); }

queues::Message queue_message(const AsyncMessage& message, int64_t due_us) {
  return {queue_name(partition_of(message.invocation.target)), due_us, message.invocation.request_id, encode(message)};
}

// "acs:fc:<region>:<account>:services/s.q/functions/f", or nullopt.
std::optional<Target> target_of(const std::string& arn) {
  size_t at = arn.find("services/"), function = arn.find("/functions/");
  if (!arn.starts_with("acs:fc:") || at == arn.npos || function == arn.npos || function < at) return std::nullopt;
  std::string service = arn.substr(at + 9, function - at - 9), name = arn.substr(function + 11), qualifier;
  if (size_t dot = service.find('.'); dot != service.npos) {
    qualifier = service.substr(dot + 1);
    service.resize(dot);
  }
  if (service.empty() || name.empty()) return std::nullopt;
  return Target{service, name, qualifier};
}

class QueuedInvoker final : public AsyncInvoker {
 public:
  QueuedInvoker(std::vector<io::Loop*> loops, store::Store& store, Invoker& invoker, const functions::Catalogue& catalogue,
                const functions::Settings& settings, Rng& rng, AsyncOptions options)
      : store_(store), invoker_(invoker), catalogue_(catalogue), settings_(settings), rng_(rng), options_(std::move(options)) {
    MAYFLY_CHECK(!loops.empty());
    for (size_t p = 0; p < kAsyncPartitions; ++p) {
      io::Loop& loop = *loops[p % loops.size()];
      partitions_.push_back({loop, queues::make_work_queue(loop, store, {.name = queue_name(p), .window = options_.window, .on_fault = options_.on_fault},
                                                           [this, &loop](queues::Message message) { return consume(loop, std::move(message)); })});
    }
  }

  io::Task<Expected<void, InvokeError>> submit(io::Loop& loop, Invocation invocation) override {
    if (invocation.payload.size() > options_.max_payload_bytes)
      co_return fail(InvokeError::invalid, fmt::format("the payload of an asynchronous call is limited to {} bytes, this one has {}",
                                                       options_.max_payload_bytes, invocation.payload.size()), "put it into a bucket and send its key");
    auto runnable = catalogue_.resolve(invocation.target.service, invocation.target.qualifier, invocation.target.function, 1.0);
    if (!runnable) co_return fail(InvokeError::not_found, runnable.error().message);
    store::Batch batch;
    add_async(batch, invocation, loop.clock().wall_us());
    size_t partition = partition_of(invocation.target);
    co_await store_.commit(loop, std::move(batch));
    partitions_[partition].queue->wake();
    co_return Expected<void, InvokeError>{};
  }

  void wake() override {
    for (auto& partition : partitions_) partition.queue->wake();
  }

  io::Task<void> start(io::Loop& loop) override {
    auto dead = co_await store::scan_all(store_, loop, dead_prefix(), store::after_prefix(dead_prefix()));
    dead_stored_ = dead.size();
    for (auto& each : partitions_) co_await io::call_on<void>(loop, each.loop, [&each] { return start_queue(*each.queue); });
  }
  io::Task<void> stop(io::Loop& loop) override {
    for (auto& each : partitions_) co_await io::call_on<void>(loop, each.loop, [&each] { return each.queue->stop(); });
  }
  AsyncCounts counts() const override {
    AsyncCounts counts{succeeded_, failed_, retried_, dead_, 0};
    counts.in_flight = in_flight_;
    return counts;
  }

  io::Task<std::vector<DeadLetter>> dead_letters(io::Loop& loop, std::string after_id, size_t limit) override {
    auto after = hex_decode(after_id);
    std::string first = after && !after->empty() ? *after + '\0' : dead_prefix();
    std::vector<DeadLetter> letters;
    for (const store::Entry& entry : co_await store_.scan(loop, {.first = first, .last = store::after_prefix(dead_prefix()), .limit = limit}))
      if (auto message = decode_async(entry.value))
        letters.push_back({hex_encode(entry.key), message->invocation, message->reason, message->attempts, message->since_us, message->died_us});
    co_return letters;
  }

  io::Task<bool> redeliver(io::Loop& loop, std::string id) override {
    auto key = hex_decode(id);
    if (!key || !key->starts_with(dead_prefix())) co_return false;
    auto row = co_await store_.get(loop, *key);
    auto message = row ? decode_async(*row) : std::nullopt;
    if (!message) co_return false;
    store::Batch batch;
    batch.expect_exists(*key);
    batch.erase(*key);
    add_async(batch, message->invocation, loop.clock().wall_us());
    if (co_await store_.commit(loop, std::move(batch)) == store::Commit::refused) co_return false;
    --dead_stored_;
    wake();
    co_return true;
  }

  io::Task<bool> drop(io::Loop& loop, std::string id) override {
    auto key = hex_decode(id);
    if (!key || !key->starts_with(dead_prefix())) co_return false;
    store::Batch batch;
    batch.expect_exists(*key);
    batch.erase(*key);
    if (co_await store_.commit(loop, std::move(batch)) == store::Commit::refused) co_return false;
    --dead_stored_;
    co_return true;
  }

 private:
  struct Partition {
    io::Loop& loop;
    std::unique_ptr<queues::WorkQueue> queue;
  };

  static io::Task<void> start_queue(queues::WorkQueue& queue) {
    queue.start();
    co_return;
  }

  io::Task<void> consume(io::Loop& loop, queues::Message queued) {
    auto decoded = decode_async(queued.payload);
    store::Batch batch;
    queues::acknowledge_once(batch, queued);
    if (!decoded) {  // a row of a release that wrote something else: it can never run
      co_await store_.commit(loop, std::move(batch));
      co_return;
    }
    AsyncMessage message = std::move(*decoded);
    AsyncPolicy policy = async_policy(settings_, message.invocation.target);
    int64_t age_us = loop.clock().wall_us() - message.since_us;
    if (age_us > policy.max_age_s * kMicrosPerSecond) {
      message.reason = fmt::format("it waited for {} s, longer than maxAsyncEventAgeInSeconds ({})", age_us / kMicrosPerSecond, policy.max_age_s);
      co_await bury(loop, std::move(batch), std::move(message), policy, nullptr);
      co_return;
    }
    ++in_flight_;
    auto outcome = co_await invoker_.invoke(loop, message.invocation, io::Deadline::after_us(loop, kAsyncWaitUs));
    --in_flight_;
    if (!outcome && outcome.error().code == InvokeError::stopping) co_return;  // not acknowledged: the next start delivers it again, as it was
    if (!outcome) {
      co_await not_run(loop, std::move(batch), std::move(message), std::move(policy), outcome.error());
    } else if (outcome->kind == Outcome::Kind::ok) {
      ++succeeded_;
      call_destination(batch, policy.on_success, message, "Success", &*outcome, loop.clock().wall_us());
      co_await store_.commit(loop, std::move(batch));
      if (!policy.on_success.empty()) wake();
    } else {
      co_await ran_and_failed(loop, std::move(batch), std::move(message), std::move(policy), std::move(*outcome));
    }
  }

  io::Task<void> not_run(io::Loop& loop, store::Batch batch, AsyncMessage message, AsyncPolicy policy, Failure<InvokeError> error) {
    bool again = error.code == InvokeError::throttled || error.code == InvokeError::exhausted || error.code == InvokeError::unavailable;
    int64_t now_us = loop.clock().wall_us();
    if (!again || now_us - message.since_us > kSystemRetryLimitUs) {
      message.reason = error.message;
      co_await bury(loop, std::move(batch), std::move(message), std::move(policy), nullptr);
      co_return;
    }
    int64_t due_us = now_us + pause_us(kFirstSystemRetryUs, message.system_tries++);
    co_await put_back(loop, std::move(batch), std::move(message), due_us);
  }

  io::Task<void> ran_and_failed(io::Loop& loop, store::Batch batch, AsyncMessage message, AsyncPolicy policy, Outcome outcome) {
    ++failed_;
    if (message.attempts >= policy.max_retries) {
      message.reason = fmt::format("it failed {} times, the last time with {}", message.attempts + 1, outcome.body.substr(0, 1'000));
      co_await bury(loop, std::move(batch), std::move(message), std::move(policy), &outcome);
      co_return;
    }
    int64_t due_us = loop.clock().wall_us() + pause_us(kFirstRetryUs, message.attempts++);
    co_await put_back(loop, std::move(batch), std::move(message), due_us);
  }

  io::Task<void> put_back(io::Loop& loop, store::Batch batch, AsyncMessage message, int64_t due_us) {
    ++retried_;
    size_t partition = partition_of(message.invocation.target);
    queues::add(batch, queue_message(message, due_us));
    co_await store_.commit(loop, std::move(batch));
    partitions_[partition].queue->wake();
  }

  // `outcome` is the last run's, nullptr if there was none; it outlives the call.
  io::Task<void> bury(io::Loop& loop, store::Batch batch, AsyncMessage message, AsyncPolicy policy, const Outcome* outcome) {
    message.died_us = loop.clock().wall_us();
    call_destination(batch, policy.on_failure, message, message.attempts == 0 && !outcome ? "EventAgeExceeded" : "RetriesExhausted", outcome, message.died_us);
    batch.put(dead_key(message.died_us, message.invocation.request_id), encode(message));
    bool full = dead_stored_ >= kMaxDeadLetters;
    if (full)
      for (const store::Entry& oldest : co_await store_.scan(loop, {.first = dead_prefix(), .last = store::after_prefix(dead_prefix()), .limit = 1}))
        batch.erase(oldest.key);
    if (co_await store_.commit(loop, std::move(batch)) == store::Commit::refused) co_return;
    ++dead_;
    if (!full) ++dead_stored_;
    if (!policy.on_failure.empty()) wake();
  }

  // The payload of aliyun-fc.md section 7.4, sent to the destination function.
  void call_destination(store::Batch& batch, const std::string& arn, const AsyncMessage& message, std::string_view condition, const Outcome* outcome, int64_t wall_us) {
    auto target = target_of(arn);
    if (!target) return;
    const Invocation& call = message.invocation;
    std::string qualifier = call.target.qualifier.empty() ? std::string(functions::kLatest) : call.target.qualifier;
    std::string function_arn = fmt::format("acs:fc:{}:{}:services/{}.{}/functions/{}", options_.region, options_.account, call.target.service, qualifier, call.target.function);
    json::object payload{
        {"timestamp", wall_us / kMicrosPerMilli},
        {"requestContext", json::object{{"requestId", call.request_id}, {"functionArn", function_arn}, {"condition", condition},
                                        {"approximateInvokeCount", message.attempts + 1}}},
        {"requestPayload", call.payload},
        {"responseContext", json::object{{"statusCode", 200}, {"functionError", outcome && outcome->kind != Outcome::Kind::ok ? "UnhandledInvocationError" : ""}}},
        {"responsePayload", outcome ? outcome->body : std::string()}};
    Invocation follow{.request_id = uuid(rng_), .target = *target, .payload = to_text(payload), .source = "async", .http = {}};
    add_async(batch, follow, wall_us);
  }

  store::Store& store_;
  Invoker& invoker_;
  const functions::Catalogue& catalogue_;
  const functions::Settings& settings_;
  Rng& rng_;
  const AsyncOptions options_;
  std::vector<Partition> partitions_;
  std::atomic<uint64_t> succeeded_ = 0, failed_ = 0, retried_ = 0, dead_ = 0;
  std::atomic<size_t> in_flight_ = 0, dead_stored_ = 0;
};

}  // namespace

void add_async(store::Batch& batch, const Invocation& invocation, int64_t due_us) {
  AsyncMessage message{.invocation = invocation, .since_us = due_us, .reason = {}};
  queues::add(batch, queue_message(message, due_us));
}

std::string async_config_name(const std::string& service, const std::string& qualifier, const std::string& function) {
  return fmt::format("{}/{}/{}", service, function, qualifier.empty() ? functions::kLatest : std::string_view(qualifier));
}

AsyncPolicy async_policy(const functions::Settings& settings, const Target& target) {
  AsyncPolicy policy;
  auto document = settings.get(kAsyncConfig, async_config_name(target.service, target.qualifier, target.function));
  if (!document) return policy;
  json::value body = document->body;
  policy.max_retries = int_or(body, "maxAsyncRetryAttempts", policy.max_retries);
  policy.max_age_s = int_or(body, "maxAsyncEventAgeInSeconds", policy.max_age_s);
  const json::value* destinations = find(body, "destinationConfig");
  for (auto [key, out] : {std::pair{"onSuccess", &policy.on_success}, std::pair{"onFailure", &policy.on_failure}})
    if (const json::value* one = destinations ? find(*destinations, key) : nullptr) *out = string_or(*one, "destination");
  return policy;
}

std::unique_ptr<AsyncInvoker> make_async_invoker(std::vector<io::Loop*> loops, store::Store& store, Invoker& invoker, const functions::Catalogue& catalogue,
                                                 const functions::Settings& settings, Rng& rng, AsyncOptions options) {
  return std::make_unique<QueuedInvoker>(std::move(loops), store, invoker, catalogue, settings, rng, std::move(options));
}

}  // namespace mayfly::dispatch
