// What the SDK itself costs per call: an Instance on one thread, a server's end on another that keeps a window of calls in flight. CPU of the
// SDK's thread alone (CLOCK_THREAD_CPUTIME_ID), system calls included; "window" is how many calls are on their way at once.

#include <benchmark/benchmark.h>
#include <time.h>

#include <atomic>

#include "far_end_test.h"

namespace mayfly::detail {
namespace {

constexpr const char* kHead =
    R"({"method":"POST","path":"/","requestURI":"/2016-08-15/proxy/bench/hello/","clientIP":"127.0.0.1","host":"127.0.0.1","queries":{},"headers":{"Host":["127.0.0.1"],"Content-Type":["application/json"]}})";

double thread_cpu_us() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) * 1e6 + static_cast<double>(used.tv_nsec) / 1e3;
}

// Runs `batches` windows of calls against the function and reports the CPU that the serving thread used for a call.
void measure(benchmark::State& state, Function function, std::string_view http, std::string_view event) {
  auto window = static_cast<uint32_t>(state.range(0));
  std::atomic<double> begun = 0, used = 0;
  function.initializer([&](Context&) { begun = thread_cpu_us(); }).pre_stop([&](Context&) { used = thread_cpu_us() - begun; });
  size_t calls = 0, answers_bytes = 0;
  {
    FarEnd far({function.never_waits()});
    far.start(FarEnd::start_json("program", static_cast<int>(window)));
    std::string batch;
    for (uint32_t i = 0; i < window; ++i) batch += FarEnd::call_bytes(i, event, http);
    far.send_raw(batch);
    for (uint32_t i = 0; i < window; ++i) {
      Received reply = far.receive();
      answers_bytes += sizeof reply.header + reply.meta.size() + reply.payload.size();
    }
    for (auto _ : state) {
      far.send_raw(batch);
      for (size_t bytes = 0; bytes < answers_bytes;) bytes += far.read_once().size();
      calls += window;
    }
  }
  state.counters["sdk_us_per_call"] = used / static_cast<double>(calls);
  state.SetItemsProcessed(static_cast<int64_t>(calls));
}

void EventEcho(benchmark::State& state) { measure(state, echo(), "", "{}"); }
BENCHMARK(EventEcho)->Arg(1)->Arg(4)->Arg(16)->Arg(64)->UseRealTime();

void HttpHello(benchmark::State& state) {
  measure(state, http("hello", [](const Request&) { return "hello"; }), kHead, "{}");
}
BENCHMARK(HttpHello)->Arg(1)->Arg(16)->UseRealTime();

void HttpThatReadsItsHead(benchmark::State& state) {
  measure(state, http("hello", [](const Request& request) { return std::string(request.path()); }), kHead, "{}");
}
BENCHMARK(HttpThatReadsItsHead)->Arg(16)->UseRealTime();

void JsonInAndOut(benchmark::State& state) {
  measure(state, function("hello", [](Event event) { return Json{{"hello", event.json()["name"].text()}}; }), "", R"({"name":"mayfly","n":[1,2,3]})");
}
BENCHMARK(JsonInAndOut)->Arg(16)->UseRealTime();

}  // namespace
}  // namespace mayfly::detail
