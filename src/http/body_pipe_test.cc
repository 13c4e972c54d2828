#include "http/body_pipe.h"

#include <gtest/gtest.h>

#include "io/group.h"
#include "io/sim_loop.h"

namespace mayfly::http {
namespace {

class BodyPipeTest : public testing::Test {
 protected:
  io::SimLoop loop_;
  std::shared_ptr<BodyPipe> pipe_ = BodyPipe::make(loop_);
};

io::Task<void> write_pieces(std::shared_ptr<BodyPipe> pipe, int count, int& written) {
  for (; written < count && co_await pipe->room(); ++written)
    if (!pipe->push(std::string(100 << 10, 'x'))) break;
  pipe->end();
}

TEST_F(BodyPipeTest, GivesThePiecesInOrderAndThenTheEnd) {
  pipe_->push("one");
  pipe_->push("two");
  pipe_->end();
  auto body = pipe_->reader();
  EXPECT_EQ(*loop_.wait(body->read_all(100)), "onetwo");
}

TEST_F(BodyPipeTest, AWriterWaitsForASlowReader) {
  io::TaskGroup group(loop_);
  int written = 0;
  auto body = pipe_->reader();
  group.spawn(write_pieces(pipe_, 100, written));
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(written, 3);  // the third goes beyond kPipeBytes
  EXPECT_EQ(loop_.wait(body->read_all(100 << 20))->size(), 100u * (100 << 10));
  loop_.run_for(kMicrosPerSecond);
  EXPECT_EQ(written, 100);
  loop_.wait(group.drain());
}

TEST_F(BodyPipeTest, AWriterLearnsThatNobodyReads) {
  auto body = pipe_->reader();
  EXPECT_TRUE(pipe_->push("a"));
  body.reset();
  EXPECT_FALSE(pipe_->push("b"));
  EXPECT_FALSE(loop_.wait(pipe_->room()));
}

TEST_F(BodyPipeTest, AFailureComesAfterWhatWasThere) {
  auto body = pipe_->reader();
  pipe_->push("a");
  pipe_->fail(BodyError::disconnected);
  EXPECT_EQ(**loop_.wait(body->next()), "a");
  EXPECT_EQ(loop_.wait(body->next()).error(), BodyError::disconnected);
}

}  // namespace
}  // namespace mayfly::http
