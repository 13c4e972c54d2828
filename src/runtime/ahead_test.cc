// What the executors make ahead of need (stock.h), in real sandboxes: that starts take it, that it is clean, and that nothing of it stays.
#include <sys/stat.h>

#include "runtime/framed_factory.h"
#include "runtime/python_factory.h"
#include "runtime/sandbox_fixture.h"
#include "sys/cgroup.h"

namespace mayfly::runtime {
namespace {

// One executor with a host of its own, as Factory has them.
template <class Executor>
class Alone final : public InstanceFactory {
 public:
  Alone(io::Shard& shard, DoorKeeper& doors, RuntimeOptions options, Rng& rng) : host_(shard, doors, std::move(options), rng), executor(host_) {}
  io::Task<Expected<std::unique_ptr<Instance>, StartError>> start(StartContext context) override { return executor.start(std::move(context)); }
  void expect(const functions::Runnable& runnable) override { executor.expect(runnable); }
  io::Task<void> forget(std::string key, uint64_t revision) override { return executor.forget(std::move(key), revision); }
  io::Task<void> stop() override {
    co_await executor.stop();
    co_await host_.stop();
  }

 private:
  Host host_;

 public:
  Executor executor;
};

io::Task<void> until(io::Shard& shard, std::function<bool()> holds) {
  constexpr int64_t kLookUs = 1000;
  while (!holds()) co_await io::sleep_us(shard, kLookUs);
}

// Memory groups of instances of this process that there are.
size_t instance_groups() {
  std::string why;
  auto root = sys::CgroupRoot::find(why);
  size_t count = 0;
  std::error_code none;
  if (!root) return 0;
  for (const auto& entry : std::filesystem::directory_iterator(root->folders().begin()->second + "/mayfly-" + std::to_string(::getpid()), none)) {
    count += entry.path().filename().string().starts_with("instance");
  }
  return count;
}

template <class Executor>
class Ahead : public InSandbox {
 protected:
  void SetUp() override {
    InSandbox::SetUp();
    stop_factory();
    on_shard([this] {
      auto alone = std::make_unique<Alone<Executor>>(shard_, doors_, options_, rng_);
      executor_ = &alone->executor;
      factory_ = std::move(alone);
    });
  }
  void wait_until(std::function<bool()> holds) {
    wait<void>([&] { return until(shard_, holds); });
  }
  template <class T>
  T on_its_thread(std::function<T()> ask) {
    T out{};
    on_shard([&] { out = ask(); });
    return out;
  }

