#include <gtest/gtest.h>

#include <filesystem>

#include "base/json.h"
#include "usage/log_store.h"

namespace mayfly::usage {
namespace {

TEST(LogText, BytesThatAreNoTextBreakNeitherAnAnswerNorARestart) {
  std::string folder = std::string(std::filesystem::temp_directory_path() / "mayfly-logs-XXXXXX");
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  SystemClock clock;
  std::string longest(LogStore::kMaxLineBytes - 1, 'a');
  {
    LogStore logs(folder, clock);
    logs.append("s", "f", "r", "i", "bad \xff\xfe bytes\n" + longest + "\xE4\xB8\xAD");  // the limit cuts the last character
  }
  LogStore logs(folder, clock);
  auto entries = logs.query({});
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].text, "bad \xEF\xBF\xBD\xEF\xBF\xBD bytes");
  for (const LogEntry& entry : entries) EXPECT_TRUE(parse_json(to_text(json::value(entry.text)))) << entry.text.size();
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace mayfly::usage
