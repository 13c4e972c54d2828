#pragma once
// Router: decides which dialect answers a request, from its host, path, method, content type and signature; and puts what is common to
// all around it: fault handling (an exception becomes a 500 in the dialect's form and one line in the server's log) and counting. Request ids
// are the dialects' own, because each vendor spells them differently.
//
// Mounted before the shards start, read-only after: handle() is called from every shard at once.

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "http/message.h"
#include "io/loop.h"
#include "io/task.h"

namespace mayfly::gateway {

constexpr std::string_view kFaultMessage = "The server met a fault of its environment; its log says which.";

// A vendor's API mounted on the router. One object per process, used from every shard.
class Dialect {
 public:
  virtual ~Dialect() = default;
  virtual std::string_view name() const = 0;
  virtual io::Task<http::Response> handle(io::Loop& loop, http::Request request) = 0;
  // The answer to a request whose handling met a fault, in the vendor's form.
  virtual http::Response fault() const;
};

// True if the request is for that dialect. Looks only at the head of the request.
using Claims = std::function<bool(const http::Request&)>;

class Router {
 public:
  // Hears of every exception that escaped a dialect: "GET /bkt/k (oss): open /data/x: No such file". From any shard.
  using OnFault = std::function<void(const std::string& what)>;
  explicit Router(OnFault on_fault = {}) : on_fault_(std::move(on_fault)) {}

  // Tried in the order mounted; the first that claims a request gets it. The dialect must outlive the router.
  void mount(Claims claims, Dialect& dialect) { routes_.emplace_back(std::move(claims), &dialect); }
  io::Task<http::Response> handle(io::Loop& loop, http::Request request);

  struct Count {
    std::string dialect;  // "" for what nobody claimed
    uint64_t requests = 0, faults = 0;
  };
  std::vector<Count> counts() const;  // in the order mounted, unclaimed last

 private:
  struct Route {
    Route(Claims claims_of, Dialect* to) : claims(std::move(claims_of)), dialect(to) {}
    Claims claims;
    Dialect* dialect;
    std::atomic<uint64_t> requests = 0, faults = 0;
  };
  std::deque<Route> routes_;  // a Route does not move
  std::atomic<uint64_t> unclaimed_ = 0;
  OnFault on_fault_;
};

}  // namespace mayfly::gateway
