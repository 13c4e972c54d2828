#pragma once
// Request: one HTTP request as the function's trigger received it. The head arrives as text and is read when somebody first asks for a
// part of it, so a function that only wants the body pays for nothing else. Lives as long as its call; one thread at a time.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mayfly/json.h"

namespace mayfly {

class Request {
 public:
  using Headers = std::vector<std::pair<std::string_view, std::string_view>>;

  // `head`: JSON {method, path, requestURI, clientIP, host, queries, headers}; empty for an event.
  Request(std::string_view head, std::string_view body) : head_(head), body_(body) {}

  bool is_http() const { return !head_.empty(); }  // false: called with an event
  std::string_view method() const { return parsed()["method"].text("POST"); }
  std::string_view path() const { return parsed()["path"].text("/"); }       // below the trigger's own address, decoded
  std::string_view uri() const { return parsed()["requestURI"].text("/"); }  // as the client sent it, with the query
  std::string_view host() const { return parsed()["host"].text(); }
  std::string_view client_ip() const { return parsed()["clientIP"].text(); }

  std::string_view query(std::string_view name, std::string_view otherwise = {}) const;   // decoded; the first of several
  std::string_view header(std::string_view name, std::string_view otherwise = {}) const;  // in any case; the first of several
  Headers headers() const;

  std::string_view body() const { return body_; }
  Json json() const { return Json::parse(body_); }

 private:
  std::string_view head_, body_;
  mutable Json parsed_;

  const Json& parsed() const;
};

}  // namespace mayfly
