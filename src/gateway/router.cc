#include "gateway/router.h"

#include <algorithm>

#include "base/json.h"

namespace mayfly::gateway {

http::Response Dialect::fault() const {
  http::Response response;
  response.status = 500;
  response.headers.add("Content-Type", "application/json");
  response.body = to_text(json::object{{"Code", "InternalError"}, {"Message", std::string(kFaultMessage)}});
  return response;
}

namespace {

http::Response unclaimed_response(const std::string& what) {
  http::Response response;
  response.status = 404;
  response.headers.add("Content-Type", "text/plain; charset=utf-8");
  response.body = "Mayfly has no API that answers " + what +
                  ".\nIt speaks Function Compute under /2016-08-15/, Function Flow, STS and RAM at / with an Action parameter, and OSS at /bucket/key.\n";
  return response;
}

}  // namespace

io::Task<http::Response> Router::handle(io::Loop& loop, http::Request request) {
  auto route = std::ranges::find_if(routes_, [&](const Route& candidate) { return candidate.claims(request); });
  constexpr size_t kShownPath = 200;  // of a path in a text for people
  const std::string what = request.method + " " + request.raw_path.substr(0, kShownPath);
  if (route == routes_.end()) {
    unclaimed_.fetch_add(1, std::memory_order_relaxed);
    co_return unclaimed_response(what);
  }
  route->requests.fetch_add(1, std::memory_order_relaxed);
  std::string fault;
  try {
    co_return co_await route->dialect->handle(loop, std::move(request));
  } catch (const std::exception& exception) {
    fault = exception.what();
  } catch (...) {
    fault = "an exception of unknown type";
  }
  route->faults.fetch_add(1, std::memory_order_relaxed);
  if (on_fault_) on_fault_(what + " (" + std::string(route->dialect->name()) + "): " + fault);
  co_return route->dialect->fault();
}

std::vector<Router::Count> Router::counts() const {
  std::vector<Count> out;
  for (const auto& route : routes_)
    out.push_back({std::string(route.dialect->name()), route.requests.load(std::memory_order_relaxed), route.faults.load(std::memory_order_relaxed)});
  out.push_back({"", unclaimed_.load(std::memory_order_relaxed), 0});
  return out;
}

}  // namespace mayfly::gateway
