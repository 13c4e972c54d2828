#include "events/timers.h"

#include <map>

#include "base/json.h"
#include "store/keys.h"

namespace mayfly::events {
namespace {

constexpr std::string_view kQueue = "timers";
constexpr int kMaxReconcileTries = 20;  // a try is refused only when a tick committed in between

// A stored timer: what ticks, since when it counts, and when it ticks next.
struct Row {
  TimerSpec spec;
  int64_t anchor_us = 0, next_us = 0;
};

std::string row_key(const std::string& timer) { return store::make_key({"timer", timer}); }

std::string encode(const Row& row) {
  return to_text(json::object{{"key", row.spec.key}, {"cron", row.spec.cron}, {"action", row.spec.action}, {"anchor", row.anchor_us}, {"next", row.next_us}});
}

Row decode(const std::string& text) {
  json::value value = parse_json(text).value();
  return {{string_or(value, "key"), string_or(value, "cron"), string_or(value, "action")}, int_or(value, "anchor"), int_or(value, "next")};
}

queues::Message message_of(const Row& row) { return {std::string(kQueue), row.next_us, row.spec.key, {}}; }

}  // namespace

Timers::Timers(io::Loop& loop, store::Store& store, const Clock& clock, Fire fire, Fired fired)
    : loop_(loop), store_(store), clock_(clock), fire_(std::move(fire)), fired_(std::move(fired)),
      queue_(queues::make_work_queue(loop, store, {.name = std::string(kQueue)}, [this](queues::Message message) { return tick(std::move(message)); })) {}
Timers::~Timers() = default;

void Timers::start() { queue_->start(); }
io::Task<void> Timers::stop() { return queue_->stop(); }

// Writes the row and the message of the next tick after now; a schedule with no further tick leaves the row alone, dormant.
void Timers::add_next(store::Batch& batch, const TimerSpec& spec, int64_t anchor_us) {
  auto schedule = Schedule::parse(spec.cron);
  auto next = schedule ? schedule->next(clock_.wall_us(), anchor_us) : std::nullopt;
  Row row{spec, anchor_us, next.value_or(0)};
  batch.put(row_key(spec.key), encode(row));
  if (next) queues::add(batch, message_of(row));
}

io::Task<void> Timers::tick(queues::Message message) {
  auto stored = co_await store_.get(loop_, row_key(message.id));
  store::Batch batch;
  queues::acknowledge_once(batch, message);
  if (!stored || decode(*stored).next_us != message.due_us) {  // removed or changed since
    co_await store_.commit(loop_, std::move(batch));
    co_return;
  }
  Row row = decode(*stored);
  batch.expect_equals(row_key(row.spec.key), *stored);
  fire_(batch, row.spec, row.next_us);
  add_next(batch, row.spec, row.anchor_us);
  if (co_await store_.commit(loop_, std::move(batch)) == store::Commit::done) {
    queue_->wake();
    fired_();
  }
}

io::Task<void> Timers::reconcile(std::vector<TimerSpec> wanted) {
  std::string first = store::make_key({"timer"});
  for (int attempt = 0; attempt < kMaxReconcileTries; ++attempt) {
    std::map<std::string, const TimerSpec*> missing;
    for (const TimerSpec& spec : wanted) missing[spec.key] = &spec;
    store::Batch batch;
    for (const store::Entry& entry : co_await store::scan_all(store_, loop_, first, store::after_prefix(first))) {
      Row row = decode(entry.value);
      auto want = missing.find(row.spec.key);
      bool keep = want != missing.end() && *want->second == row.spec;
      if (keep) {
        missing.erase(want);
        continue;
      }
      batch.expect_equals(entry.key, entry.value);
      batch.erase(entry.key);
      queues::acknowledge(batch, message_of(row));
    }
    for (const auto& [key, spec] : missing) add_next(batch, *spec, clock_.wall_us());
    if (batch.empty()) co_return;
    if (co_await store_.commit(loop_, std::move(batch)) == store::Commit::done) {
      queue_->wake();
      co_return;
    }
  }
  throw std::runtime_error("timers keep changing while they are being reconciled");
}

}  // namespace mayfly::events
