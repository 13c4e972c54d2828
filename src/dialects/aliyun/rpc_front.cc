#include "dialects/aliyun/rpc_front.h"

#include <algorithm>

#include "auth/sign_acs3.h"
#include "auth/sign_rpc.h"
#include "base/encoding.h"
#include "dialects/aliyun/endpoints.h"

namespace mayfly::dialects::aliyun {
namespace {

http::Response json_response(int status, const std::string& request_id, const json::object& body) {
  http::Response response;
  response.status = status;
  response.headers.add("Content-Type", "application/json;charset=utf-8");
  response.headers.add("x-acs-request-id", request_id);
  response.body = to_text(body);
  return response;
}

std::string new_request_id(Rng& rng) {
  std::string id = uuid(rng);
  for (char& c : id) c = c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c;
  return id;
}

std::string first_of(const http::Query& parameters, std::string_view name, const http::Headers& headers, std::string_view header) {
  const std::string* value = http::find(parameters, name);
  return value != nullptr && !value->empty() ? *value : headers.get(header);
}

// The parameters of the form, if the body is one. Clients that send an empty POST leave the type out.
http::Query form_of(const http::Headers& headers, const std::string& body) {
  return lower(headers.get("Content-Type")).starts_with("application/x-www-form-urlencoded") ? http::parse_query(body) : http::Query();
}

}  // namespace

std::string RpcCall::get(std::string_view name, std::string_view fallback) const {
  const std::string* value = http::find(parameters, name);
  return value != nullptr ? *value : std::string(fallback);
}

http::Response rpc_ok(const RpcCall& call, json::object body) {
  body["RequestId"] = call.request_id;
  return json_response(200, call.request_id, body);
}

http::Response rpc_error(const std::string& request_id, const std::string& host, int status, std::string_view code, std::string_view message) {
  return json_response(status, request_id, {{"RequestId", request_id}, {"HostId", host}, {"Code", code}, {"Message", message}});
}

RpcFault rpc_fault(const Failure<auth::AuthError>& failure) {
  using enum auth::AuthError;
  switch (failure.code) {
    case missing: return {400, "MissingAccessKeyId", failure.message};
    case malformed: return {400, "IncompleteSignature", failure.message};
    case unknown_key: return {404, "InvalidAccessKeyId.NotFound", "Specified access key is not found. " + failure.hint};
    case bad_token: return {400, failure.message.contains("expired") ? "InvalidSecurityToken.Expired" : "InvalidSecurityToken.Malformed", failure.message};
    // The Python SDK takes what follows the first colon for the server's string and compares it with its own.
    case bad_signature:
      return {400, "SignatureDoesNotMatch", "Specified signature is not matched with our calculation. server string to sign is:" + failure.hint};
    case skewed:
    case expired: return {400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired. " + failure.hint};
    case denied: return {403, "NoPermission", failure.message};
  }
  return {403, "Forbidden", failure.message};
}

void RpcFront::mount(std::string version, std::string host, RpcProduct& product) { mounted_[std::move(version)] = {std::move(host), &product, nullptr}; }
void RpcFront::mount(std::string version, std::string host, gateway::Dialect& dialect) { mounted_[std::move(version)] = {std::move(host), nullptr, &dialect}; }

const RpcFront::Mounted* RpcFront::choose(const std::string& version, const std::string& host) const {
  if (!version.empty()) {
    auto at = mounted_.find(version);
    return at == mounted_.end() ? nullptr : &at->second;
  }
  const std::string_view product = vendor_host(host);
  auto at = std::ranges::find_if(mounted_, [&](const auto& entry) { return !product.empty() && entry.second.host == product; });
  return at == mounted_.end() ? nullptr : &at->second;
}

// Clients that send no nonce exist (curl by hand); those that do are protected by it, since it is part of what they sign.
bool RpcFront::is_replay(const http::Request& request, const http::Query& parameters) {
  bool acs3 = auth::carries_acs3_signature(request);
  const std::string* sent = http::find(parameters, "SignatureNonce");
  std::string nonce = acs3 ? request.headers.get("x-acs-signature-nonce") : sent ? *sent : std::string();
  if (nonce.empty()) return false;
  std::string key = request.headers.get("authorization");
  if (const std::string* id = http::find(parameters, "AccessKeyId"); !acs3 && id) key = *id;
  else if (size_t at = key.find("Credential="); at != key.npos) key = key.substr(at, key.find_first_of(", ", at) - at);
  int64_t now_us = clock_.wall_us();
  return !nonces_.first_use(key, nonce, now_us + 2 * auth::kMaxSkewUs, now_us);  // its time stamp may be as much ahead as it may be behind
}

io::Task<http::Response> RpcFront::handle(io::Loop& loop, http::Request request) {
  const std::string request_id = new_request_id(rng_), host = request.host;
  auto body = co_await request.body->read_all(kMaxRpcBytes);
  if (!body && body.error() == http::BodyError::too_large)
    co_return rpc_error(request_id, host, 413, "RequestEntityTooLarge", "The request body is larger than 8 MiB.");
  if (!body) co_return rpc_error(request_id, host, 400, "MalformedRequest", "The request body could not be read to its end.");

  http::Query parameters = request.query();
  for (auto& parameter : form_of(request.headers, *body)) parameters.push_back(std::move(parameter));
  const std::string version = first_of(parameters, "Version", request.headers, "x-acs-version");
  const Mounted* mounted = choose(version, host);
  if (mounted == nullptr)
    co_return rpc_error(request_id, host, 404, "InvalidVersion",
                        "Specified parameter Version is not valid. '" + version.substr(0, 64) + "' is none of the APIs spoken here.");
  if (mounted->dialect != nullptr) {
    request.body = http::make_body(std::move(*body));
    co_return co_await mounted->dialect->handle(loop, std::move(request));
  }

  auto identity = auth::verify_rpc_request(request, parameters, keyring_, clock_);
  if (identity && auth::carries_acs3_signature(request) && !auth::acs3_body_matches(request.headers, *body))
    identity = fail(auth::AuthError::malformed, "The body is not the one that x-acs-content-sha256 announces.");
  if (!identity) {
    const RpcFault fault = rpc_fault(identity.error());
    co_return rpc_error(request_id, host, fault.status, fault.code, fault.message);
  }
  if (is_replay(request, parameters)) co_return rpc_error(request_id, host, 400, "SignatureNonceUsed", "The request signature nonce has been used.");
  const std::string action = first_of(parameters, "Action", request.headers, "x-acs-action");
  std::erase_if(parameters, [](const auto& parameter) { return parameter.second.empty(); });
  RpcCall call{request.method, std::move(parameters), action, version, host, request_id, std::move(request.headers), request.door, *identity};
  co_return co_await mounted->product->call(loop, std::move(call));
}

}  // namespace mayfly::dialects::aliyun
