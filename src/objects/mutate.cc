#include "objects/mutate.h"

namespace mayfly::objects {
namespace {

// What was there: the row as read, to expect, and what it says.
struct Previous {
  std::string row;
  StoredObject object;
};

enum class Look { found, absent, moved };

// The row and its parts; `moved` when it was replaced between the two reads.
io::Task<Look> look(Ground ground, io::Loop& loop, const Mutation& mutation, Previous& previous) {
  std::optional<std::string> row = co_await ground.store.get(loop, object_key(mutation.bucket, mutation.key));
  if (!row) co_return Look::absent;
  previous.object = decode_object(mutation.bucket, mutation.key, *row);
  previous.row = std::move(*row);
  std::optional<std::vector<Part>> parts = co_await load_parts(ground, loop, previous.object);
  if (!parts) co_return Look::moved;
  previous.object.parts = std::move(*parts);
  co_return Look::found;
}

void place_parts(Ground ground, const StoredObject* previous, StoredObject& next, store::Batch& batch) {
  if (previous != nullptr && previous->parts == next.parts) {
    next.manifest = previous->manifest;
    return;
  }
  next.manifest.clear();
  if (next.parts.size() > kPartsInRow) {
    next.manifest = new_part_id(ground.clock, ground.rng);
    batch.put(manifest_key(next.manifest), encode_parts(next.parts));
  }
  if (previous != nullptr && !previous->manifest.empty()) batch.erase(manifest_key(previous->manifest));
}

}  // namespace

io::Task<Result<ObjectInfo>> mutate(Ground ground, io::Loop& loop, Mutation mutation) {
  std::optional<Previous> previous;
  bool guessing = mutation.guess == Mutation::Guess::absent;
  for (int attempt = 0; attempt < kCommitAttempts; ++attempt) {
    if (!guessing) {
      Previous found;
      Look seen = co_await look(ground, loop, mutation, found);
      if (seen == Look::moved) continue;
      previous.reset();
      if (seen == Look::found) previous = std::move(found);
      if (attempt > 0 && !previous && !co_await gate_open(ground, loop, mutation.bucket)) {
        co_return fail(ObjectsError::no_such_bucket, "The specified bucket does not exist.");
      }
    }
    guessing = false;
    const StoredObject* before = previous ? &previous->object : nullptr;
    MAYFLY_CO_TRY(Draft draft, mutation.rule(before));
    ObjectInfo& info = draft.object.info;
    info.sequencer = std::max<uint64_t>(before ? before->info.sequencer + 1 : 1, static_cast<uint64_t>(ground.clock.wall_us()));
    store::Batch batch;
    batch.expect_exists(gate_key(mutation.bucket));
    std::string key = object_key(mutation.bucket, mutation.key);
    if (previous) {
      batch.expect_equals(key, previous->row);
    } else {
      batch.expect_absent(key);
    }
    place_parts(ground, before, draft.object, batch);
    for (auto& [id, bytes] : draft.inline_rows) batch.put(inline_key(id), encode_inline(bytes));
    std::vector<std::string> dropped;
    if (before != nullptr) dropped = drop_parts(before->parts, draft.object.parts, batch);
    batch.put(std::move(key), encode_object(draft.object));
    if (mutation.with) mutation.with(batch);
    bool told = ground.listener != nullptr && mutation.tell;
    if (told) ground.listener->on_change(make_change(*mutation.tell, info, before ? before->info.size : 0, mutation.caller), batch);
    if (co_await ground.store.commit(loop, std::move(batch)) == store::Commit::refused) continue;
    if (told) ground.listener->committed();
    for (std::string& id : dropped) co_await ground.blobs.remove(loop, std::move(id));
    co_return std::move(info);
  }
  co_return fail(ObjectsError::busy, "Too many writers changed this object at the same time.", "Try again.");
}

void add_part(Draft& draft, const Received& received) {
  if (!received.part) return;
  draft.object.parts.push_back(*received.part);
  if (received.part->kind == Part::Kind::inline_row) draft.inline_rows.emplace_back(received.part->id, received.inline_bytes);
}

std::vector<std::string> drop_parts(const std::vector<Part>& from, const std::vector<Part>& to, store::Batch& batch) {
  std::set<std::string_view> kept;
  for (const Part& part : to) kept.insert(part.id);
  std::vector<std::string> blobs;
  for (const Part& part : from) {
    if (kept.contains(part.id)) continue;
    if (part.kind == Part::Kind::blob) {
      blobs.push_back(part.id);
    } else {
      batch.erase(inline_key(part.id));
    }
  }
  return blobs;
}

Change make_change(Change::Kind kind, ObjectInfo object, uint64_t previous_size, const Caller& caller) {
  return {.kind = kind,
          .object = std::move(object),
          .previous_size = previous_size,
          .request_id = caller.request_id,
          .source_ip = caller.source_ip,
          .principal = caller.principal};
}

io::Task<bool> gate_open(Ground ground, io::Loop& loop, std::string bucket) {
  // A gate is closed only for the moment in which a deletion looks whether its bucket is empty; the bucket's row says which it was.
  co_return (co_await ground.store.get(loop, bucket_row_key(bucket))).has_value();
}

}  // namespace mayfly::objects
