#include "dispatch/async.h"

#include <algorithm>
#include <atomic>

#include "base/encoding.h"
#include "dispatch/async_flight.h"
#include "dispatch/async_once.h"
#include "io/hop.h"
#include "store/keys.h"

namespace mayfly::dispatch {
namespace {

constexpr int64_t kFirstRetryUs = 1 * kMicrosPerSecond;         // after a function error
constexpr int64_t kFirstSystemRetryUs = kMicrosPerSecond / 2;   // aliyun-fc.md section 7.4
constexpr int64_t kMaxRetryPauseUs = 60 * kMicrosPerSecond;     // longer pauses only make recovery slower
constexpr size_t kRows = 1'000;                                 // keys read at once
constexpr int kMaxTries = 10;  // of a change that others raced: each loss means that another one was made

int64_t pause_us(int64_t first_us, int64_t tries) { return std::min(kMaxRetryPauseUs, first_us << std::min<int64_t>(tries, 16)); }

std::string error_type(Outcome::Kind kind) {
  switch (kind) {
    case Outcome::Kind::ok: return {};
    case Outcome::Kind::handled_error: return "HandledInvocationError";
    case Outcome::Kind::timed_out: return "FunctionTimedOut";
    default: return "UnhandledInvocationError";
  }
}

// The code and HTTP status of a call that was not run (aliyun-fc.md section 6.1).
Ending not_run_ending(InvokeError code) {
  switch (code) {
    case InvokeError::not_found: return {.condition = "FunctionNotFound", .status = 404};
    case InvokeError::invalid: return {.condition = "InvalidArgument", .status = 400};
    case InvokeError::throttled: return {.condition = "ResourceThrottled", .status = 429};
    default: return {.condition = "FunctionResourceExhausted", .status = 503};
  }
}

// Where a message lies: its acknowledgement (acknowledge_once) expects that row, and nothing else.
const std::string& row_of(const store::Batch& acknowledgement) { return acknowledgement.expectations.front().key; }

std::string detail_of(std::string_view error) { return to_text(json::object{{"Error", to_utf8(error.substr(0, kMaxKeptError))}}); }

class QueuedInvoker final : public AsyncInvoker {
 public:
  QueuedInvoker(std::vector<io::Loop*> loops, store::Store& store, Invoker& invoker, const functions::Catalogue& catalogue,
                const functions::Settings& settings, Rng& rng, AsyncOptions options)
      : store_(store), invoker_(invoker), catalogue_(catalogue), settings_(settings), rng_(rng), options_(std::move(options)), letters_(store, [this] { wake(); }),
        tasks_(store, options_.max_tasks), once_(store), home_(*loops.at(0)), sweeping_(home_, options_.on_fault), stopping_(home_) {
    for (size_t p = 0; p < kAsyncPartitions; ++p) {
      partitions_.push_back(std::make_unique<Partition>(*loops[p % loops.size()], options_.on_fault));
      Partition& each = *partitions_.back();
      each.queue = queues::make_work_queue(each.loop, store, {.name = async_queue(p), .window = options_.window, .on_fault = options_.on_fault},
                                           [this, &each](queues::Message message) { return consume(each, std::move(message)); });
    }
  }

  io::Task<Expected<Accepted, AsyncError>> submit(io::Loop& loop, AsyncRequest request) override;
  io::Task<Expected<void, AsyncError>> stop_task(io::Loop& loop, Target target, std::string id) override;
  io::Task<Expected<void, AsyncError>> cancel(io::Loop& loop, Target target, std::string request_id) override;
  void wake() override {
    for (auto& partition : partitions_) partition->queue->wake();
  }
  io::Task<void> start(io::Loop& loop) override;
  io::Task<void> stop(io::Loop& loop) override;
  AsyncCounts counts() const override { return {accepted_, succeeded_, failed_, retried_, dead_, stopped_, in_flight_}; }
  io::Task<AsyncBacklog> backlog(io::Loop& loop) override;
  DeadLetters& letters() override { return letters_; }
  Tasks& tasks() override { return tasks_; }

