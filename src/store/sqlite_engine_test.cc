#include "store/sqlite_engine.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "store/test_folder.h"
#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::store {
namespace {

Batch put(std::string key, std::string value) {
  Batch batch;
  batch.put(std::move(key), std::move(value));
  return batch;
}

std::vector<bool> apply(Engine& engine, Batch batch) { return engine.apply(std::span(&batch, 1)); }

TEST(SqliteEngine, KeepsWhatItAppliedOverACleanEndAndOverAKill) {
  TestFolder folder;
  {
    auto engine = open_sqlite_engine(folder / "kv");
    apply(*engine, put("clean", "1"));
  }
  pid_t child = ::fork();
  if (child == 0) {  // ends without closing: the row is only in the log
    auto engine = open_sqlite_engine(folder / "kv");
    apply(*engine, put("killed", "2"));
    ::_exit(0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  EXPECT_GT(std::filesystem::file_size(folder / "kv-wal"), 0u);
  auto engine = open_sqlite_engine(folder / "kv");
  EXPECT_EQ(engine->get("clean"), "1");
  EXPECT_EQ(engine->get("killed"), "2");
}

TEST(SqliteEngine, ASecondConnectionIsRefusedWhileTheFirstIsOpen) {
  TestFolder folder;
  auto engine = open_sqlite_engine(folder / "kv");
  try {
    open_sqlite_engine(folder / "kv");
    FAIL() << "a second connection was let in";
  } catch (const sys::Fault& fault) {
    EXPECT_NE(std::string(fault.what()).find("has it open"), std::string::npos) << fault.what();
  }
  engine.reset();
  EXPECT_NO_THROW(open_sqlite_engine(folder / "kv"));
}

TEST(SqliteEngine, TheLogStaysWithinItsLimitBecauseItIsCheckpointedBetweenBatches) {
  TestFolder folder;
  auto engine = open_sqlite_engine(folder / "kv");
  // Each body differs from the one it replaces: SQLite does not write a page that stays the same.
  auto body = [](int at) { return std::string(1 << 20, static_cast<char>('!' + at)); };
  for (int at = 0; at < 80; ++at) apply(*engine, put(std::to_string(at % 4), body(at)));
  EXPECT_LT(std::filesystem::file_size(folder / "kv-wal"), static_cast<uint64_t>(kCheckpointWalBytes + (4 << 20)));
  EXPECT_GT(std::filesystem::file_size(folder / "kv"), 3u << 20);
  EXPECT_EQ(engine->get("3"), body(79));
}

TEST(SqliteEngine, AFileThatIsNoDatabaseIsAFaultThatNamesIt) {
  TestFolder folder;
  sys::write_file(folder / "kv", std::string(8192, 'j'));
  try {
    open_sqlite_engine(folder / "kv");
    FAIL() << "junk was opened";
  } catch (const sys::Fault& fault) {
    EXPECT_NE(std::string(fault.what()).find(folder / "kv"), std::string::npos) << fault.what();
  }
}

}  // namespace
}  // namespace mayfly::store
