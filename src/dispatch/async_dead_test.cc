#include "dispatch/async_dead.h"

#include "dispatch/async_fixture.h"

namespace mayfly::dispatch {
namespace {

class DeadLettersTest : public AsyncFixture {
 protected:
  DeadLettersTest() { configure({{"maxAsyncRetryAttempts", 0}}); }
  // A call that dies at once; a second passes.
  void let_die(const std::string& payload, const std::string& function = "f") {
    invoker_.answers.push_back(fail(InvokeError::not_found, "gone"));
    EXPECT_TRUE(submit(payload, function));
    loop_.run_for(kMicrosPerSecond);
  }
  std::string payloads(LetterQuery query = {}) {
    std::string text;
    for (const DeadLetter& letter : dead(std::move(query))) text += letter.invocation.payload;
    return text;
  }
  size_t redrive(LetterQuery query) { return loop_.wait(async_->letters().redrive(loop_, std::move(query))); }
  size_t purge(LetterQuery query) { return loop_.wait(async_->letters().purge(loop_, std::move(query))); }
};

TEST_F(DeadLettersTest, AreListedByFunctionAgeAndPage) {
  let_die("a");
  let_die("b", "after");
  int64_t middle_us = loop_.clock().wall_us();
  let_die("c");
  EXPECT_EQ(payloads(), "abc");
  EXPECT_EQ(payloads({.service = "s", .function = "f"}), "ac");
  EXPECT_EQ(payloads({.service = "other"}), "");
  EXPECT_EQ(payloads({.died_until_us = middle_us}), "ab");
  EXPECT_EQ(payloads({.died_from_us = middle_us}), "c");
  EXPECT_EQ(payloads({.limit = 2}), "ab");
  EXPECT_EQ(payloads({.after = dead({.limit = 2}).back().id}), "c");
  EXPECT_EQ(payloads({.id = dead()[1].id}), "b");
  EXPECT_EQ(payloads({.id = "00"}), "");
}

TEST_F(DeadLettersTest, AreRedrivenByFunctionAndWithALimit) {
  for (const char* payload : {"a", "b", "c"}) let_die(payload);
  let_die("d", "after");
  EXPECT_EQ(redrive({.service = "s", .function = "f", .limit = 2}), 2u);
  EXPECT_EQ(payloads(), "cd");
  loop_.run_for(kMicrosPerSecond);
  ASSERT_EQ(invoker_.calls.size(), 6u);
  std::map<std::string, std::string> first, again;  // the two are due at once, in either order
  for (size_t i : {0, 1}) first[invoker_.calls[i].invocation.payload] = invoker_.calls[i].invocation.request_id;
  for (size_t i : {4, 5}) again[invoker_.calls[i].invocation.payload] = invoker_.calls[i].invocation.request_id;
  EXPECT_EQ(first.size(), 2u);
  EXPECT_EQ(again, first);
  EXPECT_EQ(async_->letters().stored(), 2u);
  EXPECT_EQ(redrive({.limit = 1'000}), 2u);
  EXPECT_EQ(async_->letters().stored(), 0u);
}

TEST_F(DeadLettersTest, ARedriveOfCallsThatFailAgainEnds) {
  for (int i = 0; i < 250; ++i) invoker_.answers.push_back(fail(InvokeError::not_found, "gone"));
  for (int i = 0; i < 250; ++i) ASSERT_TRUE(submit());
  loop_.run_for(10 * kMicrosPerSecond);
  ASSERT_EQ(async_->letters().stored(), 250u);
  for (int i = 0; i < 250; ++i) invoker_.answers.push_back(fail(InvokeError::not_found, "still gone"));
  EXPECT_EQ(redrive({.limit = 10'000}), 250u);
  loop_.run_for(10 * kMicrosPerSecond);
  EXPECT_EQ(async_->letters().stored(), 250u);
  EXPECT_EQ(dead()[0].reason, "still gone");
  EXPECT_EQ(invoker_.calls.size(), 500u);
}

TEST_F(DeadLettersTest, ArePurgedByAge) {
  let_die("a");
  let_die("b");
  int64_t middle_us = loop_.clock().wall_us();
  let_die("c");
  EXPECT_EQ(purge({.died_until_us = middle_us}), 2u);
  EXPECT_EQ(payloads(), "c");
  loop_.run_for(60 * kMicrosPerSecond);
  EXPECT_EQ(invoker_.calls.size(), 3u);
}

TEST_F(DeadLettersTest, TheOldestGoWhenThereAreTooMany) {
  store::Batch batch;
  for (size_t i = 0; i < kMaxDeadLetters + 20; ++i) {
    AsyncMessage message{.invocation = call(std::to_string(i)), .task_id = {}, .reason = "no", .died_us = static_cast<int64_t>(i)};
    batch.put(store::make_key({"async-dead", store::ordered_int(message.died_us), message.invocation.request_id}), encode(message));
  }
  EXPECT_EQ(loop_.wait(store_->commit(loop_, std::move(batch))), store::Commit::done);
  close();
  open();
  EXPECT_EQ(rows("async-dead"), kMaxDeadLetters);
  EXPECT_EQ(payloads({.limit = 1}), "20");
  let_die("new");
  EXPECT_EQ(rows("async-dead"), kMaxDeadLetters);
  EXPECT_EQ(payloads({.limit = 1}), "21");
}

}  // namespace
}  // namespace mayfly::dispatch