  Executor* executor_ = nullptr;
};

class PythonAhead : public Ahead<PythonFactory> {
 protected:
  void wait_ready(size_t count) {
    wait_until([&] { return executor_->forks().ready() == count; });
  }
};

TEST_F(PythonAhead, AStartTakesTheForkThatIsReadyAndAnotherIsMade) {
  auto runnable = function("import os\ndef handler(event, context):\n    return os.getpid()\n");
  auto one = started(runnable);
  wait_ready(1);
  auto two = started(runnable);
  EXPECT_EQ(on_its_thread<size_t>([this] { return executor_->forks().found(); }), 1u);
  EXPECT_EQ(call(*two, "").body, "1") << "the first process of its own namespace";
  wait_ready(2);  // two were taken within a burst
  stop(std::move(one));
  stop(std::move(two));
}

TEST_F(PythonAhead, AForkThatWaitsHasRunNothingOfTheFunction) {
  auto runnable = function("seen = open('/code/now').read()\nprint('imported')\ndef handler(event, context):\n    return seen\n");
  sys::write_file(runnable->code_path + "/now", "at the first start");
  stop(started(runnable));
  wait_ready(1);
  EXPECT_EQ(printed(), "imported\n");
  sys::write_file(runnable->code_path + "/now", "at the second");
  auto second = started(runnable);
  EXPECT_EQ(call(*second, "").body, "at the second");
  stop(std::move(second));
}

TEST_F(PythonAhead, AForkThatWaitsIsShutInLikeAnyOther) {
  auto runnable = function(
      "import os\ndef handler(event, context):\n    status = open('/proc/self/status').read()\n"
      "    return [status[status.index(name):].split()[1] for name in ('CapEff:', 'CapBnd:', 'Seccomp:', 'NoNewPrivs:')] + [os.listdir('/tmp'), os.environ['ALIBABA_CLOUD_ACCESS_KEY_ID']]\n");
  stop(started(runnable));
  wait_ready(1);
  auto second = started(runnable);
  EXPECT_EQ(call(*second, "").body, R"(["0000000000000000", "0000000000000000", "2", "1", [], "STS.key"])");
  stop(std::move(second));
}

TEST_F(PythonAhead, AForkThatWaitsIsHeldToTheFunctionsMemory) {
  auto runnable = function("def handler(event, context):\n    return len(b'x' * (512 << 20))\n");
  stop(started(runnable));
  wait_ready(1);
  auto second = started(runnable);
  EXPECT_EQ(call(*second, "").kind, Reply::Kind::out_of_memory);
  stop(std::move(second));
}

TEST_F(PythonAhead, NothingIsKeptReadyOfAFunctionThatIsForgotten) {
  auto runnable = function("def handler(event, context):\n    return 1\n");
  stop(started(runnable));
  wait_ready(1);
  wait<void>([&] { return factory_->forget(runnable->key(), runnable->revision); });
  EXPECT_EQ(on_its_thread<size_t>([this] { return executor_->forks().ready(); }), 0u);
  wait_until([] { return instance_groups() == 0; });
}

TEST_F(PythonAhead, NothingIsLeftWhenTheExecutorStops) {
  auto runnable = function("def handler(event, context):\n    return 1\n");
  stop(started(runnable));
  wait_ready(1);
  stop_factory();
  EXPECT_EQ(instance_groups(), 0u);
}

TEST_F(PythonAhead, AFunctionsFirstStartTakesTheInterpreterThatIsReady) {
  const std::string code = "import os, sys\ndef handler(event, context):\n    return [sys.modules['__main__'].__file__, sorted(os.listdir('/code')), os.getcwd()]\n";
  stop(started(function("def handler(event, context):\n    return 1\n")));
  wait_until([this] { return executor_->interpreters().ready() == 1; });
  auto other = started(function(code));
  EXPECT_EQ(on_its_thread<size_t>([this] { return executor_->interpreters().found(); }), 1u);
  EXPECT_EQ(call(*other, "").body, R"(["/mayfly/python/zygote.py", ["index.py"], "/code"])");
  stop(std::move(other));
}

TEST_F(PythonAhead, FunctionsThatMayBeCalledSoonFindOneInterpreterForAllOfThem) {
  auto one = function("def handler(event, context):\n    return 1\n"), other = function("def handler(event, context):\n    return 2\n");
  on_shard([&] {
    for (const auto& each : {one, other}) factory_->expect(*each);
  });
  wait_until([this] { return executor_->interpreters().ready() == 1; });
  wait<void>([this] { return io::sleep_us(shard_, 100'000); });
  EXPECT_EQ(on_its_thread<size_t>([this] { return executor_->ready(); }), 1u);
  auto instance = started(one);
  EXPECT_EQ(on_its_thread<size_t>([this] { return executor_->interpreters().found(); }), 1u);
  stop(std::move(instance));
}

class ProgramAhead : public Ahead<FramedFactory> {
 protected:
  std::shared_ptr<functions::Runnable> program() {
    auto runnable = function("");
    runnable->function.runtime = "cpp";
    runnable->function.handler = "faces";
    std::string path = runnable->code_path + "/faces";
    sys::write_file(path,
                    "#!/usr/bin/python3\n"
                    "import json, os, socket, struct, sys\n"
                    "open('/tmp/began', 'w').write(open('/code/now').read())\n"
                    "link = socket.socket(fileno=3)\n"
                    "def exactly(size):\n    out = b''\n    while len(out) < size:\n        got = link.recv(size - len(out))\n        if not got: sys.exit(0)\n        out += got\n    return out\n"
                    "def read():\n    p, m, kind, status, retries, call, took = struct.unpack('<IIBBHIQ', exactly(24))\n    return kind, call, exactly(m), exactly(p)\n"
                    "def send(kind, call, payload=b''):\n    link.sendall(struct.pack('<IIBBHIQ', len(payload), 0, kind, 0, 0, call, 0) + payload)\n"
                    "start = json.loads(read()[3])\n"
                    "send(2, 0)\n"
                    "while True:\n    kind, call, meta, event = read()\n"
                    "    send(4, call, json.dumps([os.listdir('/tmp'), open('/tmp/began').read(), start['credentials'][0], os.getcwd()]).encode())\n");
    ::chmod(path.c_str(), 0755);
    sys::write_file(runnable->code_path + "/now", "at the first start");
    return runnable;
  }
  void wait_ready(size_t count) {
    wait_until([&] { return executor_->own().ready() == count; });
  }
};

TEST_F(ProgramAhead, AStartReleasesTheSandboxThatIsReadyAndItsProgramHasNotBegunBefore) {
  auto runnable = program();
  stop(started(runnable));
  wait_ready(1);
  sys::write_file(runnable->code_path + "/now", "at the second");
  auto second = started(runnable);
  EXPECT_EQ(on_its_thread<size_t>([this] { return executor_->own().found(); }), 1u);
  EXPECT_EQ(call(*second, "").body, R"([["began"], "at the second", "STS.key", "/code"])");
  wait_ready(2);
  stop(std::move(second));
}

TEST_F(ProgramAhead, WhatItWasGrantedStandsBeforeItBegins) {
  auto runnable = program();
  std::string path = runnable->code_path + "/faces";
  std::filesystem::rename(path, path + ".py");
  sys::write_file(path, "#!/bin/bash\nif (exec 9<>/dev/tcp/127.0.0.1/5432) 2>/dev/null; then > /tmp/reached; fi\nexec /usr/bin/python3 /code/faces.py\n", 0755);
  for (size_t i = 1; i < functions::kMaxEgressRules; ++i) runnable->function.egress.push_back(fmt::format("host-{}.example.com:80", i));
  runnable->function.egress.push_back("localhost:5432");  // the last, when the others have taken their time
  for (size_t ready : {1, 2}) {  // a start for which a sandbox is made, and one that takes what is ready
    auto instance = started(runnable);
    EXPECT_NE(call(*instance, "").body.find("reached"), std::string::npos) << ready;
    wait_ready(ready);
    stop(std::move(instance));
  }
  EXPECT_EQ(on_its_thread<size_t>([this] { return executor_->own().found(); }), 1u);
}

TEST_F(ProgramAhead, OfAnotherRevisionNothingIsTaken) {
  auto one = program(), other = program();
  other->service = one->service;
  other->function = one->function;
  sys::write_file(other->code_path + "/now", "of the other");
  stop(started(one));
  wait_ready(1);
  auto started_other = started(other);
  EXPECT_EQ(on_its_thread<size_t>([this] { return executor_->own().found(); }), 0u);
  EXPECT_EQ(call(*started_other, "").body, R"([["began"], "of the other", "STS.key", "/code"])");
  stop(std::move(started_other));
}

TEST_F(ProgramAhead, NothingIsKeptReadyOfAFunctionThatIsForgotten) {
  auto runnable = program();
  stop(started(runnable));
  wait_ready(1);
  wait<void>([&] { return factory_->forget(runnable->key(), runnable->revision); });
  wait_until([] { return instance_groups() == 0; });
}

TEST_F(ProgramAhead, NothingIsLeftWhenTheExecutorStops) {
  stop(started(program()));
  wait_ready(1);
  stop_factory();
  EXPECT_EQ(instance_groups(), 0u);
}

class InterpretersAhead : public Ahead<FramedFactory> {
 protected:
  std::shared_ptr<functions::Runnable> node_function() {
    auto runnable = function("");
    runnable->function.runtime = "nodejs20";
    sys::write_file(runnable->code_path + "/index.js", "exports.handler = async () => process.env.FC_FUNCTION_NAME");
    return runnable;
  }
};

TEST_F(InterpretersAhead, ServeWhicheverFunctionComesNextAndAreAsManyAsABurstTook) {
  if (!sys::exists("/usr/bin/node")) GTEST_SKIP() << "no node on this machine";
  auto one = started(node_function()), two = started(node_function());
  wait_until([this] { return executor_->generic().ready() == 2; });
  auto found = [this] { return on_its_thread<size_t>([this] { return executor_->generic().found(); }); };
  size_t before = found();  // the second start may have come when one was ready
  auto three = started(node_function());
  EXPECT_EQ(found(), before + 1);
  EXPECT_EQ(call(*three, "").body, "detect-3");
  for (auto* instance : {&one, &two, &three}) stop(std::move(*instance));
  stop_factory();
  EXPECT_EQ(instance_groups(), 0u);
}

}  // namespace
}  // namespace mayfly::runtime
