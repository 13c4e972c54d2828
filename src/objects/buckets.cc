#include "objects/buckets.h"

#include "objects/layout.h"
#include "store/keys.h"

namespace mayfly::objects {
namespace {

std::unexpected<Failure<ObjectsError>> no_such_bucket() { return fail(ObjectsError::no_such_bucket, "The specified bucket does not exist."); }

io::Task<bool> holds_any(Ground ground, io::Loop& loop, std::string space, std::string bucket) {
  std::string first = prefix_start(space, bucket, "");
  std::vector<store::Entry> entries = co_await ground.store.scan(loop, {.first = first, .last = store::after_prefix(first), .limit = 1});
  co_return !entries.empty();
}

io::Task<bool> is_empty(Ground ground, io::Loop& loop, std::string bucket) {
  if (co_await holds_any(ground, loop, "o", bucket)) co_return false;
  co_return !co_await holds_any(ground, loop, "u", bucket);
}

}  // namespace

bool valid_bucket_name(std::string_view name) {
  auto letter_or_digit = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return name.size() >= 3 && name.size() <= 63 && letter_or_digit(name.front()) && letter_or_digit(name.back()) &&
         std::ranges::all_of(name, [&](char c) { return c == '-' || letter_or_digit(c); });
}

io::Task<Result<Bucket>> Buckets::create(io::Loop& loop, Bucket wanted) {
  if (!valid_bucket_name(wanted.name)) co_return fail(ObjectsError::invalid_name, "The specified bucket is not valid.");
  wanted.created_us = ground_.clock.wall_us();
  store::Batch batch;
  batch.expect_absent(bucket_row_key(wanted.name));
  batch.put(bucket_row_key(wanted.name), encode_bucket(wanted));
  batch.put(gate_key(wanted.name), "");
  if (co_await ground_.store.commit(loop, std::move(batch)) == store::Commit::refused) {
    co_return fail(ObjectsError::bucket_exists, "The requested bucket name is not available.");
  }
  co_return wanted;
}

io::Task<Result<Bucket>> Buckets::find(io::Loop& loop, std::string name) {
  std::optional<std::string> row = co_await ground_.store.get(loop, bucket_row_key(name));
  if (!row) co_return no_such_bucket();
  co_return decode_bucket(*row);
}

io::Task<BucketListing> Buckets::list(io::Loop& loop, std::string prefix, std::string after, size_t limit) {
  std::string first = store::make_key({"obj", "b", prefix});
  first.resize(first.size() - 2);
  std::string last = store::after_prefix(first);
  if (!after.empty()) first = std::max(first, bucket_row_key(after) + '\0');
  std::vector<store::Entry> entries;
  if (first < last) entries = co_await ground_.store.scan(loop, {.first = std::move(first), .last = std::move(last), .limit = limit + 1});
  BucketListing listing;
  listing.truncated = entries.size() > limit;
  if (listing.truncated) entries.pop_back();
  for (const store::Entry& entry : entries) listing.buckets.push_back(decode_bucket(entry.value));
  if (!listing.buckets.empty()) listing.next = listing.buckets.back().name;
  co_return listing;
}

io::Task<Result<void>> Buckets::remove(io::Loop& loop, std::string name) {
  auto not_empty = [] { return fail(ObjectsError::bucket_not_empty, "The bucket you tried to delete is not empty."); };
  std::optional<std::string> row = co_await ground_.store.get(loop, bucket_row_key(name));
  if (!row) co_return no_such_bucket();
  if (!co_await is_empty(ground_, loop, name)) co_return not_empty();
  store::Batch close;
  close.expect_exists(bucket_row_key(name));
  close.erase(gate_key(name));
  if (co_await ground_.store.commit(loop, std::move(close)) == store::Commit::refused) co_return no_such_bucket();
  bool empty = co_await is_empty(ground_, loop, name);
  store::Batch end;
  end.expect_exists(bucket_row_key(name));
  if (empty) {
    end.expect_absent(gate_key(name));  // nobody has given up a deletion, and so let writers in, since we looked
    end.erase(bucket_row_key(name));
  } else {
    end.put(gate_key(name), "");
  }
  store::Commit ended = co_await ground_.store.commit(loop, std::move(end));
  if (!empty) co_return not_empty();
  if (ended == store::Commit::done) co_return Result<void>{};
  if (co_await ground_.store.get(loop, bucket_row_key(name))) co_return not_empty();
  co_return no_such_bucket();
}

io::Task<Result<Bucket>> Buckets::edit(io::Loop& loop, std::string name, Edit edit) {
  for (int attempt = 0; attempt < kCommitAttempts; ++attempt) {
    std::optional<std::string> row = co_await ground_.store.get(loop, bucket_row_key(name));
    if (!row) co_return no_such_bucket();
    Bucket bucket = decode_bucket(*row);
    MAYFLY_CO_TRY_VOID(edit(bucket));
    store::Batch batch;
    batch.expect_equals(bucket_row_key(name), std::move(*row));
    batch.put(bucket_row_key(name), encode_bucket(bucket));
    if (co_await ground_.store.commit(loop, std::move(batch)) == store::Commit::done) co_return bucket;
  }
  co_return fail(ObjectsError::busy, "Too many writers changed this bucket at the same time.", "Try again.");
}

io::Task<BucketStat> Buckets::stat(io::Loop& loop, Bucket bucket) {
  BucketStat stat;
  std::string from = prefix_start("o", bucket.name, "");
  std::string last = store::after_prefix(from);
  for (;;) {
    std::vector<store::Entry> entries = co_await ground_.store.scan(loop, {.first = from, .last = last});
    for (const store::Entry& entry : entries) {
      ObjectInfo info = decode_object({}, {}, entry.value).info;
      BucketStat::Count& count = stat.by_class[info.storage_class.empty() ? bucket.storage_class : info.storage_class];
      for (BucketStat::Count* sum : {&count, &stat.total}) {
        sum->objects += 1;
        sum->bytes += info.size;
      }
    }
    if (entries.size() < store::Range{}.limit) break;
    from = entries.back().key + '\0';
  }
  std::string uploads = prefix_start("u", bucket.name, "");
  for (const store::Entry& upload : co_await store::scan_all(ground_.store, loop, uploads, store::after_prefix(uploads))) {
    stat.uploads += 1;
    std::string parts = store::make_key({"obj", "p", (*store::split_key(upload.key))[4]});
    stat.parts += (co_await store::scan_all(ground_.store, loop, parts, store::after_prefix(parts))).size();
  }
  co_return stat;
}

}  // namespace mayfly::objects
