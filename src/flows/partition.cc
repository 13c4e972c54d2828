#include "flows/partition_impl.h"

#include <stdexcept>

namespace mayfly::flows {
namespace {

constexpr size_t kMaxRoundCommands = 64;  // per commit: bounds the batch and the events in one row of history
// A refused commit means that somebody else wrote the same rows. Judging anew from the store settles it, unless that goes on.
constexpr int kMaxRoundTries = 4;

}  // namespace

Partition::Partition(unsigned index, io::Loop& loop, store::Store& store, Definitions& definitions, std::vector<TaskTarget*> targets, Report report,
                     PartitionOptions options)
    : loop_(loop), store_(store), definitions_(definitions), targets_(std::move(targets)), report_(std::move(report)), options_(options), group_(loop),
      task_queue_(fmt::format("flows.task.{}", index)), work_queue_(fmt::format("flows.work.{}", index)) {
  tasks_ = queues::make_work_queue(loop, store, {.name = task_queue_, .window = options_.task_window, .on_fault = options_.on_fault},
                                   [this](queues::Message message) { return consume_task(std::move(message)); });
  work_ = queues::make_work_queue(loop, store, {.name = work_queue_, .window = options_.work_window, .on_fault = options_.on_fault},
                                  [this](queues::Message message) { return consume_work(std::move(message)); });
}

Partition::~Partition() = default;

void Partition::start() {
  tasks_->start();
  work_->start();
}

io::Task<void> Partition::stop() {
  stopping_ = true;
  for (auto& [key, signal] : waiting_) signal->set();
  co_await tasks_->stop();
  co_await work_->stop();
  co_await group_.drain();
}

io::Task<void> Partition::wait_for_end(std::string flow, std::string execution, io::Deadline deadline) {
  Key key(std::move(flow), std::move(execution));
  io::Signal ended(loop_);
  auto entry = waiting_.emplace(key, &ended);
  auto row = co_await store_.get(loop_, execution_key(key.first, key.second));
  const bool running = row && read_execution(*row).execution.status == Status::running;
  if (running && !stopping_) co_await ended.wait(deadline);
  waiting_.erase(entry);
}

void Partition::notify(const Key& key) {
  auto [first, last] = waiting_.equal_range(key);
  for (; first != last; ++first) first->second->set();
}

Partition::Hot& Partition::hot_of(const Key& key) {
  auto& hot = hot_[key];
  if (!hot) {
    hot = std::make_unique<Hot>();
    hot->key = key;
  }
  if (hot->idle) {
    idle_.erase(*hot->idle);
    hot->idle.reset();
  }
  return *hot;
}

io::Task<void> Partition::post(Key key, Pending& pending) {
  Hot& hot = hot_of(key);
  hot.inbox.push_back(&pending);
  if (!hot.busy) group_.spawn(drive(hot));
  co_await pending.done.wait();
  if (pending.fault) std::rethrow_exception(pending.fault);
}

io::Task<Verdict> Partition::begin(Begin begin) {
  Pending pending(loop_);
  pending.kind = Pending::Kind::begin;
  pending.begin = &begin;
  co_await post({begin.request.flow, begin.request.name}, pending);
  co_return pending.verdict;
}

io::Task<Verdict> Partition::submit(std::string flow, std::string execution, Command command, std::optional<queues::Message> cause) {
  Pending pending(loop_);
  pending.command = std::move(command);
  pending.cause = std::move(cause);
  co_await post({std::move(flow), std::move(execution)}, pending);
  co_return pending.verdict;
}

// Works through an execution's inbox until it is empty.
io::Task<void> Partition::drive(Hot& hot) {
  hot.busy = true;
  while (!hot.inbox.empty() || hot.resume) {
    std::vector<Pending*> taken;
    while (!hot.inbox.empty() && taken.size() < kMaxRoundCommands) {
      taken.push_back(hot.inbox.front());
      hot.inbox.pop_front();
    }
    std::exception_ptr fault;
    try {
      int tries = 0;
      while (!co_await round(hot, taken)) {
        unload(hot);
        if (++tries == kMaxRoundTries) throw std::runtime_error(fmt::format("execution {}/{}: its commits are refused", hot.key.first, hot.key.second));
      }
    } catch (...) {
      fault = std::current_exception();
      unload(hot);
    }
    for (Pending* pending : taken) {
      pending->fault = fault;
      pending->done.set();
    }
  }
  hot.busy = false;
  settle(hot);
}

// Forgets what is in memory of it; the next command reads the store.
void Partition::unload(Hot& hot) {
  hot.loaded = hot.exists = false;
  hot.resume.reset();
  hot.state = State();
  hot.compiled.reset();
}

// Nothing is left to do for it: what has ended goes, the rest stays for a while.
void Partition::settle(Hot& hot) {
  if (!hot.loaded || !hot.exists || hot.state.ended()) {
    hot_.erase(Key(hot.key));
    return;
  }
  hot.idle = idle_.insert(idle_.end(), &hot);
  if (idle_.size() <= options_.max_idle) return;
  Key oldest = idle_.front()->key;
  idle_.pop_front();
  hot_.erase(oldest);
}

io::Task<void> Partition::load(Hot& hot) {
  auto row = co_await store_.get(loop_, execution_key(hot.key.first, hot.key.second));
  hot.exists = row.has_value();
  if (hot.exists) {
    hot.row = read_execution(*row);
    hot.state = make_state(hot.key.first, hot.key.second, "", "");
    hot.state.status = hot.row.execution.status;
    if (!hot.state.ended()) {
      auto state = co_await store_.get(loop_, state_key(hot.key.first, hot.key.second));
      if (!state) throw std::runtime_error(fmt::format("execution {}/{} has no state row", hot.key.first, hot.key.second));
      hot.compiled = co_await definitions_.definition(loop_, hot.row.definition_hash);
      hot.state = read_state(*state);
      restore(hot.compiled->definition, hot.state);
    }
  }
  hot.loaded = true;
}

// Applies what was taken and commits it. False: the commit was refused, nothing of it counts.
io::Task<bool> Partition::round(Hot& hot, std::vector<Pending*> taken) {
  // A start is first tried without looking whether the name is taken: the commit expects that it is not.
  const bool blind = !hot.loaded && taken.size() == 1 && taken.front()->kind == Pending::Kind::begin && !std::exchange(taken.front()->tried, true);
  if (!hot.loaded && !blind) {
    co_await load(hot);
    for (Pending* pending : taken) {
      if (pending->kind != Pending::Kind::begin || hot.exists) continue;
      if (!co_await store_.get(loop_, flow_key(hot.key.first))) pending->verdict = Verdict::no_flow;
    }
  }
  Round round;
  round.now_us = loop_.clock().wall_us();
  for (Pending* pending : taken) judge(hot, round, *pending);
  if (hot.resume) {
    queues::acknowledge(round.batch, *hot.resume);
    hot.resume.reset();
    apply(hot.compiled->definition, hot.state, {.kind = Command::Kind::resume, .now_us = round.now_us}, options_.limits, round.applied);
    round.changed |= round.applied.accepted;
  }
  if (round.changed) write(hot, round);
  auto resume = std::move(round.resume);
  if (round.batch.empty()) co_return true;
  if (co_await store_.commit(loop_, std::move(round.batch)) == store::Commit::refused) co_return false;
  if (round.wake_tasks) tasks_->wake();
  if (round.wake_work) work_->wake();
  hot.resume = std::move(resume);
  if (round.changed && hot.state.ended()) notify(hot.key);
  co_return true;
}

void Partition::judge(Hot& hot, Round& round, Pending& pending) {
  if (pending.kind == Pending::Kind::begin) return judge_begin(hot, round, pending);
  const bool live = hot.exists && !hot.state.ended();
  if (pending.kind == Pending::Kind::peek) {
    if (live) pending.call = task_call(hot.compiled->definition, hot.state, pending.peek);
    pending.role_arn = hot.row.execution.role_arn;
    return;
  }
  pending.verdict = hot.exists ? Verdict::stale : Verdict::not_found;
  if (live) {
    pending.command.now_us = round.now_us;
    apply(hot.compiled->definition, hot.state, pending.command, options_.limits, round.applied);
    if (round.applied.accepted) pending.verdict = Verdict::accepted;
  }
  const bool accepted = pending.verdict == Verdict::accepted;
  round.changed |= accepted;
  if (!pending.cause) return;
  // What a resume does is fenced by the sequence alone: the driver goes on without waiting for the message.
  if (accepted && pending.command.kind != Command::Kind::resume) queues::acknowledge_once(round.batch, *pending.cause);
  else queues::acknowledge(round.batch, *pending.cause);
}

void Partition::judge_begin(Hot& hot, Round& round, Pending& pending) {
  if (hot.exists || pending.verdict == Verdict::no_flow) {
    if (hot.exists) pending.verdict = Verdict::exists;
    return;
  }
  const Begin& begin = *pending.begin;
  const auto& known = begin.flow->row;
  hot.compiled = begin.flow->compiled;
  hot.row = {};
  hot.row.definition_hash = hot.compiled->hash;
  hot.row.execution = {.flow = begin.request.flow, .name = begin.request.name, .definition = {}, .role_arn = known.flow.role_arn, .input = begin.request.input,
                       .output = {}, .status = Status::running, .error = {}, .cause = {}, .origin = begin.request.origin, .started_us = round.now_us};
  hot.state = make_state(begin.request.flow, begin.request.name, begin.secret, begin.request.callback_token);
  apply(hot.compiled->definition, hot.state, {.kind = Command::Kind::start, .now_us = round.now_us, .output = begin.request.input}, options_.limits,
        round.applied);
  hot.loaded = hot.exists = true;
  round.changed = round.began = true;
  pending.verdict = Verdict::accepted;
}

// The batch of a round that changed something.
void Partition::write(Hot& hot, Round& round) {
  const auto& [flow, name] = hot.key;
  if (round.began) {
    round.batch.expect_absent(execution_key(flow, name));
    round.batch.expect_exists(flow_key(flow));
  } else {
    round.batch.expect_equals(sequence_key(flow, name), std::to_string(hot.state.sequence));
  }
  ++hot.state.sequence;
  if (!round.applied.events.empty()) {
    round.batch.put(history_key(flow, name, round.applied.events.front().id), write_history(round.applied.events));
  }
  write_messages(hot, round);
  write_rows(hot, round);
}

void Partition::write_messages(const Hot& hot, Round& round) {
  for (const TaskRef& task : round.applied.tasks) {
    queues::add(round.batch, task_message(hot.state, task, round.now_us));
    round.wake_tasks = true;
  }
  for (const TimerChange& timer : round.applied.timers) {
    if (timer.set) queues::add(round.batch, timer_message(hot.state, timer));
    else queues::acknowledge(round.batch, timer_message(hot.state, timer));
    round.wake_work |= timer.set;
  }
  if (!hot.state.agenda.empty()) {
    round.resume = resume_message(hot.state, round.now_us);
    queues::add(round.batch, *round.resume);
  }
  if (hot.state.ended() && !hot.state.callback_token.empty()) {
    queues::add(round.batch, end_message(hot.state, round.now_us));
    round.wake_work = true;
  }
}

void Partition::write_rows(Hot& hot, Round& round) {
  const auto& [flow, name] = hot.key;
  Execution& shown = hot.row.execution;
  const bool ended = hot.state.ended();
  if (ended) {
    shown.status = hot.state.status;
    shown.output = hot.state.output;
    shown.error = hot.state.error;
    shown.cause = hot.state.cause;
    shown.stopped_us = round.now_us;
    if (!round.began) {
      round.batch.erase(state_key(flow, name));
      round.batch.erase(sequence_key(flow, name));
      round.batch.erase(status_index_key(flow, Status::running, shown.started_us, name));
    }
  } else {
    round.batch.put(state_key(flow, name), write_state(hot.state));
    round.batch.put(sequence_key(flow, name), std::to_string(hot.state.sequence));
  }
  if (round.began) round.batch.put(time_index_key(flow, shown.started_us, name), "");
  if (!round.began && !ended) return;
  round.batch.put(status_index_key(flow, shown.status, shown.started_us, name), "");
  round.batch.put(execution_key(flow, name), write_execution(hot.row));
}

}  // namespace mayfly::flows
