// How the queue finds its work. Rows are read in due order into `ready_`; consumers take from its front. A scan always begins at the
// queue's first row, so that a message added with a due time already passed is seen like any other, and the rows it must step over
// are bounded: those with a consumer (at most `window`) and those resting (kMaxResting).
//
// Nobody tells the queue whether a consumer acknowledged: the next scan does. A message whose consumer has ended rests; if a scan
// asked after that end still finds its row it was not acknowledged, and is delivered again when its rest is over; if the row is gone,
// so is the memory of it. Such a scan comes with the next work, when the queue falls idle, or kRedeliverUs later.

#include "queues/work_queue.h"

#include <atomic>
#include <deque>
#include <unordered_map>
#include <unordered_set>

#include "base/check.h"
#include "store/keys.h"

namespace mayfly::queues {
namespace {

constexpr std::string_view kRoom = "q";  // first part of every key of this room

constexpr size_t kFetchPerSlot = 2;      // rows read ahead, per slot of the window: work for one slot while the next rows are read
constexpr size_t kMaxResting = 1024;     // messages known to be unacknowledged: beyond it nothing is delivered until one is retried
constexpr size_t kMaxEnded = 4096;       // messages ended and not yet looked for: beyond it a scan is due at once
constexpr int64_t kMaxSleepUs = 60 * kMicrosPerSecond;  // between looks at the next due time: the wall clock may jump

std::string key_of(const Message& message) {
  return store::make_key({kRoom, message.queue, store::ordered_int(message.due_us), message.id});
}

// The first key of `queue` that is due at `due_us` or later.
std::string key_from(const std::string& queue, int64_t due_us) { return store::make_key({kRoom, queue, store::ordered_int(due_us)}); }

std::optional<Message> parse(std::string_view key, std::string payload) {
  auto parts = store::split_key(key);
  if (!parts || parts->size() != 4 || parts->at(0) != kRoom || parts->at(2).size() != 8) return std::nullopt;
  return Message{std::move(parts->at(1)), store::read_ordered_int(parts->at(2)), std::move(parts->at(3)), std::move(payload)};
}

void print_fault(std::exception_ptr fault) {
  try {
    std::rethrow_exception(fault);
  } catch (const std::exception& error) {
    fmt::print(stderr, "work queue: will be tried again: {}\n", error.what());
  } catch (...) {
    fmt::print(stderr, "work queue: will be tried again: unknown fault\n");
  }
}

class Queue final : public WorkQueue {
 public:
  Queue(io::Loop& loop, store::Store& store, WorkQueueOptions options, Consumer consumer)
      : loop_(loop), store_(store), options_(std::move(options)), consumer_(std::move(consumer)), group_(loop) {
    MAYFLY_CHECK_OP(options_.window, >, size_t{0});
    if (!options_.on_fault) options_.on_fault = print_fault;
    wakes_->queue = this;
  }

  ~Queue() override {
    wakes_->queue = nullptr;
    if (timer_ != 0) loop_.cancel(timer_);
  }

  void start() override {
    MAYFLY_CHECK(!started_);
    started_ = true;
    look_again();
  }

  void wake() override {
    if (wakes_->pending.exchange(true)) return;
    loop_.post([wakes = wakes_] {
      wakes->pending.store(false);  // before the scan is asked: a later commit posts again
      if (wakes->queue != nullptr) wakes->queue->look_again();
    });
  }

  io::Task<void> stop() override {
    stopping_ = true;
    ready_.clear();
    return group_.drain();
  }

  size_t in_flight() const override { return running_.size(); }

 private:
  struct Ready {
    std::string key;
    Message message;
  };
  // A message whose consumer has ended.
  struct Rest {
    int64_t retry_at_us;     // monotonic
    uint64_t ended_in_scan;  // scans asked by then; only a later one can tell whether the row is gone
    bool found = false;      // a later scan saw the row: not acknowledged
    uint64_t found_in_scan = 0;
  };
  // What a wake from another thread may touch; outlives the queue while a post is on its way.
  struct Wakes {
    std::atomic<bool> pending = false;
    Queue* queue = nullptr;  // the loop's thread only
  };

