#include "objects/objects.h"

#include "base/encoding.h"
#include "base/hash.h"
#include "objects/mutate.h"

namespace mayfly::objects {
namespace {

Result<void> check_key(std::string_view key) {
  if (key.empty() || key.size() > kMaxKeyBytes) {
    return fail(ObjectsError::invalid_name, "The specified object is not valid.", "A key has 1 to 1023 bytes.");
  }
  return {};
}

std::unexpected<Failure<ObjectsError>> no_such_key() { return fail(ObjectsError::no_such_key, "The specified key does not exist."); }
std::unexpected<Failure<ObjectsError>> already_exists() {
  return fail(ObjectsError::already_exists, "The object you specified already exists and can not be overwritten.");
}

// What every new content says about itself.
void describe(ObjectInfo& info, const Received& received, const Clock& clock) {
  info.size = received.size;
  info.crc64 = received.crc64;
  info.etag = upper_hex(received.md5);
  info.content_md5 = base64_encode(received.md5);
  info.modified_us = clock.wall_us();
}

// The object behind a symlink speaks for its bytes, the link for its metadata.
void show_through(ObjectInfo& target, const ObjectInfo& link) {
  target.key = link.key;
  target.type = ObjectType::symlink;
  target.symlink_target = link.symlink_target;
  target.user_metadata = link.user_metadata;
  target.tags = link.tags;
  target.acl = link.acl;
  target.modified_us = std::max(target.modified_us, link.modified_us);
}

io::Task<Result<StoredObject>> find_row(Ground ground, io::Loop& loop, std::string bucket, std::string key, Objects::Links links) {
  std::optional<std::string> row = co_await ground.store.get(loop, object_key(bucket, key));
  if (!row) co_return no_such_key();
  StoredObject object = decode_object(bucket, key, *row);
  if (object.info.type != ObjectType::symlink || links == Objects::Links::keep) co_return object;
  row = co_await ground.store.get(loop, object_key(bucket, object.info.symlink_target));
  if (!row) co_return fail(ObjectsError::no_such_key, "The symlink target object does not exist.");
  StoredObject target = decode_object(bucket, object.info.symlink_target, *row);
  if (target.info.type == ObjectType::symlink) co_return fail(ObjectsError::no_such_key, "The symlink target object is itself a symlink.");
  show_through(target.info, object.info);
  co_return target;
}

// Commits `received` as the whole content of `info`, and discards it when that is refused.
io::Task<Result<ObjectInfo>> commit_content(Ground ground, io::Loop& loop, ObjectInfo info, Received received, Overwrite overwrite,
                                            Change::Kind kind, Caller caller) {
  Mutation mutation{.bucket = info.bucket, .key = info.key, .guess = Mutation::Guess::absent, .tell = kind, .caller = std::move(caller)};
  mutation.rule = [&info, &received, overwrite](const StoredObject* previous) -> Result<Draft> {
    if (previous != nullptr && overwrite == Overwrite::forbid) return already_exists();
    Draft draft{.object = {.info = info}};
    add_part(draft, received);
    return draft;
  };
  Result<ObjectInfo> result = co_await mutate(ground, loop, std::move(mutation));
  if (!result) co_await discard(ground, loop, std::move(received));
  co_return result;
}

}  // namespace

io::Task<Result<ObjectInfo>> Objects::put(io::Loop& loop, PutRequest request, std::unique_ptr<http::Body> body) {
  MAYFLY_CO_TRY_VOID(check_key(request.info.key));
  MAYFLY_CO_TRY(Received received, co_await receive(ground_, loop, std::move(body), request.limit_bytes, request.content_md5));
  request.info.type = ObjectType::normal;
  describe(request.info, received, ground_.clock);
  co_return co_await commit_content(ground_, loop, std::move(request.info), std::move(received), request.overwrite, request.kind,
                                    std::move(request.caller));
}

io::Task<Result<Opened>> Objects::get(io::Loop& loop, GetRequest request) {
  constexpr int kOpenAttempts = 8;  // each miss means that the object was replaced between two reads
  uint64_t missed = 0;              // sequencer of the state whose bytes were missing
  for (int attempt = 0; attempt < kOpenAttempts; ++attempt) {
    MAYFLY_CO_TRY(StoredObject object, co_await find_row(ground_, loop, request.bucket, request.key, Links::follow));
    MAYFLY_CO_TRY_VOID(check(request.conditions, object.info));
    Opened opened{.info = object.info, .span = {0, object.info.size}};
    if (!request.range.empty()) {
      std::optional<Span> span = resolve_range(request.range, object.info.size);
      if (!span && request.bad_range == BadRange::refuse) {
        co_return fail(ObjectsError::invalid_argument, "The requested range cannot be satisfied.", std::to_string(object.info.size));
      }
      opened.partial = span.has_value();
      if (span) opened.span = *span;
    }
    uint64_t sequencer = object.info.sequencer;
    std::optional<std::vector<Part>> parts = co_await load_parts(ground_, loop, std::move(object));
    OpenedBody body{.outcome = Opening::missing};
    if (parts) body = co_await open_parts(ground_, loop, std::move(*parts), opened.span);
    if (body.outcome == Opening::ready) {
      opened.body = std::move(body.body);
      co_return opened;
    }
    if (body.outcome == Opening::corrupt || missed == sequencer) break;
    missed = sequencer;
  }
  co_return fail(ObjectsError::corrupt, "The stored bytes of this object are damaged; they are not served.");
}

io::Task<Result<ObjectInfo>> Objects::head(io::Loop& loop, std::string bucket, std::string key, Links links) {
  MAYFLY_CO_TRY(StoredObject object, co_await find_row(ground_, loop, std::move(bucket), std::move(key), links));
  co_return std::move(object.info);
}

io::Task<Result<ObjectInfo>> Objects::copy(io::Loop& loop, CopyRequest request) {
  MAYFLY_CO_TRY_VOID(check_key(request.info.key));
  GetRequest source{.bucket = request.source_bucket, .key = request.source_key, .conditions = request.conditions};
  MAYFLY_CO_TRY(Opened opened, co_await get(loop, std::move(source)));
  if (opened.info.size > request.limit_bytes) co_return fail(ObjectsError::too_large, "The source object is larger than a copy may be.");
  ObjectInfo info = std::move(request.info);
  if (request.metadata == Directive::copy) {
    info.content_type = opened.info.content_type;
    info.headers = opened.info.headers;
    info.user_metadata = opened.info.user_metadata;
  }
  if (request.tags == Directive::copy) info.tags = opened.info.tags;
  info.type = ObjectType::normal;
  bool onto_itself = info.bucket == request.source_bucket && info.key == request.source_key;
  if (onto_itself && opened.info.type != ObjectType::symlink) {
    if (request.overwrite == Overwrite::forbid) co_return already_exists();
    Mutation mutation{.bucket = info.bucket, .key = info.key, .tell = Change::Kind::copy, .caller = request.caller};
    mutation.rule = [&](const StoredObject* previous) -> Result<Draft> {
      if (previous == nullptr) return no_such_key();
      MAYFLY_TRY_VOID(check(request.conditions, previous->info));
      Draft draft{.object = *previous};
      ObjectInfo& next = draft.object.info;
      next.content_type = info.content_type;
      next.headers = info.headers;
      next.user_metadata = info.user_metadata;
      next.tags = info.tags;
      if (!info.storage_class.empty()) next.storage_class = info.storage_class;
      if (info.acl != Acl::inherit) next.acl = info.acl;
      next.modified_us = ground_.clock.wall_us();
      return draft;
    };
    co_return co_await mutate(ground_, loop, std::move(mutation));
  }
  MAYFLY_CO_TRY(Received received, co_await receive(ground_, loop, std::move(opened.body), request.limit_bytes, {}));
  if (received.crc64 != opened.info.crc64) {
    co_await discard(ground_, loop, std::move(received));
    co_return fail(ObjectsError::corrupt, "The stored bytes of the source object are damaged; they are not copied.");
  }
  describe(info, received, ground_.clock);
  info.etag = opened.info.etag;
  co_return co_await commit_content(ground_, loop, std::move(info), std::move(received), request.overwrite, Change::Kind::copy,
                                    std::move(request.caller));
}

io::Task<Result<ObjectInfo>> Objects::symlink(io::Loop& loop, PutRequest request) {
  MAYFLY_CO_TRY_VOID(check_key(request.info.key));
  MAYFLY_CO_TRY_VOID(check_key(request.info.symlink_target));
  request.info.type = ObjectType::symlink;
  request.info.etag = upper_hex(md5(request.info.symlink_target));
  request.info.modified_us = ground_.clock.wall_us();
  co_return co_await commit_content(ground_, loop, std::move(request.info), {}, request.overwrite, Change::Kind::symlink, std::move(request.caller));
}

io::Task<Result<ObjectInfo>> Objects::edit(io::Loop& loop, std::string bucket, std::string key, Edit edit) {
  Mutation mutation{.bucket = bucket, .key = key};
  mutation.rule = [edit = std::move(edit)](const StoredObject* previous) -> Result<Draft> {
    if (previous == nullptr) return no_such_key();
    Draft draft{.object = *previous};
    MAYFLY_TRY_VOID(edit(draft.object.info));
    return draft;
  };
  co_return co_await mutate(ground_, loop, std::move(mutation));
}

}  // namespace mayfly::objects
