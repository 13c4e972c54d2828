// A worker whose far end the test plays: frames over a socket pair, beside a process that only sleeps.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/json.h"
#include "io/group.h"
#include "runtime/worker.h"
#include "sys/fault.h"
#include "sys/process.h"
#include "sys/unix_socket.h"

namespace mayfly::runtime {
namespace {

using namespace std::string_literals;

constexpr int64_t kPatienceUs = 10 * kMicrosPerSecond;  // a hang fails the test instead of stopping it
constexpr int64_t kSoonUs = 50 * kMicrosPerMilli;       // a deadline that is to pass
constexpr size_t kPieceBytes = 1 << 20;

class FarEnd {
 public:
  FarEnd() : tasks(shard), scripts_(shard) {
    child_ = sys::spawn({.path = "/usr/bin/sleep", .arguments = {"sleep", "infinity"}, .environment = {}});
    int pipe[2];
    sys::check(::pipe2(pipe, O_CLOEXEC | O_NONBLOCK), "pipe2");
    sys::Fd ours(pipe[0]), theirs(pipe[1]);
    process = std::make_shared<Process>(shard, Process::Parts{.instance_id = "c-1",
                                                              .output = std::move(ours),
                                                              .pidfd = sys::open_pidfd(child_.pid),
                                                              .exit_status = [this](io::Deadline) { return exit_status(); },
                                                              .printed = [this](const std::string&, const std::string& id, std::string text) { printed += id + ": " + text; },
                                                              .timeout_s = 7});
    tasks.spawn(Process::watch(process));
    auto [near, far] = sys::socket_pair(SOCK_STREAM);
    worker = std::make_shared<Worker>(shard, process, std::move(near));
    stream_ = shard.adopt_passing_stream(std::move(far), "server");
    tasks.spawn(Worker::read_frames(worker));
  }
  // Plays `script` to its end, then ends the process.
  void play(io::Task<void> script) {
    shard.post([&] {
      patience_ = shard.call_at(shard.now_us() + 2 * kPatienceUs, [this] { end(); });
      scripts_.spawn(finish(std::move(script)));
    });
    shard.run();
  }
  io::Deadline soon() { return io::Deadline::after_us(shard, kPatienceUs); }

  // What the process hears and says.
  io::Task<Frame> read() {
    auto frame = co_await reader_.next(*stream_);
    EXPECT_TRUE(frame.has_value());
    co_return frame ? std::move(*frame) : Frame{};
  }
  io::Task<void> say(FrameHeader header, std::string payload = {}, std::string meta = {}) {
    (void)co_await stream_->write_all(encode_frame(header, meta, payload), soon());
  }
  // The beginning of a streamed reply.
  io::Task<void> stream(uint32_t call, size_t pieces) {
    co_await say({.kind = FrameKind::head, .call = call}, "", R"({"status":200})");
    for (size_t i = 0; i < pieces; ++i) co_await say({.kind = FrameKind::chunk, .call = call}, std::string(kPieceBytes, 'x'));
  }
  std::shared_ptr<io::Signal> begin_stream(uint32_t call, size_t pieces) {
    auto done = std::make_shared<io::Signal>(shard);
    tasks.spawn(finishing(stream(call, pieces), done));
    return done;
  }

  // What the server does.
  std::shared_ptr<io::OneShot<Reply>> begin(std::string id, int64_t timeout_us = kPatienceUs, std::shared_ptr<Streams> streams = {}) {
    auto reply = std::make_shared<io::OneShot<Reply>>(shard);
    Call call{.request_id = std::move(id), .payload = {}, .http = {}, .credentials = {}, .deadline = io::Deadline::after_us(shard, timeout_us), .streams = std::move(streams)};
    tasks.spawn(answer(worker->call(std::move(call)), reply));
    return reply;
  }
  io::Task<Reply> end_of(std::shared_ptr<io::OneShot<Reply>> call) {
    auto reply = co_await call->wait(soon());
    EXPECT_TRUE(reply.has_value()) << "a call has not ended";
    co_return reply ? std::move(*reply) : Reply{.kind = Reply::Kind::failed};
  }
  std::shared_ptr<io::Signal> begin_hook(Worker::Hook hook, std::string id, int64_t timeout_us = kPatienceUs) {
    auto done = std::make_shared<io::Signal>(shard);
    tasks.spawn(finishing(worker->hook(hook, std::move(id), {"key", "secret", "token", 0}, io::Deadline::after_us(shard, timeout_us)), done));
    return done;
  }

  io::Shard shard{0};
  io::TaskGroup tasks;
  std::shared_ptr<Process> process;  // shared with its tasks
  std::shared_ptr<Worker> worker;
  std::string printed;  // "<request id>: <text>", one after the other

