#include "objects/uploads.h"

#include "objects/mutate.h"
#include "store/keys.h"

namespace mayfly::objects {
namespace {

std::unexpected<Failure<ObjectsError>> no_such_upload() {
  return fail(ObjectsError::no_such_upload,
              "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.");
}

// Commits one received part under its number, replacing an earlier one.
io::Task<Result<UploadedPart>> commit_part(Ground ground, io::Loop& loop, PartRequest request, Received received) {
  UploadedPart part{.number = request.number};
  part.info.size = received.size;
  part.info.crc64 = received.crc64;
  part.info.etag = upper_hex(received.md5);
  part.info.modified_us = ground.clock.wall_us();
  if (received.part) part.part = *received.part;
  std::string row_key = upload_part_key(request.upload_id, request.number);
  std::string upload = upload_key(request.bucket, request.key, request.upload_id);
  std::optional<std::string> previous;  // guessed absent at first
  for (int attempt = 0; attempt < kCommitAttempts; ++attempt) {
    store::Batch batch;
    batch.expect_exists(upload);
    std::vector<std::string> dropped;
    if (previous) {
      batch.expect_equals(row_key, *previous);
      dropped = drop_parts({decode_upload_part(request.number, *previous).part}, {}, batch);
    } else {
      batch.expect_absent(row_key);
    }
    if (part.part.kind == Part::Kind::inline_row && received.part) batch.put(inline_key(part.part.id), encode_inline(received.inline_bytes));
    batch.put(row_key, encode_upload_part(part));
    if (co_await ground.store.commit(loop, std::move(batch)) == store::Commit::done) {
      for (std::string& id : dropped) co_await ground.blobs.remove(loop, std::move(id));
      co_return part;
    }
    if (!co_await ground.store.get(loop, upload)) {
      co_await discard(ground, loop, std::move(received));
      co_return no_such_upload();
    }
    previous = co_await ground.store.get(loop, row_key);
  }
  co_await discard(ground, loop, std::move(received));
  co_return fail(ObjectsError::busy, "Too many writers replaced this part at the same time.", "Try again.");
}

Result<void> check_part_number(int number) {
  if (number < 1 || number > kMaxPartNumber) return fail(ObjectsError::invalid_argument, "Part number must be an integer between 1 and 10000, inclusive.");
  return {};
}

}  // namespace

io::Task<Result<std::string>> Uploads::begin(io::Loop& loop, ObjectInfo info) {
  if (info.key.empty() || info.key.size() > kMaxKeyBytes) co_return fail(ObjectsError::invalid_name, "The specified object is not valid.");
  info.modified_us = ground_.clock.wall_us();
  std::string id = upper_hex(ground_.rng.bytes(16));
  for (int attempt = 0; attempt < kCommitAttempts; ++attempt) {
    store::Batch batch;
    batch.expect_exists(gate_key(info.bucket));
    batch.put(upload_key(info.bucket, info.key, id), encode_object({.info = info}));
    if (co_await ground_.store.commit(loop, std::move(batch)) == store::Commit::done) co_return id;
    if (!co_await gate_open(ground_, loop, info.bucket)) co_return fail(ObjectsError::no_such_bucket, "The specified bucket does not exist.");
  }
  co_return fail(ObjectsError::busy, "The bucket is being deleted.", "Try again.");
}

io::Task<Result<UploadedPart>> Uploads::put_part(io::Loop& loop, PartRequest request, std::unique_ptr<http::Body> body) {
  MAYFLY_CO_TRY_VOID(check_part_number(request.number));
  if (!co_await ground_.store.get(loop, upload_key(request.bucket, request.key, request.upload_id))) co_return no_such_upload();
  MAYFLY_CO_TRY(Received received, co_await receive(ground_, loop, std::move(body), request.limit_bytes, request.content_md5));
  co_return co_await commit_part(ground_, loop, std::move(request), std::move(received));
}

io::Task<Result<UploadedPart>> Uploads::copy_part(io::Loop& loop, PartCopyRequest request) {
  MAYFLY_CO_TRY_VOID(check_part_number(request.part.number));
  if (!co_await ground_.store.get(loop, upload_key(request.part.bucket, request.part.key, request.part.upload_id))) co_return no_such_upload();
  GetRequest source{.bucket = request.source_bucket, .key = request.source_key, .conditions = request.conditions, .range = request.range};
  MAYFLY_CO_TRY(Opened opened, co_await objects_.get(loop, std::move(source)));
  MAYFLY_CO_TRY(Received received, co_await receive(ground_, loop, std::move(opened.body), request.part.limit_bytes, {}));
  co_return co_await commit_part(ground_, loop, std::move(request.part), std::move(received));
}

io::Task<Result<PartListing>> Uploads::list_parts(io::Loop& loop, std::string bucket, std::string key, std::string upload_id, int after, size_t limit) {
  std::optional<std::string> row = co_await ground_.store.get(loop, upload_key(bucket, key, upload_id));
  if (!row) co_return no_such_upload();
  PartListing listing;
  listing.upload = {upload_id, decode_object(bucket, key, *row).info};
  std::string last = store::after_prefix(store::make_key({"obj", "p", upload_id}));
  auto entries = co_await ground_.store.scan(loop, {.first = upload_part_key(upload_id, after + 1), .last = std::move(last), .limit = limit + 1});
  listing.truncated = entries.size() > limit;
  if (listing.truncated) entries.pop_back();
  for (const store::Entry& entry : entries) {
    int number = static_cast<int>(store::read_ordered_int((*store::split_key(entry.key))[3]));
    listing.parts.push_back(decode_upload_part(number, entry.value));
  }
  if (!listing.parts.empty()) listing.next = listing.parts.back().number;
  co_return listing;
}

io::Task<UploadListing> Uploads::list(io::Loop& loop, UploadListRequest request) {
  UploadListing listing;
  std::string from = prefix_start("u", request.bucket, request.prefix);
  std::string last = store::after_prefix(from);
  if (!request.key_after.empty()) {
    std::string behind = request.id_after.empty() ? store::after_prefix(store::make_key({"obj", "u", request.bucket, request.key_after}))
                                                  : upload_key(request.bucket, request.key_after, request.id_after) + '\0';
    if (!request.delimiter.empty() && request.key_after.ends_with(request.delimiter)) {
      behind = std::max(behind, store::after_prefix(prefix_start("u", request.bucket, request.key_after)));
    }
    from = std::max(from, behind);
  }
  size_t count = 0;
  while (from < last && request.limit > 0) {
    auto entries = co_await ground_.store.scan(loop, {.first = from, .last = last, .limit = request.limit + 1});
    if (entries.empty()) break;
    from = entries.back().key + '\0';
    for (const store::Entry& entry : entries) {
      std::vector<std::string> fields = *store::split_key(entry.key);
      std::string& key = fields[3];
      size_t at = request.delimiter.empty() ? std::string::npos : key.find(request.delimiter, request.prefix.size());
      std::string prefix = at == std::string::npos ? std::string() : key.substr(0, at + request.delimiter.size());
      if (!prefix.empty() && !listing.common_prefixes.empty() && listing.common_prefixes.back() == prefix) continue;
      if (count == request.limit) {
        listing.truncated = true;
        co_return listing;
      }
      ++count;
      listing.next_key = prefix.empty() ? key : prefix;
      listing.next_id = prefix.empty() ? fields[4] : std::string();
      if (!prefix.empty()) {
        listing.common_prefixes.push_back(std::move(prefix));
      } else {
        ObjectInfo info = decode_object(request.bucket, std::move(key), entry.value).info;
        listing.uploads.push_back({std::move(fields[4]), std::move(info)});
      }
    }
    if (entries.size() <= request.limit) break;
  }
  co_return listing;
}

}  // namespace mayfly::objects
