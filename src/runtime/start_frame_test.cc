// What a start says to the runtime of a language: pure functions of the function and its start.
#include <gtest/gtest.h>

#include "base/json.h"
#include "runtime/framed_factory.h"
#include "runtime/python.h"

namespace mayfly::runtime {
namespace {

StartContext context_of(const std::string& runtime) {
  auto runnable = std::make_shared<functions::Runnable>();
  runnable->function.name = "detect";
  runnable->function.handler = "index.handler";
  runnable->function.runtime = runtime;
  runnable->function.instance_concurrency = 10;
  runnable->function.initializer = "index.old";
  runnable->function.initialization_timeout_s = 7;
  return {.runnable = runnable, .account = "1234", .region = "cn-hangzhou", .credentials = {"key", "secret", "token", 0}, .printed = {}};
}

StartContext with_later_initializer(StartContext context) {
  auto runnable = std::make_shared<functions::Runnable>(*context.runnable);
  runnable->function.vendor["instanceLifecycleConfig"] = json::object{{"initializer", {{"handler", "index.init"}, {"timeout", 60}}}};
  context.runnable = runnable;
  return context;
}

json::value framed(const StartContext& context) { return parse_json(framed_start(context, {}, "c-1", 0, "id-1")).value(); }
json::value forked(const StartContext& context) { return parse_json(zygote_configuration(context, {}, "")).value(); }

TEST(StartFrame, HasTheInitializerOfTheLaterApiBeforeTheFunctionsOwn) {
  auto context = context_of("nodejs20");
  EXPECT_EQ(string_or(framed(context), "initializer"), "index.old");
  EXPECT_EQ(int_or(*find(framed(context), "function"), "initialization_timeout"), 7);
  context = with_later_initializer(context);
  EXPECT_EQ(string_or(framed(context), "initializer"), "index.init");
  EXPECT_EQ(int_or(*find(framed(context), "function"), "initialization_timeout"), 60);
  EXPECT_EQ(string_or(forked(context_of("python3")), "initializer"), "index.old");
  EXPECT_EQ(string_or(forked(with_later_initializer(context_of("python3"))), "initializer"), "index.init");
}

TEST(StartFrame, HasTheIdOfTheInitializersRequest) {
  EXPECT_EQ(string_or(framed(context_of("nodejs20")), "request_id"), "id-1");
  auto start = parse_json(start_message("c-1", {"key", "secret", "token", 0}, 0, "id-1")).value();
  EXPECT_EQ(to_text(start), R"({"instance_id":"c-1","memory_bytes":0,"request_id":"id-1","credentials":["key","secret","token"]})");
}

TEST(StartFrame, HasAsManyCallsAtOnceAsTheExecutorSends) {
  EXPECT_EQ(int_or(framed(context_of("nodejs20")), "concurrency"), 10);
  EXPECT_EQ(int_or(forked(context_of("python3")), "concurrency"), 1);
}

}  // namespace
}  // namespace mayfly::runtime
