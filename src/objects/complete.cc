// The end of a multipart upload: one commit makes the object out of its parts, or takes them all away.
#include "base/encoding.h"
#include "base/hash.h"
#include "objects/mutate.h"
#include "objects/uploads.h"
#include "store/keys.h"

namespace mayfly::objects {
namespace {

std::unexpected<Failure<ObjectsError>> no_such_upload() {
  return fail(ObjectsError::no_such_upload,
              "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.");
}

struct PartRow {
  std::string key, value;
  UploadedPart part;
};

io::Task<std::vector<PartRow>> read_parts(Ground ground, io::Loop& loop, std::string upload_id) {
  std::vector<PartRow> rows;
  std::string first = store::make_key({"obj", "p", upload_id});
  for (store::Entry& entry : co_await store::scan_all(ground.store, loop, first, store::after_prefix(first))) {
    int number = static_cast<int>(store::read_ordered_int((*store::split_key(entry.key))[3]));
    UploadedPart part = decode_upload_part(number, entry.value);
    rows.push_back({std::move(entry.key), std::move(entry.value), std::move(part)});
  }
  co_return rows;
}

// Which of the uploaded rows make the object, in order.
Result<std::vector<const PartRow*>> choose(const std::vector<PartRow>& rows, const CompleteRequest& request) {
  std::vector<const PartRow*> chosen;
  if (request.take == CompleteRequest::Take::all) {
    for (const PartRow& row : rows) chosen.push_back(&row);
  }
  int last = 0;
  for (const CompleteRequest::Piece& piece : request.take == CompleteRequest::Take::all ? std::vector<CompleteRequest::Piece>{} : request.pieces) {
    if (piece.number <= last) return fail(ObjectsError::invalid_part_order, "The list of parts was not in ascending order.");
    last = piece.number;
    auto row = std::ranges::lower_bound(rows, piece.number, {}, [](const PartRow& candidate) { return candidate.part.number; });
    if (row == rows.end() || row->part.number != piece.number || !equals_ignore_case(row->part.info.etag, piece.etag)) {
      return fail(ObjectsError::invalid_part,
                  "One or more of the specified parts could not be found or the specified entity tag might not have matched the part's entity tag.",
                  std::to_string(piece.number));
    }
    chosen.push_back(&*row);
  }
  if (chosen.empty()) return fail(ObjectsError::invalid_part, "A completed upload has at least one part.");
  for (size_t i = 0; i + 1 < chosen.size(); ++i) {
    if (chosen[i]->part.info.size < request.min_part_bytes) {
      return fail(ObjectsError::part_too_small, "Your proposed upload is smaller than the minimum allowed size.", std::to_string(chosen[i]->part.number));
    }
  }
  return chosen;
}

// The object they make.
StoredObject assemble(ObjectInfo info, const std::vector<const PartRow*>& chosen, int64_t now_us) {
  StoredObject object{.info = std::move(info)};
  std::string digests;
  for (const PartRow* row : chosen) {
    const UploadedPart& part = row->part;
    digests += *hex_decode(part.info.etag);
    object.info.crc64 = combine_crc64(object.info.crc64, part.info.crc64, part.info.size);
    object.info.size += part.info.size;
    if (!part.part.id.empty()) object.parts.push_back(part.part);
  }
  object.info.type = ObjectType::multipart;
  object.info.etag = fmt::format("{}-{}", upper_hex(md5(digests)), chosen.size());
  object.info.modified_us = now_us;
  return object;
}

// Parts that arrived between the look at the parts and the commit that ended the upload. No more can follow: their commits expect it.
io::Task<void> remove_stragglers(Ground ground, io::Loop& loop, std::string upload_id) {
  std::vector<PartRow> rows = co_await read_parts(ground, loop, upload_id);
  if (rows.empty()) co_return;
  store::Batch batch;
  std::vector<std::string> blobs;
  for (const PartRow& row : rows) {
    batch.erase(row.key);
    std::vector<std::string> dropped = drop_parts({row.part.part}, {}, batch);
    blobs.insert(blobs.end(), dropped.begin(), dropped.end());
  }
  co_await ground.store.commit(loop, std::move(batch));
  for (std::string& id : blobs) co_await ground.blobs.remove(loop, std::move(id));
}

}  // namespace

io::Task<Result<ObjectInfo>> Uploads::complete(io::Loop& loop, CompleteRequest request) {
  std::string upload = upload_key(request.bucket, request.key, request.upload_id);
  for (int attempt = 0; attempt < kCommitAttempts; ++attempt) {
    std::optional<std::string> upload_row = co_await ground_.store.get(loop, upload);
    if (!upload_row) co_return no_such_upload();
    std::vector<PartRow> rows = co_await read_parts(ground_, loop, request.upload_id);
    MAYFLY_CO_TRY(std::vector<const PartRow*> chosen, choose(rows, request));
    StoredObject object = assemble(decode_object(request.bucket, request.key, *upload_row).info, chosen, ground_.clock.wall_us());
    if (object.info.size > kMaxTotalBytes) co_return fail(ObjectsError::too_large, "The completed object would be too large.");
    if (request.acl != Acl::inherit) object.info.acl = request.acl;
    std::vector<std::string> unused;  // blobs of parts that were uploaded and not listed
    Mutation mutation{.bucket = request.bucket, .key = request.key, .tell = Change::Kind::complete_multipart, .caller = request.caller};
    // One attempt under the upload's own expectations: a part that was replaced meanwhile makes everything be looked at again.
    bool stale = false;
    mutation.rule = [&, tries = 0](const StoredObject* previous) mutable -> Result<Draft> {
      if (previous != nullptr && request.overwrite == Overwrite::forbid) {
        return fail(ObjectsError::already_exists, "The object you specified already exists and can not be overwritten.");
      }
      if (tries++ > 0) {
        stale = true;
        return fail(ObjectsError::busy, "The upload changed while it was completed.", "Try again.");
      }
      return Draft{.object = object};
    };
    mutation.with = [&](store::Batch& batch) {
      unused.clear();
      batch.expect_equals(upload, *upload_row);
      batch.erase(upload);
      for (const PartRow& row : rows) {
        batch.expect_equals(row.key, row.value);
        batch.erase(row.key);
        std::vector<std::string> dropped = drop_parts({row.part.part}, object.parts, batch);
        unused.insert(unused.end(), dropped.begin(), dropped.end());
      }
    };
    Result<ObjectInfo> result = co_await mutate(ground_, loop, std::move(mutation));
    if (!result && stale) continue;
    if (!result) co_return result;
    for (std::string& id : unused) co_await ground_.blobs.remove(loop, std::move(id));
    co_await remove_stragglers(ground_, loop, request.upload_id);
    co_return result;
  }
  co_return fail(ObjectsError::busy, "The upload kept changing while it was completed.", "Try again.");
}

io::Task<Result<void>> Uploads::abort(io::Loop& loop, std::string bucket, std::string key, std::string upload_id) {
  store::Batch batch;
  batch.expect_exists(upload_key(bucket, key, upload_id));
  batch.erase(upload_key(bucket, key, upload_id));
  if (co_await ground_.store.commit(loop, std::move(batch)) == store::Commit::refused) co_return no_such_upload();
  co_await remove_stragglers(ground_, loop, std::move(upload_id));
  co_return Result<void>{};
}

}  // namespace mayfly::objects
