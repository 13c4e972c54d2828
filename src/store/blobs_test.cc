#include "store/blobs.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "io/group.h"
#include "io/shard.h"
#include "io/sim_loop.h"
#include "store/blob_format.h"
#include "store/test_folder.h"
#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::store {
namespace {

namespace format = blob_format;

std::string body_of(size_t size) {
  SeededRng rng(size);
  return rng.bytes(size);
}

// Writes `body` in pieces of `piece` bytes.
io::Task<std::string> write(Blobs& blobs, io::Loop& loop, std::string body, size_t piece) {
  auto writer = blobs.create(loop);
  for (size_t at = 0; at < body.size(); at += piece) co_await writer->append(body.substr(at, piece));
  co_return co_await writer->finish();
}

io::Task<std::expected<std::string, BlobError>> read_all(Blobs& blobs, io::Loop& loop, std::string id, size_t piece) {
  auto reader = co_await blobs.open(loop, id);
  if (!reader) co_return std::unexpected(reader.error());
  std::string body;
  while (body.size() < (*reader)->size()) {
    auto part = co_await (*reader)->read(body.size(), piece);
    if (!part) co_return std::unexpected(part.error());
    if (part->empty()) break;
    body += *part;
  }
  co_return body;
}

io::Task<std::expected<std::string, BlobError>> read_at(Blobs& blobs, io::Loop& loop, std::string id, uint64_t offset, size_t size) {
  auto reader = co_await blobs.open(loop, id);
  if (!reader) co_return std::unexpected(reader.error());
  co_return co_await (*reader)->read(offset, size);
}

class BlobsTest : public testing::Test {
 protected:
  std::string path_of(const std::string& id) { return folder_ / ("blobs/" + id.substr(0, 2) + "/" + id); }
  std::vector<std::string> drafts() { return disk_->list("tmp"); }

