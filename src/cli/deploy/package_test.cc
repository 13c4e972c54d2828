#include "cli/deploy/package.h"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>
#include <utime.h>

#include <filesystem>

#include "cli/deploy/zip.h"
#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::cli {
namespace {

namespace fs = std::filesystem;

struct PackageTest : testing::Test {
  PackageTest() {
    std::string pattern = testing::TempDir() + "mayfly-package-XXXXXX";
    folder = mkdtemp(pattern.data());
  }
  ~PackageTest() override { sys::remove_tree(folder); }
  void write(const std::string& name, std::string_view text, unsigned mode = 0644) {
    sys::make_folders(fs::path(folder + "/" + name).parent_path());
    sys::write_file(folder + "/" + name, text, mode);
  }
  std::string folder;
};

// "mode name contents" of every entry, in order.
std::vector<std::string> unpack(const std::string& zip) {
  std::vector<std::string> entries;
  archive* reader = archive_read_new();
  archive_read_support_format_zip(reader);
  archive_read_open_memory(reader, zip.data(), zip.size());
  archive_entry* entry;
  while (archive_read_next_header(reader, &entry) == ARCHIVE_OK) {
    std::string data(64, '\0');
    la_ssize_t size = archive_read_data(reader, data.data(), data.size());
    data.resize(size > 0 ? static_cast<size_t>(size) : 0);
    entries.push_back(fmt::format("{:o} {} {}", archive_entry_perm(entry), archive_entry_pathname(entry), data));
  }
  archive_read_free(reader);
  return entries;
}

TEST_F(PackageTest, PacksAFolderInOrderWithModes) {
  write("b.py", "two");
  write("a/run", "one", 0755);
  auto package = make_package(folder, {.base_folder = folder});
  ASSERT_TRUE(package);
  EXPECT_EQ(unpack(package->zip), (std::vector<std::string>{"755 a/run one", "644 b.py two"}));
}

TEST_F(PackageTest, AFaultOfTheSinkComesThroughWhileTheRestIsGivenUp) {
  write("index.py", "x = 1");
  auto entries = entries_of(folder, nullptr, "", 10);
  ASSERT_TRUE(entries);
  auto full_disk = [](std::string_view) { throw sys::Fault("write", "package.zip", ENOSPC); };
  EXPECT_THROW((void)write_zip(*entries, {1 << 20, ""}, full_disk), sys::Fault);
}

TEST_F(PackageTest, GivesTheSameBytesWhateverTheTimestamps) {
  write("index.py", "x = 1");
  auto first = make_package(folder, {.base_folder = folder});
  utimbuf times{1'000'000'000, 1'000'000'000};
  utime((folder + "/index.py").c_str(), &times);
  auto second = make_package(folder, {.base_folder = folder});
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->zip, second->zip);
  write("index.py", "x = 2");
  auto third = make_package(folder, {.base_folder = folder});
  ASSERT_TRUE(third);
  EXPECT_NE(first->checksum, third->checksum);
}

TEST_F(PackageTest, LeavesOutWhatTheRulesNameRelativeToTheTemplate) {
  write("code/index.py", "i");
  write("code/event.dat", "e");
  write("code/node_modules/x.js", "x");
  write("code/.git/config", "g");
  auto package = make_package(folder + "/code", {.base_folder = folder, .ignore_text = "code/*.dat\n", .runtime = "python3"});
  ASSERT_TRUE(package);
  EXPECT_EQ(unpack(package->zip), (std::vector<std::string>{"644 index.py i"}));
}

TEST_F(PackageTest, AppliesNoRulesOutsideTheTemplatesFolder) {
  write("code/event.dat", "e");
  write("project/template.yml", "");
  auto package = make_package(folder + "/code", {.base_folder = folder + "/project", .ignore_text = "*.dat\n"});
  ASSERT_TRUE(package);
  EXPECT_EQ(package->files, 1u);
}

TEST_F(PackageTest, TakesAnArchiveAsItIs) {
  write("lib.jar", "not really a zip");
  auto package = make_package(folder + "/lib.jar", {.base_folder = folder});
  ASSERT_TRUE(package);
  EXPECT_EQ(package->zip, "not really a zip");
}

TEST_F(PackageTest, PacksASingleFileUnderItsName) {
  write("deep/index.py", "i");
  auto package = make_package(folder + "/deep/index.py", {.base_folder = folder});
  ASSERT_TRUE(package);
  EXPECT_EQ(unpack(package->zip), (std::vector<std::string>{"644 index.py i"}));
}

TEST_F(PackageTest, SaysWhenThereIsNothing) {
  auto missing = make_package(folder + "/nowhere", {.base_folder = folder});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code.kind, Kind::usage);
  EXPECT_FALSE(make_package(folder, {.base_folder = folder}));
}

}  // namespace
}  // namespace mayfly::cli
