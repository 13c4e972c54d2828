// The contract with a Python handler (aliyun-fc.md section 5), in real sandboxes.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include "base/json.h"
#include "runtime/frame.h"
#include "runtime/sandbox_fixture.h"

namespace mayfly::runtime {
namespace {

class PythonInstance : public InSandbox {};

TEST_F(PythonInstance, RunsAHandlerAndAnswersWithItsResult) {
  Reply reply = run_once("def handler(event, context):\n    return b'hello ' + event\n", "world");
  EXPECT_EQ(reply.kind, Reply::Kind::ok) << reply.body;
  EXPECT_EQ(reply.body, "hello world");
  EXPECT_GT(reply.memory_bytes, 0);
}

TEST_F(PythonInstance, KeepsItsStateBetweenCalls) {
  auto instance = started(function("count = 0\ndef handler(event, context):\n    global count\n    count += 1\n    return count\n"));
  EXPECT_EQ(call(*instance, "").body, "1");
  EXPECT_EQ(call(*instance, "").body, "2");
  EXPECT_TRUE(instance->alive());
  stop(std::move(instance));
}

TEST_F(PythonInstance, SendsTextAndBytesRawAndAnythingElseAsJson) {
  EXPECT_EQ(run_once("def handler(e, c):\n    return 'gr\\u00fc\\u00df'\n").body, "grüß");
  EXPECT_EQ(run_once("def handler(e, c):\n    return b'\\x00\\xff'\n").body, std::string("\0\xff", 2));
  EXPECT_EQ(run_once("def handler(e, c):\n    return {'keys': [1, 2], 'more': False}\n").body, R"({"keys": [1, 2], "more": false})");
  EXPECT_EQ(run_once("def handler(e, c):\n    return None\n").body, "null");
}

TEST_F(PythonInstance, ReportsAnExceptionWithTheFramesOfTheFunctionOnly) {
  Reply reply = run_once("def handler(event, context):\n    return deeper()\n\ndef deeper():\n    raise ValueError('no face')\n");
  ASSERT_EQ(reply.kind, Reply::Kind::handled_error);
  auto body = *parse_json(reply.body);
  EXPECT_EQ(string_or(body, "errorMessage"), "no face");
  EXPECT_EQ(string_or(body, "errorType"), "ValueError");
  EXPECT_EQ(to_text(*find(body, "stackTrace")),
            R"j([["/code/index.py",2,"handler","return deeper()"],["/code/index.py",5,"deeper","raise ValueError('no face')"]])j");
}

TEST_F(PythonInstance, ReportsAResultThatJsonCannotHold) {
  Reply reply = run_once("def handler(event, context):\n    return object()\n");
  ASSERT_EQ(reply.kind, Reply::Kind::handled_error);
  EXPECT_EQ(string_or(*parse_json(reply.body), "errorType"), "TypeError");
}

TEST_F(PythonInstance, IsKilledAtTheDeadlineAndSaysWhatItPrintedBefore) {
  auto instance = started(function("import time\ndef handler(event, context):\n    print('began')\n    while True: time.sleep(9)\n"));
  Reply reply = call(*instance, "", 200 * kMicrosPerMilli);
  EXPECT_EQ(reply.kind, Reply::Kind::timed_out);
  EXPECT_EQ(string_or(*parse_json(reply.body), "errorType"), "FunctionTimedOut");
  EXPECT_FALSE(instance->alive());
  EXPECT_EQ(printed(), "began\n");
  stop(std::move(instance));
}

TEST_F(PythonInstance, ACrashIsToldWithItsSignal) {
  auto instance = started(function("import ctypes\ndef handler(event, context):\n    ctypes.string_at(0)\n"));
  Reply reply = call(*instance, "");
  EXPECT_EQ(reply.kind, Reply::Kind::died);
  EXPECT_TRUE(WIFSIGNALED(reply.exit_status) && WTERMSIG(reply.exit_status) == SIGSEGV) << reply.exit_status;
  EXPECT_TRUE(string_or(*parse_json(reply.body), "errorMessage").starts_with("Process exited unexpectedly before completing request (duration: "));
  EXPECT_EQ(call(*instance, "").kind, Reply::Kind::not_started) << "a dead instance says at once that another may have the call";
  stop(std::move(instance));
}

TEST_F(PythonInstance, ItsLastWordsNeedNoEndOfTheirLine) {
  auto instance = started(function("import os\ndef handler(event, context):\n    print('dying words', end='', flush=True)\n    os._exit(3)\n"));
  EXPECT_EQ(call(*instance, "").kind, Reply::Kind::died);
  EXPECT_EQ(printed(), "dying words");
  on_shard([this] { EXPECT_TRUE(!printed_.empty() && printed_.back().request == "request-1"); });
  stop(std::move(instance));
}

TEST_F(PythonInstance, SysExitEndsTheProcess) {
  Reply reply = run_once("import sys\ndef handler(event, context):\n    sys.exit(7)\n");
  EXPECT_EQ(reply.kind, Reply::Kind::died);
  EXPECT_TRUE(WIFEXITED(reply.exit_status) && WEXITSTATUS(reply.exit_status) == 7) << reply.exit_status;
}

TEST_F(PythonInstance, ABrokenImportIsReportedInTheDialectsShape) {
  auto instance = start(function("import no_such_module\ndef handler(event, context): pass\n"));
  ASSERT_FALSE(instance);
  EXPECT_EQ(instance.error().code, StartError::initializer);
  auto body = *parse_json(instance.error().message);
  EXPECT_EQ(string_or(body, "errorMessage"), "No module named 'no_such_module'");
  EXPECT_EQ(string_or(body, "errorType"), "ImportModuleError");
  EXPECT_EQ(find(body, "stackTrace")->at(0).at(0).as_string(), "/code/index.py");
}

TEST_F(PythonInstance, AMissingHandlerIsReported) {
  auto instance = start(function("def other(event, context): pass\n"));
  ASSERT_FALSE(instance);
  EXPECT_EQ(string_or(*parse_json(instance.error().message), "errorType"), "HandlerNotFound");
  auto malformed = function("");
  malformed->function.handler = "handler";
  auto none = start(malformed);
  ASSERT_FALSE(none);
  EXPECT_EQ(string_or(*parse_json(none.error().message), "errorMessage"), "Handler 'handler' must be 'file.function'");
}

TEST_F(PythonInstance, ASyntaxErrorNamesItsLine) {
  auto instance = start(function("def handler(event context):\n    pass\n"));
  ASSERT_FALSE(instance);
  auto body = *parse_json(instance.error().message);
  EXPECT_EQ(string_or(body, "errorType"), "SyntaxError");
  EXPECT_EQ(to_text(*find(body, "stackTrace")), R"([["/code/index.py",1,"<module>","def handler(event context):"]])");
}

TEST_F(PythonInstance, RunsTheInitializerOnceAndReportsItsFailure) {
  auto good = function("ready = 0\ndef initializer(context):\n    global ready\n    ready += 1\n    print(context.region)\ndef handler(event, context):\n    return ready\n");
  good->function.initializer = "index.initializer";
  auto instance = started(good);
  EXPECT_EQ(call(*instance, "").body, "1");
  EXPECT_EQ(call(*instance, "").body, "1");
  EXPECT_EQ(printed(), hooked("Initialize", "cn-hangzhou\n"));
  stop(std::move(instance));
  auto bad = function("def initializer(context):\n    raise KeyError('model')\ndef handler(event, context): pass\n");
  bad->function.initializer = "index.initializer";
  auto failed = start(bad);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, StartError::initializer);
  EXPECT_EQ(string_or(*parse_json(failed.error().message), "errorType"), "KeyError");
}

TEST_F(PythonInstance, GivesTheHandlerItsContext) {
  auto runnable = function(
      "def handler(event, context):\n"
      "    c, f, s = context.credentials, context.function, context.service\n"
      "    return [context.request_id, c.access_key_id, c.access_key_secret, c.security_token, f.name, f.handler, f.memory, f.timeout, s.name,\n"
      "            s.version_id, context.region, context.account_id, context.retry_count, context.tracing.jaeger_endpoint]\n");
  runnable->version = "3";
  auto instance = started(runnable);
  EXPECT_EQ(call(*instance, "").body,
            R"(["request-1", "STS.key", "secret", "token", "detect-1", "index.handler", 128, 5, "photos", "3", "cn-hangzhou", "1234567890", 0, null])");
  credentials_.access_key_id = "STS.second";
  EXPECT_TRUE(call(*instance, "").body.starts_with(R"(["request-2", "STS.second")")) << "credentials are those of the call";
  stop(std::move(instance));
}

TEST_F(PythonInstance, SetsTheEnvironmentAndTheTemplatesWordsWin) {
  auto runnable = function("import os, time\ndef handler(event, context):\n    return [os.environ.get(n) for n in event.decode().split()] + [time.tzname[0], os.getcwd()]\n");
  runnable->function.environment = {{"OSS_ENDPOINT", "https://oss"}, {"LANG", "de_DE"}, {"PATH", "/code/bin"}};
  auto instance = started(runnable);
  EXPECT_EQ(call(*instance, "OSS_ENDPOINT LANG PATH FC_FUNC_CODE_PATH FC_SERVICE_NAME FC_FUNCTION_NAME FC_QUALIFIER FC_ACCOUNT_ID MAYFLY_ENDPOINT OPENBLAS_NUM_THREADS").body,
            R"(["https://oss", "de_DE", "/code/bin", "/code/", "photos", "detect-1", "LATEST", "1234567890", "http://127.0.0.1:8080", null, "UTC", "/code"])");
  EXPECT_EQ(call(*instance, "FC_INSTANCE_ID").body, fmt::format(R"(["{}", "UTC", "/code"])", instance->id()));
  stop(std::move(instance));
}

TEST_F(PythonInstance, TagsLogLinesAndPrintsWithTheirRequest) {
  auto instance = started(function("import logging, os\ndef handler(event, context):\n    logging.getLogger().info('seen %s', event)\n    print('printed')\n    os.system('echo from a shell')\n"));
  call(*instance, "x");
  call(*instance, "y");
  stop(std::move(instance));
  std::map<std::string, std::string> by_request;
  on_shard([&] {
    for (const auto& piece : printed_) by_request[piece.request] += piece.text;
  });
  ASSERT_EQ(by_request.size(), 2u);
  const std::string& text = by_request["request-2"];
  EXPECT_NE(text.find(" request-2 [INFO] seen b'y'\nprinted\nfrom a shell\n"), std::string::npos) << text;
  EXPECT_TRUE(parse_iso8601(text.substr(0, text.find(' ')))) << text;
}

TEST_F(PythonInstance, CountsAndDropsWhatIsPrintedBeyondTheLimit) {
  auto instance = started(function("def handler(event, context):\n    line = 'x' * 99999\n    for _ in range(1000): print(line)\n    return 'done'\n"));
  Reply reply = call(*instance, "");
  EXPECT_EQ(reply.body, "done");
  std::string text = printed();
  EXPECT_LT(text.size(), kMaxPrintedBytes + 200);
  EXPECT_NE(text.find("98951424 more bytes were printed and dropped"), std::string::npos) << text.substr(text.size() - 200);
  EXPECT_EQ(call(*instance, "").body, "done") << "and the next call prints again";
  stop(std::move(instance));
}

TEST_F(PythonInstance, CarriesLargeEventsAndResults) {
  std::string large(32 << 20, 'e');
  large[12345] = '\0';
  auto runnable = function("def handler(event, context):\n    return event\n");
  runnable->function.memory_mb = 512;
  auto instance = started(runnable);
  EXPECT_TRUE(call(*instance, large).body == large);
  EXPECT_EQ(call(*instance, "small").body, "small");
  stop(std::move(instance));
}

TEST_F(PythonInstance, AnswersHttpFunctionsThroughWsgi) {
  auto instance = started(function(
      "def handler(environ, start_response):\n"
      "    body = environ['wsgi.input'].read(int(environ['CONTENT_LENGTH']))\n"
      "    start_response('201 Created', [('Content-Type', 'text/plain'), ('Set-Cookie', 'a=1'), ('Set-Cookie', 'b=2')])\n"
      "    return [(' '.join([environ['REQUEST_METHOD'], environ['PATH_INFO'], environ['QUERY_STRING'], environ['HTTP_X_ONE'],\n"
      "             environ['fc.request_uri'], environ['fc.context'].request_id])).encode(), b' ', body]\n"));
  Reply reply = call(*instance, "body", kMicrosPerSecond,
                     R"({"method":"POST","path":"/a b","requestURI":"/a%20b?q=1","clientIP":"10.0.0.1","host":"h:80","queries":{"q":["1"]},"headers":{"X-One":["v"]}})");
  EXPECT_EQ(reply.body, "POST /a b q=1 v /a%20b?q=1 request-1 body");
  EXPECT_EQ(reply.http, R"({"status": 201, "headers": {"Content-Type": ["text/plain"], "Set-Cookie": ["a=1", "b=2"]}})");
  stop(std::move(instance));
}

TEST_F(PythonInstance, ImportsWhatTheFunctionShipsFirst) {
  auto runnable = function("import worker, numpy, extra\ndef handler(event, context):\n    return [worker.name, numpy.name, extra.name]\n");
  sys::write_file(runnable->code_path + "/worker.py", "name = 'its own worker'\n");
  sys::write_file(runnable->code_path + "/numpy.py", "name = 'its own numpy'\n");
  std::string installed = runnable->code_path + "/.fun/python/lib/python3.6/site-packages";
  sys::make_folders(installed);
  sys::write_file(installed + "/extra.py", "name = 'installed by fun'\n");
  auto instance = started(runnable);
  EXPECT_EQ(call(*instance, "").body, R"(["its own worker", "its own numpy", "installed by fun"])");
  stop(std::move(instance));
}

TEST_F(PythonInstance, ServesOneCallAfterTheOtherWhateverTheFunctionAllows) {
  auto runnable = function(
      "import threading\nboth = threading.Barrier(2)\ndef handler(event, context):\n    try:\n        both.wait(0.2)\n        return 'together'\n"
      "    except threading.BrokenBarrierError:\n        return 'alone'\n");
  runnable->function.instance_concurrency = 2;
  auto instance = started(runnable);
  auto first = begin(*instance, ""), second = begin(*instance, "");
  EXPECT_EQ(first.get().body + " " + second.get().body, "alone alone");
  stop(std::move(instance));
}

TEST_F(PythonInstance, RefusesARuntimeItDoesNotHaveAndSaysWhichThereAre) {
  auto runnable = function("");
  runnable->function.runtime = "ruby3";
  auto instance = start(runnable);
  ASSERT_FALSE(instance);
  EXPECT_EQ(instance.error().code, StartError::unsupported);
  EXPECT_NE(instance.error().hint.find("python3"), std::string::npos);
}

TEST_F(PythonInstance, KeepsInstancesOfAForgottenRevisionUntilTheyEnd) {
  auto runnable = function("def handler(event, context):\n    return 'still here'\n");
  auto instance = started(runnable);
  wait<void>([&] { return factory_->forget(runnable->key(), runnable->revision); });
  EXPECT_EQ(call(*instance, "").body, "still here");
  stop(std::move(instance));
}

TEST_F(PythonInstance, LargeBodiesGoBothWaysAsTheyAre) {
  auto instance = started(function("def handler(event, context):\n    return event[::-1]\n"));
  for (size_t size : {size_t{100}, kMemfdBytes - 1, kMemfdBytes, size_t{20} << 20}) {
    std::string event(size, 'a');
    event.back() = 'z';
    Reply reply = call(*instance, event);
    ASSERT_EQ(reply.body.size(), size);
    EXPECT_EQ(reply.body.front(), 'z');
    EXPECT_EQ(reply.body.back(), 'a');
  }
  EXPECT_EQ(call(*instance, "then").body, "neht");
  stop(std::move(instance));
}

TEST_F(PythonInstance, AGeneratorsPiecesBecomeOneBody) {
  EXPECT_EQ(run_once("def handler(event, context):\n    for piece in ('one ', b'two'):\n        yield piece\n").body, "one two");
}

TEST_F(PythonInstance, AGeneratorThatRaisesIsAnError) {
  Reply reply = run_once("def handler(event, context):\n    yield 'a'\n    raise ValueError('broke')\n");
  EXPECT_EQ(reply.kind, Reply::Kind::handled_error);
  EXPECT_EQ(string_or(*parse_json(reply.body), "errorMessage"), "broke");
}

TEST_F(PythonInstance, RunsItsPreStopHook) {
  auto runnable = function("def handler(event, context): pass\ndef bye(context):\n    print('bye from ' + context.function.name)\n");
  runnable->function.vendor["InstanceLifecycleConfig"] = json::object{{"PreStop", {{"Handler", "index.bye"}}}};
  stop(started(runnable));
  EXPECT_EQ(printed(), hooked("PreStop", "bye from detect-1\n"));
}

TEST_F(PythonInstance, StandsStillWhileItIsFrozenWithWhatItStarted) {
  auto runnable = function(
      "import os, subprocess, threading, time\n"
      "count = 0\n"
      "def work():\n    global count\n    while True:\n        count += 1\n        time.sleep(0.001)\n"
      "threading.Thread(target=work, daemon=True).start()\n"
      "subprocess.Popen(['sh', '-c', 'while :; do echo >> /tmp/ticks; sleep 0.01; done'])\n"
      "def handler(event, context): return count + (os.path.getsize('/tmp/ticks') if os.path.exists('/tmp/ticks') else 0)\n"
      "def pause(context): print('about to stand still')\n");
  runnable->function.vendor["InstanceLifecycleConfig"] = json::object{{"PreFreeze", {{"Handler", "index.pause"}}}, {"PreStop", {{"Handler", "index.pause"}}}};
  auto instance = started(runnable);
  EXPECT_TRUE(counts_on(*instance));
  EXPECT_EQ(printed(), "");
  EXPECT_LT(counted_while_frozen(*instance), 100);
  EXPECT_EQ(printed(), hooked("PreFreeze", "about to stand still\n"));
  EXPECT_TRUE(counts_on(*instance)) << "and goes on afterwards";
  wait<void>([&] { return instance->freeze(); });
  int64_t before_us = shard_.now_us();
  stop(std::move(instance));
  EXPECT_LT(shard_.now_us() - before_us, 900'000) << "a frozen instance ends politely, not by the deadline";
  EXPECT_TRUE(printed().ends_with(hooked("PreStop", "about to stand still\n"))) << printed();
}

TEST_F(PythonInstance, AStartThatIsAbandonedEndsAtOnce) {
  auto runnable = function("import time\ndef handler(event, context): pass\ndef begin(context):\n    print('begun', flush=True)\n    time.sleep(60)\n");
  runnable->function.initializer = "index.begin";
  runnable->function.initialization_timeout_s = 60;
  std::optional<StartError> failure;
  std::jthread starter([&] {
    auto begun = start(runnable);
    begun ? stop(std::move(*begun)) : void(failure = begun.error().code);
  });
  while (printed().find("begun\n") == std::string::npos) wait<void>([&] { return io::sleep_us(shard_, kMicrosPerMilli); });
  int64_t before_us = shard_.now_us();
  on_shard([&] { factory_->abandon_starts(); });
  starter.join();
  EXPECT_EQ(failure, StartError::initializer);
  EXPECT_LT(shard_.now_us() - before_us, 10 * kMicrosPerSecond);
}

TEST_F(PythonInstance, IsNotFrozenBesideACall) {
  auto instance = started(function("import time\ndef handler(event, context):\n    time.sleep(0.3)\n    return 'done'\n"));
  auto reply = begin(*instance, "");
  wait<void>([&] { return instance->freeze(); });
  EXPECT_EQ(reply.get().body, "done");
  stop(std::move(instance));
}

TEST_F(PythonInstance, SaysHowItsStartWasSpent) {
  auto runnable = function("import time\ntime.sleep(0.02)\ndef handler(event, context): pass\ndef begin(context):\n    time.sleep(0.03)\n");
  runnable->function.initializer = "index.begin";
  auto instance = started(runnable);
  EXPECT_GE(instance->phases().import_us, 20'000);
  EXPECT_GE(instance->phases().init_us, 30'000);
  EXPECT_GT(instance->phases().sandbox_us, 0);
  stop(std::move(instance));
}

TEST_F(PythonInstance, AStartThatFailsSaysWhereItsTimeWentToo) {
  auto runnable = function("import time\ntime.sleep(0.02)\ndef handler(event, context): pass\ndef begin(context):\n    time.sleep(0.05)\n    raise KeyError('model')\n");
  auto unimportable = function("import time\ntime.sleep(0.02)\nimport no_such_module\n");
  runnable->function.initializer = "index.begin";
  auto failed = start(runnable);
  ASSERT_FALSE(failed);
  EXPECT_GT(failed.error().phases.sandbox_us, 0);
  EXPECT_GE(failed.error().phases.import_us, 20'000);
  EXPECT_GE(failed.error().phases.init_us, 30'000);
  failed = start(unimportable);
  ASSERT_FALSE(failed);
  EXPECT_GE(failed.error().phases.import_us, 20'000);
  EXPECT_EQ(failed.error().phases.init_us, 0);
}

TEST_F(PythonInstance, AnInitializerHasItsOwnTime) {
  auto runnable = function("import time\ntime.sleep(0.02)\ndef handler(event, context): pass\ndef begin(context):\n    time.sleep(600)\n");
  runnable->function.initializer = "index.begin";
  runnable->function.initialization_timeout_s = 1;
  auto late = start(runnable);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, StartError::timed_out);
  EXPECT_EQ(late.error().message, "Function initialization timed out after 1 seconds: its initializer has not returned");
  EXPECT_GE(late.error().phases.init_us, 1'000'000);
  EXPECT_LE(late.error().phases.init_us, 5'000'000) << "not what importing may take besides";
  EXPECT_GE(late.error().phases.import_us, 20'000);
}

TEST_F(PythonInstance, ImportsTheLibrariesOfThePlatform) {
  if (options_.libraries_folder.empty()) GTEST_SKIP() << "MAYFLY_TEST_LIBRARIES names no folder of Python libraries";
  auto instance = started(function("import cv2, numpy, oss2\nfrom aliyunsdkcore.client import AcsClient\ndef handler(event, context):\n"
                                   "    return str(cv2.resize(numpy.zeros((9, 9), numpy.uint8), (4, 4)).shape)\n"));
  EXPECT_EQ(call(*instance, "").body, "(4, 4)");
  stop(std::move(instance));
}

TEST_F(PythonInstance, SeesNoPythonPackageOfTheMachine) {
  constexpr const char* kHandler = "import sys\ndef handler(event, context):\n    return [p for p in sys.path if p.startswith('/usr') and p.endswith('-packages')] + sys.path[:1]\n";
  auto forked = function(kHandler), fresh = function(kHandler);
  sys::make_folders(fresh->code_path + "/lib");
  sys::write_file(fresh->code_path + "/lib/libnone.so", "");
  fresh->function.environment["LD_LIBRARY_PATH"] = "/code/lib";  // gets an interpreter of its own
  for (const auto& runnable : {forked, fresh}) {
    auto instance = started(runnable);
    EXPECT_EQ(call(*instance, "").body, R"(["/code"])");
    stop(std::move(instance));
  }
}

TEST_F(PythonInstance, GivesAFunctionThatShipsSharedObjectsAnInterpreterThatSeesThem) {
  auto runnable = function(
      "import ctypes, os, sys\nlibrary = ctypes.CDLL('libshipped.so.1')\ndef handler(event, context):\n    context.logger.info('called')\n"
      "    return [library.zlibVersion != 0, context.request_id, os.environ['FC_FUNCTION_NAME'], os.getpid(), sys.path[0]]\n");
  std::string folder = runnable->code_path + "/lib";
  sys::make_folders(folder);
  std::filesystem::copy_file("/lib/x86_64-linux-gnu/libz.so.1", folder + "/libshipped.so.1");
  runnable->function.environment["LD_LIBRARY_PATH"] = "/code:/code/lib:/usr/local/lib";
  auto instance = started(runnable);
  EXPECT_EQ(call(*instance, "").body, R"([true, "request-1", "detect-1", 1, "/code"])");
  stop(std::move(instance));
  EXPECT_TRUE(printed().ends_with(" request-1 [INFO] called\n")) << printed();
}

class Unsafe : public InSandbox {
  void before() override { options_.unsafe_no_sandbox = true; }
};

TEST_F(Unsafe, RunsFunctionsWithoutASandboxWhenToldTo) {
  auto runnable = function("import os, helper\ndef handler(event, context):\n    return [helper.name, os.getcwd(), os.environ['FC_FUNC_CODE_PATH']]\n");
  sys::write_file(runnable->code_path + "/helper.py", "name = 'beside it'\n");
  auto instance = started(runnable);
  EXPECT_EQ(call(*instance, "").body, fmt::format(R"(["beside it", "{0}", "{0}/"])", runnable->code_path));
  stop(std::move(instance));
}

TEST_F(Unsafe, WhatAFunctionLeftRunningPrintsToNobody) {
  auto instance = started(function("import subprocess\nchild = subprocess.Popen(['sh', '-c', 'echo first; read wait; sleep 3; echo second; exec sleep 30'], stdin=subprocess.PIPE)\n"
                                   "def handler(event, context):\n    return child.pid\n"));
  std::string child = call(*instance, "").body;
  stop(std::move(instance));  // the end of its input makes the child go on, three seconds later
  stop_factory();             // does not wait for its end
  EXPECT_EQ(printed().find("second"), std::string::npos) << printed();
  ::kill(std::stoi(child), SIGKILL);
}

TEST_F(PythonInstance, DrawsOtherRandomNumbersInEveryInstance) {
  auto runnable = function("import random\ndef handler(event, context):\n    return random.random()\n");
  auto one = started(runnable), other = started(runnable);
  EXPECT_NE(call(*one, "").body, call(*other, "").body);
  stop(std::move(one));
  stop(std::move(other));
}

}  // namespace
}  // namespace mayfly::runtime
