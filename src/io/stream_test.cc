// What a Stream over a real socket promises about deadlines and close, with both directions busy.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "io/group.h"
#include "io/shard.h"

namespace mayfly::io {
namespace {

struct Pair {
  std::unique_ptr<Stream> a, b;
};
Pair connect_pair(Shard& shard) {
  int fds[2];
  MAYFLY_CHECK_OP(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
  return {shard.adopt_stream(sys::Fd(fds[0]), "a"), shard.adopt_stream(sys::Fd(fds[1]), "b")};
}

Task<void> run_and_stop(Shard& shard, Task<void> test) {
  co_await test;
  shard.stop();
}
void run(Shard& shard, Task<void> test) {
  TaskGroup group(shard);
  shard.post([&] { group.spawn(run_and_stop(shard, std::move(test))); });
  shard.run();
}

constexpr size_t kMoreThanBuffers = 8 << 20;

Task<void> write_much(Stream& stream, std::expected<void, StreamError>& result, Deadline deadline) {
  std::string data(kMoreThanBuffers, 'x');
  result = co_await stream.write_all(data, deadline);
}
Task<void> read_while_writing(Shard& shard) {
  Pair pair = connect_pair(shard);
  TaskGroup writing(shard);
  std::expected<void, StreamError> written = std::unexpected(StreamError::reset);
  writing.spawn(write_much(*pair.a, written, Deadline::after_us(shard, 10 * kMicrosPerSecond)));
  char byte;
  for (int i = 0; i < 3; ++i) EXPECT_EQ((co_await pair.a->read_some({&byte, 1}, Deadline::after_us(shard, 1'000))).error(), StreamError::timed_out);
  EXPECT_EQ(writing.running(), 1u);
  std::vector<char> buffer(1 << 20);
  for (size_t got = 0; got < kMoreThanBuffers;) got += *co_await pair.b->read_some(buffer, Deadline::never());
  co_await writing.drain();
  EXPECT_TRUE(written.has_value());
}
TEST(Stream, AReadThatTimesOutLeavesTheWriteAlone) {
  Shard shard(0);
  run(shard, read_while_writing(shard));
}

Task<void> write_to_nobody(Shard& shard) {
  Pair pair = connect_pair(shard);
  std::expected<void, StreamError> written;
  co_await write_much(*pair.a, written, Deadline::after_us(shard, 1'000));
  EXPECT_EQ(written.error(), StreamError::timed_out);
}
TEST(Stream, AWriteThatNobodyReadsTimesOut) {
  Shard shard(0);
  run(shard, write_to_nobody(shard));
}

Task<void> read_one(Stream& stream, std::expected<size_t, StreamError>& result) {
  char byte;
  result = co_await stream.read_some({&byte, 1}, Deadline::never());
}
Task<void> close_both(Shard& shard) {
  Pair pair = connect_pair(shard);
  TaskGroup busy(shard);
  std::expected<size_t, StreamError> got = 1;
  std::expected<void, StreamError> written;
  busy.spawn(read_one(*pair.a, got));
  busy.spawn(write_much(*pair.a, written, Deadline::never()));
  pair.a->close();
  co_await busy.drain();
  EXPECT_EQ(got.error(), StreamError::closed);
  EXPECT_EQ(written.error(), StreamError::closed);
  char byte;
  EXPECT_EQ((co_await pair.a->read_some({&byte, 1}, Deadline::never())).error(), StreamError::closed);
  EXPECT_EQ(co_await pair.b->read_some({&byte, 1}, Deadline::never()), size_t{1});  // what had left before still arrives
}
TEST(Stream, CloseWakesReaderAndWriter) {
  Shard shard(0);
  run(shard, close_both(shard));
}

Task<void> watch_the_peer(Shard& shard) {
  Pair pair = connect_pair(shard);
  EXPECT_FALSE(pair.a->peer_gone());
  (void)co_await pair.b->write_all("x", Deadline::never());
  pair.b->close();
  EXPECT_FALSE(pair.a->peer_gone());  // its last word is not read yet
  char byte;
  EXPECT_EQ(co_await pair.a->read_some({&byte, 1}, Deadline::never()), size_t{1});
  EXPECT_TRUE(pair.a->peer_gone());
}
TEST(Stream, TellsWhetherThePeerHasGone) {
  Shard shard(0);
  run(shard, watch_the_peer(shard));
}

Task<void> extend_deadline(Shard& shard) {
  Pair pair = connect_pair(shard);
  char byte;
  // A later deadline, then a sooner one, then none: each read obeys its own, not its predecessor's.
  int64_t start = shard.now_us();
  EXPECT_EQ((co_await pair.a->read_some({&byte, 1}, Deadline::after_us(shard, 2'000))).error(), StreamError::timed_out);
  EXPECT_GE(shard.now_us() - start, 2'000);
  (void)co_await pair.b->write_all("x", Deadline::never());
  EXPECT_EQ(co_await pair.a->read_some({&byte, 1}, Deadline::after_us(shard, 60 * kMicrosPerSecond)), size_t{1});
  start = shard.now_us();
  EXPECT_EQ((co_await pair.a->read_some({&byte, 1}, Deadline::after_us(shard, 1'000))).error(), StreamError::timed_out);
  EXPECT_LT(shard.now_us() - start, 30 * kMicrosPerSecond);
  pair.b->shutdown_write();
  EXPECT_EQ(co_await pair.a->read_some({&byte, 1}, Deadline::never()), size_t{0});
}
TEST(Stream, EachReadHasItsOwnDeadline) {
  Shard shard(0);
  run(shard, extend_deadline(shard));
}

}  // namespace
}  // namespace mayfly::io
