#include "store/sim_disk.h"

#include <gtest/gtest.h>

#include <set>

#include "sys/fault.h"

namespace mayfly::store {
namespace {

std::string read(Disk& disk, const std::string& path) {
  auto file = disk.open(path);
  std::string out(static_cast<size_t>(file->size()), '\0');
  EXPECT_EQ(file->read_at(0, out.data(), out.size()), out.size());
  return out;
}

bool exists(Disk& disk, const std::string& path) {
  try {
    disk.open(path);
    return true;
  } catch (const sys::Fault& fault) {
    EXPECT_EQ(fault.error(), ENOENT);
    return false;
  }
}

// Runs `before` on a fresh disk, cuts the power after it, and gives what `after` makes of the outcome, over many seeds.
std::set<std::string> outcomes(const std::function<void(SimDisk&)>& before, const std::function<std::string(SimDisk&)>& after) {
  std::set<std::string> seen;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SimPower power(seed);
    SimDisk disk(power);
    before(disk);
    EXPECT_THROW(power.cut(), PowerCut);
    disk.crash();
    power.restore();
    seen.insert(after(disk));
  }
  return seen;
}

void write_synced(Disk& disk, const std::string& path, std::string_view data) {
  auto file = disk.create(path);
  file->append(data);
  file->sync();
}

TEST(SimDisk, WhatIsSyncedWithItsNameSurvivesEveryCut) {
  auto seen = outcomes(
      [](SimDisk& disk) {
        write_synced(disk, "a", "synced");
        disk.sync_folder("");
      },
      [](SimDisk& disk) { return read(disk, "a"); });
  EXPECT_EQ(seen, std::set<std::string>{"synced"});
}

TEST(SimDisk, ASyncedFileWithoutItsFolderMayBeGone) {
  auto seen = outcomes([](SimDisk& disk) { write_synced(disk, "a", "synced"); },
                       [](SimDisk& disk) { return exists(disk, "a") ? read(disk, "a") : "gone"; });
  EXPECT_EQ(seen, (std::set<std::string>{"gone", "synced"}));
}

TEST(SimDisk, UnsyncedBytesAreKeptInAnyPartAndTheTailIsTorn) {
  auto seen = outcomes(
      [](SimDisk& disk) {
        auto file = disk.create("a");
        file->append(std::string(512, 's'));
        file->sync();
        disk.sync_folder("");
        file->append(std::string(1024, 'u'));
      },
      [](SimDisk& disk) {
        std::string data = read(disk, "a");
        EXPECT_EQ(data.substr(0, 512), std::string(512, 's'));
        std::string sectors;
        for (size_t at = 512; at < data.size(); at += 512) sectors += data[at] == 'u' ? 'u' : '0';
        return sectors + (data.size() % 512 != 0 ? " torn" : "");
      });
  for (auto outcome : {"", "uu", "0u torn", "u0 torn", "u torn"}) EXPECT_TRUE(seen.contains(outcome)) << outcome;
}

TEST(SimDisk, ARenameMayRevertOrBeHalfDoneUntilBothFoldersAreSynced) {
  auto before = [](SimDisk& disk) {
    disk.make_folder("x");
    disk.make_folder("y");
    disk.sync_folder("");
    write_synced(disk, "x/a", "data");
    disk.sync_folder("x");
    disk.rename("x/a", "y/b");
  };
  auto names = [](SimDisk& disk) { return std::string(exists(disk, "x/a") ? "x/a " : "") + (exists(disk, "y/b") ? "y/b" : ""); };
  EXPECT_EQ(outcomes(before, names), (std::set<std::string>{"", "x/a ", "x/a y/b", "y/b"}));
  auto synced = [&](SimDisk& disk) {
    before(disk);
    disk.sync_folder("y");
  };
  EXPECT_EQ(outcomes(synced, names), (std::set<std::string>{"x/a y/b", "y/b"}));
}

TEST(SimDisk, AnUnsyncedRemovalMayRevert) {
  auto seen = outcomes(
      [](SimDisk& disk) {
        write_synced(disk, "a", "data");
        disk.sync_folder("");
        disk.remove("a");
        EXPECT_FALSE(exists(disk, "a"));
      },
      [](SimDisk& disk) { return std::string(exists(disk, "a") ? "back" : "gone"); });
  EXPECT_EQ(seen, (std::set<std::string>{"back", "gone"}));
}

TEST(SimDisk, AfterAFailedSyncTheNextSucceedsAndTheBytesAreLostAllTheSame) {
  auto seen = outcomes(
      [](SimDisk& disk) {
        auto file = disk.create("a");
        disk.sync_folder("");
        file->append("data");
        disk.fail_sync(1);
        EXPECT_THROW(file->sync(), sys::Fault);
        EXPECT_EQ(read(disk, "a"), "data");  // still in the cache
        file->sync();
      },
      [](SimDisk& disk) { return read(disk, "a"); });
  EXPECT_EQ(seen, std::set<std::string>{std::string(4, '\0')});
}

TEST(SimDisk, AFullDiskWritesWhatFitsAndSaysSo) {
  SimPower power(1);
  SimDisk disk(power);
  disk.set_capacity(10);
  auto file = disk.create("a");
  EXPECT_THROW(file->append("0123456789abc"), sys::Fault);
  EXPECT_EQ(read(disk, "a"), "0123456789");
  EXPECT_EQ(disk.free_bytes(), 0u);
  file.reset();
  disk.remove("a");
  EXPECT_EQ(disk.free_bytes(), 10u);
}

TEST(SimDisk, WithoutPowerEveryCallThrows) {
  SimPower power(1);
  SimDisk disk(power);
  auto file = disk.create("a");
  power.cut_at(1);
  EXPECT_THROW(file->append("x"), PowerCut);
  EXPECT_THROW(file->append("x"), PowerCut);
  EXPECT_THROW(file->size(), PowerCut);
  EXPECT_THROW(disk.list(""), PowerCut);
  EXPECT_THROW(disk.remove("a"), PowerCut);
}

TEST(SimDisk, AFlippedBitStays) {
  SimPower power(1);
  SimDisk disk(power);
  write_synced(disk, "a", "data");
  EXPECT_TRUE(disk.flip_bit("a"));
  EXPECT_FALSE(disk.flip_bit("b"));
  EXPECT_NE(read(disk, "a"), "data");
}

}  // namespace
}  // namespace mayfly::store
