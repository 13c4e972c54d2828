#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>

#include "io/group.h"
#include "io/hop.h"
#include "io/shard.h"
#include "io/sim_loop.h"
#include "io/sync.h"

namespace mayfly::io {
namespace {

Task<int> add(int a, int b) { co_return a + b; }
Task<int> chain(int depth) {
  if (depth == 0) co_return 0;
  co_return 1 + co_await chain(depth - 1);
}
Task<int> throws() {
  throw std::runtime_error("no");
  co_return 0;
}

TEST(Task, GivesBackItsValueOrItsException) {
  SimLoop loop;
  EXPECT_EQ(loop.wait(add(2, 3)), 5);
  EXPECT_EQ(loop.wait(chain(10'000)), 10'000);
  EXPECT_THROW(loop.wait(throws()), std::runtime_error);
}

Task<Wait> wait_for(Signal& signal, Deadline deadline) { co_return co_await signal.wait(deadline); }

TEST(Signal, WakesItsWaitersOrTimesOutAtTheDeadline) {
  SimLoop loop;
  Signal signal(loop);
  int64_t start = loop.now_us();
  EXPECT_EQ(loop.wait(wait_for(signal, Deadline::after_us(loop, 500))), Wait::timed_out);
  EXPECT_EQ(loop.now_us(), start + 500);
  loop.call_at(loop.now_us() + 100, [&] { signal.set(); });
  EXPECT_EQ(loop.wait(wait_for(signal, Deadline::after_us(loop, 500))), Wait::done);
  EXPECT_EQ(loop.now_us(), start + 600);
}

Task<void> sleep_and_count(Loop& loop, int& count) {
  co_await sleep_us(loop, 1'000);
  ++count;
}

TEST(TaskGroup, DrainWaitsForEveryTask) {
  SimLoop loop;
  TaskGroup group(loop);
  int count = 0;
  for (int i = 0; i < 10; ++i) group.spawn(sleep_and_count(loop, count));
  EXPECT_EQ(group.running(), 10u);
  loop.wait(group.drain());
  EXPECT_EQ(count, 10);
}

Task<std::thread::id> here() { co_return std::this_thread::get_id(); }
Task<void> hop_then_stop(Shard& a, Shard& b, std::thread::id& there) {
  there = co_await call_on<std::thread::id>(a, b, [] { return here(); });
  a.stop();
}

TEST(Hop, RunsOnTheOtherThreadAndComesBack) {
  Shard a(0), b(1);
  std::jthread other([&] { b.run(); });
  TaskGroup group(a);
  std::thread::id there;
  a.post([&] { group.spawn(hop_then_stop(a, b, there)); });
  a.run();
  b.stop();
  EXPECT_EQ(there, other.get_id());
}

Task<void> echo(std::unique_ptr<Stream> stream) {
  char buffer[16];
  while (true) {
    auto got = co_await stream->read_some(buffer, Deadline::never());
    if (!got || *got == 0) co_return;
    if (!co_await stream->write_all({buffer, *got}, Deadline::never())) co_return;
  }
}
Task<void> serve(Listener& listener, TaskGroup& group) {
  while (auto stream = co_await listener.accept()) group.spawn(echo(std::move(stream)));
}
Task<void> converse(Shard& shard, Listener& listener, TaskGroup& group, std::string& got) {
  auto stream = co_await shard.connect("127.0.0.1", listener.port(), Deadline::after_us(shard, kMicrosPerSecond));
  std::string text(100, 'x');
  (void)co_await (*stream)->write_all(text, Deadline::never());
  char buffer[64];
  while (got.size() < text.size()) {
    auto part = co_await (*stream)->read_some(buffer, Deadline::after_us(shard, kMicrosPerSecond));
    got.append(buffer, *part);
  }
  auto late = co_await (*stream)->read_some(buffer, Deadline::after_us(shard, 1'000));
  EXPECT_EQ(late.error(), StreamError::timed_out);
  (*stream)->close();
  listener.close();
}
Task<void> drain_and_stop(Shard& shard, TaskGroup& group) {
  co_await group.drain();
  shard.stop();
}

TEST(Shard, CarriesBytesBothWaysAndHonoursDeadlines) {
  Shard shard(0);
  auto listener = shard.listen("127.0.0.1", 0);
  TaskGroup group(shard), last(shard);
  std::string got;
  shard.post([&] {
    group.spawn(serve(*listener, group));
    group.spawn(converse(shard, *listener, group, got));
    last.spawn(drain_and_stop(shard, group));
  });
  shard.run();
  EXPECT_EQ(got, std::string(100, 'x'));
}

TEST(Shard, RunsWhatItsOwnThreadPostsInOrder) {
  Shard shard(0);
  std::vector<int> order;
  shard.post([&] {
    for (int i = 0; i < 100; ++i) shard.post([&, i] { order.push_back(i); });
    shard.post([&] { shard.stop(); });
  });
  shard.run();
  ASSERT_EQ(order.size(), 100u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

void post_again(Shard& shard, const bool& enough) {
  if (!enough) shard.post([&] { post_again(shard, enough); });
}

TEST(Shard, WorkThatPostsItselfStarvesNeitherTimersNorOtherThreads) {
  Shard shard(0);
  bool rang = false, enough = false;
  shard.post([&] { post_again(shard, enough); });
  shard.call_at(shard.now_us() + 1'000, [&] { rang = true; });
  std::jthread other;
  shard.call_at(shard.now_us() + 2'000, [&] { other = std::jthread([&] { shard.post([&] { enough = true; shard.stop(); }); }); });
  shard.run();
  EXPECT_TRUE(rang && enough);
}

TEST(Shard, NamesTheAddressItCannotBind) {
  Shard shard(0);
  EXPECT_THROW(shard.listen("not-an-address", 1), std::runtime_error);
}

TEST(ShardPin, IsToACoreThatTheProcessMayUse) {
  auto before = usable_cores();
  if (before.size() < 2) GTEST_SKIP() << "one core";
  auto restrict_to = [](const std::vector<int>& cores) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int core : cores) CPU_SET(static_cast<size_t>(core), &set);
    ASSERT_EQ(::sched_setaffinity(0, sizeof set, &set), 0);
  };
  restrict_to({before.back()});  // as taskset or a container's cpuset would
  EXPECT_EQ(usable_cores(), std::vector<int>{before.back()});
  Shard shard(0);
  cpu_set_t pinned;
  CPU_ZERO(&pinned);
  std::thread thread([&] { shard.run(Shard::Pin::yes); });
  shard.post([&] {
    ::sched_getaffinity(0, sizeof pinned, &pinned);
    shard.stop();
  });
  thread.join();
  restrict_to(before);
  EXPECT_EQ(CPU_COUNT(&pinned), 1);
  EXPECT_TRUE(CPU_ISSET(static_cast<size_t>(before.back()), &pinned));
}

}  // namespace
}  // namespace mayfly::io
