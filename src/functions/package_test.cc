#include "functions/package.h"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "io/group.h"
#include "io/shard.h"
#include "sys/file.h"

namespace mayfly::functions {
namespace {

struct Item {
  std::string name, content;
  unsigned mode = 0644;
  unsigned type = AE_IFREG;
};

std::string zip_of(const std::vector<Item>& items) {
  std::string out(4 << 20, '\0');
  size_t used = 0;
  ::locale_t utf8 = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  ::locale_t before = ::uselocale(utf8);
  archive* writer = archive_write_new();
  archive_write_set_format_zip(writer);
  archive_write_set_options(writer, "hdrcharset=UTF-8");
  archive_write_open_memory(writer, out.data(), out.size(), &used);
  for (const Item& item : items) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname_utf8(entry, item.name.c_str());
    archive_entry_set_filetype(entry, item.type);
    archive_entry_set_perm(entry, item.mode);
    if (item.type == AE_IFLNK) {
      archive_entry_set_symlink_utf8(entry, item.content.c_str());
      archive_entry_set_size(entry, 0);
    } else {
      archive_entry_set_size(entry, static_cast<la_int64_t>(item.content.size()));
    }
    EXPECT_EQ(archive_write_header(writer, entry), ARCHIVE_OK) << archive_error_string(writer);
    if (item.type == AE_IFREG) archive_write_data(writer, item.content.data(), item.content.size());
    archive_entry_free(entry);
  }
  archive_write_close(writer);
  archive_write_free(writer);
  ::uselocale(before);
  ::freelocale(utf8);
  out.resize(used);
  return out;
}

class PackageTest : public ::testing::Test {
 protected:
  PackageTest() {
    std::string pattern = std::filesystem::temp_directory_path().string() + "/mayfly-package-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~PackageTest() override { sys::remove_tree(folder_); }
  Result<void> unpack(const std::vector<Item>& items, PackageLimits limits = kCodeLimits) {
    std::string target = folder_ + "/" + std::to_string(++count_);
    sys::make_folders(target);
    last_ = target;
    return unpack_package(zip_of(items), target, limits);
  }
  CatalogueError refused(const std::vector<Item>& items, PackageLimits limits = kCodeLimits) {
    auto result = unpack(items, limits);
    EXPECT_FALSE(result);
    return result ? CatalogueError::conflict : result.error().code;
  }

  std::string folder_, last_;
  int count_ = 0;
};

TEST_F(PackageTest, UnpacksFilesFoldersModesAndLinks) {
  auto unpacked = unpack({{"index.py", "print(1)"}, {"lib/", "", 0755, AE_IFDIR}, {"lib/a/b.txt", "deep"}, {"bootstrap", "#!/bin/sh", 0755},
                      {"lib/link", "a/b.txt", 0777, AE_IFLNK}, {"h\xc3\xa9llo.txt", "unicode"}});
  ASSERT_TRUE(unpacked) << unpacked.error().message;
  EXPECT_EQ(sys::read_file(last_ + "/index.py"), "print(1)");
  EXPECT_EQ(sys::read_file(last_ + "/lib/link"), "deep");
  EXPECT_EQ(sys::read_file(last_ + "/h\xc3\xa9llo.txt"), "unicode");
  struct stat info {};
  ASSERT_EQ(::stat((last_ + "/bootstrap").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0755u);
  ASSERT_EQ(::stat((last_ + "/index.py").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0644u);
}

TEST_F(PackageTest, RefusesNamesThatLeadOutside) {
  EXPECT_EQ(refused({{"../evil", "x"}}), CatalogueError::invalid);
  EXPECT_EQ(refused({{"a/../../evil", "x"}}), CatalogueError::invalid);
  EXPECT_EQ(refused({{"/etc/evil", "x"}}), CatalogueError::invalid);
  EXPECT_FALSE(sys::exists(folder_ + "/evil"));
}

TEST_F(PackageTest, RefusesLinksThatLeadOutside) {
  EXPECT_EQ(refused({{"l", "/etc/passwd", 0777, AE_IFLNK}}), CatalogueError::invalid);
  EXPECT_EQ(refused({{"l", "../x", 0777, AE_IFLNK}}), CatalogueError::invalid);
  // Lexically inside, but not through the other link.
  EXPECT_EQ(refused({{"a/b/c/f", "x"}, {"a/b/c/up", "../../..", 0777, AE_IFLNK}, {"m", "a/b/c/up/../x", 0777, AE_IFLNK}}), CatalogueError::invalid);
}

TEST_F(PackageTest, NeverWritesThroughALink) {
  std::string outside = folder_ + "/outside";
  sys::make_folders(outside);
  refused({{"d", "../outside", 0777, AE_IFLNK}, {"d/evil", "x"}});
  EXPECT_FALSE(sys::exists(outside + "/evil"));
}

TEST_F(PackageTest, BoundsEntriesAndUnpackedBytes) {
  EXPECT_EQ(refused({{"a", "1"}, {"b", "2"}, {"c", "3"}}, {.files = 2}), CatalogueError::too_large);
  EXPECT_EQ(refused({{"bomb", std::string(1 << 20, '\0')}}, {.bytes = 1 << 19}), CatalogueError::too_large);
  EXPECT_TRUE(unpack({{"fits", std::string(1 << 19, '\0')}}, {.bytes = 1 << 19}));
}

TEST_F(PackageTest, RefusesWhatIsNoZip) {
  for (std::string bytes : {std::string(), std::string("hello"), std::string(100'000, 'x')}) {
    auto result = unpack_package(bytes, folder_);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, CatalogueError::invalid);
  }
  std::string cut = zip_of({{"a", std::string(5'000, 'q')}});
  cut.resize(cut.size() / 2);
  EXPECT_FALSE(unpack_package(cut, folder_));
}

io::Task<void> add_and_stop(io::Shard& shard, CodeStore& store, std::string zip, std::optional<Result<Code>>& out) {
  out.emplace(co_await store.add(shard, http::make_body(std::move(zip)), kCodeLimits));
  shard.stop();
}
std::optional<Result<Code>> add(CodeStore& store, std::string zip) {
  io::Shard shard(0);
  std::optional<Result<Code>> out;
  io::TaskGroup group(shard);
  shard.post([&] { group.spawn(add_and_stop(shard, store, std::move(zip), out)); });
  shard.run();
  return out;
}

io::Task<void> sweep_and_stop(io::Shard& shard, CodeStore& store, std::set<std::string> digests) {
  co_await store.keep_only(shard, std::move(digests));
  shard.stop();
}
void keep_only(CodeStore& store, std::set<std::string> digests) {
  io::Shard shard(0);
  io::TaskGroup group(shard);
  shard.post([&] { group.spawn(sweep_and_stop(shard, store, std::move(digests))); });
  shard.run();
}

TEST_F(PackageTest, TheStoreKeepsOnePackagePerContent) {
  auto store = make_code_store(folder_ + "/code");
  std::string zip = zip_of({{"index.py", "x = 1"}});
  auto first = add(*store, zip);
  ASSERT_TRUE(first && *first) << (*first).error().message;
  EXPECT_EQ((*first)->size_bytes, zip.size());
  EXPECT_EQ(sys::read_file(store->path(**first) + "/index.py"), "x = 1");
  EXPECT_EQ(sys::read_file(*store->package_path((*first)->digest)), zip);
  auto again = add(*store, zip);
  EXPECT_EQ((**again).digest, (**first).digest);
  EXPECT_FALSE(store->package_path("../x"));
  auto bad = add(*store, "nonsense");
  ASSERT_TRUE(bad);
  EXPECT_FALSE(*bad);
  EXPECT_TRUE(std::filesystem::is_empty(folder_ + "/code/tmp"));
  keep_only(*store, {(*first)->digest});
  EXPECT_TRUE(store->package_path((*first)->digest));
  keep_only(*store, {});
  EXPECT_FALSE(store->package_path((*first)->digest));
  EXPECT_FALSE(sys::exists(store->path(**first)));
}

io::Task<void> merge_and_stop(io::Shard& shard, CodeStore& store, std::vector<LayerRef> layers, std::optional<Result<void>>& out) {
  out.emplace(co_await store.merge(shard, std::move(layers)));
  shard.stop();
}
std::optional<Result<void>> merge(CodeStore& store, std::vector<LayerRef> layers) {
  io::Shard shard(0);
  std::optional<Result<void>> out;
  io::TaskGroup group(shard);
  shard.post([&] { group.spawn(merge_and_stop(shard, store, std::move(layers), out)); });
  shard.run();
  return out;
}
std::vector<LayerRef> layers_of(CodeStore& store, const std::vector<std::vector<Item>>& all) {
  std::vector<LayerRef> layers;
  for (const auto& items : all) layers.push_back({"l", static_cast<int64_t>(layers.size() + 1), (**add(store, zip_of(items))).digest});
  return layers;
}
ino_t inode(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
  return info.st_ino;
}

TEST_F(PackageTest, LaterLayersCoverEarlierOnesAndNoByteIsThereTwice) {
  auto store = make_code_store(folder_ + "/code");
  auto layers = layers_of(*store, {{{"python/a.py", "one"}, {"python/b.py", "one"}, {"only", "1", 0755}, {"thing/inside", "x"}},
                                   {{"python/b.py", "two"}, {"python/c.py", "two"}, {"thing", "a file now"}, {"link", "python/a.py", 0777, AE_IFLNK}}});
  ASSERT_TRUE(*merge(*store, layers));
  std::string opt = store->layers_path(layers);
  EXPECT_EQ(sys::read_file(opt + "/python/a.py"), "one");
  EXPECT_EQ(sys::read_file(opt + "/python/b.py"), "two");
  EXPECT_EQ(sys::read_file(opt + "/python/c.py"), "two");
  EXPECT_EQ(sys::read_file(opt + "/thing"), "a file now");
  EXPECT_EQ(sys::read_file(opt + "/link"), "one");
  for (const char* name : {"/python/a.py", "/only"}) EXPECT_EQ(inode(opt + name), inode(folder_ + "/code/" + layers[0].digest + name));
  EXPECT_EQ(inode(opt + "/python/b.py"), inode(folder_ + "/code/" + layers[1].digest + "/python/b.py"));
  ino_t before = inode(opt);
  ASSERT_TRUE(*merge(*store, layers));
  EXPECT_EQ(inode(opt), before) << "it was there already";
  ASSERT_TRUE(*merge(*store, {layers[1], layers[0]}));
  EXPECT_EQ(sys::read_file(store->layers_path({layers[1], layers[0]}) + "/python/b.py"), "one");
  EXPECT_EQ(store->layers_path({layers[0]}), folder_ + "/code/" + layers[0].digest);
  EXPECT_EQ(store->layers_path({}), "");
  keep_only(*store, {layers[0].digest, layers[1].digest, layers_name(layers)});
  EXPECT_TRUE(sys::exists(opt));
  EXPECT_FALSE(sys::exists(store->layers_path({layers[1], layers[0]})));
}

TEST_F(PackageTest, NothingIsLaidThroughALinkOfAnEarlierLayer) {
  auto store = make_code_store(folder_ + "/code");
  auto layers = layers_of(*store, {{{"data/kept", "one"}, {"lib", "data", 0777, AE_IFLNK}}, {{"lib/fresh", "two"}}});
  ASSERT_TRUE(*merge(*store, layers));
  std::string opt = store->layers_path(layers);
  EXPECT_EQ(sys::read_file(opt + "/lib/fresh"), "two");
  EXPECT_FALSE(sys::exists(opt + "/data/fresh"));
  EXPECT_FALSE(sys::exists(folder_ + "/code/" + layers[0].digest + "/data/fresh")) << "a layer was written to";
  EXPECT_FALSE(std::filesystem::is_symlink(opt + "/lib"));
}

TEST_F(PackageTest, LinksThatLeadOutOnlyTogetherAreRefused) {
  auto store = make_code_store(folder_ + "/code");
  // In its own layer `deep` is two folders down, so `out` stays inside; with the second layer's plain folder it climbs past the root.
  auto layers = layers_of(*store, {{{"a/b/c/file", "x"}, {"deep", "a/b/c", 0777, AE_IFLNK}, {"out", "deep/../../z", 0777, AE_IFLNK}}, {{"deep/file", "y"}}});
  auto merged = merge(*store, layers);
  ASSERT_TRUE(merged);
  ASSERT_FALSE(*merged);
  EXPECT_EQ(merged->error().code, CatalogueError::invalid);
  EXPECT_NE(merged->error().message.find("'out'"), std::string::npos);
  EXPECT_TRUE(std::filesystem::is_empty(folder_ + "/code/tmp"));
  auto gone = merge(*store, {layers[0], {"words", 3, "no-such-digest"}});
  EXPECT_EQ(gone->error().message, "the content of layer words version 3 is not on this machine");
}

TEST_F(PackageTest, ANearlyFullDiskTakesNoPackageAndKeepsNothingOfIt) {
  auto store = make_code_store(folder_ + "/code", uint64_t{1} << 60);
  auto refused = add(*store, zip_of({{"index.py", "x = 1"}}));
  ASSERT_TRUE(refused);
  ASSERT_FALSE(*refused);
  EXPECT_EQ(refused->error().code, CatalogueError::too_large);
  EXPECT_TRUE(std::filesystem::is_empty(folder_ + "/code/tmp"));
}

}  // namespace
}  // namespace mayfly::functions
