#include "runtime/api_http.h"

#include "base/clock.h"
#include "base/encoding.h"
#include "base/json.h"
#include "runtime/api_codec.h"

namespace mayfly::runtime {
namespace {

// "x-request-id" as "X-Request-Id".
std::string canonical(std::string_view name) {
  std::string out = lower(name);
  bool begins = true;
  for (char& c : out) {
    if (begins && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    begins = c == '-';
  }
  return out;
}

void append(json::object& lists, std::string_view name, const json::value& value) {
  auto [at, added] = lists.emplace(name, json::array());
  at->value().get_array().push_back(value);
}

// {name: value or [values]} as {name: [values]}; numbers and truths as their text, whatever else is no text is left out.
json::object lists_of(const json::value* members) {
  json::object out;
  const json::object* object = members ? members->if_object() : nullptr;
  if (!object) return out;
  for (const auto& [name, value] : *object) {
    if (const json::array* list = value.if_array()) {
      for (const auto& each : *list)
        if (each.is_string()) append(out, name, each);
    } else if (value.is_string()) {
      append(out, name, value);
    } else if (!value.is_null() && !value.is_object()) {
      append(out, name, json::string(to_text(value)));
    }
  }
  return out;
}

// {name: [values]} with values joined by `between`, names in lower case.
json::object joined(const json::object& lists, std::string_view between) {
  json::object out;
  for (const auto& [name, values] : lists) {
    std::string all;
    for (const auto& each : values.get_array()) all += (all.empty() ? "" : std::string(between)) + std::string(view(each.get_string()));
    out[name] = all;
  }
  return out;
}

json::object lower_names(const json::object& lists) {
  json::object out;
  for (const auto& [name, values] : lists)
    for (const auto& each : values.get_array()) append(out, lower(name), each);
  return out;
}

std::string http_text(int64_t status, json::object headers) { return to_text(json::object{{"status", status}, {"headers", std::move(headers)}}); }

// Status, headers and cookies of Lambda's and SCF's answers.
std::optional<std::string> integrated(const json::value& sent) {
  int64_t status = int_or(sent, "statusCode", 200);
  if (status < 200 || status > 599) return std::nullopt;
  json::object headers = lists_of(find(sent, "headers"));
  for (auto& [name, values] : lists_of(find(sent, "multiValueHeaders"))) headers[name] = values;
  if (const json::value* cookies = find(sent, "cookies"); cookies && cookies->is_array())
    for (const auto& each : cookies->get_array())
      if (each.is_string()) append(headers, "Set-Cookie", each);
  return http_text(status, std::move(headers));
}

bool is_text(std::string_view bytes) { return to_utf8(bytes) == bytes; }

void add_body(const std::string& payload, json::object& event) {
  bool text = is_text(payload);
  if (!payload.empty()) event["body"] = text ? payload : base64_encode(payload);
  event["isBase64Encoded"] = !text;
}

struct Asked {
  json::value http;
  std::string method, path, query, host, client;
  json::object headers, queries;  // {name: [values]}; header names in lower case
};
Asked asked(std::string_view http) {
  Asked out{.http = parse_json_of_bytes(http).value_or(json::object())};
  out.method = string_or(out.http, "method", "GET");
  out.path = string_or(out.http, "path", "/");
  std::string uri = string_or(out.http, "requestURI");
  size_t mark = uri.find('?');
  if (mark != uri.npos) out.query = uri.substr(mark + 1);
  out.host = string_or(out.http, "host");
  out.client = string_or(out.http, "clientIP");
  out.headers = lower_names(lists_of(find(out.http, "headers")));
  out.queries = lists_of(find(out.http, "queries"));
  return out;
}

std::string lambda_event(const StartContext& context, const Call& call, int64_t wall_us) {
  Asked ask = asked(call.http);
  json::array cookies;
  if (const json::value* sent = ask.headers.if_contains("cookie")) cookies = sent->get_array();
  ask.headers.erase("cookie");
  json::object headers = joined(ask.headers, ",");
  json::object about{{"accountId", context.account},
                     {"apiId", context.runnable->function.name},
                     {"domainName", ask.host},
                     {"domainPrefix", ask.host.substr(0, ask.host.find('.'))},
                     {"http",
                      {{"method", ask.method}, {"path", ask.path}, {"protocol", "HTTP/1.1"}, {"sourceIp", ask.client}, {"userAgent", string_or(headers, "user-agent")}}},
                     {"requestId", call.request_id},
                     {"routeKey", "$default"},
                     {"stage", "$default"},
                     {"time", iso8601_s(wall_us)},
                     {"timeEpoch", wall_us / kMicrosPerMilli}};
  json::object event{{"version", "2.0"},       {"routeKey", "$default"},   {"rawPath", ask.path},           {"rawQueryString", ask.query},
                     {"headers", headers}, {"requestContext", about}};
  if (!cookies.empty()) event["cookies"] = cookies;
  if (!ask.queries.empty()) event["queryStringParameters"] = joined(ask.queries, ",");
  add_body(call.payload, event);
  return to_text(event);
}

std::string scf_event(const StartContext& context, const Call& call) {
  Asked ask = asked(call.http);
  const auto& function = context.runnable->function;
  json::object about{{"serviceId", function.service}, {"path", ask.path},          {"httpMethod", ask.method}, {"requestId", call.request_id},
                     {"identity", json::object()},    {"sourceIp", ask.client}, {"stage", "release"}};
  json::object event{{"requestContext", about},
                     {"headers", joined(ask.headers, ",")},
                     {"pathParameters", json::object()},
                     {"queryStringParameters", json::object()},
                     {"headerParameters", json::object()},
                     {"stageVariables", json::object()},
                     {"path", ask.path},
                     {"queryString", joined(ask.queries, ",")},
                     {"httpMethod", ask.method}};
  add_body(call.payload, event);
  if (!event["isBase64Encoded"].get_bool()) event.erase("isBase64Encoded");  // T2.1: there only when it is so
  return to_text(event);
}

}  // namespace

std::string fc_http_params(std::string_view http) {
  Asked ask = asked(http);
  json::object headers;
  for (const auto& [name, values] : ask.headers) headers[canonical(name)] = values;
  return base64_encode(to_text(json::object{{"path", percent_decode(ask.path)},  // Go's URL.Path, to which the SDK gives it, is the decoded one
                                            {"method", ask.method},
                                            {"requestURI", string_or(ask.http, "requestURI", "/")},
                                            {"clientIP", ask.client},
                                            {"host", ask.host},
                                            {"queriesMap", ask.queries},
                                            {"headersMap", headers}}));
}

std::optional<std::string> fc_http_answer(std::string_view params) {
  auto bytes = base64_decode(params);
  if (!bytes) return std::nullopt;
  auto answer = parse_json(*bytes);
  if (!answer || !answer->is_object()) return std::nullopt;
  int64_t status = int_or(*answer, "status");
  if (status == 0) status = 200;
  if (status < 200 || status > 599) return std::nullopt;
  return http_text(status, lists_of(find(*answer, "headersMap")));
}

std::string http_event(Contract contract, const StartContext& context, const Call& call, int64_t wall_us) {
  return contract == Contract::lambda ? lambda_event(context, call, wall_us) : scf_event(context, call);
}

std::optional<HttpResult> http_result(std::string result) {
  auto sent = parse_json(result);
  if (!sent) return HttpResult{plain_http("text/plain; charset=utf-8"), std::move(result)};
  if (!find(*sent, "statusCode")) {
    if (sent->is_string()) return HttpResult{plain_http("text/plain; charset=utf-8"), std::string(view(sent->get_string()))};
    return HttpResult{plain_http("application/json"), std::move(result)};
  }
  auto http = integrated(*sent);
  if (!http) return std::nullopt;
  const json::value* body = find(*sent, "body");
  if (!body || body->is_null()) return HttpResult{std::move(*http), {}};
  std::string text = body->is_string() ? std::string(view(body->get_string())) : to_text(*body);
  if (!bool_or(*sent, "isBase64Encoded")) return HttpResult{std::move(*http), std::move(text)};
  auto bytes = base64_decode(text);
  if (!bytes) return std::nullopt;
  return HttpResult{std::move(*http), std::move(*bytes)};
}

std::optional<Prelude> lambda_prelude(std::string_view bytes) {
  size_t end = bytes.find(kPreludeEnd);
  if (end == bytes.npos || end > kMaxPreludeBytes) return std::nullopt;
  auto sent = parse_json(bytes.substr(0, end));
  if (!sent || !sent->is_object()) return std::nullopt;
  auto http = integrated(*sent);
  if (!http) return std::nullopt;
  return Prelude{std::move(*http), end + kPreludeEnd.size()};
}

std::string plain_http(std::string_view content_type) {
  json::object headers;
  if (!content_type.empty()) append(headers, "Content-Type", json::string(content_type));
  return http_text(200, std::move(headers));
}

}  // namespace mayfly::runtime
