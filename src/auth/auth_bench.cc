// What a request pays for being signed. The synchronous invocation path pays verify_fc once; budget: a few percent of a request's 6 us.

#include <benchmark/benchmark.h>

#include "auth/policy.h"
#include "auth/sign_fc.h"
#include "auth/sign_oss.h"
#include "auth/sign_rpc.h"

namespace mayfly::auth {
namespace {

Keyring keyring() { return Keyring::make("1234567890123456", "AK", "SK", std::string(32, 'm')); }

void verify_an_fc_invocation(benchmark::State& state) {
  const auto keys = keyring();
  ManualClock clock;
  SeededRng rng(1);
  const bool temporary = state.range(0) != 0;
  const Credentials credentials = temporary ? keys.issue("worker", "s", 3600, clock, rng) : Credentials{.access_key_id = "AK", .access_key_secret = "SK"};
  http::Request request;
  request.method = "POST";
  request.raw_path = "/2016-08-15/services/s1/functions/f/invocations";
  request.headers.add("Host", "127.0.0.1");
  request.headers.add("Content-Type", "application/octet-stream");
  request.headers.add("x-fc-account-id", "1234567890123456");
  sign_fc(request.method, request.raw_path, request.headers, credentials, clock.wall_us());
  for (auto _ : state) benchmark::DoNotOptimize(verify_fc(request, keys, clock));
}
BENCHMARK(verify_an_fc_invocation)->Arg(0)->Arg(1)->ArgName("temporary");

void verify_an_oss_put(benchmark::State& state) {
  const auto keys = keyring();
  ManualClock clock;
  http::Request request;
  request.method = "PUT";
  request.headers.add("Content-Type", "image/jpeg");
  sign_oss({"PUT", "bkt", "photos/2026/a.jpg", {}}, request.headers, {.access_key_id = "AK", .access_key_secret = "SK"}, clock.wall_us());
  for (auto _ : state) benchmark::DoNotOptimize(verify_oss(request, "bkt", "photos/2026/a.jpg", keys, clock));
}
BENCHMARK(verify_an_oss_put);

void verify_a_start_execution(benchmark::State& state) {
  const auto keys = keyring();
  ManualClock clock;
  const auto query = sign_rpc("POST", {{"Action", "StartExecution"}, {"FlowName", "f"}, {"Input", R"({"bucket": "bkt", "prefix": ""})"}, {"Version", "2019-03-15"}},
                              {.access_key_id = "AK", .access_key_secret = "SK"}, "nonce", clock.wall_us());
  for (auto _ : state) benchmark::DoNotOptimize(verify_rpc("POST", query, keys, clock));
}
BENCHMARK(verify_a_start_execution);

void evaluate_a_policy(benchmark::State& state) {
  const auto document = parse_policy(R"({"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:GetObject","oss:ListObjects","oss:PutObject","fnf:*"],"Resource":"acs:oss:*:*:bkt/*"}]})");
  const Access access{"oss:PutObject", "acs:oss:*:1234567890123456:bkt/photos/2026/a.jpg"};
  for (auto _ : state) benchmark::DoNotOptimize(evaluate(*document, access));
}
BENCHMARK(evaluate_a_policy);

}  // namespace
}  // namespace mayfly::auth
