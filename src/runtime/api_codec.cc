#include "runtime/api_codec.h"

#include <sys/wait.h>

#include <cctype>
#include <cstring>

#include "base/encoding.h"
#include "base/json.h"
#include "functions/observing.h"
#include "runtime/api_http.h"
#include "runtime/frame.h"
#include "runtime/plan.h"
#include "runtime/process.h"

namespace mayfly::runtime {
namespace {

// "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0": the digits are the request's own, so that a trace can be found by its request.
std::string trace_id(const Call& call, int64_t deadline_ms) {
  std::string digits;
  for (char c : call.request_id)
    if (std::isxdigit(static_cast<unsigned char>(c))) digits += c;
  digits.resize(24, '0');
  return fmt::format("Root=1-{:08x}-{};Sampled=0", static_cast<uint32_t>(deadline_ms / 1000), digits);
}

void add_fc_head(const StartContext& context, const Call& call, CallType type, int64_t deadline_ms, http::Headers& head) {
  const auto& runnable = *context.runnable;
  const auto& function = runnable.function;
  head.add("x-fc-request-id", call.request_id);
  head.add("x-fc-function-deadline", std::to_string(deadline_ms));
  head.add("x-fc-access-key-id", call.credentials.access_key_id);
  head.add("x-fc-access-key-secret", call.credentials.access_key_secret);
  head.add("x-fc-security-token", call.credentials.security_token);
  head.add("x-fc-function-type", std::to_string(static_cast<int>(type)));
  head.add("x-fc-function-name", function.name);
  head.add("x-fc-function-handler", function.handler);
  head.add("x-fc-function-memory", std::to_string(function.memory_mb));
  head.add("x-fc-function-timeout", std::to_string(function.timeout_s));
  head.add("x-fc-service-name", function.service);
  auto logs = functions::log_target(runnable.service);
  head.add("x-fc-service-logproject", logs.project);
  head.add("x-fc-service-logstore", logs.store);
  head.add("x-fc-qualifier", qualifier_of(runnable));
  head.add("x-fc-version-id", runnable.version);
  head.add("x-fc-region", context.region);
  head.add("x-fc-account-id", context.account);
  head.add("x-fc-retry-count", std::to_string(call.retry_count));
  if (std::string endpoint = functions::tracing_endpoint(runnable.service); !endpoint.empty()) {
    head.add("x-fc-tracing-opentracing-span-context", span_context(call.request_id));
    head.add("x-fc-tracing-opentracing-span-baggages", base64_encode("{}"));
    head.add("x-fc-tracing-jaeger-endpoint", endpoint);
  }
  if (!call.http.empty()) head.add("x-fc-http-params", fc_http_params(call.http));
}

// As Go's os/exec says it, which is what the vendor's messages quote.
std::string exit_text(int wait_status) {
  if (!WIFSIGNALED(wait_status)) return fmt::format("exit status {}", WEXITSTATUS(wait_status));
  const char* name = ::sigdescr_np(WTERMSIG(wait_status));
  return fmt::format("signal: {}", name ? lower(name) : std::to_string(WTERMSIG(wait_status)));
}

std::string scf_error(std::string_view message, std::string_view type, int code) {
  return to_text(json::object{{"errorCode", -1}, {"errorMessage", message}, {"errorType", type}, {"statusCode", code}});
}

std::string message_of(const std::string& error) { return string_or(parse_json(error).value_or(nullptr), "errorMessage", error); }

}  // namespace

size_t max_reply_bytes(Contract contract) { return contract == Contract::scf ? kMaxScfReplyBytes : kMaxPayloadBytes; }

std::string lambda_version(const functions::Runnable& runnable) { return runnable.version.empty() ? "$LATEST" : runnable.version; }

std::string lambda_arn(const StartContext& context) {
  const auto& runnable = *context.runnable;
  std::string arn = fmt::format("arn:aws:lambda:{}:{}:function:{}", context.region, context.account, runnable.function.name);
  if (!runnable.qualifier.empty() && runnable.qualifier != functions::kLatest) arn += ":" + runnable.qualifier;
  return arn;
}

http::Headers call_head(Contract contract, const StartContext& context, const Call& call, CallType type, int64_t deadline_ms) {
  constexpr size_t kFields = 24;
  http::Headers head;
  head.reserve(kFields);
  head.add("Content-Type", contract == Contract::fc ? "application/octet-stream" : "application/json");
  const auto& function = context.runnable->function;
  if (contract == Contract::lambda) {
    head.add("Lambda-Runtime-Aws-Request-Id", call.request_id);
    head.add("Lambda-Runtime-Deadline-Ms", std::to_string(deadline_ms));
    head.add("Lambda-Runtime-Invoked-Function-Arn", lambda_arn(context));
    head.add("Lambda-Runtime-Trace-Id", trace_id(call, deadline_ms));
  } else if (contract == Contract::scf) {
    head.add("request_id", call.request_id);
    head.add("memory_limit_in_mb", std::to_string(function.memory_mb));
    head.add("time_limit_in_ms", std::to_string(function.timeout_s * 1000));
  } else {
    add_fc_head(context, call, type, deadline_ms, head);
  }
  return head;
}

std::string own_error(Contract contract, int scf_code, std::string_view type, std::string_view message) {
  return contract == Contract::scf ? scf_error(message, type, scf_code) : error_json(message, type);
}

std::string reported_error(Contract contract, std::string body, std::string_view type) {
  auto sent = parse_json(body);
  if (sent && sent->is_object()) return body;
  std::string text = to_utf8(body);
  return own_error(contract, 430, contract == Contract::scf ? "UserCodeException" : type.empty() ? "Runtime.Unknown" : type, text);
}

std::optional<std::string> trailing_error(const http::Headers& trailers) {
  std::string type = trailers.get("Lambda-Runtime-Function-Error-Type");
  const std::string* body = trailers.find("Lambda-Runtime-Function-Error-Body");
  if (type.empty() && !body) return std::nullopt;
  auto decoded = body ? base64_decode(*body) : std::nullopt;
  return reported_error(Contract::lambda, decoded.value_or(""), type);
}

void word_death(Contract contract, const std::string& request_id, Reply& reply) {
  reply.worded = contract != Contract::fc;
  bool memory = reply.kind == Reply::Kind::out_of_memory;
  std::string how = exit_text(reply.exit_status);
  if (contract == Contract::lambda && !memory)
    reply.body = error_json(fmt::format("RequestId: {} Error: Runtime exited with error: {}", request_id, how), "Runtime.ExitError");
  if (contract == Contract::scf && memory) reply.body = scf_error(message_of(reply.body), "MemoryLimitReached", 434);
  if (contract == Contract::scf && !memory) reply.body = scf_error(fmt::format("Process exited ({}) before it answered", how), "ContainerStateExited", 405);
}

void word_timeout(Contract contract, const std::string& request_id, int64_t timeout_s, int64_t wall_us, Reply& reply) {
  reply.worded = contract != Contract::fc;
  if (contract == Contract::lambda)
    reply.body = error_json(fmt::format("{} {} Task timed out after {}.00 seconds", iso8601_ms(wall_us), request_id, timeout_s), "Sandbox.Timedout");
  if (contract == Contract::scf) reply.body = scf_error(fmt::format("Invoking task timed out after {} seconds", timeout_s), "TimeLimitReached", 433);
}

http::Response api_accepted(Contract contract) {
  http::Response response{.status = contract == Contract::lambda ? 202 : 200, .body = R"({"status":"OK"})"};
  response.headers.add("Content-Type", "application/json");
  return response;
}

http::Response api_refused(int status, std::string_view type, std::string_view message) {
  http::Response response{.status = status, .body = error_json(message, type)};
  response.headers.add("Content-Type", "application/json");
  return response;
}

}  // namespace mayfly::runtime