  size_t fetch_limit() const { return options_.window * kFetchPerSlot; }

  void look_again() {
    dirty_ = true;
    maybe_scan();
  }

  void maybe_scan() {
    bool full = found_ >= kMaxResting;  // nothing can be delivered before a retry: only a timer or a wake is a reason to look
    if (!started_ || stopping_ || scanning_ || !(dirty_ || (more_ && !full))) return;
    if (ready_.size() > options_.window / 2 && !full) return;
    scanning_ = true;
    bool at_end = !more_;
    dirty_ = more_ = false;
    group_.spawn(refill());
    if (at_end) group_.spawn(look_ahead());  // both are answered in one round of the store
  }

  // Reads what is due now.
  io::Task<void> refill() {
    uint64_t scan = ++scans_;
    auto range = rows_of(options_.name);
    range.last = key_from(options_.name, saturated_next(loop_.clock().wall_us()));
    range.limit = running_.size() + found_ + fetch_limit();
    std::vector<store::Entry> rows;
    try {
      rows = co_await store_.scan(loop_, range);
    } catch (...) {
      options_.on_fault(std::current_exception());
      scanning_ = false;
      arm(loop_.now_us() + kRedeliverUs);
      co_return;
    }
    scanning_ = false;
    if (stopping_) co_return;
    take(std::move(rows), range.limit, scan);
    deliver();
  }

  // Finds when the next message will be due.
  io::Task<void> look_ahead() {
    auto range = rows_of(options_.name);
    range.first = key_from(options_.name, saturated_next(loop_.clock().wall_us()));
    range.limit = 1;
    int64_t sleep_us = kMaxSleepUs;
    try {
      auto rows = co_await store_.scan(loop_, range);
      if (rows.empty()) co_return;
      auto message = parse(rows.front().key, {});
      MAYFLY_CHECK(message);
      sleep_us = std::clamp<int64_t>(message->due_us - loop_.clock().wall_us(), 0, kMaxSleepUs);
    } catch (...) {
      options_.on_fault(std::current_exception());
      sleep_us = kRedeliverUs;
    }
    if (!stopping_) arm(loop_.now_us() + sleep_us);
  }

  static int64_t saturated_next(int64_t us) { return us == INT64_MAX ? us : us + 1; }

  // Makes `ready_` anew from the rows of one scan.
  void take(std::vector<store::Entry> rows, size_t limit, uint64_t scan) {
    bool complete = rows.size() < limit;
    std::optional<std::string> end;  // every row before it is examined here; nullopt: every row there is
    if (!complete) end = rows.back().key;
    size_t at = 0;
    ready_.clear();
    for (; at < rows.size() && ready_.size() < fetch_limit(); ++at) {
      if (!deliverable(rows[at].key, scan)) continue;
      auto message = parse(rows[at].key, std::move(rows[at].value));
      MAYFLY_CHECK(message);
      ready_.push_back({std::move(rows[at].key), std::move(*message)});
    }
    if (at < rows.size()) end = rows[at].key;
    more_ = end.has_value();
    forget_acknowledged(scan, end);
    if (!more_ && !dirty_ && look_ahead_owed_) group_.spawn(look_ahead());
    look_ahead_owed_ = more_;
  }

  // Whether a row found by `scan` is to be delivered now.
  bool deliverable(const std::string& key, uint64_t scan) {
    if (running_.contains(key)) return false;
    auto rest = resting_.find(key);
    if (rest == resting_.end()) return true;
    if (rest->second.ended_in_scan >= scan) return false;  // ended while the scan was under way: it cannot tell
    if (!std::exchange(rest->second.found, true)) ++found_;
    rest->second.found_in_scan = scan;
    if (rest->second.retry_at_us > loop_.now_us()) return false;
    --found_;
    resting_.erase(rest);
    return true;
  }

