#include "dispatch/async_once.h"

#include <fmt/format.h>

#include "base/check.h"
#include "base/encoding.h"
#include "base/hash.h"
#include "base/json.h"
#include "store/keys.h"

namespace mayfly::dispatch {
namespace {

constexpr size_t kRows = 1'000;  // read or dropped at once

std::string key_row(const Target& target, const std::string& key) { return store::make_key({"async-once", target.service, target.function, key}); }
std::string age_prefix() { return store::make_key({"async-once-age"}); }
std::string age_row(int64_t until_us, const Target& target, const std::string& key) {
  return store::make_key({"async-once-age", store::ordered_int(until_us), target.service, target.function, key});
}

}  // namespace

io::Task<void> OnceKeys::load(io::Loop& loop) {
  std::string first = age_prefix(), last = store::after_prefix(first);
  size_t count = 0;
  while (true) {
    auto rows = co_await store_.scan(loop, {.first = first, .last = last, .limit = kRows, .keys_only = true});
    count += rows.size();
    if (rows.size() < kRows) break;
    first = rows.back().key + '\0';
  }
  stored_ = count;
}

io::Task<std::optional<OnceKeys::Seen>> OnceKeys::look(io::Loop& loop, const Invocation& call, std::string key, store::Batch& batch) {
  std::string row = key_row(call.target, key), digest = hex_encode(sha256(call.payload));
  auto found = co_await store_.get(loop, row);
  auto text = found ? parse_json(*found) : fail(JsonError::malformed, {});
  int64_t now_us = loop.clock().wall_us();
  if (text && int_or(*text, "until_us") > now_us) co_return Seen{string_or(*text, "request_id"), string_or(*text, "digest") == digest};
  if (found) {
    batch.expect_equals(row, *found);
    if (text) batch.erase(age_row(int_or(*text, "until_us"), call.target, key));
  } else {
    batch.expect_absent(row);
  }
  int64_t until_us = now_us + kRememberUs;
  batch.put(row, to_text(json::object{{"request_id", call.request_id}, {"digest", digest}, {"until_us", until_us}}));
  batch.put(age_row(until_us, call.target, key), "");
  co_return std::nullopt;
}

io::Task<void> OnceKeys::sweep(io::Loop& loop) {
  std::string now = store::make_key({"async-once-age", store::ordered_int(loop.clock().wall_us())});
  while (true) {
    bool too_many = stored_ > kMaxKeys;
    size_t limit = too_many ? std::min(kRows, stored_ - kMaxKeys) : kRows;
    auto rows = co_await store_.scan(loop, {.first = age_prefix(), .last = too_many ? store::after_prefix(age_prefix()) : now, .limit = limit, .keys_only = true});
    if (rows.empty()) co_return;
    store::Batch batch;
    for (const store::Entry& age : rows) {
      auto key = store::split_key(age.key);
      MAYFLY_CHECK(key && key->size() == 5);
      batch.expect_exists(age.key);
      batch.erase(age.key);
      batch.erase(key_row({(*key)[2], (*key)[3], {}}, (*key)[4]));
    }
    if (co_await store_.commit(loop, std::move(batch)) == store::Commit::refused) co_return;  // one was renewed: at the next sweep
    stored_ -= rows.size();
    if (rows.size() < kRows && stored_ <= kMaxKeys) co_return;
  }
}

}  // namespace mayfly::dispatch
