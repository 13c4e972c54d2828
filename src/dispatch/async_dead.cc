#include "dispatch/async_dead.h"

#include <algorithm>

#include "base/check.h"
#include "base/encoding.h"
#include "dispatch/async_tasks.h"
#include "store/keys.h"

namespace mayfly::dispatch {
namespace {

constexpr size_t kRows = 100;  // letters read at once: each has its payload, up to 128 KiB; and ended in one commit

std::string dead_prefix() { return store::make_key({"async-dead"}); }
std::string dead_key(int64_t died_us, const std::string& request_id) { return store::make_key({"async-dead", store::ordered_int(died_us), request_id}); }
std::string first_key(int64_t died_us) { return store::make_key({"async-dead", store::ordered_int(died_us)}); }

bool wanted(const LetterQuery& query, const AsyncMessage& message) {
  const Target& target = message.invocation.target;
  return (query.service.empty() || query.service == target.service) && (query.function.empty() || query.function == target.function);
}

DeadLetter letter_of(std::string id, AsyncMessage message) {
  return {std::move(id), std::move(message.invocation), std::move(message.task_id), std::move(message.reason), std::move(message.first_error),
          std::move(message.last_error), message.attempts, message.system_tries, message.since_us, message.died_us};
}

}  // namespace

io::Task<void> DeadLetters::load(io::Loop& loop) { return sweep(loop); }

io::Task<void> DeadLetters::sweep(io::Loop& loop) {
  auto rows = co_await store_.scan(loop, {.first = dead_prefix(), .last = store::after_prefix(dead_prefix()), .limit = 2 * kMaxDeadLetters, .keys_only = true});
  store::Batch batch;
  for (size_t i = 0; i + kMaxDeadLetters < rows.size(); ++i) batch.erase(rows[i].key);
  size_t removed = batch.writes.size();
  if (removed > 0) co_await store_.commit(loop, std::move(batch));
  stored_ = rows.size() - removed;
}

io::Task<std::vector<DeadLetter>> DeadLetters::list(io::Loop& loop, LetterQuery query) {
  store::Range range{.first = first_key(query.died_from_us), .last = store::after_prefix(dead_prefix()), .limit = kRows};
  if (query.died_until_us != INT64_MAX) range.last = first_key(query.died_until_us);
  std::vector<DeadLetter> letters;
  for (const std::string* bound : {&query.after, &query.id}) {
    if (bound->empty()) continue;
    auto key = hex_decode(*bound);
    if (!key || !key->starts_with(dead_prefix())) co_return letters;
    range.first = std::max(range.first, bound == &query.after ? *key + '\0' : *key);
    if (bound == &query.id) range.last = std::min(range.last, *key + '\0');
  }
  while (letters.size() < query.limit) {
    auto rows = co_await store_.scan(loop, range);
    for (const store::Entry& row : rows) {
      auto message = decode_async(row.value);
      if (!message || !wanted(query, *message)) continue;
      letters.push_back(letter_of(hex_encode(row.key), std::move(*message)));
      if (letters.size() == query.limit) break;
    }
    if (rows.size() < range.limit) break;
    range.first = rows.back().key + '\0';
  }
  co_return letters;
}

io::Task<size_t> DeadLetters::redrive(io::Loop& loop, LetterQuery query) { return end(loop, std::move(query), Fate::run_again); }
io::Task<size_t> DeadLetters::purge(io::Loop& loop, LetterQuery query) { return end(loop, std::move(query), Fate::forget); }

// Letters that come meanwhile are not part of it, or a function that always fails would be redriven for ever.
io::Task<size_t> DeadLetters::end(io::Loop& loop, LetterQuery query, Fate fate) {
  auto last = co_await store_.scan(loop, {.first = dead_prefix(), .last = store::after_prefix(dead_prefix()), .limit = 1, .reverse = true, .keys_only = true});
  if (last.empty()) co_return 0;
  query.died_until_us = std::min(query.died_until_us, store::read_ordered_int(store::split_key(last.front().key)->at(1)) + 1);
  size_t left = query.limit, ended = 0;
  while (left > 0) {
    query.limit = std::min(left, kRows);
    auto letters = co_await list(loop, query);
    if (letters.empty()) break;
    left -= letters.size();
    query.after = letters.back().id;
    ended += co_await end_some(loop, std::move(letters), fate);
  }
  co_return ended;
}

// All in one commit; if somebody else ended one of them meanwhile, each in its own.
io::Task<size_t> DeadLetters::end_some(io::Loop& loop, std::vector<DeadLetter> letters, Fate fate) {
  store::Batch batch;
  int64_t now_us = loop.clock().wall_us();
  for (const DeadLetter& letter : letters) {
    std::string key = hex_decode(letter.id).value();
    batch.expect_exists(key);
    batch.erase(key);
    if (fate == Fate::forget) continue;
    AsyncMessage again{.invocation = letter.invocation, .task_id = letter.task_id, .since_us = now_us, .reason = {}};
    again.invocation.retry_count = 0;
    auto task = letter.task_id.empty() ? std::nullopt : co_await Tasks(store_).find(loop, letter.invocation.target, letter.task_id, false);
    if (task && task->finished() && task->request_id == letter.invocation.request_id) {
      Tasks::expect(batch, *task);
      Tasks::reopen(batch, std::move(*task), now_us, now_us);
    } else {
      again.task_id.clear();  // its record is gone, or the id belongs to another call by now
    }
    queues::add(batch, queue_message(again, now_us));
  }
  size_t count = letters.size();
  if (co_await store_.commit(loop, std::move(batch)) == store::Commit::done) {
    stored_ -= count;
    if (fate == Fate::run_again) redriven_();
    co_return count;
  }
  if (count == 1) co_return 0;
  size_t ended = 0;
  for (DeadLetter& letter : letters) {
    std::vector<DeadLetter> one;
    one.push_back(std::move(letter));
    ended += co_await end_some(loop, std::move(one), fate);
  }
  co_return ended;
}

io::Task<bool> DeadLetters::bury(io::Loop& loop, store::Batch& batch, AsyncMessage message) {
  batch.put(dead_key(message.died_us, message.invocation.request_id), encode(message));
  if (stored_ < kMaxDeadLetters) co_return false;
  auto oldest = co_await store_.scan(loop, {.first = dead_prefix(), .last = store::after_prefix(dead_prefix()), .limit = 1, .keys_only = true});
  if (oldest.empty()) co_return false;
  batch.erase(oldest.front().key);
  co_return true;
}

}  // namespace mayfly::dispatch
