#include "instance.h"

#include <atomic>
#include <barrier>
#include <cstdlib>

#include "far_end_test.h"

namespace mayfly::detail {
namespace {

TEST(Instance, ALargeReplyComesAsASealedFile) {
  FarEnd far({echo()});
  far.start(FarEnd::start_json("echo"));
  std::string large(kMemfdBytes, 'x');
  Received reply = far.call(large);
  EXPECT_EQ(reply.payload, large);
  EXPECT_NE(reply.sealed & F_SEAL_WRITE, 0);
  EXPECT_EQ(far.call("small").sealed, 0);
}

TEST(Instance, ALargeEventIsReadWhereTheServerWroteIt) {
  FarEnd far({function("size", [](Event event) { return std::to_string(event.body.size()) + event.body.back(); })});
  far.start(FarEnd::start_json("size"));
  std::string photo(5 << 20, 'p');
  photo.back() = '!';
  EXPECT_EQ(far.call_with_file(photo).payload, std::to_string(photo.size()) + "!");
  EXPECT_EQ(far.call("x").payload, "1x");
}

TEST(SdkInstance, AnswersReadyAndThenCalls) {
  FarEnd far({echo()});
  Received ready = far.start();
  EXPECT_EQ(ready.header.kind, FrameKind::ready);
  EXPECT_FALSE(far.imported()) << "it has no initializer";
  EXPECT_TRUE(Json::parse(ready.meta)["init_us"].is_number());
  Received reply = far.call("some bytes");
  EXPECT_EQ(reply.header.kind, FrameKind::reply);
  EXPECT_EQ(reply.header.call, 7u);
  EXPECT_EQ(reply.header.status, FrameStatus::ok);
  EXPECT_EQ(reply.payload, "some bytes");
  EXPECT_EQ(reply.meta, "") << "an event's reply has no head";
  EXPECT_EQ(far.close(), 0);
}

TEST(SdkInstance, TellsTheHandlerAboutItselfAndItsCall) {
  FarEnd far({function("about", [](Event, Context& context) {
    auto keys = context.credentials();
    return Json{{"request", context.request_id()}, {"id", keys.access_key_id}, {"secret", keys.access_key_secret}, {"token", keys.security_token},
                {"retries", context.retry_count()}, {"function", context.function().name}, {"memory", context.function().memory_mb}, {"service", context.service().name},
                {"qualifier", context.service().qualifier}, {"store", context.service().log_store}, {"instance", context.instance_id()}, {"region", context.region()},
                {"account", context.account()}, {"greeting", std::getenv("GREETING")}, {"key", std::getenv("ALIBABA_CLOUD_ACCESS_KEY_ID")},
                {"in_time", context.remaining().count() > 50'000 && context.remaining().count() <= 60'000}};
  })});
  far.start();
  far.send({.kind = FrameKind::call, .retries = 2, .call = 1}, FarEnd::meta(), "");
  EXPECT_EQ(far.receive().payload,
            R"({"request":"r-1","id":"id","secret":"secret","token":"token","retries":2,"function":"faces","memory":256,"service":"photos","qualifier":"LATEST",)"
            R"("store":"s","instance":"c-1","region":"cn-hangzhou","account":"123","greeting":"hello","key":"id","in_time":true})");
}

TEST(SdkInstance, PicksTheFunctionByTheHandlersLastPart) {
  for (const char* handler : {"program.two", "bin/program.two", "two"}) {
    FarEnd far({echo(), function("two", [](Event) { return "second"; })});
    EXPECT_EQ(far.start(FarEnd::start_json(handler)).header.kind, FrameKind::ready);
    EXPECT_EQ(far.call("").payload, "second") << handler;
  }
}

TEST(SdkInstance, FailsTheStartWhenNoFunctionIsNamed) {
  FarEnd far({echo(), function("two", [](Event) {})});
  Received failed = far.start(FarEnd::start_json("program.three"));
  EXPECT_EQ(failed.header.kind, FrameKind::failed);
  EXPECT_EQ(failed.json()["errorType"].text(), "HandlerNotFound");
  EXPECT_EQ(failed.json()["errorMessage"].text(), "Handler 'program.three' names no function of this program; it has: echo, two");
  EXPECT_EQ(far.close(), 1);
}

TEST(SdkInstance, RunsTheInitializerBeforeReady) {
  bool initialized = false;
  FarEnd far({echo().initializer([&](Context& context) { initialized = context.instance_id() == "c-1"; })});
  EXPECT_EQ(far.start().header.kind, FrameKind::ready);
  EXPECT_TRUE(initialized);
  EXPECT_TRUE(far.imported());
}

TEST(SdkInstance, AnInitializerThatThrowsFailsTheStart) {
  FarEnd far({echo().initializer([](Context&) { throw std::runtime_error("no model"); })});
  Received failed = far.start();
  EXPECT_EQ(failed.header.kind, FrameKind::failed);
  EXPECT_EQ(failed.json()["errorMessage"].text(), "no model");
  EXPECT_EQ(failed.json()["errorType"].text(), "std::runtime_error");
}

TEST(SdkInstance, AnInitializerThatIsAskedForMustExist) {
  FarEnd far({echo()});
  Json start = FarEnd::start_json();
  start["initializer"] = "program.prepare";
  EXPECT_EQ(far.start(start).json()["errorType"].text(), "HandlerNotFound");
}

TEST(SdkInstance, ExceptionsAreTheCallersErrorAndTheInstanceLivesOn) {
  FarEnd far({function("throws", [](Event event) {
    if (event.body == "own") throw Error("BadPicture", "not a JPEG\xff");
    if (event.body == "text") throw "just text";
    if (event.body == "number") throw 42;
    if (event.body == "json") event.json();
    return "fine";
  })});
  far.start();
  auto error = [&](const char* event) {
    Received reply = far.call(event);
    EXPECT_EQ(reply.header.status, FrameStatus::handled_error);
    return reply.json();
  };
  EXPECT_EQ(error("own")["errorType"].text(), "BadPicture");
  EXPECT_EQ(error("own")["errorMessage"].text(), "not a JPEG\xEF\xBF\xBD") << "bytes that are no UTF-8 must not spoil the JSON";
  EXPECT_EQ(error("text")["errorMessage"].text(), "just text");
  EXPECT_EQ(error("number")["errorType"].text(), "int");
  EXPECT_EQ(error("json")["errorType"].text(), "mayfly::JsonError");
  EXPECT_EQ(far.call("").payload, "fine");
}

TEST(SdkInstance, HooksRunAndAreAnswered) {
  std::string ran;
  FarEnd far({echo().pre_freeze([&](Context&) { ran += "freeze "; }).pre_stop([&](Context&) { ran += "stop "; })});
  far.start();
  EXPECT_EQ(far.hook("preFreeze").header.call, 9u);
  EXPECT_EQ(far.hook("preStop").header.status, FrameStatus::ok);
  EXPECT_EQ(far.hook("preWhat").header.status, FrameStatus::handled_error);
  EXPECT_EQ(far.close(), 0);
  EXPECT_EQ(ran, "freeze stop ") << "and not again when the link closes";
}

TEST(SdkInstance, AnOlderServerAsksForAHookByItsNameAlone) {
  std::string ran;
  FarEnd far({echo().pre_freeze([&](Context&) { ran += "freeze "; }).pre_stop([&](Context& context) { ran += "stop " + std::string(context.request_id()); })});
  far.start();
  EXPECT_EQ(far.hook_frame("preFreeze").header.status, FrameStatus::ok);
  EXPECT_EQ(far.hook_frame("preStop").header.status, FrameStatus::ok);
  EXPECT_EQ(far.close(), 0);
  EXPECT_EQ(ran, "freeze stop ");
}

constexpr std::string_view kOtherKeys{"id2\0secret2\0token2", 18}, kThirdKeys{"id3\0secret3\0token3", 18};

std::string seen(const Context& context) {
  auto keys = context.credentials();
  std::string out(context.request_id());
  for (std::string_view each : {keys.access_key_id, keys.access_key_secret, keys.security_token}) out.append(" ").append(each);
  for (const char* name : {"ACCESS_KEY_ID", "ACCESS_KEY_SECRET", "SECURITY_TOKEN"}) out.append(" ").append(std::getenv(("ALIBABA_CLOUD_" + std::string(name)).c_str()));
  return out + "\n";
}

TEST(SdkInstance, CallsInitializersAndHooksHaveTheRequestAndTheKeysThatAreSent) {
  std::string all;
  auto note = [&](Context& context) { all += seen(context); };
  FarEnd far({function("notes", [&](Event, Context& context) { note(context); }).initializer(note).pre_freeze(note).pre_stop(note)});
  Json start = FarEnd::start_json();
  start["request_id"] = "i-1";
  far.start(start);
  far.send({.kind = FrameKind::call, .call = 1}, FarEnd::meta("", "r-1", kOtherKeys), "");
  far.receive();
  far.hook("preFreeze", "h-1", kThirdKeys);
  far.call("");
  EXPECT_EQ(far.close(), 0);
  EXPECT_EQ(all,
            "i-1 id secret token id secret token\n"
            "r-1 id2 secret2 token2 id2 secret2 token2\n"
            "h-1 id3 secret3 token3 id3 secret3 token3\n"
            "r-1 id secret token id secret token\n"
            " id secret token id secret token\n")
      << "the last is the end that nobody asked for";
}

TEST(SdkInstance, TheEnvironmentsKeysFollowWhereOneThreadServes) {
  for (auto [threads, expected] : {std::pair{false, "id2"}, std::pair{true, "id"}}) {
    Function about = function("about", [](Event, Context& context) { return std::string(context.credentials().access_key_id) + " " + std::getenv("ALIBABA_CLOUD_ACCESS_KEY_ID"); });
    FarEnd far({threads ? about : about.never_waits()});
    far.start(FarEnd::start_json("program", 2));
    far.send({.kind = FrameKind::call, .call = 1}, FarEnd::meta("", "r-1", kOtherKeys), "");
    EXPECT_EQ(far.receive().payload, std::string("id2 ") + expected);
  }
}

TEST(SdkInstance, WhatAHookThrowsIsLoggedWithItsTraceAndChangesNothing) {
  testing::internal::CaptureStdout();
  {
    FarEnd far({echo().pre_freeze([](Context&) { throw Error("TooCold", "no"); }).pre_stop([](Context&) { throw 42; })});
    far.start();
    Received reply = far.hook("preFreeze");
    EXPECT_EQ(reply.header.status, FrameStatus::handled_error);
    EXPECT_EQ(reply.json()["errorType"].text(), "TooCold");
    EXPECT_EQ(far.call("x").payload, "x");
    EXPECT_EQ(far.close(), 0) << "nor does one at the end";
  }
  std::string log = testing::internal::GetCapturedStdout();
  EXPECT_NE(log.find("Z h-1 [ERROR] preFreeze failed: {\"errorMessage\":\"no\",\"errorType\":\"TooCold\",\"stackTrace\":["), log.npos) << log;
  EXPECT_NE(log.find("Z  [ERROR] preStop failed: {"), log.npos) << log;
}

TEST(SdkInstance, PreStopRunsWhenTheServerJustCloses) {
  bool stopped = false;
  FarEnd far({echo().pre_stop([&](Context&) { stopped = true; })});
  far.start();
  far.close();
  EXPECT_TRUE(stopped);
}

TEST(SdkInstance, CallsOfOneBatchAreAnsweredWithOneWrite) {
  FarEnd far({echo().never_waits()});
  far.start(FarEnd::start_json("program", 16));
  std::string batch;
  constexpr uint32_t kCalls = 16;
  for (uint32_t i = 0; i < kCalls; ++i) batch += FarEnd::call_bytes(i, "x");
  far.send_raw(batch);
  size_t reads = 0, bytes = 0;
  while (bytes < kCalls * (sizeof(FrameHeader) + 1)) bytes += far.read_once().size(), ++reads;
  EXPECT_LE(reads, kCalls / 2) << "a slow machine may take longer than the gathering time, and then part of them leaves early";
}

TEST(SdkInstance, CallsRunAtOnceWhenTheInstanceTakesSeveral) {
  constexpr int kCalls = 8;
  std::barrier together(kCalls);
  FarEnd far({function("meet", [&](Event event) {
    together.arrive_and_wait();  // never returns unless all calls run at the same time
    return std::string(event.body);
  })});
  far.start(FarEnd::start_json("program", kCalls));
  for (uint32_t round = 0; round < 20; ++round) {
    for (uint32_t i = 0; i < kCalls; ++i) far.send_raw(FarEnd::call_bytes(i, std::to_string(i)));
    std::vector<bool> seen(kCalls);
    for (int i = 0; i < kCalls; ++i) {
      Received reply = far.receive();
      ASSERT_LT(reply.header.call, seen.size());
      EXPECT_EQ(reply.payload, std::to_string(reply.header.call));
      seen[reply.header.call] = true;
    }
    EXPECT_EQ(std::count(seen.begin(), seen.end(), true), kCalls);
  }
}

TEST(SdkInstance, OneCallAtATimeStaysOnTheThreadOfMain) {
  FarEnd far({function("thread", [main = std::thread::id()](Event) mutable {
    if (main == std::thread::id()) main = std::this_thread::get_id();
    return main == std::this_thread::get_id() ? "same" : "another";
  })});
  far.start();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(far.call("").payload, "same");
}

std::string cores_now() {
  cpu_set_t set;
  CPU_ZERO(&set);
  EXPECT_EQ(::sched_getaffinity(0, sizeof set, &set), 0);
  return std::to_string(CPU_COUNT(&set));
}

TEST(SdkInstance, LongCallsMayRunOnEveryCoreOfTheServerAndShortOnesStayAtHome) {
  cpu_set_t every, first;
  CPU_ZERO(&every);
  CPU_ZERO(&first);
  ASSERT_EQ(::sched_getaffinity(0, sizeof every, &every), 0);
  if (CPU_COUNT(&every) < 2) GTEST_SKIP() << "one core";
  Json start = FarEnd::start_json();
  for (size_t core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(core, &every)) continue;
    if (CPU_COUNT(&first) == 0) CPU_SET(core, &first);
    start["cores"].push_back(core);
  }
  FarEnd far({function("where", [](Event event) {
    for (auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(event.body == "long" ? 2 : 0); std::chrono::steady_clock::now() < end;) {
    }
    return cores_now();
  })}, &first);
  far.start(start);
  std::string all = std::to_string(CPU_COUNT(&every));
  EXPECT_EQ(far.call("short").payload, all) << "a start goes wherever there is room";
  bool came_home = false;  // a busy machine makes some short calls long: one of several counts
  for (int i = 0; i < 20 && !came_home; ++i) came_home = far.call("short").payload == "1";
  EXPECT_TRUE(came_home);
  far.call("long");
  EXPECT_EQ(far.call("short").payload, all);
}

TEST(SdkInstance, EndsWhenTheServerSaysWhatNoServerSays) {
  std::string truncated = FarEnd::call_bytes(1, "x");
  for (const std::string& nonsense : {FarEnd::bytes({.kind = FrameKind::reply}, "", ""), FarEnd::bytes({.kind = static_cast<FrameKind>(99)}, "", ""),
                                      FarEnd::bytes({.kind = FrameKind::start}, "", "{}"), FarEnd::bytes({.kind = FrameKind::call}, "no fields", "")}) {
    FarEnd far({echo()});
    far.start();
    far.send_raw(nonsense);
    EXPECT_EQ(far.close(), 1);
  }
  FrameHeader huge{.payload_size = kMaxPayloadBytes + 1, .meta_size = 0, .kind = FrameKind::call};
  FarEnd far({echo()});
  far.start();
  far.send_raw({reinterpret_cast<const char*>(&huge), sizeof huge});
  EXPECT_EQ(far.close(), 1);
}

TEST(SdkInstance, ALinkThatEndsAnywhereEndsTheInstanceInPeace) {
  std::string call = FarEnd::call_bytes(1, "payload");
  for (size_t cut : {size_t{0}, size_t{1}, sizeof(FrameHeader), call.size() - 1}) {
    FarEnd far({echo()});
    far.start();
    far.send_raw(call.substr(0, cut));
    EXPECT_EQ(far.close(), 0);
  }
}

TEST(SdkInstance, AStartThatIsNoJsonEndsIt) {
  FarEnd far({echo()});
  far.send({.kind = FrameKind::start}, "", "{");
  EXPECT_EQ(far.close(), 1);
}

}  // namespace
}  // namespace mayfly::detail
