// Programs that speak frames (frame.h), in real sandboxes. Here the program is a script; sdk/ tests real C++ ones.
#include <sys/stat.h>

#include "base/json.h"
#include "runtime/sandbox_fixture.h"

namespace mayfly::runtime {
namespace {

// `answer` is a Python expression of `event`, evaluated per call; may use send(kind, payload, meta) to stream.
std::string program(const std::string& answer, const std::string& setup = "") {
  return "#!/usr/bin/python3\n"
         "import json, os, socket, struct, sys\n"
         "link = socket.socket(fileno=3)\n"
         "def exactly(size):\n    out = b''\n    while len(out) < size:\n        got = link.recv(size - len(out))\n        if not got: sys.exit(0)\n        out += got\n    return out\n"
         "def read():\n    p, m, kind, status, retries, call, took = struct.unpack('<IIBBHIQ', exactly(24))\n    return kind, call, exactly(m), exactly(p)\n"
         "def send(kind, call, payload=b'', meta=b'', status=0, took=0):\n    link.sendall(struct.pack('<IIBBHIQ', len(payload), len(meta), kind, status, 0, call, took) + meta + payload)\n"
         "start = json.loads(read()[3])\n" +
         setup +
         "\nsend(2, 0, took=5000, meta=b'{\"import_us\":2000,\"init_us\":3000}')\n"
         "while True:\n    kind, call, meta, event = read()\n    if kind == 8:\n        name, id, keys = meta.decode().split('\\1')\n        print('hook', name, len(id), *keys.split('\\0'), flush=True)\n        send(4, call)\n        continue\n    answer = " +
         answer + "\n    if answer is not None: send(4, call, answer)\n";
}

class FramedPrograms : public InSandbox {
 protected:
  std::shared_ptr<functions::Runnable> with_program(const std::string& text) {
    auto runnable = function("");
    runnable->function.runtime = "cpp";
    runnable->function.handler = "faces.detect";
    std::string path = runnable->code_path + "/faces";
    sys::write_file(path, text);
    ::chmod(path.c_str(), 0755);
    return runnable;
  }
};

TEST_F(FramedPrograms, RunConfinedWithTheirFunctionInPlace) {
  auto runnable = with_program(program("json.dumps([os.getcwd(), start['handler'], start['function']['name'], os.environ['FC_FUNCTION_NAME'], os.listdir('/tmp'), event.decode()]).encode()"));
  auto instance = started(runnable);
  EXPECT_EQ(call(*instance, "x").body, R"(["/code", "faces.detect", "detect-1", "detect-1", [], "x"])");
  EXPECT_EQ(instance->phases().import_us, 2000);
  EXPECT_EQ(instance->phases().init_us, 3000);
  stop(std::move(instance));
}

TEST_F(FramedPrograms, HaveNoPrivileges) {
  auto runnable = with_program(program("open('/proc/self/status').read().encode()"));
  auto instance = started(runnable);
  std::string status = call(*instance, "").body;
  EXPECT_NE(status.find("CapEff:\t0000000000000000"), status.npos) << status;
  EXPECT_NE(status.find("CapBnd:\t0000000000000000"), status.npos);
  EXPECT_NE(status.find("Seccomp:\t2"), status.npos);
  EXPECT_NE(status.find("NoNewPrivs:\t1"), status.npos);
  stop(std::move(instance));
}

TEST_F(FramedPrograms, TakeSeveralCallsAtOnceAndAnswerInAnyOrder) {
  auto runnable = with_program(program("None if held.append(call) or len(held) < 3 else [send(4, each, str(each).encode()) for each in reversed(held)] and None", "held = []"));
  runnable->function.instance_concurrency = 3;
  auto instance = started(runnable);
  std::vector<std::future<Reply>> replies;
  for (int i = 0; i < 3; ++i) replies.push_back(begin(*instance, ""));
  std::set<std::string> bodies;
  for (auto& reply : replies) bodies.insert(reply.get().body);
  EXPECT_EQ(bodies, (std::set<std::string>{"1", "2", "3"}));
  stop(std::move(instance));
}

TEST_F(FramedPrograms, AStreamedReplyIsWholeForACallerWhoWantsItWhole) {
  auto runnable = with_program(program("(send(6, call, meta=b'{\"status\":201}'), send(7, call, b'one '), send(7, call, b'two'), send(4, call), None)[-1]"));
  auto instance = started(runnable);
  Reply reply = call(*instance, "");
  EXPECT_EQ(reply.body, "one two");
  EXPECT_EQ(reply.http, R"({"status":201})");
  stop(std::move(instance));
}

TEST_F(FramedPrograms, AStreamedReplyReachesAStreamingCallerPieceByPiece) {
  auto runnable = with_program(program("(send(6, call, meta=b'{}'), send(7, call, b'one '), read(), send(7, call, b'two'), send(4, call), None)[-1]"));
  auto instance = started(runnable);
  auto streams = std::make_shared<Streams>();
  std::promise<std::unique_ptr<http::Body>> opened;
  streams->opened = [&](Opening opening) { opened.set_value(std::move(opening.body)); };
  auto reply = begin(*instance, "", 20 * kMicrosPerSecond, streams);
  auto body = opened.get_future().get();
  using Piece = std::expected<std::optional<std::string>, http::BodyError>;
  EXPECT_EQ(**wait<Piece>([&] { return body->next(); }), "one ");
  auto poke = begin(*instance, "", 100 * kMicrosPerMilli);  // the program waits for another frame before it goes on
  EXPECT_EQ(**wait<Piece>([&] { return body->next(); }), "two");
  EXPECT_EQ(reply.get().kind, Reply::Kind::ok);
  EXPECT_FALSE(wait<Piece>([&] { return body->next(); })->has_value());
  on_shard([&] { body.reset(); });
  poke.get();
  stop(std::move(instance));
}

TEST_F(FramedPrograms, RunTheirPreStopHookBeforeTheyEnd) {
  auto runnable = with_program(program("b''"));
  runnable->function.vendor["instanceLifecycleConfig"] = json::object{{"preStop", {{"handler", "bye"}, {"timeout", 3}}}};
  auto instance = started(runnable);
  stop(std::move(instance));
  EXPECT_EQ(printed(), hooked("PreStop", "hook preStop 36 STS.key secret token\n"));
  on_shard([this] { printed_.clear(); });
  instance = started(runnable);
  credentials_.access_key_id = "STS.second";
  call(*instance, "");
  stop(std::move(instance));
  EXPECT_EQ(printed(), hooked("PreStop", "hook preStop 36 STS.second secret token\n")) << "the keys are those of the last call";
}

TEST_F(FramedPrograms, AreToldTheIdThatTheirInitializerIsLoggedUnder) {
  auto runnable = with_program(program("b''", "import time\nsend(9, 0)\ntime.sleep(0.05)\nprint('RequestId: ' + start['request_id'], flush=True)"));
  runnable->function.initializer = "begin";
  stop(started(runnable));
  EXPECT_EQ(printed(), hooked("Initialize", "RequestId: *\n"));
  on_shard([this] {
    for (const Piece& piece : printed_) EXPECT_NE(piece.text.find(piece.request), std::string::npos) << piece.request << ": " << piece.text;
  });
}

TEST_F(FramedPrograms, FinishACallBesideOneThatTakesTooLong) {
  auto runnable = with_program(program("serve(call, event)",
                                       "import time\nheld = []\n"
                                       "def serve(call, event):\n"
                                       "    if event == b'wait':\n        held.append(call)\n        return\n"
                                       "    while not os.path.exists('/code/go'): time.sleep(0.01)\n"
                                       "    send(4, call, b'too late')\n"
                                       "    send(4, held[0], b'done')"));
  runnable->function.instance_concurrency = 2;
  auto instance = started(runnable);
  auto other = begin(*instance, "wait"), late = begin(*instance, "hang", 100 * kMicrosPerMilli);
  EXPECT_EQ(late.get().kind, Reply::Kind::timed_out);
  EXPECT_FALSE(instance->alive());
  sys::write_file(runnable->code_path + "/go", "");
  EXPECT_EQ(other.get().body, "done");
  stop(std::move(instance));
}

TEST_F(FramedPrograms, AProgramThatIsNotThereIsAClearError) {
  auto runnable = function("");
  runnable->function.runtime = "cpp";
  runnable->function.handler = "absent";
  auto failure = start(runnable);
  ASSERT_FALSE(failure);
  EXPECT_EQ(failure.error().code, StartError::initializer);
  EXPECT_NE(failure.error().message.find("/code/absent"), std::string::npos) << failure.error().message;
}

TEST_F(FramedPrograms, MemoryBeyondTheLimitIsToldAsSuch) {
  auto instance = started(with_program(program("b'x' * (512 << 20)")));
  EXPECT_EQ(call(*instance, "").kind, Reply::Kind::out_of_memory);
  stop(std::move(instance));
}

}  // namespace
}  // namespace mayfly::runtime