  TestFolder folder_;
  std::unique_ptr<Disk> disk_ = make_system_disk(folder_.path());
  SeededRng rng_{7};
  io::SimLoop loop_;
  std::unique_ptr<Blobs> blobs_ = make_inline_blobs(*disk_, rng_);
};

TEST_F(BlobsTest, GivesBackBodiesOfEverySizeAroundABlock) {
  constexpr size_t kBlock = format::kBlockBytes;
  for (size_t size : {size_t{0}, size_t{1}, kBlock - 1, kBlock, kBlock + 1, 4 * kBlock, 9 * kBlock + 17}) {
    std::string body = body_of(size);
    for (size_t piece : {size_t{10'000}, size_t{1} << 20}) {
      std::string id = loop_.wait(write(*blobs_, loop_, body, piece));
      EXPECT_EQ(loop_.wait(read_all(*blobs_, loop_, id, 50'000)), body) << size;
      EXPECT_EQ(sys::read_file(path_of(id)).size(), format::file_bytes(size));
    }
  }
  EXPECT_TRUE(drafts().empty());
}

TEST_F(BlobsTest, ReadsAnyRange) {
  std::string body = body_of(300'000);
  std::string id = loop_.wait(write(*blobs_, loop_, body, 100'000));
  SeededRng rng(3);
  for (int round = 0; round < 200; ++round) {
    uint64_t offset = rng.below(310'000);
    size_t size = rng.below(150'000);
    auto expected = offset < body.size() ? body.substr(offset, size) : std::string();
    ASSERT_EQ(loop_.wait(read_at(*blobs_, loop_, id, offset, size)), expected) << offset << "+" << size;
  }
}

TEST_F(BlobsTest, AFlippedByteAnywhereIsCorruptAndNeverServed) {
  std::string body = body_of(format::kBlockBytes + 300);
  std::string id = loop_.wait(write(*blobs_, loop_, body, 1 << 20));
  std::string intact = sys::read_file(path_of(id));
  SeededRng rng(11);
  for (int round = 0; round < 400; ++round) {
    // Every byte of both ends, and of the block boundary; a sample of the rest.
    size_t at = round < 50 ? static_cast<size_t>(round) : round < 100 ? intact.size() - 1 - static_cast<size_t>(round - 50)
                : round < 200 ? format::block_offset(1) - 150 + static_cast<size_t>(round) : rng.below(intact.size());
    std::string damaged = intact;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << rng.below(8)));
    sys::write_file(path_of(id), damaged);
    ASSERT_EQ(loop_.wait(read_all(*blobs_, loop_, id, 1 << 20)), std::unexpected(BlobError::corrupt)) << "byte " << at;
  }
  sys::write_file(path_of(id), intact);
  EXPECT_EQ(loop_.wait(read_all(*blobs_, loop_, id, 1 << 20)), body);
}

TEST_F(BlobsTest, AFileCutShortOrExchangedIsCorrupt) {
  std::string one = loop_.wait(write(*blobs_, loop_, body_of(2 * format::kBlockBytes), 1 << 20));
  std::string two = loop_.wait(write(*blobs_, loop_, body_of(2 * format::kBlockBytes), 1 << 20));
  std::string intact = sys::read_file(path_of(one));
  for (size_t size : {size_t{0}, size_t{31}, size_t{32}, static_cast<size_t>(format::block_offset(1)), intact.size() - 1}) {
    sys::write_file(path_of(one), intact.substr(0, size));
    EXPECT_EQ(loop_.wait(read_all(*blobs_, loop_, one, 1 << 20)), std::unexpected(BlobError::corrupt)) << size;
  }
  sys::write_file(path_of(one), sys::read_file(path_of(two)));
  EXPECT_EQ(loop_.wait(read_all(*blobs_, loop_, one, 1 << 20)), std::unexpected(BlobError::corrupt));
  // Two blocks of one file, each intact, in the other's place.
  size_t block = format::kBlockBytes + format::kCrcBytes, head = sizeof(format::Header);
  std::string first = intact.substr(head, block), second = intact.substr(head + block, block);
  sys::write_file(path_of(one), intact.substr(0, head) + second + first + intact.substr(head + 2 * block));
  EXPECT_EQ(loop_.wait(read_all(*blobs_, loop_, one, 1 << 20)), std::unexpected(BlobError::corrupt));
}

TEST_F(BlobsTest, WhatIsAbsentOrNoIdIsMissing) {
  for (std::string id : {std::string(32, 'a'), std::string("../../etc/passwd"), std::string()}) {
    EXPECT_EQ(loop_.wait(read_all(*blobs_, loop_, id, 1)), std::unexpected(BlobError::missing)) << id;
  }
}

TEST_F(BlobsTest, RemovingTwiceIsHarmless) {
  std::string id = loop_.wait(write(*blobs_, loop_, "x", 1));
  loop_.wait(blobs_->remove(loop_, id));
  loop_.wait(blobs_->remove(loop_, id));
  EXPECT_EQ(loop_.wait(read_all(*blobs_, loop_, id, 1)), std::unexpected(BlobError::missing));
}

io::Task<void> begin_and_drop(Blobs& blobs, io::Loop& loop) {
  auto writer = blobs.create(loop);
  co_await writer->append(std::string(1 << 20, 'x'));
}

TEST_F(BlobsTest, AnUnfinishedBlobLeavesNothing) {
  loop_.wait(begin_and_drop(*blobs_, loop_));
  EXPECT_TRUE(drafts().empty());
  EXPECT_TRUE(disk_->list("blobs").empty());
}

TEST_F(BlobsTest, SweepKeepsExactlyWhatIsNamed) {
  std::set<std::string> named;
  std::vector<std::string> unnamed;
  for (int at = 0; at < 40; ++at) {
    std::string id = loop_.wait(write(*blobs_, loop_, body_of(100), 100));
    if (at % 2 == 0) named.insert(id);
    else unnamed.push_back(id);
  }
  sys::write_file(folder_ / "tmp/0123", "left by a crash");
  loop_.wait(blobs_->sweep(loop_, [&](const std::string& id) { return named.contains(id); }));
  for (const auto& id : named) EXPECT_EQ(loop_.wait(read_all(*blobs_, loop_, id, 100)), body_of(100));
  for (const auto& id : unnamed) EXPECT_EQ(loop_.wait(read_all(*blobs_, loop_, id, 100)), std::unexpected(BlobError::missing));
  EXPECT_TRUE(drafts().empty());
}

TEST(BlobFormat, TheFirstVersionNeverChanges) {
  std::string file = format::header();
  format::append_block(file, "id", 0, "body");
  file += format::footer("id", 4);
  EXPECT_EQ(hex_encode(file), "4d415946424c4f42010000006d8e1965626f6479e368f2c70400000000000000f651de894d454e44");
  EXPECT_EQ(file.size(), format::file_bytes(4));
  EXPECT_NE(format::block_crc("id", 0, "body"), format::block_crc("id", 1, "body"));
  EXPECT_NE(format::block_crc("id", 0, "body"), format::block_crc("iD", 0, "body"));
  EXPECT_EQ(format::read_footer(file.substr(24), "id"), 4u);
  EXPECT_EQ(format::read_footer(file.substr(24), "iD"), std::nullopt);
}

// A disk whose syncs fail.
class UnsyncableDisk final : public Disk {
 public:
  explicit UnsyncableDisk(Disk& disk) : disk_(disk) {}
  std::unique_ptr<DiskFile> create(const std::string& path) override { return std::make_unique<File>(disk_.create(path)); }
  std::unique_ptr<DiskFile> open(const std::string& path) override { return disk_.open(path); }
  void rename(const std::string& from, const std::string& to) override { disk_.rename(from, to); }
  void remove(const std::string& path) override { disk_.remove(path); }
  std::vector<std::string> list(const std::string& folder) override { return disk_.list(folder); }
  void make_folder(const std::string& path) override { disk_.make_folder(path); }
  void sync_folder(const std::string& path) override { disk_.sync_folder(path); }
  uint64_t free_bytes() override { return disk_.free_bytes(); }

 private:
  class File final : public DiskFile {
   public:
    explicit File(std::unique_ptr<DiskFile> file) : file_(std::move(file)) {}
    void append(std::string_view data) override { file_->append(data); }
    size_t read_at(uint64_t offset, char* out, size_t size) override { return file_->read_at(offset, out, size); }
    uint64_t size() override { return file_->size(); }
    void sync() override { throw sys::Fault("fdatasync", "the blob", EIO); }

   private:
    std::unique_ptr<DiskFile> file_;
  };
  Disk& disk_;
};

TEST_F(BlobsTest, AFailedSyncEndsTheProcessWithAMessage) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  UnsyncableDisk broken(*disk_);
  auto blobs = make_inline_blobs(broken, rng_);
  EXPECT_DEATH(loop_.wait(write(*blobs, loop_, "body", 4)), "cannot be made durable.*fdatasync");
}

io::Task<void> round_trip(Blobs& blobs, io::Loop& loop, size_t size, int& good) {
  std::string id = co_await write(blobs, loop, body_of(size), 30'000);
  if (co_await read_all(blobs, loop, id, 100'000) == body_of(size)) ++good;
}
io::Task<void> drain_and_stop(io::Shard& shard, io::TaskGroup& group) {
  co_await group.drain();
  shard.stop();
}

TEST_F(BlobsTest, ManyBlobsAtOnceOverThePoolOfThreads) {
  SystemRng rng;
  io::Shard shard(0);
  auto blobs = make_file_blobs(*disk_, rng, 3);
  io::TaskGroup group(shard), last(shard);
  int good = 0;
  shard.post([&] {
    for (size_t at = 0; at < 40; ++at) group.spawn(round_trip(*blobs, shard, at * 9'000, good));
    for (size_t at = 0; at < 5; ++at) group.spawn(begin_and_drop(*blobs, shard));
    last.spawn(drain_and_stop(shard, group));
  });
  shard.run();
  blobs.reset();  // finishes the removals nobody waits for
  EXPECT_EQ(good, 40);
  EXPECT_TRUE(drafts().empty());
}

}  // namespace
}  // namespace mayfly::store
