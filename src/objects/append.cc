// Append: an object that grows. Each append is a new part behind the others; small ones are merged with a small last part, so that a
// log written line by line has parts of at least half of kInlineBytes.
#include "base/hash.h"
#include "objects/mutate.h"

namespace mayfly::objects {
namespace {

// More would make the part list, rewritten by every append, the cost of appending.
constexpr size_t kMaxAppendedParts = 100'000;

std::unexpected<Failure<ObjectsError>> wrong_position(uint64_t size) {
  return fail(ObjectsError::wrong_position, "Position is not equal to file length", std::to_string(size));
}

Result<void> check_position(const StoredObject* previous, uint64_t position) {
  if (previous == nullptr) {
    if (position != 0) return wrong_position(0);
    return {};
  }
  if (previous->info.type != ObjectType::appendable) return fail(ObjectsError::not_appendable, "The object is not appendable");
  if (previous->info.size != position) return wrong_position(previous->info.size);
  if (previous->parts.size() >= kMaxAppendedParts) return fail(ObjectsError::too_large, "The object has too many appended parts.");
  return {};
}

// What is there, with its parts; nullopt when there is none.
io::Task<std::optional<StoredObject>> find_growing(Ground ground, io::Loop& loop, std::string bucket, std::string key) {
  std::optional<std::string> row = co_await ground.store.get(loop, object_key(bucket, key));
  if (!row) co_return std::nullopt;
  StoredObject object = decode_object(std::move(bucket), std::move(key), *row);
  std::optional<std::vector<Part>> parts = co_await load_parts(ground, loop, object);
  if (parts) object.parts = std::move(*parts);
  co_return object;
}

// Joins small `received` with a small last part of `seen`, which it then replaces.
io::Task<bool> merge_tail(Ground ground, io::Loop& loop, const StoredObject* seen, Received& received) {
  if (seen == nullptr || seen->parts.empty() || !received.part || received.part->kind == Part::Kind::blob) co_return false;
  Part last = seen->parts.back();
  if (last.kind == Part::Kind::blob || last.size + received.size > store::kInlineBytes) co_return false;
  std::optional<std::string> row = co_await ground.store.get(loop, inline_key(last.id));
  std::optional<std::string> bytes = row ? decode_inline(*row) : std::nullopt;
  if (!bytes) co_return false;
  received.inline_bytes.insert(0, *bytes);
  received.part->size = received.inline_bytes.size();
  co_return true;
}

}  // namespace

io::Task<Result<ObjectInfo>> Objects::append(io::Loop& loop, AppendRequest request, std::unique_ptr<http::Body> body) {
  std::string key = request.info.key;
  if (key.empty() || key.size() > kMaxKeyBytes) co_return fail(ObjectsError::invalid_name, "The specified object is not valid.");
  std::optional<StoredObject> seen = co_await find_growing(ground_, loop, request.info.bucket, key);
  MAYFLY_CO_TRY_VOID(check_position(seen ? &*seen : nullptr, request.position));
  uint64_t limit = kMaxObjectBytes - std::min(kMaxObjectBytes, request.position);
  MAYFLY_CO_TRY(Received received, co_await receive(ground_, loop, std::move(body), limit, request.content_md5, seen ? seen->info.crc64 : 0));
  uint64_t added = received.size;
  bool merged = co_await merge_tail(ground_, loop, seen ? &*seen : nullptr, received);
  Mutation mutation{.bucket = request.info.bucket, .key = key, .tell = Change::Kind::append, .caller = request.caller};
  mutation.guess = seen ? Mutation::Guess::unknown : Mutation::Guess::absent;
  mutation.rule = [&](const StoredObject* previous) -> Result<Draft> {
    MAYFLY_TRY_VOID(check_position(previous, request.position));
    if ((previous == nullptr) != !seen || (previous != nullptr && previous->parts != seen->parts)) return wrong_position(previous ? previous->info.size : 0);
    Draft draft{.object = previous ? *previous : StoredObject{.info = request.info}};
    if (merged) draft.object.parts.pop_back();
    add_part(draft, received);
    ObjectInfo& info = draft.object.info;
    info.type = ObjectType::appendable;
    info.size += added;
    info.crc64 = received.crc64;
    info.content_md5.clear();
    info.etag = upper_hex(md5(info.etag + received.md5));
    info.modified_us = ground_.clock.wall_us();
    return draft;
  };
  Result<ObjectInfo> result = co_await mutate(ground_, loop, std::move(mutation));
  if (!result) co_await discard(ground_, loop, std::move(received));
  co_return result;
}

}  // namespace mayfly::objects
