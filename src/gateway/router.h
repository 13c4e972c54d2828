#pragma once
// Router: decides which dialect answers a request, from its host, path, method, content type and signature; and puts what is common to
// all around it: a request id, fault handling (an exception becomes a 500 in plain JSON), access counting.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "http/message.h"
#include "io/loop.h"
#include "io/task.h"

namespace mayfly::gateway {

// A vendor's API mounted on the router. One object per process, used from every shard.
class Dialect {
 public:
  virtual ~Dialect() = default;
  virtual std::string_view name() const = 0;
  virtual io::Task<http::Response> handle(io::Loop& loop, http::Request request) = 0;
};

// True if the request is for that dialect. Looks only at the head of the request.
using Claims = std::function<bool(const http::Request&)>;

class Router {
 public:
  // Tried in the order mounted; the first that claims a request gets it.
  void mount(Claims claims, Dialect& dialect) { routes_.push_back({std::move(claims), &dialect}); }
  io::Task<http::Response> handle(io::Loop& loop, http::Request request);

 private:
  struct Route {
    Claims claims;
    Dialect* dialect;
  };
  std::vector<Route> routes_;
};

}  // namespace mayfly::gateway
