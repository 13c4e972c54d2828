#include "objects/objects.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/hash.h"
#include "io/group.h"
#include "io/sim_loop.h"
#include "objects/buckets.h"
#include "objects/layout.h"
#include "objects/maintenance.h"
#include "objects/memory_blobs.h"
#include "objects/mutate.h"
#include "objects/uploads.h"
#include "store/memory_engine.h"

namespace mayfly::objects {
namespace {

struct Heard final : ChangeListener {
  std::vector<Change> changes;
  int commits = 0;
  void on_change(const Change& change, store::Batch& batch) override {
    changes.push_back(change);
    batch.put("event " + change.object.key + " " + std::to_string(changes.size()), "");
  }
  void committed() override { ++commits; }
};

class ObjectsTest : public testing::Test {
 protected:
  ObjectsTest() { loop.wait(buckets.create(loop, {.name = "photos"})); }

  Result<ObjectInfo> put(const std::string& key, std::string bytes, PutRequest request = {}) {
    request.info.bucket = "photos";
    request.info.key = key;
    return loop.wait(objects.put(loop, std::move(request), http::make_body(std::move(bytes))));
  }
  std::string body_of(Opened opened) {
    auto bytes = loop.wait(opened.body->read_all(64 << 20));
    return bytes ? *bytes : "<cut>";
  }
  std::string read(const std::string& key, std::string range = {}) {
    auto opened = loop.wait(objects.get(loop, {.bucket = "photos", .key = key, .range = range}));
    return opened ? body_of(std::move(*opened)) : "<" + opened.error().message + ">";
  }
  Listing list(std::string prefix, std::string delimiter = {}, std::string after = {}, size_t limit = 1000) {
    return loop.wait(objects.list(loop, {"photos", std::move(prefix), std::move(delimiter), std::move(after), limit}));
  }
  size_t rows(std::string_view space) {
    std::string first = space_start(space);
    return engine->scan({.first = first, .last = first + "\xff", .limit = 100'000}).size();
  }

  io::SimLoop loop;
  SeededRng rng{7};
  std::unique_ptr<store::Engine> engine = store::make_memory_engine();
  std::unique_ptr<store::Store> store = store::make_inline_store(*engine);
  MemoryBlobs blobs;
  Heard heard;
  Ground ground{*store, blobs, loop.clock(), rng, &heard};
  Buckets buckets{ground};
  Objects objects{ground};
  Uploads uploads{ground};
};

TEST_F(ObjectsTest, SmallBodiesAreRowsAndLargeOnesAreBlobs) {
  ASSERT_TRUE(put("small", std::string(store::kInlineBytes, 's')));
  EXPECT_TRUE(blobs.files.empty());
  EXPECT_EQ(rows("i"), 1u);
  ASSERT_TRUE(put("large", std::string(store::kInlineBytes + 1, 'l')));
  EXPECT_EQ(blobs.files.size(), 1u);
  EXPECT_EQ(read("small"), std::string(store::kInlineBytes, 's'));
  EXPECT_EQ(read("large"), std::string(store::kInlineBytes + 1, 'l'));
}

TEST_F(ObjectsTest, APutSaysItsChecksums) {
  auto info = put("nine", "123456789");
  ASSERT_TRUE(info);
  EXPECT_EQ(info->etag, "25F9E794323B453885F5181F1B624D0B");
  EXPECT_EQ(info->crc64, 11051210869376104954u);
  EXPECT_EQ(put("none", "")->crc64, 0u);
  EXPECT_EQ(read("none"), "");
}

TEST_F(ObjectsTest, WhatIsReplacedLeavesNothingBehind) {
  put("a", std::string(20'000, '1'));
  put("a", "inline");
  EXPECT_TRUE(blobs.files.empty());
  put("a", "again");
  EXPECT_EQ(rows("i"), 1u);
  EXPECT_EQ(read("a"), "again");
  EXPECT_TRUE(*loop.wait(objects.remove(loop, "photos", "a", {})));
  EXPECT_FALSE(*loop.wait(objects.remove(loop, "photos", "a", {})));
  EXPECT_EQ(rows("i") + rows("o"), 0u);
}

TEST_F(ObjectsTest, TheEventIsInTheSameCommitAsItsObject) {
  put("a", "one");
  put("a", "three");
  ASSERT_GE(heard.changes.size(), 2u);
  EXPECT_EQ(heard.commits, 2);
  EXPECT_EQ(heard.changes.back().previous_size, 3u);
  EXPECT_GT(heard.changes.back().object.sequencer, heard.changes.front().object.sequencer);
  EXPECT_TRUE(engine->get("event a " + std::to_string(heard.changes.size())));
  // The first guess of the second put (that nothing is there) was refused whole: its event does not exist.
  EXPECT_FALSE(engine->get("event a 2"));
}

TEST_F(ObjectsTest, AWrongDigestOrATooLargeBodyChangesNothing) {
  EXPECT_EQ(put("a", "x", {.content_md5 = "XUFAKrxLKna5cZ2REBfFkg=="}).error().code, ObjectsError::bad_digest);
  EXPECT_EQ(put("a", "x", {.content_md5 = "nonsense"}).error().code, ObjectsError::bad_digest);
  EXPECT_EQ(put("a", std::string(30'000, 'x'), {.limit_bytes = 29'999}).error().code, ObjectsError::too_large);
  EXPECT_EQ(rows("o"), 0u);
  EXPECT_TRUE(blobs.files.empty());
  EXPECT_TRUE(put("a", "x", {.content_md5 = base64_encode(md5("x"))}));
}

TEST_F(ObjectsTest, APutNeedsItsBucketAndMayForbidOverwriting) {
  put("a", std::string(20'000, 'x'));
  auto second = put("a", std::string(20'000, 'y'), {.overwrite = Overwrite::forbid});
  EXPECT_EQ(second.error().code, ObjectsError::already_exists);
  EXPECT_EQ(blobs.files.size(), 1u);
  PutRequest elsewhere{.info = {.bucket = "nowhere", .key = "k"}};
  EXPECT_EQ(loop.wait(objects.put(loop, elsewhere, http::make_body("x"))).error().code, ObjectsError::no_such_bucket);
}

TEST_F(ObjectsTest, ANearlyFullDiskRefusesNewBytesAndNothingElse) {
  put("a", "kept");
  blobs.free = 1;
  EXPECT_EQ(put("b", "x").error().code, ObjectsError::disk_full);
  EXPECT_EQ(read("a"), "kept");
  EXPECT_TRUE(*loop.wait(objects.remove(loop, "photos", "a", {})));
}

TEST_F(ObjectsTest, RangesAreClampedAndBadOnesGiveTheWhole) {
  put("a", "0123456789");
  EXPECT_EQ(read("a", "bytes=2-4"), "234");
  EXPECT_EQ(read("a", "bytes=7-"), "789");
  EXPECT_EQ(read("a", "bytes=-3"), "789");
  EXPECT_EQ(read("a", "bytes=8-100"), "89");
  EXPECT_EQ(read("a", "bytes=10-11"), "0123456789");
  EXPECT_EQ(read("a", "bytes=4-2"), "0123456789");
  EXPECT_EQ(read("a", "bytes=0-1,3-4"), "0123456789");
  auto refused = loop.wait(objects.get(loop, {.bucket = "photos", .key = "a", .range = "bytes=10-", .bad_range = BadRange::refuse}));
  EXPECT_EQ(refused.error().code, ObjectsError::invalid_argument);
}

TEST_F(ObjectsTest, ConditionsCompareTagsAndWholeSeconds) {
  ObjectInfo info = *put("a", "x");
  auto outcome = [&](Conditions conditions) -> std::optional<ObjectsError> {
    Result<void> result = check(conditions, info);
    if (result) return std::nullopt;
    return result.error().code;
  };
  EXPECT_EQ(outcome({.match = "\"" + info.etag + "\""}), std::nullopt);
  EXPECT_EQ(outcome({.match = "\"other\""}), ObjectsError::precondition_failed);
  EXPECT_EQ(outcome({.none_match = info.etag}), ObjectsError::not_modified);
  EXPECT_EQ(outcome({.none_match = "\"other\""}), std::nullopt);
  EXPECT_EQ(outcome({.modified_since_us = info.modified_us}), ObjectsError::not_modified);
  EXPECT_EQ(outcome({.modified_since_us = info.modified_us - kMicrosPerSecond}), std::nullopt);
  EXPECT_EQ(outcome({.unmodified_since_us = info.modified_us}), std::nullopt);
  EXPECT_EQ(outcome({.unmodified_since_us = info.modified_us - kMicrosPerSecond}), ObjectsError::precondition_failed);
}

TEST_F(ObjectsTest, DamagedBytesAreReportedAndNeverServed) {
  put("row", "precious");
  put("blob", std::string(20'000, 'b'));
  std::string key = engine->scan({.first = space_start("i"), .last = space_start("i") + "\xff"}).front().key;
  std::string value = *engine->get(key);
  value.back() ^= 1;
  store::Batch damage;
  damage.put(key, value);
  engine->apply(std::span(&damage, 1));
  blobs.damaged.insert(blobs.files.begin()->first);
  for (const char* name : {"row", "blob"}) {
    auto opened = loop.wait(objects.get(loop, {.bucket = "photos", .key = name}));
    ASSERT_FALSE(opened) << name;
    EXPECT_EQ(opened.error().code, ObjectsError::corrupt) << name;
  }
}

TEST_F(ObjectsTest, AppendsGrowAnObjectFromItsEnd) {
  auto append = [&](uint64_t position, std::string bytes) {
    AppendRequest request{.info = {.bucket = "photos", .key = "log"}, .position = position};
    return loop.wait(objects.append(loop, request, http::make_body(std::move(bytes))));
  };
  EXPECT_EQ(append(3, "x").error().code, ObjectsError::wrong_position);
  ASSERT_TRUE(append(0, "12345"));
  auto wrong = append(0, "x");
  EXPECT_EQ(wrong.error().code, ObjectsError::wrong_position);
  EXPECT_EQ(wrong.error().hint, "5");
  auto grown = append(5, "6789");
  ASSERT_TRUE(grown);
  EXPECT_EQ(grown->crc64, 11051210869376104954u);
  EXPECT_EQ(rows("i"), 1u);  // small ones are merged
  std::string all = "123456789";
  for (int i = 0; i < 20; ++i) {
    std::string more(9'000, static_cast<char>('a' + i));
    ASSERT_TRUE(append(all.size(), more));
    all += more;
  }
  EXPECT_EQ(read("log"), all);
  EXPECT_EQ(loop.wait(objects.head(loop, "photos", "log"))->crc64, crc64(all));
  EXPECT_EQ(rows("m"), 1u);
  put("log", "normal");
  EXPECT_EQ(append(6, "x").error().code, ObjectsError::not_appendable);
  EXPECT_EQ(rows("m"), 0u);
  EXPECT_EQ(rows("i"), 1u);
}

TEST_F(ObjectsTest, ASymlinkShowsItsTargetsBytesUnderItsOwnMetadata) {
  put("target", "bytes");
  PutRequest link{.info = {.bucket = "photos", .key = "link", .symlink_target = "target", .user_metadata = {{"a", "1"}}}};
  ASSERT_TRUE(loop.wait(objects.symlink(loop, link)));
  auto opened = loop.wait(objects.get(loop, {.bucket = "photos", .key = "link"}));
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->info.size, 5u);
  EXPECT_EQ(opened->info.user_metadata.at("a"), "1");
  EXPECT_EQ(body_of(std::move(*opened)), "bytes");
  EXPECT_EQ(loop.wait(objects.head(loop, "photos", "link", Objects::Links::keep))->symlink_target, "target");
  loop.wait(objects.remove(loop, "photos", "target", {}));
  EXPECT_EQ(loop.wait(objects.get(loop, {.bucket = "photos", .key = "link"})).error().code, ObjectsError::no_such_key);
}

TEST_F(ObjectsTest, ACopyTakesMetadataAsDirectedAndOntoItselfKeepsTheBytes) {
  put("a", std::string(20'000, 'z'), {.info = {.content_type = "image/jpeg", .user_metadata = {{"k", "v"}}}});
  CopyRequest copy{.source_bucket = "photos", .source_key = "a", .info = {.bucket = "photos", .key = "b"}};
  auto copied = loop.wait(objects.copy(loop, copy));
  ASSERT_TRUE(copied);
  EXPECT_EQ(copied->content_type, "image/jpeg");
  EXPECT_EQ(copied->user_metadata.at("k"), "v");
  EXPECT_EQ(read("b"), std::string(20'000, 'z'));
  EXPECT_EQ(blobs.files.size(), 2u);
  CopyRequest self{.source_bucket = "photos", .source_key = "a", .info = {.bucket = "photos", .key = "a", .content_type = "text/plain"}};
  self.metadata = Directive::replace;
  auto renewed = loop.wait(objects.copy(loop, self));
  ASSERT_TRUE(renewed);
  EXPECT_EQ(renewed->content_type, "text/plain");
  EXPECT_TRUE(renewed->user_metadata.empty());
  EXPECT_EQ(blobs.files.size(), 2u);
  self.conditions.match = "other";
  EXPECT_EQ(loop.wait(objects.copy(loop, self)).error().code, ObjectsError::precondition_failed);
}

TEST_F(ObjectsTest, ListsRollUpPrefixesInByteOrder) {
  for (const char* key : {"a/1", "a/2", "b", "c/x/1", "c/y", "d", "d/", "\xe4\xb8\xad"}) put(key, "");
  Listing flat = list("");
  EXPECT_EQ(flat.objects.size(), 8u);
  EXPECT_EQ(flat.objects.back().key, "\xe4\xb8\xad");
  Listing rolled = list("", "/");
  EXPECT_EQ(rolled.common_prefixes, (std::vector<std::string>{"a/", "c/", "d/"}));
  EXPECT_EQ(rolled.objects.size(), 3u);
  Listing below = list("c/", "/");
  EXPECT_EQ(below.common_prefixes, std::vector<std::string>{"c/x/"});
  ASSERT_EQ(below.objects.size(), 1u);
  EXPECT_EQ(below.objects[0].key, "c/y");
  std::vector<std::string> seen;
  Listing page;
  do {
    page = list("", "/", page.next, 1);
    seen.insert(seen.end(), page.common_prefixes.begin(), page.common_prefixes.end());
    for (const ObjectInfo& object : page.objects) seen.push_back(object.key);
  } while (page.truncated);
  EXPECT_EQ(seen, (std::vector<std::string>{"a/", "b", "c/", "d", "d/", "\xe4\xb8\xad"}));
  EXPECT_EQ(list("", "", "b").objects[0].key, "c/x/1");
}

// An engine that counts the rows it hands out.
struct CountingEngine final : store::Engine {
  explicit CountingEngine(store::Engine& inner) : inner_(inner) {}
  std::optional<std::string> get(const std::string& key) override { return inner_.get(key); }
  std::vector<store::Entry> scan(const store::Range& range) override {
    auto entries = inner_.scan(range);
    scanned += entries.size();
    return entries;
  }
  std::vector<bool> apply(std::span<const store::Batch> batches) override { return inner_.apply(batches); }
  store::Engine& inner_;
  size_t scanned = 0;
};

TEST_F(ObjectsTest, AListNeverReadsAllThatIsBelowACommonPrefix) {
  for (int i = 0; i < 3'000; ++i) put(fmt::format("deep/{:05}", i), "");
  put("other/1", "");
  CountingEngine counting(*engine);
  auto counted = store::make_inline_store(counting);
  Objects counted_objects(Ground{*counted, blobs, loop.clock(), rng});
  Listing listing = loop.wait(counted_objects.list(loop, {.bucket = "photos", .delimiter = "/", .limit = 100}));
  EXPECT_EQ(listing.common_prefixes, (std::vector<std::string>{"deep/", "other/"}));
  EXPECT_LT(counting.scanned, 100u);
}

TEST_F(ObjectsTest, MultipartCompletesInOneCommitWithoutCopying) {
  auto id = loop.wait(uploads.begin(loop, {.bucket = "photos", .key = "big", .content_type = "video/mp4"}));
  ASSERT_TRUE(id);
  std::vector<CompleteRequest::Piece> pieces;
  std::string all;
  for (int number : {2, 1, 3}) {
    std::string bytes(number == 3 ? 10 : 100'000, static_cast<char>('0' + number));
    auto part = loop.wait(uploads.put_part(loop, {.bucket = "photos", .key = "big", .upload_id = *id, .number = number}, http::make_body(bytes)));
    ASSERT_TRUE(part);
    pieces.push_back({number, part->info.etag});
  }
  for (int number : {1, 2, 3}) all += std::string(number == 3 ? 10 : 100'000, static_cast<char>('0' + number));
  CompleteRequest request{.bucket = "photos", .key = "big", .upload_id = *id, .pieces = pieces};
  EXPECT_EQ(loop.wait(uploads.complete(loop, request)).error().code, ObjectsError::invalid_part_order);
  std::ranges::sort(request.pieces, {}, &CompleteRequest::Piece::number);
  request.min_part_bytes = 200'000;
  EXPECT_EQ(loop.wait(uploads.complete(loop, request)).error().code, ObjectsError::part_too_small);
  request.min_part_bytes = 100'000;
  auto bad = request;
  bad.pieces[0].etag = "0";
  EXPECT_EQ(loop.wait(uploads.complete(loop, bad)).error().code, ObjectsError::invalid_part);
  size_t files = blobs.files.size();
  auto info = loop.wait(uploads.complete(loop, request));
  ASSERT_TRUE(info);
  EXPECT_EQ(blobs.files.size(), files);
  EXPECT_EQ(info->crc64, crc64(all));
  EXPECT_TRUE(info->etag.ends_with("-3"));
  EXPECT_EQ(info->content_type, "video/mp4");
  EXPECT_EQ(read("big"), all);
  EXPECT_EQ(read("big", "bytes=99999-200001"), all.substr(99'999, 100'003));
  EXPECT_EQ(rows("u") + rows("p"), 0u);
  EXPECT_EQ(loop.wait(uploads.complete(loop, request)).error().code, ObjectsError::no_such_upload);
}

TEST_F(ObjectsTest, AnAbortedOrPartlyUsedUploadLeavesNoBytes) {
  auto first = *loop.wait(uploads.begin(loop, {.bucket = "photos", .key = "k"}));
  auto part = loop.wait(uploads.put_part(loop, {.bucket = "photos", .key = "k", .upload_id = first, .number = 1}, http::make_body(std::string(50'000, 'a'))));
  loop.wait(uploads.put_part(loop, {.bucket = "photos", .key = "k", .upload_id = first, .number = 2}, http::make_body(std::string(50'000, 'b'))));
  part = loop.wait(uploads.put_part(loop, {.bucket = "photos", .key = "k", .upload_id = first, .number = 1}, http::make_body("small now")));
  EXPECT_EQ(blobs.files.size(), 1u);
  CompleteRequest request{.bucket = "photos", .key = "k", .upload_id = first, .pieces = {{1, part->info.etag}}};
  ASSERT_TRUE(loop.wait(uploads.complete(loop, request)));
  EXPECT_TRUE(blobs.files.empty());
  EXPECT_EQ(read("k"), "small now");
  auto second = *loop.wait(uploads.begin(loop, {.bucket = "photos", .key = "k"}));
  loop.wait(uploads.put_part(loop, {.bucket = "photos", .key = "k", .upload_id = second, .number = 1}, http::make_body(std::string(50'000, 'a'))));
  ASSERT_TRUE(loop.wait(uploads.abort(loop, "photos", "k", second)));
  EXPECT_TRUE(blobs.files.empty());
  EXPECT_EQ(rows("p") + rows("u"), 0u);
  EXPECT_EQ(loop.wait(uploads.put_part(loop, {.bucket = "photos", .key = "k", .upload_id = second, .number = 1}, http::make_body("x"))).error().code, ObjectsError::no_such_upload);
}

TEST_F(ObjectsTest, UploadsAndPartsAreListedInPages) {
  std::vector<std::string> ids;
  for (const char* key : {"a", "a", "d/1", "d/2"}) ids.push_back(*loop.wait(uploads.begin(loop, {.bucket = "photos", .key = key})));
  UploadListing all = loop.wait(uploads.list(loop, {.bucket = "photos", .delimiter = "/"}));
  EXPECT_EQ(all.uploads.size(), 2u);
  EXPECT_EQ(all.common_prefixes, std::vector<std::string>{"d/"});
  UploadListing page = loop.wait(uploads.list(loop, {.bucket = "photos", .limit = 1}));
  EXPECT_TRUE(page.truncated);
  UploadListing next = loop.wait(uploads.list(loop, {.bucket = "photos", .key_after = page.next_key, .id_after = page.next_id, .limit = 5}));
  EXPECT_EQ(next.uploads.size(), 3u);
  EXPECT_FALSE(next.truncated);
  for (int number : {1, 2, 7}) loop.wait(uploads.put_part(loop, {.bucket = "photos", .key = "a", .upload_id = page.uploads[0].id, .number = number}, http::make_body("x")));
  auto parts = loop.wait(uploads.list_parts(loop, "photos", "a", page.uploads[0].id, 1, 1));
  ASSERT_TRUE(parts);
  EXPECT_TRUE(parts->truncated);
  EXPECT_EQ(parts->parts[0].number, 2);
}

TEST_F(ObjectsTest, ABucketIsDeletedOnlyWhenEmpty) {
  put("a", "");
  EXPECT_EQ(loop.wait(buckets.remove(loop, "photos")).error().code, ObjectsError::bucket_not_empty);
  loop.wait(objects.remove_many(loop, "photos", {"a", "a", "missing"}, {}));
  auto id = *loop.wait(uploads.begin(loop, {.bucket = "photos", .key = "k"}));
  EXPECT_EQ(loop.wait(buckets.remove(loop, "photos")).error().code, ObjectsError::bucket_not_empty);
  loop.wait(uploads.abort(loop, "photos", "k", id));
  EXPECT_TRUE(loop.wait(buckets.remove(loop, "photos")));
  EXPECT_EQ(loop.wait(buckets.find(loop, "photos")).error().code, ObjectsError::no_such_bucket);
  EXPECT_EQ(put("a", "").error().code, ObjectsError::no_such_bucket);
  EXPECT_EQ(loop.wait(buckets.create(loop, {.name = "No"})).error().code, ObjectsError::invalid_name);
}

io::Task<void> put_one(Objects& objects, io::Loop& loop, std::string key, std::string bytes, int& done) {
  PutRequest request{.info = {.bucket = "photos", .key = std::move(key)}};
  Result<ObjectInfo> result = co_await objects.put(loop, std::move(request), http::make_body(std::move(bytes)));
  done += result.has_value();
}

io::Task<void> remove_bucket(Buckets& buckets, io::Loop& loop, bool& removed) {
  Result<void> result = co_await buckets.remove(loop, "photos");
  removed = result.has_value();
}

TEST_F(ObjectsTest, ConcurrentWritersOfOneKeyLeaveExactlyOneState) {
  io::TaskGroup group(loop);
  int done = 0;
  for (int i = 0; i < 20; ++i) group.spawn(put_one(objects, loop, "hot", std::string(i % 2 ? 20'000 : 100, static_cast<char>('a' + i)), done));
  loop.wait(group.drain());
  EXPECT_EQ(done, 20);
  ObjectInfo info = *loop.wait(objects.head(loop, "photos", "hot"));
  EXPECT_EQ(crc64(read("hot")), info.crc64);
  EXPECT_EQ(rows("i") + blobs.files.size(), 1u);
}

TEST_F(ObjectsTest, ADeletionOfABucketNeverLosesAPutBesideIt) {
  for (int delay = 0; delay < 8; ++delay) {
    io::TaskGroup group(loop);
    int done = 0;
    bool removed = false;
    group.spawn(remove_bucket(buckets, loop, removed));
    for (int i = 0; i < delay; ++i) loop.step();
    group.spawn(put_one(objects, loop, "late", "x", done));
    loop.wait(group.drain());
    EXPECT_NE(removed, done == 1) << delay;
    loop.wait(objects.remove(loop, "photos", "late", {}));
    if (removed) loop.wait(buckets.create(loop, {.name = "photos"}));
  }
}

TEST_F(ObjectsTest, RecoveryReopensGatesDropsOrphansAndNamesEveryBlob) {
  put("a", std::string(20'000, 'a'));
  auto id = *loop.wait(uploads.begin(loop, {.bucket = "photos", .key = "k"}));
  loop.wait(uploads.put_part(loop, {.bucket = "photos", .key = "k", .upload_id = id, .number = 1}, http::make_body(std::string(20'000, 'p'))));
  blobs.files["garbage"] = "never named";
  store::Batch crash;
  UploadedPart orphan{.number = 1, .info = {}, .part = {Part::Kind::blob, "gone", 1}};
  crash.erase(gate_key("photos"));
  crash.put(upload_part_key("GONE", 1), encode_upload_part(orphan));
  engine->apply(std::span(&crash, 1));
  loop.wait(recover(ground, loop));
  std::set<std::string> named = loop.wait(named_blobs(ground, loop));
  EXPECT_EQ(named.size(), 2u);
  EXPECT_FALSE(named.contains("gone"));
  loop.wait(blobs.sweep(loop, [&](const std::string& blob) { return named.contains(blob); }));
  EXPECT_EQ(blobs.files.size(), 2u);
  EXPECT_TRUE(put("b", "x"));
}

TEST_F(ObjectsTest, MetadataSurvivesWhateverBytesItHas) {
  put("a", "x", {.info = {.content_type = "t", .headers = {{"Cache-Control", "no-cache"}}, .user_metadata = {{"raw", "\xff\x01\"\\"}}, .tags = {{"", "v"}}}});
  ObjectInfo info = *loop.wait(objects.head(loop, "photos", "a"));
  EXPECT_EQ(info.user_metadata.at("raw"), "\xff\x01\"\\");
  EXPECT_EQ(info.headers.at("Cache-Control"), "no-cache");
  EXPECT_EQ(info.tags.at(""), "v");
}

TEST_F(ObjectsTest, StatCountsByStorageClass) {
  put("a", "12345");
  put("b", "123", {.info = {.storage_class = "IA"}});
  BucketStat stat = loop.wait(buckets.stat(loop, *loop.wait(buckets.find(loop, "photos"))));
  EXPECT_EQ(stat.total.bytes, 8u);
  EXPECT_EQ(stat.by_class.at("Standard").bytes, 5u);
  EXPECT_EQ(stat.by_class.at("IA").objects, 1u);
}

}  // namespace
}  // namespace mayfly::objects