  // Drops the resting messages whose rows the scan would have found and did not. It saw every row before `end`; nullopt: all.
  void forget_acknowledged(uint64_t scan, const std::optional<std::string>& end) {
    int64_t retry_at_us = INT64_MAX;
    for (auto at = resting_.begin(); at != resting_.end();) {
      Rest& rest = at->second;
      bool judged = rest.ended_in_scan < scan && rest.found_in_scan != scan && (!end || at->first < *end);
      if (!judged) {
        retry_at_us = std::min(retry_at_us, rest.retry_at_us);
        ++at;
        continue;
      }
      found_ -= rest.found;
      at = resting_.erase(at);
    }
    if (retry_at_us != INT64_MAX) arm(retry_at_us);
  }

  void deliver() {
    if (delivering_) return;  // a consumer that ended at once; the loop below goes on
    delivering_ = true;
    while (!stopping_ && !ready_.empty() && running_.size() < options_.window && found_ < kMaxResting) {
      Ready next = std::move(ready_.front());
      ready_.pop_front();
      running_.insert(next.key);
      group_.spawn(handle(std::move(next.key), std::move(next.message)));
    }
    delivering_ = false;
    maybe_scan();
  }

  io::Task<void> handle(std::string key, Message message) {
    std::exception_ptr fault;
    try {
      co_await consumer_(std::move(message));
    } catch (...) {
      fault = std::current_exception();
    }
    if (fault) options_.on_fault(fault);
    running_.erase(key);
    if (stopping_) co_return;
    int64_t retry_at_us = loop_.now_us() + kRedeliverUs;
    resting_.insert_or_assign(std::move(key), Rest{.retry_at_us = retry_at_us, .ended_in_scan = scans_});
    arm(retry_at_us);
    if ((ready_.empty() && running_.empty()) || resting_.size() - found_ >= kMaxEnded) dirty_ = true;
    deliver();
  }

  // Makes sure that a scan is asked at `at_us` or before.
  void arm(int64_t at_us) {
    if (timer_ != 0 && timer_at_us_ <= at_us) return;
    if (timer_ != 0) loop_.cancel(timer_);
    timer_at_us_ = at_us;
    timer_ = loop_.call_at(at_us, [this] {
      timer_ = 0;
      look_again();
    });
  }

  io::Loop& loop_;
  store::Store& store_;
  WorkQueueOptions options_;
  Consumer consumer_;
  std::shared_ptr<Wakes> wakes_ = std::make_shared<Wakes>();  // shared with posts on their way

  std::deque<Ready> ready_;                        // due, in order, not yet with a consumer
  std::unordered_set<std::string> running_;        // keys with a consumer
  std::unordered_map<std::string, Rest> resting_;  // keys whose consumer has ended
  size_t found_ = 0;                               // of resting_, those with `found`
  uint64_t scans_ = 0;
  bool started_ = false, stopping_ = false, scanning_ = false, delivering_ = false;
  bool dirty_ = false;             // something may have changed since the last scan was asked
  bool more_ = false;              // the last scan left due rows unread
  bool look_ahead_owed_ = false;   // it did not look for the next due time either
  io::Loop::TimerId timer_ = 0;    // 0: none
  int64_t timer_at_us_ = 0;
  io::TaskGroup group_;
};

}  // namespace

void add(store::Batch& batch, const Message& message) { batch.put(key_of(message), message.payload); }

void acknowledge(store::Batch& batch, const Message& message) { batch.erase(key_of(message)); }

void acknowledge_once(store::Batch& batch, const Message& message) {
  batch.expect_exists(key_of(message));
  acknowledge(batch, message);
}

store::Range rows_of(const std::string& queue) {
  std::string prefix = store::make_key({kRoom, queue});
  return {.first = prefix, .last = store::after_prefix(prefix)};
}

std::optional<Message> read_message(const store::Entry& row) { return parse(row.key, row.value); }

std::unique_ptr<WorkQueue> make_work_queue(io::Loop& loop, store::Store& store, WorkQueueOptions options, WorkQueue::Consumer consumer) {
  return std::make_unique<Queue>(loop, store, std::move(options), std::move(consumer));
}

}  // namespace mayfly::queues
