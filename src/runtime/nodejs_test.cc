// Node functions in real sandboxes: the generic process, its late function, and what is only true inside. The contract with a handler is
// tested in tests/runtime_nodejs.py.
#include "base/json.h"
#include "runtime/framed_factory.h"
#include "runtime/sandbox_fixture.h"

namespace mayfly::runtime {
namespace {

class NodeInstance : public InSandbox {
 protected:
  std::shared_ptr<functions::Runnable> node_function(const std::string& code) {
    auto runnable = function("");
    runnable->function.runtime = "nodejs20";
    sys::write_file(runnable->code_path + "/index.js", code);
    return runnable;
  }
  std::string answer(const std::string& code, std::string payload = {}) {
    auto instance = started(node_function(code));
    Reply reply = call(*instance, std::move(payload));
    stop(std::move(instance));
    return reply.body;
  }
};

TEST_F(NodeInstance, TakesOnAFunctionAndKeepsItsState) {
  auto runnable = node_function("let count = 1\nexports.init = (context, callback) => { count++; callback() }\nexports.handler = async (event) => `${event} ${count++}`");
  runnable->function.initializer = "index.init";
  auto instance = started(runnable);
  EXPECT_EQ(call(*instance, "call").body, "call 2");
  EXPECT_EQ(call(*instance, "call").body, "call 3");
  EXPECT_GT(instance->phases().import_us, 0);
  stop(std::move(instance));
}

TEST_F(NodeInstance, EachHasAProcessOfItsOwnThatServedNobodyBefore) {
  const std::string code = "globalThis.seen = (globalThis.seen || 0) + 1\nexports.handler = async () => [globalThis.seen, require('fs').readdirSync('/tmp'), process.env.SECRET]";
  auto first = node_function("globalThis.seen = 7\nrequire('fs').writeFileSync('/tmp/left', 'x')\nexports.handler = async () => 1");
  first->function.environment["SECRET"] = "of the first";
  auto one = started(first);
  stop(std::move(one));
  EXPECT_EQ(answer(code), "[1,[],null]");
}

TEST_F(NodeInstance, SeesItsOwnCodeReadOnlyAndNoMore) {
  EXPECT_EQ(answer("const fs = require('fs')\nexports.handler = async () => {\n"
                   "  let write; try { fs.writeFileSync('/code/x', '') } catch (e) { write = e.code }\n"
                   "  return [process.cwd(), fs.readdirSync('/code').sort(), write, process.env.FC_FUNCTION_NAME, process.env.FC_INSTANCE_ID.slice(0, 2)] }"),
            R"(["/code",["index.js","index.py"],"EROFS","detect-1","c-"])");
}

TEST_F(NodeInstance, FindsTheModulesOfItsLayers) {
  auto runnable = node_function("exports.handler = async () => require('shared')");
  runnable->layers_path = folder_ + "/layers";
  sys::make_folders(runnable->layers_path + "/nodejs/node_modules/shared");
  sys::write_file(runnable->layers_path + "/nodejs/node_modules/shared/index.js", "module.exports = 'from a layer'");
  auto instance = started(runnable);
  EXPECT_EQ(call(*instance, "").body, "from a layer");
  stop(std::move(instance));
}

TEST_F(NodeInstance, WhatNodeReadsAtItsStartIsInPlace) {
  auto runnable = node_function("exports.handler = async () => [globalThis.early, process.execArgv.includes('--require'), process.cwd()]");
  sys::write_file(runnable->code_path + "/early.js", "globalThis.early = 'required'");
  runnable->function.environment["NODE_OPTIONS"] = "--require /code/early.js";
  auto instance = started(runnable);
  EXPECT_EQ(call(*instance, "").body, R"(["required",false,"/code"])");
  stop(std::move(instance));
}

TEST(FramedStart, IsTheFunctionsOwnOnlyWhereItMatters) {
  char folder[] = "/tmp/mayfly-test-XXXXXX";
  ASSERT_NE(::mkdtemp(folder), nullptr);
  functions::Runnable runnable;
  runnable.code_path = folder;
  sys::make_folders(runnable.code_path + "/lib");
  const std::map<std::string, std::string> fun{{"LD_LIBRARY_PATH", "/code/.fun/root/usr/lib:/code/lib:/usr/local/lib"}};
  EXPECT_FALSE(needs_own_start(runnable, fun)) << "the vendor's tool sets it for every function";
  sys::write_file(runnable.code_path + "/lib/libcairo.so.2", "");
  EXPECT_TRUE(needs_own_start(runnable, fun));
  EXPECT_FALSE(needs_own_start(runnable, {}));
  EXPECT_FALSE(needs_own_start(runnable, {{"NODE_OPTIONS", ""}}));
  EXPECT_TRUE(needs_own_start(runnable, {{"NODE_OPTIONS", "--max-old-space-size=64"}}));
  sys::remove_tree(folder);
}

TEST_F(NodeInstance, ReachesNothingButTheDoor) {
  EXPECT_EQ(answer("const http = require('http')\n"
                   "const ask = (url) => new Promise((go) => http.get(url, (r) => { let t = ''; r.on('data', (d) => t += d); r.on('end', () => go(t)) }).on('error', (e) => go(e.code)))\n"
                   "exports.handler = async () => [await ask(process.env.MAYFLY_ENDPOINT), await ask('http://192.0.2.1/')]"),
            R"(["the door","ENETUNREACH"])");
}

TEST_F(NodeInstance, AnErrorNobodyCatchesEndsItAndIsTold) {
  auto instance = started(node_function("exports.handler = () => new Promise(() => setTimeout(() => { throw new RangeError('later') }, 1))"));
  Reply reply = call(*instance, "");
  EXPECT_EQ(reply.kind, Reply::Kind::died);
  EXPECT_EQ(string_or(*parse_json(reply.last_words), "errorType"), "RangeError");
  EXPECT_FALSE(instance->alive());
  stop(std::move(instance));
  EXPECT_NE(printed().find(" request-1 [error] uncaughtException: RangeError: later\n    at "), std::string::npos) << printed();
}

TEST_F(NodeInstance, ItsStackHasTheFramesOfTheFunctionOnly) {
  auto instance = started(node_function("exports.handler = async () => { await null; throw new TypeError('no face') }"));
  Reply reply = call(*instance, "");
  EXPECT_EQ(reply.body, R"j({"errorMessage":"no face","errorType":"TypeError","stackTrace":["TypeError: no face","    at exports.handler (/code/index.js:1:51)"]})j");
  stop(std::move(instance));
}

TEST_F(NodeInstance, AnInitializerThatForgetsItsCallbackIsToldSo) {
  auto runnable = node_function("exports.init = (context, callback) => { setInterval(() => {}, 1000) }\nexports.handler = async () => 1");
  runnable->function.initializer = "index.init";
  runnable->function.initialization_timeout_s = 1;
  auto failure = start(runnable);
  ASSERT_FALSE(failure);
  EXPECT_NE(failure.error().message.find("the initializer 'index.init' has not called its callback"), std::string::npos) << failure.error().message;
  EXPECT_EQ(failure.error().code, StartError::timed_out);
  EXPECT_GE(failure.error().phases.init_us, 1'000'000);
}

TEST_F(NodeInstance, MemoryBeyondTheLimitIsToldAsSuch) {
  auto instance = started(node_function("const kept = []\nexports.handler = async () => { for (;;) kept.push(Buffer.alloc(8 << 20, 1)) }"));
  EXPECT_EQ(call(*instance, "").kind, Reply::Kind::out_of_memory);
  stop(std::move(instance));
}

TEST_F(NodeInstance, AHeapBeyondItsShareOfTheMemoryIsToldAsMemory) {
  auto runnable = node_function("const kept = []\nexports.handler = async () => { for (;;) kept.push(new Array(100000).fill(1.5)) }");
  runnable->function.memory_mb = 512;  // a quarter of it is more than node needs besides its heap, so it is node that gives up
  auto instance = started(runnable);
  EXPECT_EQ(call(*instance, "").kind, Reply::Kind::out_of_memory);
  stop(std::move(instance));
  EXPECT_NE(printed().find("JavaScript heap out of memory"), std::string::npos) << printed();
}

TEST_F(NodeInstance, WhatItNoLongerNeedsIsCollectedBeforeTheLimit) {
  auto runnable = node_function("const kept = []\nfor (let i = 0; i < 30; ++i) kept.push(new Array(131072).fill(0.5))\n"
                                "exports.handler = async () => { for (let i = 0, last; i < 1000; ++i) last = new Array(100000).fill(i + 0.5)\n  return 'done' }");
  runnable->function.memory_mb = 128;
  runnable->function.timeout_s = 60;
  auto instance = started(runnable);
  EXPECT_EQ(call(*instance, "", 60 * kMicrosPerSecond).body, "done");
  stop(std::move(instance));
}

TEST(FramedStart, LeavesNodesHeapToAFunctionThatChoosesIt) {
  functions::Function function;
  function.runtime = "nodejs20";
  function.memory_mb = 256;
  const Runtime& node = *find_runtime(function.runtime);
  EXPECT_EQ(interpreter_command(node, function, {}), (std::vector<std::string>{"/usr/bin/node", "--max-old-space-size=192", "/mayfly/nodejs/main.js"}));
  EXPECT_EQ(interpreter_command(*find_runtime("php8.2"), function, {}), (std::vector<std::string>{"/usr/bin/php", "-d", "memory_limit=192M", "/mayfly/php/main.php"}));
  function.environment["NODE_OPTIONS"] = "--no-warnings --max_old_space_size=64";
  EXPECT_EQ(interpreter_command(node, function, {}), (std::vector<std::string>{"/usr/bin/node", "/mayfly/nodejs/main.js"}));
}

TEST_F(NodeInstance, TakesTenCallsAtOnceInOneProcess) {
  auto runnable = node_function("let open = []\nexports.handler = (event, context, callback) => { if (open.push(callback) === 10) for (const go of open) go(null, process.pid + '') }");
  runnable->function.instance_concurrency = 10;
  auto instance = started(runnable);
  std::array<Reply, 10> replies;
  {
    std::vector<std::jthread> callers;
    for (auto& reply : replies) callers.emplace_back([&] { reply = call(*instance, ""); });
  }
  std::set<std::string> bodies;
  for (auto& reply : replies) bodies.insert(reply.body);
  EXPECT_EQ(bodies.size(), 1u) << testing::PrintToString(bodies);
  stop(std::move(instance));
}

TEST_F(NodeInstance, PreStopRunsBeforeItsEnd) {
  auto runnable = node_function("exports.bye = (context, callback) => { console.log('bye'); setTimeout(callback, 1) }\nexports.handler = async () => 1");
  runnable->function.vendor["instanceLifecycleConfig"] = json::object{{"preStop", {{"handler", "index.bye"}, {"timeout", 3}}}};
  auto instance = started(runnable);
  call(*instance, "");
  stop(std::move(instance));
  EXPECT_NE(printed().find("[verbose] bye\nFC PreStop End RequestId: *\n"), std::string::npos) << printed();
}

}  // namespace
}  // namespace mayfly::runtime
