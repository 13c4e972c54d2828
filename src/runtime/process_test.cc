// What a process prints, and whose it is.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "io/group.h"
#include "runtime/process.h"
#include "sys/fault.h"

namespace mayfly::runtime {
namespace {

class ProcessOutput : public testing::Test {
 protected:
  ProcessOutput() {
    int pipe[2];
    sys::check(::pipe2(pipe, O_CLOEXEC | O_NONBLOCK), "pipe2");
    sys::Fd ours(pipe[0]);
    theirs_ = sys::Fd(pipe[1]);
    process_ = std::make_shared<Process>(shard_, Process::Parts{.instance_id = "c-1",
                                                                .output = std::move(ours),
                                                                .pidfd = {},
                                                                .exit_status = [](io::Deadline) { return ended(); },
                                                                .printed = [this](auto&, auto& id, auto text) { told_ += "<" + id + ">" + text; }});
  }
  void prints(std::string_view text) { ASSERT_EQ(::write(theirs_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size())); }
  // Its end, until all is told.
  void end() {
    shard_.post([this] { tasks_.spawn(watch_to_the_end(*this)); });
    shard_.run();
  }

  io::Shard shard_{0};
  io::TaskGroup tasks_{shard_};
  sys::Fd theirs_;
  std::shared_ptr<Process> process_;  // shared with watch
  std::string told_;  // "<request id>text", one after the other

 private:
  static io::Task<std::optional<int>> ended() { co_return 0; }
  static io::Task<void> watch_to_the_end(ProcessOutput& test) {
    co_await Process::watch(test.process_);
    test.shard_.stop();
  }
};

TEST_F(ProcessOutput, OfCallsThatRunAtOnceIsToldUnderTheIdThatItNames) {
  process_->begin_call("one");
  process_->begin_call("two");
  prints("10:00 one [INFO] a\n10:00 two [ERROR] b\n    at c\nwords\n10:00 one [INFO] d\n10:00 three [INFO] e\n10:00 two [INFO] f");
  process_->end_call("one");
  EXPECT_EQ(told_, "<one>10:00 one [INFO] a\n<two>10:00 two [ERROR] b\n    at c\nwords\n<one>10:00 one [INFO] d\n<two>10:00 three [INFO] e\n<two>10:00 two [INFO] f");
  told_.clear();
  prints("\n10:00 one [INFO] afterwards\n");
  process_->end_call("two");
  EXPECT_EQ(told_, "<two>\n10:00 one [INFO] afterwards\n");
}

TEST_F(ProcessOutput, IsOfACallThatRunsStillWhenTheOneThatBeganLastHasEnded) {
  process_->begin_call("one");
  process_->begin_call("two");
  process_->end_call("two");
  prints("words\n");
  process_->end_call("one");
  EXPECT_EQ(told_, "<one>words\n");
  prints("of nobody\n");
  process_->end_call("");
  EXPECT_EQ(told_, "<one>words\n<>of nobody\n");
}

TEST_F(ProcessOutput, IsToldToItsLastWordWhenItEnds) {
  process_->begin_call("one");
  prints("begun\ndying words");
  end();
  EXPECT_EQ(told_, "<one>begun\n<one>dying words");
}

TEST(ErrorLine, IsOneShortLine) {
  EXPECT_EQ(error_line(R"({"errorMessage":" no\n\tmodel\n"})"), "no  model");
  for (const char* wordless : {"", "{", "[]", "{}", R"({"errorMessage":""})", R"({"errorMessage":1})"}) EXPECT_EQ(error_line(wordless), "failed") << wordless;
  std::string long_words;
  for (int i = 0; i < 200; ++i) long_words += "ü";
  EXPECT_EQ(error_line(error_json("x" + long_words)), "x" + long_words.substr(0, 254) + "...") << "no half character";
}

}  // namespace
}  // namespace mayfly::runtime
