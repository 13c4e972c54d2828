// Calling functions through the API (aliyun-fc.md section 6).

#include "base/encoding.h"
#include "dialects/aliyun/fc_operations.h"
#include "dialects/aliyun/fc_outcome.h"

namespace mayfly::dialects::aliyun {
namespace {

constexpr std::string_view kExposed =
    "Date,x-fc-request-id,x-fc-error-type,x-fc-code-checksum,x-fc-invocation-duration,x-fc-max-memory-usage,x-fc-log-result,x-fc-invocation-code-version";
constexpr int64_t kBytesPerMb = 1 << 20;
std::string_view error_type(dispatch::Outcome::Kind kind) {
  switch (kind) {
    case dispatch::Outcome::Kind::ok: return {};
    case dispatch::Outcome::Kind::handled_error: return "HandledInvocationError";
    case dispatch::Outcome::Kind::timed_out: return "FunctionTimedOut";
    default: return "UnhandledInvocationError";
  }
}

// What the invocation printed, between the two lines that frame a run (section 5.8), at most 4 KB of it.
std::string framed_log(const FcCall& call, const dispatch::Outcome& outcome) {
  std::string end = "FC Invoke End RequestId: " + call.request_id;
  if (outcome.kind != dispatch::Outcome::Kind::ok) end += fmt::format(", Error: {}", error_type(outcome.kind));
  std::string log = fmt::format("FC Invoke Start RequestId: {}\n{}", call.request_id, outcome.log_tail);
  if (!log.ends_with('\n')) log += '\n';
  log += end + "\n";
  constexpr size_t kTail = 4'096;
  return log.size() > kTail ? log.substr(log.size() - kTail) : log;
}

}  // namespace

void add_outcome_headers(http::Headers& headers, const FcCall& call, const dispatch::Outcome& outcome) {
  constexpr size_t kFields = 12;  // with those that the callers add
  headers.reserve(headers.size() + kFields);
  const dispatch::Phases& phases = outcome.phases;
  int64_t duration_us = phases.run_us + phases.import_us + phases.init_us;
  headers.set("X-Fc-Invocation-Duration", std::to_string((duration_us + kMicrosPerMilli - 1) / kMicrosPerMilli));
  int64_t hundredths = (outcome.memory_bytes * 100 + kBytesPerMb / 2) / kBytesPerMb;  // of a MB; printing a double costs as much as parsing the request
  headers.set("X-Fc-Max-Memory-Usage", fmt::format("{}.{:02}", hundredths / 100, hundredths % 100));
  std::string version = outcome.version.empty() ? std::string(functions::kLatest) : outcome.version;
  headers.set("X-Fc-Invocation-Service-Version", version);
  headers.set("X-Fc-Invocation-Code-Version", version);
  headers.set("X-Fc-Code-Checksum", outcome.code_checksum);
  if (!outcome.instance_id.empty()) headers.set("X-Fc-Instance-Id", outcome.instance_id);
  if (!headers.has("Access-Control-Expose-Headers")) headers.set("Access-Control-Expose-Headers", std::string(kExposed));  // a function's own stands
  if (outcome.kind != dispatch::Outcome::Kind::ok) headers.set("X-Fc-Error-Type", std::string(error_type(outcome.kind)));
  bool may_read_log = call.identity.kind != auth::Identity::Kind::anonymous;  // what is printed is the function's owner's
  if (may_read_log && equals_ignore_case(call.request.headers.get("x-fc-log-type"), "Tail")) headers.set("X-Fc-Log-Result", base64_encode(framed_log(call, outcome)));
}

dispatch::Invocation invocation_of(FcCall& call, std::string_view source, std::string http) {
  return {.request_id = call.request_id, .target = {call.service, call.function, call.qualifier}, .payload = std::move(call.bytes),
          .source = std::string(source), .http = std::move(http)};
}

bool is_async(const FcCall& call) { return equals_ignore_case(call.request.headers.get("x-fc-invocation-type"), "Async"); }

io::Task<FcAnswer> fc_invoke(FcCall& call) {
  if (is_async(call)) {
    dispatch::Invocation invocation = invocation_of(call, "async", "");
    co_return co_await fc_invoke_async(call, std::move(invocation));
  }
  auto outcome = co_await call.context.invoker.invoke(call.loop, invocation_of(call, "api", ""), io::Deadline::after_us(call.loop, kMaxWaitUs));
  if (!outcome) co_return std::unexpected(fc_error(call, outcome.error()));
  http::Response response;
  add_outcome_headers(response.headers, call, *outcome);
  // The node client parses what is called JSON, so only an error is, and only if it is (section 6).
  bool json = outcome->kind != dispatch::Outcome::Kind::ok && parse_json(outcome->body).has_value();
  response.headers.set("Content-Type", json ? "application/json" : "application/octet-stream");
  response.body = std::move(outcome->body);
  co_return response;
}

}  // namespace mayfly::dialects::aliyun
