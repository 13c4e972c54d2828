#include "runtime/http_contract.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/encoding.h"
#include "base/json.h"
#include "functions/lifecycle.h"
#include "functions/observing.h"
#include "runtime/process.h"
#include "sys/file.h"

namespace mayfly::runtime {
namespace {

constexpr uint16_t kKnativePort = 8080;  // of a container that names none
constexpr uint16_t kScfPort = 9000;
constexpr const char* kStatusField = "x-fc-status";
constexpr const char* kTracingField = "x-fc-tracing-jaeger-endpoint";

std::unexpected<Failure<StartError>> cannot(std::string what, std::string hint = {}) {
  return fail(StartError::initializer, error_json(hint.empty() ? what : what + ": " + hint, "FunctionNotStarted"), std::move(hint));
}

// A program of the package: there, and executable.
Expected<void, StartError> check_program(const StartContext& context, std::string_view name) {
  std::string path = context.runnable->code_path + "/" + std::string(name);
  if (context.runnable->code_path.empty() || !sys::exists(path))
    return cannot(fmt::format("the code package has no file \"{}\"", name), "it is the program that a function of this runtime is started by");
  if (!sys::is_executable(path)) return cannot(fmt::format("\"{}\" of the code package is not executable", name), fmt::format("chmod 755 {} before packing it", name));
  return {};
}

bool names_a_port(const functions::Function& function) {
  const json::value vendor = function.vendor;
  const json::value* config = find_ignore_case(vendor, "customRuntimeConfig");
  const json::value* port = config && config->is_object() ? find_ignore_case(*config, "port") : nullptr;
  const json::value* shared = find_ignore_case(vendor, "caPort");
  return (port && !port->is_null()) || (shared && !shared->is_null());
}

Expected<ServerProgram, StartError> fc_program(const StartContext& context, const std::string& code) {
  const auto& function = context.runnable->function;
  ServerProgram program;
  if (auto container = functions::custom_container(function); container && function.runtime == "custom-container") {
    if (container->command.empty())
      return fail(StartError::unsupported, fmt::format("image {} cannot be run: Mayfly starts programs, not images", container->image),
                  "put the program into the code package and name it in the container configuration's command");
    if (!container->serves_http) return fail(StartError::unsupported, "a container that serves no HTTP (webServerMode false) cannot be called");
    program.command = container->command;
    program.command.insert(program.command.end(), container->args.begin(), container->args.end());
    program.port = static_cast<uint16_t>(container->port);
  } else {
    auto runtime = functions::custom_runtime(function);
    program.command = runtime.command;
    program.port = static_cast<uint16_t>(runtime.port);
  }
  if (program.command.empty()) program.command = {"./bootstrap"};
  if (program.command.front() == "./bootstrap") MAYFLY_TRY_VOID(check_program(context, "bootstrap"));
  program.command = resolve_command(std::move(program.command), code);
  return program;
}

// "http://127.0.0.1:5000/base" -> 5000; 0 if there is none.
uint16_t port_of_url(std::string_view url) {
  size_t scheme = url.find("://");
  if (scheme != url.npos) url.remove_prefix(scheme + 3);
  url = url.substr(0, url.find('/'));
  size_t colon = url.rfind(':');
  if (colon == url.npos) return scheme == std::string_view::npos ? 0 : 80;
  unsigned port = 0;
  auto [end, error] = std::from_chars(url.data() + colon + 1, url.data() + url.size(), port);
  return error == std::errc() && end == url.data() + url.size() && port <= 65'535 ? static_cast<uint16_t>(port) : 0;
}

std::string variable(const functions::Function& function, std::string_view name, std::string_view other) {
  for (std::string_view each : {name, other})
    if (auto found = function.environment.find(std::string(each)); found != function.environment.end()) return found->second;
  return {};
}

Expected<ServerProgram, StartError> watchdog_program(const StartContext& context, const std::string& code) {
  const auto& function = context.runnable->function;
  std::string url = variable(function, "upstream_url", "http_upstream_url");
  uint16_t port = port_of_url(url);
  if (port == 0) return cannot("mode=http needs the function's own address in upstream_url", "for example upstream_url=http://127.0.0.1:5000");
  std::vector<std::string> words = split_at_spaces(variable(function, "fprocess", "function_process"));
  if (words.empty()) return cannot("fprocess is not set", "it is the program that serves " + url);
  return ServerProgram{.command = resolve_command(std::move(words), code), .port = port, .environment = {}};
}

Expected<ServerProgram, StartError> knative_program(const StartContext& context, const std::string& code) {
  const auto& runnable = *context.runnable;
  auto runtime = functions::custom_runtime(runnable.function);
  ServerProgram program{.command = std::move(runtime.command), .port = names_a_port(runnable.function) ? static_cast<uint16_t>(runtime.port) : kKnativePort, .environment = {}};
  if (program.command.empty()) {
    MAYFLY_TRY_VOID(check_program(context, "bootstrap"));
    program.command = {"./bootstrap"};
  }
  program.command = resolve_command(std::move(program.command), code);
  const std::string& name = runnable.function.name;
  std::string revision = fmt::format("{}-{:0>5}", name, runnable.version.empty() ? std::to_string(runnable.revision) : runnable.version);
  program.environment = {{"PORT", std::to_string(program.port)}, {"K_SERVICE", name}, {"K_CONFIGURATION", name}, {"K_REVISION", revision}};
  return program;
}

const std::array<std::string_view, 9> kHopFields{"connection", "keep-alive", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "expect", "proxy-connection"};

bool is_hop_field(std::string_view name) {
  return std::any_of(kHopFields.begin(), kHopFields.end(), [name](std::string_view each) { return equals_ignore_case(each, name); });
}

// S4.13: what stands between the client and the function. `client` is an address without a port.
void add_forwarded(http::Headers& headers, const std::string& client, const std::string& scheme, const std::string& host) {
  std::string chain = headers.get("X-Forwarded-For");
  headers.set("X-Forwarded-For", chain.empty() ? client : chain + ", " + client);
  if (!headers.has("X-Forwarded-Proto")) headers.set("X-Forwarded-Proto", scheme);
  std::string node = client.find(':') == client.npos ? client : "\"" + client + "\"";
  std::string forwarded = fmt::format("for={};proto={};host=\"{}\"", node, scheme, host);
  std::string earlier = headers.get("Forwarded");
  headers.set("Forwarded", earlier.empty() ? forwarded : earlier + ", " + forwarded);
}

void keep_http(const json::value& description, http::ClientRequest& request, Contract contract) {
  request.method = string_or(description, "method");
  std::string uri = string_or(description, "requestURI");
  size_t question = uri.find('?');
  std::string path = string_or(description, "path");
  std::string query = question == uri.npos ? std::string() : uri.substr(question + 1);
  request.target = path.empty() ? "/" : path;  // a rewritten one may have brought a query of its own
  if (!query.empty()) request.target += (request.target.find('?') == std::string::npos ? "?" : "&") + query;
  if (const json::value* headers = find(description, "headers"); headers && headers->is_object())
    for (const auto& field : headers->get_object()) {
      std::string name(field.key());
      const json::array* values = field.value().if_array();
      bool upgrade = equals_ignore_case(name, "Upgrade") && values && !values->empty();
      if (upgrade) request.upgrade = true;
      if (!values || (is_hop_field(name) && !upgrade)) continue;
      for (const auto& value : *values)
        if (value.is_string()) request.headers.add(name, std::string(view(value.get_string())));
    }
  std::string scheme = string_or(description, "scheme");
  if (contract == Contract::knative || contract == Contract::of_watchdog || !scheme.empty())
    add_forwarded(request.headers, string_or(description, "clientIP"), scheme.empty() ? "http" : scheme, string_or(description, "host"));
}

void add_id_and_keys(const std::string& request_id, const auth::Credentials& keys, http::Headers& headers) {
  headers.set("x-fc-request-id", request_id);
  headers.set("x-fc-access-key-id", keys.access_key_id);
  headers.set("x-fc-access-key-secret", keys.access_key_secret);
  headers.set("x-fc-security-token", keys.security_token);
}

void add_fc_call(const Call& call, const json::value* description, http::Headers& headers) {
  add_id_and_keys(call.request_id, call.credentials, headers);
  headers.set("x-fc-retry-count", std::to_string(call.retry_count));
  headers.set("x-fc-control-path", description ? "/http-invoke" : "/invoke");
  if (description) headers.set("x-fc-base-path", string_or(*description, "basePath"));
}

Reply::Kind fc_kind(int status, bool is_event) {
  if (status == 404) return Reply::Kind::handled_error;
  if (status >= 500) return Reply::Kind::failed;
  return is_event && (status < 200 || status > 299) ? Reply::Kind::handled_error : Reply::Kind::ok;
}

std::string seconds(int64_t us) { return fmt::format("{:.6f}", static_cast<double>(us) / kMicrosPerSecond); }

}  // namespace

Expected<ServerProgram, StartError> server_program(const StartContext& context, const RuntimeOptions& options, Contract contract) {
  std::string code = places(*context.runnable, options, contract).code;
  Expected<ServerProgram, StartError> program;
  switch (contract) {
    case Contract::knative: program = knative_program(context, code); break;
    case Contract::of_watchdog: program = watchdog_program(context, code); break;
    case Contract::scf_web:
      MAYFLY_TRY_VOID(check_program(context, "scf_bootstrap"));
      program = ServerProgram{.command = {code + "/scf_bootstrap"}, .port = kScfPort, .environment = {}};
      break;
    default: program = fc_program(context, code); break;
  }
  if (!program) return program;
  Environment all = environment(context, options, contract);
  for (const auto& [name, value] : program->environment) all[name] = value;  // PORT and what else the contract promises
  std::string port = std::to_string(program->port);
  if (contract == Contract::fc) {
    const auto& keys = context.credentials;
    all["FC_SERVER_PORT"] = all["FC_CUSTOM_LISTEN_PORT"] = port;
    all.emplace("ALIBABA_CLOUD_ACCESS_KEY_ID", keys.access_key_id);  // a template's own win
    all.emplace("ALIBABA_CLOUD_ACCESS_KEY_SECRET", keys.access_key_secret);
    all.emplace("ALIBABA_CLOUD_SECURITY_TOKEN", keys.security_token);
  }
  if (contract == Contract::fc || contract == Contract::scf_web) all.emplace("PORT", port);  // where most web frameworks look
  program->environment = std::move(all);
  return program;
}

http::Headers fixed_headers(const StartContext& context, Contract contract) {
  http::Headers headers;
  const auto& runnable = *context.runnable;
  const auto& function = runnable.function;
  if (contract == Contract::scf_web) {
    headers.add("X-Scf-Memory", std::to_string(function.memory_mb));
    headers.add("X-Scf-Timeout", std::to_string(function.timeout_s));
    headers.add("X-Scf-Version", runnable.version.empty() ? "$LATEST" : runnable.version);
    headers.add("X-Scf-Name", function.name);
    headers.add("X-Scf-Namespace", function.service);
    headers.add("X-Scf-Region", context.region);
    headers.add("X-Scf-Appid", context.account);
  }
  if (contract != Contract::fc) return headers;
  auto handler = [](const std::optional<functions::Hook>& hook) { return hook ? hook->handler : std::string(); };
  auto logs = functions::log_target(runnable.service);
  headers.add("x-fc-function-name", function.name);
  headers.add("x-fc-function-handler", function.handler);
  headers.add("x-fc-function-memory", std::to_string(function.memory_mb));
  headers.add("x-fc-function-timeout", std::to_string(function.timeout_s));
  headers.add("x-fc-function-initializer", handler(functions::initializer(function)));
  headers.add("x-fc-initialization-timeout", std::to_string(functions::initialization_limit_s(function)));
  headers.add("x-fc-service-name", function.service);
  headers.add("x-fc-service-logproject", logs.project);
  headers.add("x-fc-service-logstore", logs.store);
  headers.add("x-fc-region", context.region);
  headers.add("x-fc-account-id", context.account);
  headers.add("x-fc-qualifier", qualifier_of(runnable));
  headers.add("x-fc-version-id", runnable.version);
  headers.add("x-fc-instance-lifecycle-pre-stop-handler", handler(functions::pre_stop(function)));
  headers.add("x-fc-instance-lifecycle-pre-freeze-handler", handler(functions::pre_freeze(function)));
  if (std::string endpoint = functions::tracing_endpoint(runnable.service); !endpoint.empty()) {
    headers.add(kTracingField, endpoint);
    headers.add("x-fc-tracing-opentracing-span-baggages", base64_encode("{}"));
  }
  return headers;
}

http::ClientRequest request_of(const Call& call, const http::Headers& fixed, Contract contract) {
  http::ClientRequest request;
  std::optional<json::value> description;
  if (!call.http.empty()) description = parse_json_of_bytes(call.http).value_or(json::object());
  if (description) {
    keep_http(*description, request, contract);
  } else {
    request.method = "POST";
    request.target = contract == Contract::fc ? "/invoke" : "/";
    request.headers.add("Content-Type", "application/octet-stream");
  }
  for (const auto& [name, value] : fixed) request.headers.set(name, value);
  if (contract == Contract::fc) add_fc_call(call, description ? &*description : nullptr, request.headers);
  if (fixed.has(kTracingField)) request.headers.set("x-fc-tracing-opentracing-span-context", span_context(call.request_id));
  if (contract == Contract::scf_web) request.headers.set("X-Scf-Request-Id", call.request_id);
  if (contract == Contract::of_watchdog && !request.headers.has("X-Call-Id")) request.headers.set("X-Call-Id", call.request_id);
  return request;
}

http::ClientRequest hook_request(const std::string& path, const std::string& request_id, const auth::Credentials& credentials, const http::Headers& fixed) {
  http::ClientRequest request{.method = "GET", .target = path, .headers = fixed};
  request.headers.set("x-fc-control-path", path);
  add_id_and_keys(request_id, credentials, request.headers);
  return request;
}

Verdict verdict_of(int status, const http::Headers& headers, bool is_event, Contract contract, int64_t run_us) {
  Verdict verdict;
  const std::string* own = contract == Contract::fc ? headers.find(kStatusField) : nullptr;
  int meant = status;
  if (own) std::from_chars(own->data(), own->data() + own->size(), meant);
  // Of an HTTP function's own statuses only the header's speak to the platform: 404 and 500 are ordinary answers of a web server.
  if (contract == Contract::fc && (is_event || own)) verdict.kind = fc_kind(meant, is_event);
  if (is_event && contract == Contract::fc) return verdict;
  json::object fields;
  auto add = [&fields](const std::string& name, const std::string& value) {
    auto [at, added] = fields.emplace(name, json::array());
    at->value().get_array().emplace_back(value);
  };
  for (const auto& [name, value] : headers)
    if (!(own && equals_ignore_case(name, kStatusField))) add(name, value);
  if (contract == Contract::of_watchdog) add("X-Duration-Seconds", seconds(run_us));
  verdict.http = to_text(json::object{{"status", status}, {"headers", std::move(fields)}});
  return verdict;
}

Reply late_reply(Contract contract, int64_t run_us) {
  Reply reply{.kind = Reply::Kind::timed_out, .run_us = run_us};
  json::object headers{{"Content-Type", "text/plain"}};
  if (contract == Contract::knative) {
    reply.body = "request timeout";
  } else if (contract == Contract::of_watchdog) {
    headers["X-OpenFaaS-Internal"] = "of-watchdog";
    headers["X-Duration-Seconds"] = seconds(run_us);
  } else {
    return reply;
  }
  reply.kind = Reply::Kind::handled_error;  // these contracts keep the instance
  reply.http = to_text(json::object{{"status", 504}, {"headers", std::move(headers)}});
  return reply;
}

}  // namespace mayfly::runtime
