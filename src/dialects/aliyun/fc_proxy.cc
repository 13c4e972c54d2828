// HTTP triggers (aliyun-fc.md section 10): a request of any client becomes a call of a function, and its answer the function's. Functions
// that serve a port get large bodies as they come and may be upgraded to a tunnel; whoever streams its answer has it passed on from the
// first byte. When a function breaks off afterwards, so does the connection: nobody takes half an answer for a whole one.

#include <algorithm>
#include <array>
#include <charconv>

#include "auth/sign_acs3.h"
#include "auth/sign_fc.h"
#include "base/encoding.h"
#include "dialects/aliyun/fc_operations.h"
#include "dialects/aliyun/fc_outcome.h"
#include "runtime/runtimes.h"

namespace mayfly::dialects::aliyun {
namespace {

constexpr uint64_t kWholeBodyBytes = 64 << 10;  // a smaller body is read first: cheaper than a stream, and occupies no instance while it trickles in
// Of a function's HTTP answer, what the platform decides itself.
constexpr std::array<std::string_view, 7> kPlatformHeaders{"connection", "keep-alive", "content-length", "transfer-encoding", "server", "date", "upgrade"};

bool among(const std::array<std::string_view, 7>& names, std::string_view name) {
  return std::any_of(names.begin(), names.end(), [name](std::string_view each) { return equals_ignore_case(each, name); });
}

// Whether the client asks for a WebSocket, and the function is of the kind that can speak it. No other protocol goes through: HTTP's own
// second version would carry requests past the trigger's methods and signature.
bool is_upgrade(const FcCall& call) {
  const auto& headers = call.request.headers;
  return call.serves_port && equals_ignore_case(headers.get("Upgrade"), "websocket") && lower(headers.get("Connection")).find("upgrade") != std::string::npos &&
         !headers.has("Transfer-Encoding") && call.request.body->declared_size().value_or(0) == 0;
}

struct Field {
  std::string_view name, value;
  bool written = false;
};

// Appends {name: [value, ...]} in order of first appearance.
void append_lists(std::string& out, std::vector<Field> fields) {
  out += '{';
  for (auto first = fields.begin(); first != fields.end(); ++first) {
    if (first->written) continue;
    if (first != fields.begin()) out += ',';
    append_json_string(out, first->name);
    out += ":[";
    append_json_string(out, first->value);
    for (auto other = first + 1; other != fields.end(); ++other) {
      if (other->name != first->name) continue;
      other->written = true;
      out += ',';
      append_json_string(out, other->value);
    }
    out += ']';
  }
  out += '}';
}

// What the function sees of the request (dispatch::Invocation::http).
std::string describe(const FcCall& call) {
  const http::Request& request = call.request;
  std::vector<Field> headers, queries;
  headers.reserve(request.headers.size());
  bool upgrade = is_upgrade(call);
  for (const auto& [name, value] : request.headers) {
    std::string lowered = lower(name);
    if (lowered == "connection" || lowered == "keep-alive" || lowered.starts_with("x-fc-") || (lowered == "upgrade" && !upgrade)) continue;
    headers.push_back({name, value});
  }
  for (const auto& [name, value] : call.query) queries.push_back({name, value});
  std::string uri = request.raw_path + (request.raw_query.empty() ? "" : "?" + request.raw_query);
  std::string_view base = call.service_path ? std::string_view(request.raw_path) : std::string_view();
  if (base.ends_with(call.rest)) base.remove_suffix(call.rest.size());
  std::string_view client = std::string_view(request.peer).substr(0, request.peer.rfind(':'));
  std::string out = "{";
  constexpr size_t kUsualBytes = 512;
  out.reserve(kUsualBytes);
  for (auto [name, value] : {std::pair<std::string_view, std::string_view>(R"("method":)", request.method), {R"(,"path":)", call.rest}, {R"(,"requestURI":)", uri},
                             {R"(,"clientIP":)", client}, {R"(,"host":)", request.host}, {R"(,"scheme":)", request.scheme}, {R"(,"basePath":)", base}}) {
    out += name;
    append_json_string(out, value);
  }
  out += R"(,"queries":)";
  append_lists(out, std::move(queries));
  out += R"(,"headers":)";
  append_lists(out, std::move(headers));
  out += '}';
  if (call.serves_port || is_ascii(out)) return out;
  return to_utf8(out);  // the readers in the sandboxes take no other
}

// What the answer to a HEAD says the body's length would be.
std::optional<uint64_t> announced(const json::value& value) {
  const json::array* values = value.if_array();
  const json::value& text = values && !values->empty() ? values->front() : value;
  uint64_t length = 0;
  if (!text.is_string()) return std::nullopt;
  std::string_view digits = view(text.get_string());
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return length;
}

// The function's own answer: {status, headers{name: [values] or value}} and the body.
http::Response http_answer(const FcCall& call, const std::string& http) {
  http::Response response;
  auto answer = parse_json_of_bytes(http);
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
    if (call.request.method == "HEAD" && equals_ignore_case(name, "Content-Length")) response.head_length = announced(member.value());
    if (among(kPlatformHeaders, name)) continue;
    if (member.value().is_string()) response.headers.add(name, std::string(view(member.value().get_string())));
    if (const json::array* values = member.value().if_array())
      for (const auto& value : *values)
        if (value.is_string()) response.headers.add(name, std::string(view(value.get_string())));
  }
  return response;
}

FcExpected<std::shared_ptr<const functions::Trigger>> http_trigger(const FcCall& call) {
  auto trigger = call.context.catalogue.trigger_for(call.service, call.function, "http", call.qualifier);
  if (!trigger) return std::unexpected(fc_error(call, trigger.error(), "Function"));
  if (*trigger) return std::move(*trigger);
  return refuse(404, "TriggerNotFound", fmt::format("function '{}' has no HTTP trigger for {}", call.function, call.qualifier.empty() ? functions::kLatest : call.qualifier));
}

// Whether the request may pass the trigger: its method, and for authType "function" its signature and policy.
FcExpected<void> admit(FcCall& call, const functions::Trigger& trigger) {
  const json::object& config = trigger.config;
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

// A reply that has begun: its head is the function's, its body follows as it comes.
http::Response begun_answer(const FcCall& call, runtime::Opening opening) {
  http::Response response = http_answer(call, opening.http);
  if (opening.tunnel) {
    response.status = 101;
    response.headers.add("Upgrade", "websocket");
    response.tunnel = std::move(opening.tunnel);
    return response;
  }
  response.stream = std::move(opening.body);
  return response;
}

// A reply that came whole, or what happened instead of one.
http::Response ended_answer(const FcCall& call, dispatch::Outcome outcome) {
  bool own = outcome.kind == dispatch::Outcome::Kind::ok || !outcome.http.empty();
  http::Response response;
  if (own) {
    response = http_answer(call, outcome.http);
  } else {
    response.status = outcome.kind == dispatch::Outcome::Kind::timed_out ? 504 : 502;
    response.headers.add("Content-Type", "application/json");
  }
  add_outcome_headers(response.headers, call, outcome);
  response.body = std::move(outcome.body);
  return response;
}

}  // namespace

FcExpected<void> fc_admit_proxy(FcCall& call) {
  auto trigger = http_trigger(call);
  if (!trigger) return std::unexpected(trigger.error());
  if (auto admitted = admit(call, **trigger); !admitted) return admitted;
  auto runnable = call.context.catalogue.resolve(call.service, call.qualifier, call.function, 0);
  const auto* kind = runnable ? runtime::find_runtime((*runnable)->function.runtime) : nullptr;
  call.serves_port = call.context.streams && kind && kind->executor == runtime::Executor::http;
  bool unknown = call.request.headers.has("Transfer-Encoding");
  bool large = unknown || call.request.body->declared_size().value_or(0) > kWholeBodyBytes;
  // A signature over the body's digest can only be checked once the body is here.
  call.streams_body = call.serves_port && large && !auth::carries_acs3_signature(call.request);
  return {};
}

io::Task<FcAnswer> fc_proxy(FcCall& call) {
  dispatch::Invocation invocation = invocation_of(call, "http", describe(call));
  auto deadline = io::Deadline::after_us(call.loop, kMaxWaitUs);
  if (!call.context.streams) {
    auto outcome = co_await call.context.invoker.invoke(call.loop, std::move(invocation), deadline);
    if (!outcome) co_return std::unexpected(fc_error(call, outcome.error()));
    co_return ended_answer(call, std::move(*outcome));
  }
  auto body = call.streams_body ? std::move(call.request.body) : nullptr;
  auto begun = co_await call.context.streams->begin(call.loop, std::move(invocation), std::move(body), deadline);
  if (begun.opening) co_return begun_answer(call, std::move(*begun.opening));
  if (!*begun.ended) co_return std::unexpected(fc_error(call, begun.ended->error()));
  co_return ended_answer(call, std::move(**begun.ended));
}

}  // namespace mayfly::dialects::aliyun
