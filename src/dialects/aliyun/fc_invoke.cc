// Calling functions: the API's invocations and the HTTP triggers (aliyun-fc.md sections 6 and 10).

#include <algorithm>
#include <array>

#include "auth/sign_fc.h"
#include "base/encoding.h"
#include "dialects/aliyun/fc_operations.h"

namespace mayfly::dialects::aliyun {
namespace {

constexpr std::string_view kExposed =
    "Date,x-fc-request-id,x-fc-error-type,x-fc-code-checksum,x-fc-invocation-duration,x-fc-max-memory-usage,x-fc-log-result,x-fc-invocation-code-version";
constexpr int64_t kBytesPerMb = 1 << 20;
// Of a function's HTTP answer, what the platform decides itself.
constexpr std::array<std::string_view, 6> kPlatformHeaders{"connection", "keep-alive", "content-length", "transfer-encoding", "server", "date"};

bool among(const std::array<std::string_view, 6>& names, std::string_view name) {
  return std::any_of(names.begin(), names.end(), [name](std::string_view each) { return equals_ignore_case(each, name); });
}

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
  headers.set("Access-Control-Expose-Headers", std::string(kExposed));
  if (outcome.kind != dispatch::Outcome::Kind::ok) headers.set("X-Fc-Error-Type", std::string(error_type(outcome.kind)));
  if (equals_ignore_case(call.request.headers.get("x-fc-log-type"), "Tail")) headers.set("X-Fc-Log-Result", base64_encode(framed_log(call, outcome)));
}

dispatch::Invocation invocation_of(FcCall& call, std::string_view source, std::string http) {
  return {.request_id = call.request_id, .target = {call.service, call.function, call.qualifier}, .payload = std::move(call.bytes),
          .source = std::string(source), .http = std::move(http)};
}

// {name: [value, ...]} in order of first appearance.
void append(json::object& lists, const std::string& name, const std::string& value) {
  auto [at, added] = lists.emplace(name, json::array());
  at->value().get_array().emplace_back(value);
}

// What the function sees of the request (dispatch::Invocation::http).
std::string describe(const FcCall& call) {
  json::object headers, queries;
  for (const auto& [name, value] : call.request.headers) {
    std::string lowered = lower(name);
    if (lowered == "connection" || lowered == "keep-alive" || lowered.starts_with("x-fc-")) continue;
    append(headers, name, value);
  }
  for (const auto& [name, value] : call.query) append(queries, name, value);
  std::string uri = call.request.raw_path + (call.request.raw_query.empty() ? "" : "?" + call.request.raw_query);
  std::string client = call.request.peer.substr(0, call.request.peer.rfind(':'));
  return to_text(json::object{{"method", call.request.method}, {"path", call.rest}, {"requestURI", uri}, {"clientIP", client},
                              {"host", call.request.host}, {"queries", queries}, {"headers", headers}});
}

// The function's own answer: {status, headers{name: [values] or value}} and the body.
http::Response http_answer(dispatch::Outcome& outcome) {
  http::Response response{.body = std::move(outcome.body)};
  auto answer = parse_json(outcome.http);
  if (!answer) {
    response.headers.add("Content-Type", "application/octet-stream");
    return response;
  }
  int64_t status = int_or(*answer, "status", 200);
  response.status = status >= 200 && status <= 599 ? static_cast<int>(status) : 502;
  const json::value* headers = find(*answer, "headers");
  if (!headers || !headers->is_object()) return response;
  for (const auto& member : headers->get_object()) {
    std::string name(member.key());
    if (among(kPlatformHeaders, name)) continue;
    if (member.value().is_string()) response.headers.add(name, std::string(view(member.value().get_string())));
    if (const json::array* values = member.value().if_array())
      for (const auto& value : *values)
        if (value.is_string()) response.headers.add(name, std::string(view(value.get_string())));
  }
  return response;
}

FcExpected<functions::Trigger> http_trigger(const FcCall& call) {
  auto page = call.context.catalogue.triggers(call.service, call.function, {});
  if (!page) return std::unexpected(fc_error(call, page.error(), "Function"));
  std::string wanted = call.qualifier.empty() ? std::string(functions::kLatest) : call.qualifier;
  for (const auto& trigger : page->items)
    if (trigger.type == "http" && (trigger.qualifier.empty() ? std::string(functions::kLatest) : trigger.qualifier) == wanted) return trigger;
  return refuse(404, "TriggerNotFound", fmt::format("function '{}' has no HTTP trigger for {}", call.function, wanted));
}

// Whether the request may pass the trigger: its method, and for authType "function" its signature and policy.
FcExpected<void> admit(FcCall& call, const functions::Trigger& trigger) {
  json::value config = trigger.config;
  const json::value* methods = find_ignore_case(config, "methods");
  bool allowed = !methods || !methods->is_array();
  if (!allowed)
    for (const auto& method : methods->get_array()) allowed = allowed || (method.is_string() && equals_ignore_case(view(method.get_string()), call.request.method));
  if (!allowed) return refuse(403, "AccessDenied", fmt::format("method {} is not allowed by trigger '{}'", call.request.method, trigger.name));
  const json::value* type = find_ignore_case(config, "authType");
  if (type && type->is_string() && equals_ignore_case(view(type->get_string()), "anonymous")) return {};
  auto identity = call.context.verify(call.request);
  if (!identity) return std::unexpected(fc_error(identity.error()));
  call.identity = *identity;
  if (!call.context.authorizer.allows(call.identity, {"fc:InvokeFunction", call.arn(fmt::format("services/{}/functions/{}", call.service, call.function))}))
    return refuse(403, "AccessDenied", "the caller may not invoke this function");
  return {};
}

}  // namespace

io::Task<FcAnswer> fc_invoke(FcCall& call) {
  if (equals_ignore_case(call.request.headers.get("x-fc-invocation-type"), "Async")) {
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

FcExpected<void> fc_admit_proxy(FcCall& call) {
  auto trigger = http_trigger(call);
  if (!trigger) return std::unexpected(trigger.error());
  return admit(call, *trigger);
}

io::Task<FcAnswer> fc_proxy(FcCall& call) {
  std::string description = describe(call);
  auto outcome = co_await call.context.invoker.invoke(call.loop, invocation_of(call, "http", std::move(description)),
                                                      io::Deadline::after_us(call.loop, kMaxWaitUs));
  if (!outcome) co_return std::unexpected(fc_error(call, outcome.error()));
  if (outcome->kind == dispatch::Outcome::Kind::ok) {
    http::Response response = http_answer(*outcome);
    add_outcome_headers(response.headers, call, *outcome);
    co_return response;
  }
  http::Response response{.status = outcome->kind == dispatch::Outcome::Kind::timed_out ? 504 : 502, .body = outcome->body};
  response.headers.add("Content-Type", "application/json");
  add_outcome_headers(response.headers, call, *outcome);
  co_return response;
}

}  // namespace mayfly::dialects::aliyun
