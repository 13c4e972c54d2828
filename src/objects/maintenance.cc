#include "objects/maintenance.h"

#include "objects/mutate.h"
#include "store/keys.h"

namespace mayfly::objects {
namespace {

// Calls `visit` with every row of a space, a page in memory at a time.
io::Task<void> each_row(Ground ground, io::Loop& loop, std::string space, std::function<void(const store::Entry&)> visit) {
  std::string from = space_start(space);
  std::string last = store::after_prefix(from);
  for (;;) {
    std::vector<store::Entry> entries = co_await ground.store.scan(loop, {.first = from, .last = last});
    for (const store::Entry& entry : entries) visit(entry);
    if (entries.size() < store::Range{}.limit) co_return;
    from = entries.back().key + '\0';
  }
}

io::Task<void> open_gates(Ground ground, io::Loop& loop) {
  std::vector<std::string> buckets;
  auto collect = [&buckets](const store::Entry& entry) { buckets.push_back((*store::split_key(entry.key))[2]); };
  co_await each_row(ground, loop, "b", collect);
  for (const std::string& bucket : buckets) {
    if (co_await ground.store.get(loop, gate_key(bucket))) continue;
    store::Batch batch;
    batch.expect_exists(bucket_row_key(bucket));
    batch.put(gate_key(bucket), "");
    co_await ground.store.commit(loop, std::move(batch));
  }
}

io::Task<void> drop_orphaned_parts(Ground ground, io::Loop& loop) {
  std::set<std::string> uploads;
  auto collect = [&uploads](const store::Entry& entry) { uploads.insert((*store::split_key(entry.key))[4]); };
  co_await each_row(ground, loop, "u", collect);
  store::Batch batch;
  auto drop = [&](const store::Entry& entry) {
    if (uploads.contains((*store::split_key(entry.key))[2])) return;
    drop_parts({decode_upload_part(1, entry.value).part}, {}, batch);  // the blob is garbage once unnamed
    batch.erase(entry.key);
  };
  co_await each_row(ground, loop, "p", drop);
  if (!batch.empty()) co_await ground.store.commit(loop, std::move(batch));
}

}  // namespace

io::Task<std::set<std::string>> named_blobs(Ground ground, io::Loop& loop) {
  std::set<std::string> ids;
  auto take = [&ids](const std::vector<Part>& parts) {
    for (const Part& part : parts) {
      if (part.kind == Part::Kind::blob) ids.insert(part.id);
    }
  };
  auto of_object = [&take](const store::Entry& entry) { take(decode_object({}, {}, entry.value).parts); };
  auto of_manifest = [&take](const store::Entry& entry) { take(decode_parts(entry.value)); };
  co_await each_row(ground, loop, "o", of_object);
  co_await each_row(ground, loop, "m", of_manifest);
  co_await each_row(ground, loop, "p", of_object);
  co_return ids;
}

io::Task<void> recover(Ground ground, io::Loop& loop) {
  co_await open_gates(ground, loop);
  co_await drop_orphaned_parts(ground, loop);
}

}  // namespace mayfly::objects