 private:
  struct Partition {
    Partition(io::Loop& its_loop, const std::function<void(std::exception_ptr)>& on_fault) : loop(its_loop), notes(its_loop, on_fault) {}
    io::Loop& loop;
    std::unique_ptr<queues::WorkQueue> queue;
    Flights flights;
    io::TaskGroup notes;   // writes that a task is running
    bool cancels = false;  // a waiting call was cancelled in this life: a row that the queue has read ahead may be gone
  };

  Partition& partition_of(const Target& target) { return *partitions_[async_partition(target)]; }

  std::optional<Failure<AsyncError>> refusal(const AsyncRequest& request) const;
  io::Task<Expected<void, AsyncError>> stop_here(Partition& partition, Target target, std::string id);
  io::Task<bool> stop_flight(Partition& partition, std::shared_ptr<Flight> flight);
  io::Task<void> keep_stop(Partition& partition, Flight& flight);
  io::Task<Expected<void, AsyncError>> cancel_here(Partition& partition, Target target, std::string request_id);
  io::Task<std::optional<queues::Message>> find_row(Partition& partition, Target target, std::string request_id);
  io::Task<void> begin_sweeping();
  io::Task<void> sweep_for_ever();
  io::Task<void> sweep();
  static io::Task<void> start_here(Partition& partition);
  static io::Task<void> stop_partition(Partition& partition);

  io::Task<void> consume(Partition& partition, queues::Message queued);
  io::Task<bool> begin_task(Partition& partition, Flight& flight, store::Batch& acknowledgement);
  std::shared_ptr<CallWatch> watch_of(Partition& partition, const std::shared_ptr<Flight>& flight);
  io::Task<void> note_running(Partition& partition, std::shared_ptr<Flight> flight, std::string instance_id);
  io::Task<void> run(Partition& partition, std::shared_ptr<Flight> flight, store::Batch batch);
  io::Task<void> succeeded(Partition& partition, Flight& flight, store::Batch batch, Outcome outcome);
  io::Task<void> not_run(Partition& partition, Flight& flight, store::Batch batch, Failure<InvokeError> error);
  io::Task<void> ran_and_failed(Partition& partition, Flight& flight, store::Batch batch, Outcome outcome);
  io::Task<void> put_back(Partition& partition, Flight& flight, store::Batch batch, int64_t due_us, TaskStatus status);
  io::Task<void> bury(Partition& partition, Flight& flight, store::Batch batch, TaskStatus status, Ending ending);
  io::Task<void> stopped(Partition& partition, Flight& flight, store::Batch batch);
  bool call_destination(store::Batch& batch, const std::string& arn, const AsyncMessage& message, const Ending& ending, int64_t wall_us);

