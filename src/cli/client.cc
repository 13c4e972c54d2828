#include "cli/client.h"

#include <pugixml.hpp>

#include "auth/sign_fc.h"
#include "auth/sign_oss.h"
#include "auth/sign_rpc.h"
#include "base/encoding.h"
#include "base/hash.h"

namespace mayfly::cli {
namespace {

constexpr std::string_view kFcVersion = "/2016-08-15";

// The vendors write an error as {"ErrorCode","ErrorMessage"}, {"Code","Message"} or <Error><Code/><Message/></Error>.
std::unexpected<Failure<Refusal>> refusal(const Reply& reply) {
  Refusal code{Kind::refused, reply.status, {}, {}};
  std::string message;
  if (auto body = parse_json(reply.body)) {
    code.code = string_or(*body, "ErrorCode", string_or(*body, "Code"));
    message = string_or(*body, "ErrorMessage", string_or(*body, "Message"));
    code.request_id = string_or(*body, "RequestId");
  } else if (pugi::xml_document xml; xml.load_buffer(reply.body.data(), reply.body.size())) {
    code.code = xml.child("Error").child_value("Code");
    message = xml.child("Error").child_value("Message");
    code.request_id = xml.child("Error").child_value("RequestId");
  }
  for (const char* name : {"x-fc-request-id", "x-oss-request-id"})
    if (code.request_id.empty()) code.request_id = reply.headers.get(name);
  if (message.empty()) message = trim(reply.body).substr(0, 300);
  std::string hint;
  if (reply.status == 403 && code.code.find("AccessKey") != std::string::npos)
    hint = "the access key is not this server's: check --data-dir, or --access-key-id and --access-key-secret";
  std::string text = code.code.empty() ? fmt::format("HTTP {}", reply.status) : code.code;
  if (!message.empty()) text += ": " + message;
  if (!code.request_id.empty()) text += fmt::format(" (request {})", code.request_id);
  return std::unexpected(Failure<Refusal>{std::move(code), std::move(text), std::move(hint)});
}

Result<json::value> parse_reply(const Reply& reply) {
  if (reply.body.empty()) return json::value(json::object());
  auto body = parse_json(reply.body);
  if (!body) return fail(Kind::refused, "the server's answer is not JSON: " + body.error().message, "is the endpoint a Mayfly server?");
  return std::move(*body);
}

}  // namespace

std::string query_text(const Parameters& query) {
  std::string text;
  for (const auto& [name, value] : query)
    text += (text.empty() ? "?" : "&") + percent_encode(name) + (value.empty() ? "" : "=" + percent_encode(value));
  return text;
}

Result<Reply> ApiClient::fc_call(std::string method, std::string path, std::string body, http::Headers headers, Parameters query,
                                 int64_t timeout_us) {
  headers.set("x-fc-account-id", keys_.account);
  if (!body.empty()) {
    if (!headers.has("Content-Type")) headers.set("Content-Type", "application/json");
    headers.set("Content-MD5", base64_encode(md5(body)));
  }
  std::string target = percent_encode(path, Slash::keep) + query_text(query);
  auth::sign_fc(method, target, headers, keys_.credentials, clock_.wall_us());
  MAYFLY_TRY(Reply reply, transport_.send({.method = method, .target = target, .headers = headers, .body = std::move(body), .timeout_us = timeout_us}));
  if (reply.status >= 400) return refusal(reply);
  return reply;
}

Result<Reply> ApiClient::fc(std::string method, std::string path, std::string body, http::Headers headers, Parameters query, int64_t timeout_us) {
  return fc_call(std::move(method), std::string(kFcVersion) + path, std::move(body), std::move(headers), std::move(query), timeout_us);
}

Result<json::value> ApiClient::fc_json(std::string method, std::string path, const json::value& body) {
  MAYFLY_TRY(Reply reply, fc(std::move(method), std::move(path), body.is_null() ? std::string() : to_text(body)));
  return parse_reply(reply);
}

Result<json::array> ApiClient::fc_list(std::string path, std::string key) {
  json::array all;
  std::string next;
  do {
    Parameters query{{"limit", "100"}};
    if (!next.empty()) query.emplace_back("nextToken", next);
    MAYFLY_TRY(Reply reply, fc("GET", path, {}, {}, std::move(query)));
    MAYFLY_TRY(json::value page, parse_reply(reply));
    if (const json::value* items = find(page, key); items != nullptr && items->is_array())
      for (const json::value& item : items->get_array()) all.push_back(item);
    next = string_or(page, "nextToken");
  } while (!next.empty());
  return all;
}

Result<json::value> ApiClient::rpc(Product product, std::string action, Parameters parameters, int64_t timeout_us) {
  std::erase_if(parameters, [](const auto& parameter) { return parameter.second.empty(); });  // an empty parameter counts as omitted
  std::string version = product == Product::flows ? "2019-03-15" : "2015-05-01";
  parameters.emplace_back("Action", action);
  parameters.emplace_back("Version", version);
  parameters.emplace_back("RegionId", region_);
  parameters = auth::sign_rpc("POST", std::move(parameters), keys_.credentials, uuid(rng_), clock_.wall_us());
  Outgoing request{.method = "POST", .target = "/", .timeout_us = timeout_us};
  request.headers.set("Content-Type", "application/x-www-form-urlencoded");
  request.headers.set("x-acs-action", action);
  request.headers.set("x-acs-version", version);
  request.body = query_text(parameters).substr(1);
  MAYFLY_TRY(Reply reply, transport_.send(std::move(request)));
  if (reply.status >= 400) return refusal(reply);
  return parse_reply(reply);
}

Result<Reply> ApiClient::object(ObjectCall call) {
  std::string target = "/";
  if (!call.bucket.empty()) target += percent_encode(call.bucket) + "/" + percent_encode(call.key, Slash::keep);
  target += query_text(call.query);
  auth::sign_oss({.method = call.method, .bucket = call.bucket, .key = call.key, .query = call.query, .region = region_}, call.headers,
                 keys_.credentials, clock_.wall_us());
  MAYFLY_TRY(Reply reply, transport_.send({.method = call.method, .target = target, .headers = std::move(call.headers),
                                           .body = std::move(call.body), .stream = std::move(call.stream), .sink = std::move(call.sink),
                                           .timeout_us = call.timeout_us}));
  if (reply.status >= 300) return refusal(reply);
  return reply;
}

Result<json::value> ApiClient::native(std::string path, Parameters query, int64_t timeout_us, std::string method) {
  MAYFLY_TRY(Reply reply, fc_call(std::move(method), std::move(path), {}, {}, std::move(query), timeout_us));
  return parse_reply(reply);
}

}  // namespace mayfly::cli