 private:
  static io::Task<void> answer(io::Task<Reply> call, std::shared_ptr<io::OneShot<Reply>> reply) { reply->set(co_await std::move(call)); }
  static io::Task<void> finishing(io::Task<void> work, std::shared_ptr<io::Signal> done) {
    co_await std::move(work);
    done->set();
  }
  io::Task<std::optional<int>> exit_status() {
    (void)co_await shard.wait_readable(child_.pidfd.get(), io::Deadline::never());
    co_return sys::wait_status(child_);
  }
  void end() {  // as the end of a process looks
    stream_->close();
    process->kill();
  }
  io::Task<void> finish(io::Task<void> script) {
    co_await std::move(script);
    end();
    co_await tasks.drain();
    shard.cancel(patience_);
    shard.stop();
  }

  sys::Child child_;
  std::unique_ptr<io::PassingStream> stream_;
  FrameReader reader_;
  io::TaskGroup scripts_;
  io::Loop::TimerId patience_ = 0;
};

// A caller that streams, and reads when the test says so.
struct Client {
  std::shared_ptr<Streams> streams = std::make_shared<Streams>();
  std::unique_ptr<http::Body> body;
  Client() {
    streams->opened = [this](Opening opening) { body = std::move(opening.body); };
  }
};

io::Task<void> hear_a_hook(FarEnd& far) {
  auto done = far.begin_hook(Worker::Hook::pre_freeze, "id-1");
  Frame frame = co_await far.read();
  EXPECT_EQ(frame.header.kind, FrameKind::hook);
  EXPECT_EQ(frame.meta, "preFreeze\1id-1\1key\0secret\0token"s);
  std::string body = to_text(json::object{{"errorMessage", "no model:\n\"" + std::string(500, 'f') + "\""}, {"errorType", "KeyError"}});
  co_await far.say({.kind = FrameKind::reply, .status = FrameStatus::handled_error, .call = frame.header.call}, body);
  co_await done->wait(far.soon());
  std::string message = "no model: \"" + std::string(245, 'f') + "...";
  EXPECT_EQ(far.printed, "id-1: FC PreFreeze Start RequestId: id-1\nid-1: FC PreFreeze End RequestId: id-1, Error: " + message + "\n");
}
TEST(Worker, AHookCarriesItsIdAndTheKeysAndItsErrorIsTold) {
  FarEnd far;
  far.play(hear_a_hook(far));
}

io::Task<void> answer_a_hook_late(FarEnd& far) {
  auto done = far.begin_hook(Worker::Hook::pre_freeze, "hook", kSoonUs);
  Frame hook = co_await far.read();
  co_await done->wait(far.soon());
  EXPECT_TRUE(far.printed.ends_with("Error: timed out\n")) << far.printed;
  auto call = far.begin("call");
  Frame asked = co_await far.read();
  co_await far.say({.kind = FrameKind::reply, .call = hook.header.call});
  co_await far.say({.kind = FrameKind::reply, .call = asked.header.call}, "answer");
  Reply reply = co_await far.end_of(call);
  EXPECT_EQ(reply.body, "answer");
  EXPECT_TRUE(far.worker->alive());
}
TEST(Worker, AHookThatIsAnsweredLateEndsNoCall) {
  FarEnd far;
  far.play(answer_a_hook_late(far));
}

io::Task<void> stream_too_much(FarEnd& far) {
  auto call = far.begin("call");
  Frame asked = co_await far.read();
  co_await far.stream(asked.header.call, kMaxPayloadBytes / kPieceBytes + 2);
  co_await far.say({.kind = FrameKind::reply, .call = asked.header.call});
  Reply reply = co_await far.end_of(call);
  EXPECT_EQ(reply.kind, Reply::Kind::handled_error);
  EXPECT_EQ(reply.body, R"({"errorMessage":"the function's answer is larger than 34603008 bytes, which is what this way of calling it can carry","errorType":"ResponseTooLarge"})");
  EXPECT_EQ(reply.http, "");
  auto next = far.begin("next");
  asked = co_await far.read();
  co_await far.stream(asked.header.call, 1);
  co_await far.say({.kind = FrameKind::reply, .call = asked.header.call});
  reply = co_await far.end_of(next);
  EXPECT_EQ(reply.kind, Reply::Kind::ok);
  EXPECT_EQ(reply.body.size(), kPieceBytes);
}
TEST(Worker, AStreamThatIsTooLargeToBeCollectedIsAnErrorOfItsCall) {
  FarEnd far;
  far.play(stream_too_much(far));
}

io::Task<void> read_slowly_beside_another(FarEnd& far) {
  constexpr size_t kPieces = 4;
  Client client;
  auto slow = far.begin("slow", kPatienceUs, client.streams);
  Frame first = co_await far.read();
  auto said = far.begin_stream(first.header.call, kPieces);
  co_await io::sleep_us(far.shard, kSoonUs);  // alone, it waits for its client
  EXPECT_FALSE(said->is_set());
  auto other = far.begin("other");
  Frame second = co_await far.read();
  if (co_await said->wait(far.soon()) == io::Wait::timed_out) {
    ADD_FAILURE() << "nobody reads what stands before the other's reply";
    co_return;
  }
  co_await far.say({.kind = FrameKind::reply, .call = second.header.call}, "answer");
  Reply reply = co_await far.end_of(other);
  EXPECT_EQ(reply.body, "answer");
  co_await far.say({.kind = FrameKind::reply, .call = first.header.call});
  auto all = co_await client.body->read_all(64 << 20);
  EXPECT_EQ(all.value_or("").size(), kPieces * kPieceBytes);
  reply = co_await far.end_of(slow);
  EXPECT_EQ(reply.kind, Reply::Kind::ok);
}
TEST(Worker, AClientThatReadsSlowlyHoldsUpNoOtherCall) {
  FarEnd far;
  far.play(read_slowly_beside_another(far));
}

io::Task<void> read_nothing_beside_another(FarEnd& far) {
  Client client;
  auto other = far.begin("other");
  Frame first = co_await far.read();
  auto slow = far.begin("slow", kPatienceUs, client.streams);
  Frame second = co_await far.read();
  co_await far.stream(second.header.call, kMostUntaken / kPieceBytes + 3);
  co_await far.say({.kind = FrameKind::reply, .call = second.header.call});
  Reply reply = co_await far.end_of(slow);
  EXPECT_EQ(reply.kind, Reply::Kind::ok);
  size_t got = 0;
  std::expected<std::optional<std::string>, http::BodyError> piece;
  while ((piece = co_await client.body->next()) && *piece) got += (*piece)->size();
  EXPECT_EQ(got, kMostUntaken / kPieceBytes * kPieceBytes);
  EXPECT_TRUE(!piece && piece.error() == http::BodyError::disconnected);
  co_await far.say({.kind = FrameKind::reply, .call = first.header.call}, "answer");
  reply = co_await far.end_of(other);
  EXPECT_EQ(reply.body, "answer");
}
TEST(Worker, AClientThatIsTooFarBehindBesideOthersIsCutOff) {
  FarEnd far;
  far.play(read_nothing_beside_another(far));
}

io::Task<void> outlive_a_timeout(FarEnd& far) {
  auto late = far.begin("late", kSoonUs), other = far.begin("other");
  Frame first = co_await far.read(), second = co_await far.read();
  Reply reply = co_await far.end_of(late);
  EXPECT_EQ(reply.kind, Reply::Kind::timed_out);
  EXPECT_FALSE(far.worker->alive()) << "it takes no further call";
  EXPECT_TRUE(far.process->alive()) << "and finishes the other";
  reply = co_await far.end_of(far.begin("more"));
  EXPECT_EQ(reply.kind, Reply::Kind::not_started);
  co_await far.stream(first.header.call, 1);
  co_await far.say({.kind = FrameKind::reply, .call = first.header.call}, "too late");
  co_await far.say({.kind = FrameKind::reply, .call = second.header.call}, "answer");
  reply = co_await far.end_of(other);
  EXPECT_EQ(reply.body, "answer");
  auto gone = co_await far.process->gone(far.soon());
  EXPECT_EQ(gone, io::Wait::done) << "after its last call it is killed";
}
TEST(Worker, ACallThatTakesTooLongEndsNoOther) {
  FarEnd far;
  far.play(outlive_a_timeout(far));
}

io::Task<void> die_while_a_body_comes(FarEnd& far) {
  auto streams = std::make_shared<Streams>();
  auto upload = http::BodyPipe::make(far.shard);
  streams->body = upload->reader();
  auto call = far.begin("call", kPatienceUs, streams);
  far.process->kill();
  co_await far.process->gone();
  upload->push("whole");
  upload->end();
  Reply reply = co_await far.end_of(call);
  EXPECT_EQ(reply.kind, Reply::Kind::not_started);
  if (!streams->body) {
    ADD_FAILURE() << "the next instance gets an empty body";
    co_return;
  }
  auto again = co_await streams->body->read_all(100);
  EXPECT_EQ(again.value_or(""), "whole");
}
TEST(Worker, ACallThatIsNotStartedKeepsItsBody) {
  FarEnd far;
  far.play(die_while_a_body_comes(far));
}

}  // namespace
}  // namespace mayfly::runtime