  store::Store& store_;
  Invoker& invoker_;
  const functions::Catalogue& catalogue_;
  const functions::Settings& settings_;
  Rng& rng_;
  const AsyncOptions options_;
  DeadLetters letters_;
  Tasks tasks_;
  OnceKeys once_;
  std::vector<std::unique_ptr<Partition>> partitions_;
  io::Loop& home_;  // of the sweep
  io::TaskGroup sweeping_;
  io::Signal stopping_;
  std::atomic<uint64_t> accepted_ = 0, succeeded_ = 0, failed_ = 0, retried_ = 0, dead_ = 0, stopped_ = 0;
  std::atomic<size_t> in_flight_ = 0;
};

// ---- Calls come in ----

std::optional<Failure<AsyncError>> QueuedInvoker::refusal(const AsyncRequest& request) const {
  const Invocation& call = request.invocation;
  if (call.payload.size() > options_.max_payload_bytes)
    return Failure<AsyncError>{AsyncError::too_large, fmt::format("the payload of an asynchronous call is limited to {} bytes, this one has {}",
                                                                  options_.max_payload_bytes, call.payload.size()), "put it into a bucket and send its key"};
  if (!request.task_id.empty() && !is_task_id(request.task_id))
    return Failure<AsyncError>{AsyncError::invalid, fmt::format("a task's id begins with a letter or '_', has letters, digits, '_' and '-', and at most {} of them",
                                                                kMaxTaskIdBytes), {}};
  if (request.once_key.size() > kMaxKeyBytes)
    return Failure<AsyncError>{AsyncError::invalid, fmt::format("an idempotency key has at most {} bytes", kMaxKeyBytes), {}};
  auto runnable = catalogue_.resolve(call.target.service, call.target.qualifier, call.target.function, 1.0);
  if (!runnable) return Failure<AsyncError>{AsyncError::not_found, runnable.error().message, runnable.error().hint};
  return std::nullopt;
}

io::Task<Expected<Accepted, AsyncError>> QueuedInvoker::submit(io::Loop& loop, AsyncRequest request) {
  if (auto refused = refusal(request)) co_return std::unexpected(std::move(*refused));
  const Invocation& call = request.invocation;
  bool is_task = request.stateful || !request.task_id.empty() || async_policy(settings_, call.target).stateful;
  AsyncMessage message{.invocation = call, .task_id = {}, .reason = {}};
  if (is_task) message.task_id = request.task_id.empty() ? call.request_id : request.task_id;
  for (int tries = 0; tries < kMaxTries; ++tries) {
    store::Batch batch;
    if (!request.once_key.empty()) {
      auto seen = co_await once_.look(loop, call, request.once_key, batch);
      if (seen && !seen->same_payload) co_return fail(AsyncError::mismatch, "this idempotency key was used with another payload", "make a new key for each call");
      if (seen) co_return Accepted{.request_id = seen->request_id, .task_id = {}, .repeated = true};
    }
    bool made_room = false;
    message.since_us = loop.clock().wall_us();
    if (is_task) {
      if (co_await tasks_.find(loop, call.target, message.task_id, false))
        co_return fail(AsyncError::exists, fmt::format("the task '{}' of function '{}' exists already", message.task_id, call.target.function),
                       "tasks are known for seven days after their end");
      if (tasks_.full()) {
        made_room = co_await tasks_.make_room(loop, batch);
        if (!made_room) co_return fail(AsyncError::full, fmt::format("{} tasks are under way", tasks_.stored()), "try again when some have ended");
      }
      TaskRecord task{.target = call.target, .id = message.task_id, .request_id = call.request_id, .started_us = message.since_us, .due_us = message.since_us};
      task.happened(TaskStatus::enqueued, message.since_us);
      Tasks::create(batch, task, call.payload);
    }
    queues::add(batch, queue_message(message, message.since_us));
    if (co_await store_.commit(loop, std::move(batch)) == store::Commit::refused) continue;
    ++accepted_;
    if (is_task) tasks_.created();
    if (made_room) tasks_.made_room();
    if (!request.once_key.empty()) once_.added();
    partition_of(call.target).queue->wake();
    co_return Accepted{.request_id = call.request_id, .task_id = message.task_id, .repeated = false};
  }
  co_return fail(AsyncError::full, "too many calls with this id or key at once", "try again");
}

// ---- Calls are stopped ----

io::Task<Expected<void, AsyncError>> QueuedInvoker::stop_task(io::Loop& loop, Target target, std::string id) {
  Partition& partition = partition_of(target);
  co_return co_await io::call_on<Expected<void, AsyncError>>(loop, partition.loop, [this, &partition, target, id] { return stop_here(partition, target, id); });
}

io::Task<Expected<void, AsyncError>> QueuedInvoker::cancel(io::Loop& loop, Target target, std::string request_id) {
  Partition& partition = partition_of(target);
  co_return co_await io::call_on<Expected<void, AsyncError>>(loop, partition.loop,
                                                             [this, &partition, target, request_id] { return cancel_here(partition, target, request_id); });
}

// A task that waits: its row and its record change in one batch, which the consumer's first batch fences (begin_task).
io::Task<Expected<void, AsyncError>> QueuedInvoker::stop_here(Partition& partition, Target target, std::string id) {
  for (int tries = 0; tries < kMaxTries; ++tries) {
    auto task = co_await tasks_.find(partition.loop, target, id, false);
    if (!task) co_return fail(AsyncError::not_found, fmt::format("the task '{}' of function '{}' does not exist", id, target.function));
    if (task->finished()) co_return fail(AsyncError::completed, fmt::format("the task '{}' has ended already: {}", id, name_of(task->status)));
    if (auto flight = partition.flights.find(task->request_id)) {
      if (co_await stop_flight(partition, flight)) co_return Expected<void, AsyncError>{};
      continue;  // it was just ending: what came of it is stored now
    }
    if (task->status == TaskStatus::stopping) co_return Expected<void, AsyncError>{};  // of a life before: its delivery will end it
    store::Batch batch;
    Tasks::expect(batch, *task);
    queues::acknowledge(batch, {async_queue(async_partition(target)), task->due_us, task->request_id, {}});
    task->happened(TaskStatus::stopped, partition.loop.clock().wall_us());
    Tasks::finish(batch, *task, {});
    if (co_await store_.commit(partition.loop, std::move(batch)) == store::Commit::done) {
      ++stopped_;
      co_return Expected<void, AsyncError>{};
    }
  }
  co_return fail(AsyncError::full, fmt::format("the task '{}' changed too often to be stopped", id), "try again");
}

// True: it will end as stopped, unless it ends well first, and no start will run it again. False: it was ending, and has ended.
io::Task<bool> QueuedInvoker::stop_flight(Partition& partition, std::shared_ptr<Flight> flight) {
  {
    auto turn = co_await flight->turns.take(partition.loop);
    if (flight->ended.is_set()) co_return false;  // by a fault, or because its record had changed: nothing of it will end the call
    if (!flight->ending) {
      flight->stop_asked = true;
      co_await keep_stop(partition, *flight);
      if (flight->watch) flight->watch->cancel();
      co_return true;
    }
  }
  co_await flight->ended.wait();
  co_return false;
}

// Makes the stop outlive the process, before anybody is told of it: a task's record says it, a plain call leaves its queue.
io::Task<void> QueuedInvoker::keep_stop(Partition& partition, Flight& flight) {
  if (flight.task ? flight.task->status == TaskStatus::stopping : flight.acknowledged) co_return;
  store::Batch batch;
  if (flight.task) {
    flight.task->happened(TaskStatus::stopping, partition.loop.clock().wall_us());
    Tasks::update(batch, *flight.task);
  } else {
    queues::acknowledge(batch, flight.row);
  }
  co_await store_.commit(partition.loop, std::move(batch));
  if (flight.task) co_return;
  flight.acknowledged = true;
  ++stopped_;
}

io::Task<Expected<void, AsyncError>> QueuedInvoker::cancel_here(Partition& partition, Target target, std::string request_id) {
  for (int tries = 0; tries < kMaxTries; ++tries) {
    auto flight = partition.flights.find(request_id);
    if (flight && co_await stop_flight(partition, flight)) co_return Expected<void, AsyncError>{};
    auto row = co_await find_row(partition, target, request_id);
    if (!row) co_return fail(AsyncError::not_found, fmt::format("no asynchronous call with request id '{}' waits or runs", request_id), "it may have ended");
    auto message = decode_async(row->payload);
    std::string task_id = message ? message->task_id : std::string();
    if (task_id.empty()) {  // a trigger's call becomes a task when it is delivered, and its row does not tell
      auto begun = co_await tasks_.find(partition.loop, target, request_id, false);
      if (begun && begun->request_id == request_id) task_id = request_id;
    }
    if (!task_id.empty()) co_return co_await stop_here(partition, target, task_id);
    store::Batch batch;
    queues::acknowledge_once(batch, *row);
    Tasks::expect_none(batch, target, request_id);
    partition.cancels = true;
    if (co_await store_.commit(partition.loop, std::move(batch)) == store::Commit::refused) continue;  // it began, or ended, just now
    flight = partition.flights.find(request_id);
    if (!flight || !co_await stop_flight(partition, flight)) ++stopped_;
    co_return Expected<void, AsyncError>{};
  }
  co_return fail(AsyncError::full, fmt::format("the call '{}' changed too often to be cancelled", request_id), "try again");
}

// The row that the call waits in, or lies in while it runs; without a payload if it went meanwhile.
io::Task<std::optional<queues::Message>> QueuedInvoker::find_row(Partition& partition, Target target, std::string request_id) {
  auto range = queues::rows_of(async_queue(async_partition(target)));
  range.limit = kRows;
  range.keys_only = true;
  for (bool more = true; more;) {
    auto rows = co_await store_.scan(partition.loop, range);
    more = rows.size() == range.limit;
    if (more) range.first = rows.back().key + '\0';
    for (const store::Entry& row : rows) {
      auto queued = queues::read_message(row);
      if (!queued || queued->id != request_id) continue;
      queued->payload = (co_await store_.get(partition.loop, row.key)).value_or("");
      auto message = decode_async(queued->payload);
      bool of_another = message && (message->invocation.target.service != target.service || message->invocation.target.function != target.function);
      if (!of_another) co_return queued;
    }
  }
  co_return std::nullopt;
}

// ---- The life of the whole ----

io::Task<void> QueuedInvoker::start_here(Partition& partition) {
  partition.queue->start();
  co_return;
}

io::Task<void> QueuedInvoker::stop_partition(Partition& partition) {
  co_await partition.queue->stop();
  co_await partition.notes.drain();
}

io::Task<void> QueuedInvoker::start(io::Loop& loop) {
  co_await letters_.load(loop);
  co_await tasks_.load(loop);
  co_await once_.load(loop);
  for (auto& each : partitions_) co_await io::call_on<void>(loop, each->loop, [&each] { return start_here(*each); });
  co_await io::call_on<void>(loop, home_, [this] { return begin_sweeping(); });
}

io::Task<void> QueuedInvoker::stop(io::Loop& loop) {
  for (auto& each : partitions_) co_await io::call_on<void>(loop, each->loop, [&each] { return stop_partition(*each); });
  co_await io::call_on<void>(loop, home_, [this] {
    stopping_.set();
    return sweeping_.drain();
  });
}

io::Task<void> QueuedInvoker::begin_sweeping() {
  sweeping_.spawn(sweep_for_ever());
  co_return;
}

io::Task<void> QueuedInvoker::sweep_for_ever() {
  while (co_await stopping_.wait(io::Deadline::after_us(home_, kAsyncSweepUs)) == io::Wait::timed_out) {
    try {
      co_await sweep();
    } catch (const std::exception& fault) {  // the next one comes in a minute
      if (options_.on_fault) options_.on_fault(std::current_exception());
      else fmt::print(stderr, "asynchronous calls: forgetting what is old failed: {}\n", fault.what());
    }
  }
}

io::Task<void> QueuedInvoker::sweep() {
  co_await tasks_.sweep(home_);
  co_await once_.sweep(home_);
  co_await letters_.sweep(home_);
}

io::Task<AsyncBacklog> QueuedInvoker::backlog(io::Loop& loop) {
  AsyncBacklog backlog;
  for (size_t p = 0; p < kAsyncPartitions; ++p) {
    auto range = queues::rows_of(async_queue(p));
    range.limit = kRows;
    range.keys_only = true;
    for (size_t counted = 0; counted < kMaxCountedRows;) {
      auto rows = co_await store_.scan(loop, range);
      if (rows.empty()) break;
      auto first = counted == 0 ? queues::read_message(rows.front()) : std::nullopt;
      if (first && (backlog.oldest_due_us == 0 || first->due_us < backlog.oldest_due_us)) backlog.oldest_due_us = first->due_us;
      counted += rows.size();
      backlog.queued += rows.size();
      if (rows.size() < kRows) break;
      range.first = rows.back().key + '\0';
    }
  }
  co_return backlog;
}

// ---- A call is run ----

io::Task<void> QueuedInvoker::consume(Partition& partition, queues::Message queued) {
  auto decoded = decode_async(std::exchange(queued.payload, {}));
  store::Batch batch;
  queues::acknowledge_once(batch, queued);
  if (!decoded) {  // a row of a release that wrote something else: it can never run
    co_await store_.commit(partition.loop, std::move(batch));
    co_return;
  }
  AsyncPolicy policy = async_policy(settings_, decoded->invocation.target);
  auto flight = std::make_shared<Flight>(partition.loop, std::move(queued), std::move(*decoded), std::move(policy));
  Flights::Airborne airborne(partition.flights, flight);
  AsyncMessage& message = flight->message;
  if (message.task_id.empty() && flight->policy.stateful) message.task_id = message.invocation.request_id;  // a trigger's, which knew no configuration
  if (!message.task_id.empty() && !co_await begin_task(partition, *flight, batch)) co_return;
  if (message.task_id.empty() && partition.cancels) {
    auto row = co_await store_.get(partition.loop, row_of(batch));
    if (!row) co_return;  // cancelled after the queue had read it
  }
  int64_t age_us = partition.loop.clock().wall_us() - message.since_us;
  if (age_us > flight->policy.max_age_s * kMicrosPerSecond) {
    message.reason = fmt::format("it waited for {} s, longer than maxAsyncEventAgeInSeconds ({})", age_us / kMicrosPerSecond, flight->policy.max_age_s);
    auto turn = co_await flight->turns.take(partition.loop);
    flight->ending = true;
    if (flight->acknowledged) batch = {};
    if (flight->stop_asked) co_await stopped(partition, *flight, std::move(batch));
    else co_await bury(partition, *flight, std::move(batch), TaskStatus::expired, {.condition = "EventAgeExceeded"});
    co_return;
  }
  co_await run(partition, flight, std::move(batch));
}

// Records that the task left the queue; false: it must not run, and that is settled.
io::Task<bool> QueuedInvoker::begin_task(Partition& partition, Flight& flight, store::Batch& acknowledgement) {
  auto turn = co_await flight.turns.take(partition.loop);
  AsyncMessage& message = flight.message;
  const Invocation& call = message.invocation;
  auto found = co_await tasks_.find(partition.loop, call.target, message.task_id, false);
  if (found && (found->finished() || found->request_id != call.request_id)) {  // cannot be: both end in one batch
    co_await store_.commit(partition.loop, std::move(acknowledgement));
    co_return false;
  }
  int64_t now_us = partition.loop.clock().wall_us();
  store::Batch batch;
  bool made_room = false;
  if (!found && tasks_.full()) {
    made_room = co_await tasks_.make_room(partition.loop, batch);
    if (!made_room) {  // then it runs without a record: a trigger's call cannot be refused any more
      message.task_id.clear();
      co_return true;
    }
  }
  if (found) {
    Tasks::expect(batch, *found);
    flight.task = std::move(*found);
  } else {
    flight.task = TaskRecord{.target = call.target, .id = message.task_id, .request_id = call.request_id, .started_us = message.since_us, .due_us = flight.row.due_us};
    flight.task->happened(TaskStatus::enqueued, message.since_us);
    batch.expect_exists(row_of(acknowledgement));  // one that was cancelled after the queue had read it becomes no task
  }
  if (flight.task->status == TaskStatus::stopping) {  // and the server ended before the task did
    flight.ending = true;
    co_await stopped(partition, flight, std::move(acknowledgement));
    co_return false;
  }
  flight.task->happened(TaskStatus::dequeued, now_us);
  if (found) Tasks::update(batch, *flight.task);
  else Tasks::create(batch, *flight.task, call.payload);
  if (co_await store_.commit(partition.loop, std::move(batch)) == store::Commit::refused) co_return false;  // stopped just now
  if (!found) tasks_.created();
  if (made_room) tasks_.made_room();
  co_return true;
}

std::shared_ptr<CallWatch> QueuedInvoker::watch_of(Partition& partition, const std::shared_ptr<Flight>& flight) {
  if (!flight->task) return std::make_shared<CallWatch>();
  // Told on the function's shard; the flight, and with it everything here, lives if it can still be locked on the partition's.
  return std::make_shared<CallWatch>([this, &partition, weak = std::weak_ptr(flight)](const std::string& instance_id) {
    partition.loop.post([this, &partition, weak, instance_id] {
      if (auto flight = weak.lock()) partition.notes.spawn(note_running(partition, flight, instance_id));
    });
  });
}

io::Task<void> QueuedInvoker::note_running(Partition& partition, std::shared_ptr<Flight> flight, std::string instance_id) {
  auto turn = co_await flight->turns.take(partition.loop);
  if (flight->ending || flight->stop_asked) co_return;
  flight->task->instance_id = std::move(instance_id);
  flight->task->happened(TaskStatus::running, partition.loop.clock().wall_us());
  store::Batch batch;
  Tasks::update(batch, *flight->task);
  co_await store_.commit(partition.loop, std::move(batch));
}

io::Task<void> QueuedInvoker::run(Partition& partition, std::shared_ptr<Flight> flight, store::Batch batch) {
  flight->watch = watch_of(partition, flight);
  if (flight->stop_asked) flight->watch->cancel();  // while its record was being written
  Invocation call = flight->message.invocation;
  call.watch = flight->watch;
  ++in_flight_;
  auto outcome = co_await invoker_.invoke(partition.loop, std::move(call), io::Deadline::after_us(partition.loop, kAsyncWaitUs));
  --in_flight_;
  auto turn = co_await flight->turns.take(partition.loop);  // what is being written about it comes first
  if (!outcome && outcome.error().code == InvokeError::stopping) co_return;  // not acknowledged: the next start delivers it again, as it was
  flight->ending = true;
  if (flight->acknowledged) batch = {};  // by its stop: a batch that expects the row would be refused, with all that came of the call
  if (outcome && flight->task) {
    TaskRecord& task = *flight->task;
    task.duration_us = outcome->phases.run_us;
    task.instance_id = outcome->instance_id;
    if (task.status == TaskStatus::dequeued) task.happened(TaskStatus::running, partition.loop.clock().wall_us() - task.duration_us);  // it was over too soon to be noted
  }
  bool ok = outcome && outcome->kind == Outcome::Kind::ok;
  if (ok) co_await succeeded(partition, *flight, std::move(batch), std::move(*outcome));
  else if (flight->stop_asked) co_await stopped(partition, *flight, std::move(batch));
  else if (outcome) co_await ran_and_failed(partition, *flight, std::move(batch), std::move(*outcome));
  else co_await not_run(partition, *flight, std::move(batch), std::move(outcome.error()));
}

// ---- What came of it ----

io::Task<void> QueuedInvoker::succeeded(Partition& partition, Flight& flight, store::Batch batch, Outcome outcome) {
  int64_t now_us = partition.loop.clock().wall_us();
  Ending ending{.condition = "Success", .function_error = {}, .response = std::move(outcome.body)};
  bool told = call_destination(batch, flight.policy.on_success, flight.message, ending, now_us);
  if (flight.task) {
    if (told) flight.task->destination_status = "Succeeded";
    flight.task->happened(TaskStatus::succeeded, now_us);
    Tasks::finish(batch, *flight.task, ending.response);
  }
  co_await store_.commit(partition.loop, std::move(batch));
  ++succeeded_;
  if (told) wake();
}

io::Task<void> QueuedInvoker::not_run(Partition& partition, Flight& flight, store::Batch batch, Failure<InvokeError> error) {
  AsyncMessage& message = flight.message;
  message.failed(error.message);
  bool again = error.code == InvokeError::throttled || error.code == InvokeError::exhausted || error.code == InvokeError::unavailable;
  int64_t now_us = partition.loop.clock().wall_us();
  if (!again || now_us - message.since_us > kSystemRetryLimitUs) {
    message.reason = error.message;
    co_await bury(partition, flight, std::move(batch), again ? TaskStatus::failed : TaskStatus::invalid, not_run_ending(error.code));
    co_return;
  }
  co_await put_back(partition, flight, std::move(batch), now_us + pause_us(kFirstSystemRetryUs, message.system_tries++), TaskStatus::enqueued);
}

io::Task<void> QueuedInvoker::ran_and_failed(Partition& partition, Flight& flight, store::Batch batch, Outcome outcome) {
  ++failed_;
  AsyncMessage& message = flight.message;
  message.failed(outcome.body);
  int64_t tries = message.attempts++;
  if (tries < flight.policy.max_retries) {
    if (flight.task) ++flight.task->retries;
    co_await put_back(partition, flight, std::move(batch), partition.loop.clock().wall_us() + pause_us(kFirstRetryUs, tries), TaskStatus::retrying);
    co_return;
  }
  message.reason = fmt::format("it failed {} times, the last time with {}", message.attempts, message.last_error);
  Ending ending{.condition = "RetriesExhausted", .function_error = error_type(outcome.kind), .response = std::move(outcome.body)};
  co_await bury(partition, flight, std::move(batch), TaskStatus::failed, std::move(ending));
}

io::Task<void> QueuedInvoker::put_back(Partition& partition, Flight& flight, store::Batch batch, int64_t due_us, TaskStatus status) {
  if (flight.task) {
    flight.task->due_us = due_us;
    flight.task->error = flight.message.last_error;
    flight.task->happened(status, partition.loop.clock().wall_us(), detail_of(flight.message.last_error));
    Tasks::update(batch, *flight.task);
  }
  queues::add(batch, queue_message(flight.message, due_us));
  co_await store_.commit(partition.loop, std::move(batch));
  ++retried_;
  partition.queue->wake();
}

io::Task<void> QueuedInvoker::bury(Partition& partition, Flight& flight, store::Batch batch, TaskStatus status, Ending ending) {
  AsyncMessage& message = flight.message;
  message.died_us = partition.loop.clock().wall_us();
  bool told = call_destination(batch, flight.policy.on_failure, message, ending, message.died_us);
  if (flight.task) {
    if (told) flight.task->destination_status = "Succeeded";
    flight.task->error = message.last_error.empty() ? message.reason : message.last_error;
    flight.task->happened(status, message.died_us, detail_of(ending.function_error.empty() ? ending.condition : ending.function_error));
    Tasks::finish(batch, *flight.task, ending.response);
  }
  bool removed_one = co_await letters_.bury(partition.loop, batch, message);
  if (co_await store_.commit(partition.loop, std::move(batch)) == store::Commit::refused) co_return;
  ++dead_;
  letters_.added(removed_one);
  if (told) wake();
}

io::Task<void> QueuedInvoker::stopped(Partition& partition, Flight& flight, store::Batch batch) {
  if (flight.task) {
    flight.task->happened(TaskStatus::stopped, partition.loop.clock().wall_us());
    Tasks::finish(batch, *flight.task, {});
  }
  co_await store_.commit(partition.loop, std::move(batch));
  if (!flight.acknowledged) ++stopped_;  // else it was counted when it left its queue
}

// Adds the call of the destination; false if there is none.
bool QueuedInvoker::call_destination(store::Batch& batch, const std::string& arn, const AsyncMessage& message, const Ending& ending, int64_t wall_us) {
  auto target = destination_target(arn);
  if (!target) return false;
  std::string event = destination_event(message, ending, options_.region, options_.account, wall_us, options_.max_payload_bytes);
  Invocation follow{.request_id = uuid(rng_), .target = *target, .payload = std::move(event), .source = "async", .http = {}};
  add_async(batch, follow, wall_us);
  return true;
}

}  // namespace

void add_async(store::Batch& batch, const Invocation& invocation, int64_t due_us) {
  AsyncMessage message{.invocation = invocation, .task_id = {}, .since_us = due_us, .reason = {}};
  queues::add(batch, queue_message(message, due_us));
}

std::unique_ptr<AsyncInvoker> make_async_invoker(std::vector<io::Loop*> loops, store::Store& store, Invoker& invoker, const functions::Catalogue& catalogue,
                                                 const functions::Settings& settings, Rng& rng, AsyncOptions options) {
  return std::make_unique<QueuedInvoker>(std::move(loops), store, invoker, catalogue, settings, rng, std::move(options));
}

}  // namespace mayfly::dispatch
