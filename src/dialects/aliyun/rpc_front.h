#pragma once
// RpcFront: the one door of Alibaba's RPC style products (aliyun-fnf.md section 5). Everything arrives at "/", by GET or POST, with the
// parameters in the query, in a form body or in both; Version and Action (or the headers x-acs-version, x-acs-action) say what is wanted.
// The front merges the parameters, finds the product and
//   - for an RpcProduct, verifies the signature, refuses a nonce that was used before, and calls it;
//   - for a gateway::Dialect, passes the request on whole, its body put back: the dialect does the rest.
// Answers are JSON always. Errors are {RequestId, HostId, Code, Message}; a success never has a member "Code".

#include <map>
#include <memory>
#include <string>

#include "auth/identity.h"
#include "auth/keyring.h"
#include "auth/nonces.h"
#include "base/json.h"
#include "base/rng.h"
#include "gateway/router.h"

namespace mayfly::dialects::aliyun {

constexpr size_t kMaxRpcBytes = 8 << 20;  // a form body; the largest, a flow definition, is far below 1 MiB

struct RpcCall {
  std::string method;       // "GET" or "POST": part of what is signed
  http::Query parameters;   // query and form merged and decoded; empty values are dropped (they count as omitted)
  std::string action, version;
  std::string host;
  std::string request_id;   // upper-case UUID; the answer must carry it
  http::Headers headers;
  std::string door;
  auth::Identity identity;

  std::string get(std::string_view name, std::string_view fallback = {}) const;
};

class RpcProduct {
 public:
  virtual ~RpcProduct() = default;
  virtual io::Task<http::Response> call(io::Loop& loop, RpcCall call) = 0;
};

// {"RequestId": ..., members of `body`} with status 200.
http::Response rpc_ok(const RpcCall& call, json::object body);
http::Response rpc_error(const std::string& request_id, const std::string& host, int status, std::string_view code, std::string_view message);
// The vendor's status, code and text for a failed verification ("SignatureDoesNotMatch", "InvalidAccessKeyId.NotFound", ...).
struct RpcFault {
  int status;
  std::string code, message;
};
RpcFault rpc_fault(const Failure<auth::AuthError>& failure);

class RpcFront final : public gateway::Dialect {
 public:
  RpcFront(const auth::Keyring& keyring, const Clock& clock, Rng& rng) : keyring_(keyring), clock_(clock), rng_(rng) {}

  // `version` is the API's date ("2019-03-15"), `host` the product's name in vendor_host (endpoints.h), used when no Version is sent.
  void mount(std::string version, std::string host, RpcProduct& product);
  void mount(std::string version, std::string host, gateway::Dialect& dialect);

  std::string_view name() const override { return "aliyun-rpc"; }
  io::Task<http::Response> handle(io::Loop& loop, http::Request request) override;

 private:
  struct Mounted {
    std::string host;
    RpcProduct* product = nullptr;
    gateway::Dialect* dialect = nullptr;
  };
  const Mounted* choose(const std::string& version, const std::string& host) const;
  bool is_replay(const http::Request& request, const http::Query& parameters);  // of a verified request

  const auth::Keyring& keyring_;
  const Clock& clock_;
  Rng& rng_;
  std::map<std::string, Mounted> mounted_;  // by version
  auth::Nonces nonces_;                     // shared by the shards
};

}  // namespace mayfly::dialects::aliyun
