// Removing objects: one, or many in one commit.
#include "objects/mutate.h"

namespace mayfly::objects {
namespace {

struct Doomed {
  std::string row_key, row;
  StoredObject object;
};

// The rows and parts of those of `keys` that exist.
io::Task<std::vector<Doomed>> find_doomed(Ground ground, io::Loop& loop, const std::string& bucket, const std::vector<std::string>& keys) {
  std::vector<Doomed> doomed;
  for (const std::string& key : keys) {
    std::string row_key = object_key(bucket, key);
    std::optional<std::string> row = co_await ground.store.get(loop, row_key);
    if (!row) continue;
    StoredObject object = decode_object(bucket, key, *row);
    std::optional<std::vector<Part>> parts = co_await load_parts(ground, loop, object);
    if (!parts) continue;  // replaced meanwhile: the commit will be refused and everything looked at again
    object.parts = std::move(*parts);
    doomed.push_back({std::move(row_key), std::move(*row), std::move(object)});
  }
  co_return doomed;
}

// Removes every one of `keys`, once each; the number that existed.
io::Task<Result<size_t>> remove_all(Ground ground, io::Loop& loop, std::string bucket, std::vector<std::string> keys, Change::Kind kind, Caller caller) {
  std::ranges::sort(keys);
  keys.erase(std::ranges::unique(keys).begin(), keys.end());
  for (int attempt = 0; attempt < kCommitAttempts; ++attempt) {
    std::vector<Doomed> doomed = co_await find_doomed(ground, loop, bucket, keys);
    if (doomed.empty()) co_return size_t{0};
    store::Batch batch;
    std::vector<std::string> blobs;
    for (const Doomed& item : doomed) {
      batch.expect_equals(item.row_key, item.row);
      batch.erase(item.row_key);
      if (!item.object.manifest.empty()) batch.erase(manifest_key(item.object.manifest));
      std::vector<std::string> dropped = drop_parts(item.object.parts, {}, batch);
      blobs.insert(blobs.end(), dropped.begin(), dropped.end());
      if (ground.listener != nullptr) {
        ObjectInfo last = item.object.info;
        last.sequencer = std::max<uint64_t>(last.sequencer + 1, static_cast<uint64_t>(ground.clock.wall_us()));
        ground.listener->on_change(make_change(kind, std::move(last), item.object.info.size, caller), batch);
      }
    }
    if (co_await ground.store.commit(loop, std::move(batch)) == store::Commit::refused) continue;
    if (ground.listener != nullptr) ground.listener->committed();
    for (std::string& id : blobs) co_await ground.blobs.remove(loop, std::move(id));
    co_return doomed.size();
  }
  co_return fail(ObjectsError::busy, "Too many writers changed these objects at the same time.", "Try again.");
}

}  // namespace

io::Task<Result<bool>> Objects::remove(io::Loop& loop, std::string bucket, std::string key, Caller caller) {
  std::vector<std::string> keys{std::move(key)};
  MAYFLY_CO_TRY(size_t removed, co_await remove_all(ground_, loop, std::move(bucket), std::move(keys), Change::Kind::remove, std::move(caller)));
  co_return removed == 1;
}

io::Task<Result<void>> Objects::remove_many(io::Loop& loop, std::string bucket, std::vector<std::string> keys, Caller caller) {
  auto removed = co_await remove_all(ground_, loop, std::move(bucket), std::move(keys), Change::Kind::remove_many, std::move(caller));
  if (!removed) co_return std::unexpected(std::move(removed).error());
  co_return Result<void>{};
}

}  // namespace mayfly::objects
