// Replies that begin before they end, from a home shard to the shard that asked.

#include "dispatch/streamed.h"

#include <gtest/gtest.h>

#include <thread>

#include "http/body_pipe.h"
#include "io/hop.h"
#include "io/shard.h"

namespace mayfly::dispatch {
namespace {

// A function on `home` that answers each piece of its request with "<piece>", or whole when it is asked for "whole".
class EchoingHome final : public Invoker {
 public:
  explicit EchoingHome(io::Shard& home) : home_(home) {}

  io::Task<Expected<Outcome, InvokeError>> invoke(io::Loop& loop, Invocation invocation, io::Deadline) override {
    auto streams = std::move(invocation.streams);
    invocation.streams = hop_streams(home_, loop, streams);
    co_return co_await io::call_on<Expected<Outcome, InvokeError>>(loop, home_, [this, invocation = std::move(invocation)]() mutable { return run(std::move(invocation)); });
  }

  std::thread::id home_thread;
  bool abandoned = false;

 private:
  io::Task<Expected<Outcome, InvokeError>> run(Invocation invocation) {
    EXPECT_EQ(std::this_thread::get_id(), home_thread);
    if (invocation.payload == "whole") co_return Outcome{.body = "all of it"};
    if (invocation.payload == "refuse") co_return fail(InvokeError::not_found, "no such function");
    auto pipe = http::BodyPipe::make(home_);
    pipe->on_abandoned([this] { abandoned = true; });
    std::exchange(invocation.streams->opened, nullptr)({.http = "head", .body = pipe->reader(), .tunnel = nullptr});
    while (true) {
      auto piece = co_await invocation.streams->body->next();
      if (!piece || !*piece) break;
      if (!pipe->push("<" + **piece + ">")) co_return Outcome{.phases = {.reply_us = 1}};
    }
    pipe->end();
    co_return Outcome{.phases = {.reply_us = 5}};
  }

  io::Shard& home_;
};

struct Asked {
  io::Shard here{0}, home{1};
  EchoingHome function{home};
  StreamedCalls calls{{&here, &home}, function};
  std::string heard, head, whole;
  bool refused = false;
};

io::Task<void> converse(Asked& asked) {
  auto request = http::BodyPipe::make(asked.here);
  request->push("a");
  auto begun = co_await asked.calls.begin(asked.here, {.request_id = "r"}, request->reader(), io::Deadline::never());
  EXPECT_TRUE(begun.opening);
  if (!begun.opening) co_return;
  asked.head = begun.opening->http;
  for (std::string_view more : {"b", "c", ""}) {  // the next piece goes out only when the answer to the one before is here
    auto piece = co_await begun.opening->body->next();
    EXPECT_TRUE(piece && *piece);
    if (!piece || !*piece) co_return;
    asked.heard += **piece;
    more.empty() ? request->end() : (void)request->push(std::string(more));
  }
  auto end = co_await begun.opening->body->next();
  EXPECT_TRUE(end && !*end);
}

io::Task<void> let_go(Asked& asked) {
  auto request = http::BodyPipe::make(asked.here);
  request->push("a");
  auto begun = co_await asked.calls.begin(asked.here, {.request_id = "r"}, request->reader(), io::Deadline::never());
  EXPECT_TRUE(begun.opening);
  begun.opening.reset();
  request->push("b");
  request->end();
}

io::Task<void> ask_whole(Asked& asked) {
  auto begun = co_await asked.calls.begin(asked.here, {.request_id = "r", .payload = "whole"}, nullptr, io::Deadline::never());
  if (begun.ended && *begun.ended) asked.whole = (*begun.ended)->body;
  EXPECT_FALSE(begun.opening);
  begun = co_await asked.calls.begin(asked.here, {.request_id = "r", .payload = "refuse"}, nullptr, io::Deadline::never());
  asked.refused = begun.ended && !*begun.ended;
}

io::Task<void> all(Asked& asked) {
  co_await converse(asked);
  co_await let_go(asked);
  co_await ask_whole(asked);
  co_await asked.calls.drain(asked.here);
  asked.home.stop();
  asked.here.stop();
}

TEST(StreamedCalls, BodiesGoBothWaysAtOnceBetweenShardsAndCallsEndInTheirOwnTime) {
  Asked asked;
  std::thread thread([&asked] {
    asked.function.home_thread = std::this_thread::get_id();
    asked.home.run();
  });
  {
    io::TaskGroup main(asked.here);
    asked.here.post([&] { main.spawn(all(asked)); });
    asked.here.run();
  }
  thread.join();
  EXPECT_EQ(asked.head, "head");
  EXPECT_EQ(asked.heard, "<a><b><c>");
  EXPECT_TRUE(asked.function.abandoned);
  EXPECT_EQ(asked.whole, "all of it");
  EXPECT_TRUE(asked.refused);
}

}  // namespace
}  // namespace mayfly::dispatch
