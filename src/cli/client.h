#pragma once
// ApiClient: how every command talks to a running server: the vendors' dialects over HTTP, signed, blocking, with errors a person can
// act on. It decides nothing about what to ask for; the commands do. Transport is its only way out, so tests put a server in memory
// behind it. Single-threaded: one call at a time.

#include <functional>
#include <memory>
#include <optional>

#include "auth/identity.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/rng.h"
#include "cli/failure.h"
#include "http/message.h"

namespace mayfly::cli {

constexpr int64_t kCallTimeoutUs = 60 * kMicrosPerSecond;              // control-plane calls are short
constexpr int64_t kInvokeTimeoutUs = 24 * 3600 * kMicrosPerSecond;     // the longest timeout a function may have
constexpr size_t kMaxReplyBytes = 256u << 20;                          // replies held in memory; objects are streamed instead

using Parameters = http::Query;

struct Keys {
  auth::Credentials credentials;
  std::string account;  // numeric account id
};

struct Outgoing {
  std::string method = "GET";
  std::string target = "/";
  http::Headers headers;
  std::string body;
  std::unique_ptr<http::Body> stream;                    // sent instead of `body` when set
  std::function<bool(std::string_view)> sink;            // takes a 2xx body piece by piece; false stops the transfer
  int64_t timeout_us = kCallTimeoutUs;
};

struct Reply {
  int status = 0;
  http::Headers headers;
  std::string body;  // empty when a sink took it
};

class Transport {
 public:
  virtual ~Transport() = default;
  virtual Result<Reply> send(Outgoing request) = 0;
  virtual std::string endpoint() const = 0;  // for messages: "http://127.0.0.1:9000"
};

// Connects to "http://host:port". Runs its own loop on its own thread. Fails on an endpoint it cannot parse.
Result<std::unique_ptr<Transport>> make_transport(const std::string& endpoint);

enum class Product { flows, access };  // RPC 2019-03-15 and 2015-05-01

struct ObjectCall {
  std::string method = "GET";
  std::string bucket, key;          // both may be empty: the service, the bucket
  Parameters query;                 // an empty value is sent as the bare name: "delete"
  http::Headers headers;
  std::string body;
  std::unique_ptr<http::Body> stream;
  std::function<bool(std::string_view)> sink;
  int64_t timeout_us = 3600 * kMicrosPerSecond;
};

class ApiClient {
 public:
  ApiClient(Transport& transport, Keys keys, std::string region, const Clock& clock, Rng& rng)
      : transport_(transport), keys_(std::move(keys)), region_(std::move(region)), clock_(clock), rng_(rng) {}

  // FC REST 2016-08-15: `path` is decoded and without the version ("/services/x"). A status of 400 and more is a failure.
  Result<Reply> fc(std::string method, std::string path, std::string body = {}, http::Headers headers = {}, Parameters query = {},
                   int64_t timeout_us = kCallTimeoutUs);
  Result<json::value> fc_json(std::string method, std::string path, const json::value& body = nullptr);
  // Every page of a list: the members under `key` ("services").
  Result<json::array> fc_list(std::string path, std::string key);
  Result<json::value> rpc(Product product, std::string action, Parameters parameters, int64_t timeout_us = kCallTimeoutUs);
  Result<Reply> object(ObjectCall call);
  // Mayfly's own API: `path` like "/mayfly/v1/status".
  Result<json::value> native(std::string path, Parameters query = {}, int64_t timeout_us = kCallTimeoutUs, std::string method = "GET");

  // The same server with other keys: temporary ones that a call returned.
  ApiClient with_keys(auth::Credentials credentials) const { return {transport_, {std::move(credentials), keys_.account}, region_, clock_, rng_}; }

  const std::string& account() const { return keys_.account; }
  const std::string& region() const { return region_; }
  std::string endpoint() const { return transport_.endpoint(); }

 private:
  Result<Reply> fc_call(std::string method, std::string path, std::string body, http::Headers headers, Parameters query, int64_t timeout_us);

  Transport& transport_;
  Keys keys_;
  std::string region_;
  const Clock& clock_;
  Rng& rng_;
};

std::string query_text(const Parameters& query);  // "?a=1&b=2", empty for none

}  // namespace mayfly::cli
