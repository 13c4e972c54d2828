#include "dispatch/streamed.h"

#include "http/hop.h"
#include "io/hop.h"

namespace mayfly::dispatch {

std::shared_ptr<runtime::Streams> hop_streams(io::Loop& here, io::Loop& there, std::shared_ptr<runtime::Streams> streams) {
  if (!streams) return nullptr;
  auto hopped = std::make_shared<runtime::Streams>();
  hopped->body = http::hop_body(here, there, std::move(streams->body));
  if (!streams->opened) return hopped;
  // The caller keeps `streams` until the call's end has come back to it, which is behind this post.
  hopped->opened = [&here, &there, streams = streams.get()](runtime::Opening opening) {
    opening.body = http::hop_body(there, here, std::move(opening.body));
    opening.tunnel = http::hop_stream(there, here, std::move(opening.tunnel));
    there.post([streams, opening = std::move(opening)]() mutable {
      if (auto opened = std::exchange(streams->opened, nullptr)) opened(std::move(opening));
    });
  };
  return hopped;
}

// Shared by who begins it and by its own task.
struct StreamedCalls::Call {
  explicit Call(io::Loop& of) : loop(of), begun(of) {}
  io::Loop& loop;
  io::Signal begun;
  std::optional<runtime::Opening> opening;
  std::optional<Expected<Outcome, InvokeError>> ended;
};

StreamedCalls::StreamedCalls(std::vector<io::Loop*> loops, Invoker& invoker) : invoker_(invoker) {
  for (io::Loop* loop : loops) calls_[loop] = std::make_unique<io::TaskGroup>(*loop);
}

io::Task<void> StreamedCalls::run(std::shared_ptr<Call> call, Invocation invocation, io::Deadline deadline) {
  ++open_;
  auto ended = co_await invoker_.invoke(call->loop, std::move(invocation), deadline);
  --open_;
  call->ended.emplace(std::move(ended));
  call->begun.set();
}

io::Task<StreamedCalls::Begun> StreamedCalls::begin(io::Loop& loop, Invocation invocation, std::unique_ptr<http::Body> body, io::Deadline deadline) {
  auto call = std::make_shared<Call>(loop);
  invocation.streams = std::make_shared<runtime::Streams>();
  invocation.streams->body = std::move(body);
  invocation.streams->opened = [call](runtime::Opening opening) {
    call->opening.emplace(std::move(opening));
    call->begun.set();
  };
  calls_.at(&loop)->spawn(run(call, std::move(invocation), deadline));
  co_await call->begun.wait();
  co_return Begun{.opening = std::move(call->opening), .ended = std::move(call->ended)};
}

io::Task<void> StreamedCalls::drain(io::Loop& loop) {
  for (const auto& [each, group] : calls_) co_await io::call_on<void>(loop, *each, [&group] { return group->drain(); });
}

}  // namespace mayfly::dispatch
