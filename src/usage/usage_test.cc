#include <gtest/gtest.h>

#include <filesystem>

#include "io/sim_loop.h"
#include "sys/file.h"
#include "usage/meter.h"

namespace mayfly::usage {
namespace {

struct Folder {
  std::string path = std::string(std::filesystem::temp_directory_path() / "mayfly-usage-XXXXXX");
  Folder() { MAYFLY_CHECK(mkdtemp(path.data()) != nullptr); }
  ~Folder() { std::filesystem::remove_all(path); }
};

TEST(LogStore, KeepsLinesInOrderAndAnswersByFunctionAndCursor) {
  Folder folder;
  SystemClock clock;
  LogStore logs(folder.path, clock);
  logs.append("s", "f", "r1", "i", "one\ntwo\n");
  logs.append("s", "g", "r2", "i", "other");
  auto entries = logs.query({.service = "s", .function = "f"});
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[1].text, "two");
  EXPECT_EQ(logs.query({.after = entries[1].cursor}).front().text, "other");
  EXPECT_EQ(logs.query({.request_id = "r2"}).size(), 1u);
}

TEST(LogStore, SurvivesARestartAndGoesOnCounting) {
  Folder folder;
  SystemClock clock;
  uint64_t last = 0;
  {
    LogStore logs(folder.path, clock);
    logs.append("s", "f", "r", "i", "before: \"quoted\" \\ and \x01");
    last = logs.last_cursor();
  }
  LogStore logs(folder.path, clock);
  ASSERT_EQ(logs.query({}).size(), 1u);
  EXPECT_EQ(logs.query({})[0].text, "before: \"quoted\" \\ and \x01");
  logs.append("s", "f", "r", "i", "after");
  EXPECT_EQ(logs.last_cursor(), last + 1);
}

TEST(LogStore, ForgetsTheOldestBeyondItsBound) {
  Folder folder;
  SystemClock clock;
  LogStore logs(folder.path, clock);
  std::string line(30'000, 'x');
  for (int i = 0; i < 300; ++i) logs.append("s", "f", "r", "i", line);
  EXPECT_LT(logs.query({.limit = 1000}).size(), LogStore::kMaxRingBytes / line.size() + 1);
}

TEST(LogStore, FindsByFieldsAndNotByWhatALineSays) {
  Folder folder;
  SystemClock clock;
  LogStore logs(folder.path, clock);
  logs.append("s", "f", "r1", "i", R"(,"s":"t","f":"g","r":"r2")");
  logs.append("t", "g", "r2", "i", "that one");
  EXPECT_EQ(logs.query({.service = "t"}).size(), 1u);
  EXPECT_EQ(logs.query({.service = "t", .function = "g", .request_id = "r2"}).front().text, "that one");
  EXPECT_EQ(logs.query({.function = "f"}).front().text, R"(,"s":"t","f":"g","r":"r2")");
}

TEST(LogStore, GoesOnAfterALineThatACrashHasTorn) {
  Folder folder;
  SystemClock clock;
  {
    LogStore logs(folder.path, clock);
    logs.append("s", "f", "r", "i", "whole");
  }
  sys::write_file(folder.path + "/00000001.jsonl", sys::read_file(folder.path + "/00000001.jsonl") + R"({"c":2,"t":1,"s":"s)" "\n" R"({"c":3,"t")");
  LogStore logs(folder.path, clock);
  ASSERT_EQ(logs.query({}).size(), 1u);
  EXPECT_EQ(logs.query({}).front().text, "whole");
  logs.append("s", "f", "r", "i", "after");
  EXPECT_EQ(logs.query({}).back().text, "after");
}

TEST(LogStore, WakesAFollowerOrLetsItGoAtTheDeadline) {
  Folder folder;
  io::SimLoop loop;
  LogStore logs(folder.path, loop.clock());
  int64_t start = loop.now_us();
  loop.wait(logs.wait_newer(loop, 0, io::Deadline::after_us(loop, 500)));
  EXPECT_EQ(loop.now_us(), start + 500);
  loop.call_at(loop.now_us() + 100, [&] { logs.append("s", "f", "r", "i", "x"); });
  loop.wait(logs.wait_newer(loop, 0, io::Deadline::after_us(loop, 5'000)));
  EXPECT_EQ(loop.now_us(), start + 600);
}

TEST(Meter, CountsPerFunctionAndWritesPrometheusText) {
  Folder folder;
  SystemClock clock;
  LogStore logs(folder.path, clock);
  Meter meter(logs, clock);
  dispatch::Invocation invocation{.request_id = "r1", .target = {"s", "f", ""}};
  meter.started(invocation, "i");
  EXPECT_EQ(logs.query({}).back().text, "FC Invoke Start RequestId: r1");
  meter.finished(invocation, {.kind = dispatch::Outcome::Kind::ok, .phases = {.run_us = 3'000}, .cold = true}, clock.wall_us());
  meter.finished(invocation, {.kind = dispatch::Outcome::Kind::handled_error, .body = R"({"errorMessage":"boom"})"}, clock.wall_us());
  EXPECT_EQ(meter.totals("s", "f").invocations, 2u);
  EXPECT_EQ(meter.totals("s", "f").last_error, "boom");
  std::string text = meter.prometheus_text({{"mayfly_connections", "Open connections.", Meter::Sample::Type::gauge, 7}});
  EXPECT_NE(text.find("mayfly_invocations_total{service=\"s\",function=\"f\"} 2"), std::string::npos) << text;
  EXPECT_NE(text.find("mayfly_connections 7"), std::string::npos);
  EXPECT_NE(text.find("le=\"0.005\"} 2"), std::string::npos) << text;
  auto entries = logs.query({});
  ASSERT_EQ(entries.size(), 5u);
  EXPECT_EQ(entries[1].text, "FC Invoke End RequestId: r1");
  EXPECT_EQ(entries[3].text, "FC Invoke End RequestId: r1, Error: boom");
  EXPECT_NE(text.find("mayfly_phase_seconds_total{service=\"s\",function=\"f\",phase=\"run\"} 0.003"), std::string::npos) << text;
  EXPECT_EQ(text.find("phase=\"import\""), std::string::npos);
}

std::string report_line(const std::string& request_id, const dispatch::Outcome& outcome) {
  std::string line;
  append_report(line, request_id, outcome);
  return line;
}

TEST(Meter, ReportsWhereTheTimeOfAnInvocationWent) {
  dispatch::Outcome warm{.phases = {.queued_us = 21, .run_us = 12'319}, .memory_bytes = 31 << 20};
  EXPECT_EQ(report_line("r1", warm), "REPORT RequestId: r1, Duration: 12.31 ms, Queued: 0.02 ms, Max Memory Used: 31 MB");
  dispatch::Outcome cold{.phases = {.sandbox_us = 1'200, .runtime_us = 3'000, .import_us = 50'100, .init_us = 800, .run_us = 12'319, .reply_us = 5'000},
                         .memory_bytes = 1, .cold = true};
  EXPECT_EQ(report_line("r2", cold),
            "REPORT RequestId: r2, Duration: 17.31 ms, Queued: 0.00 ms, Max Memory Used: 1 MB, Streaming: 5.00 ms, Cold Start: 55.10 ms (sandbox 1.20, runtime 3.00, "
            "import 50.10, init 0.80)");
}

}  // namespace
}  // namespace mayfly::usage
