#include "gateway/router.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "io/sim_loop.h"
#include "sys/fault.h"

namespace mayfly::gateway {
namespace {

class Echo final : public Dialect {
 public:
  explicit Echo(std::string name) : name_(std::move(name)) {}
  std::string_view name() const override { return name_; }
  io::Task<http::Response> handle(io::Loop& loop, http::Request request) override {
    http::Response response;
    response.body = name_ + " " + request.raw_path;
    co_return response;
  }

 private:
  std::string name_;
};

class Broken final : public Dialect {
 public:
  std::string_view name() const override { return "broken"; }
  io::Task<http::Response> handle(io::Loop& loop, http::Request request) override {
    if (request.method == "PUT") throw 7;
    throw sys::Fault("open", "/secret/path", ENOENT);
    co_return http::Response();
  }
};

http::Request get(std::string path, std::string method = "GET") {
  http::Request request;
  request.method = std::move(method);
  request.raw_path = std::move(path);
  request.body = http::make_body("");
  return request;
}

bool under(const http::Request& request, std::string_view prefix) { return request.raw_path.starts_with(prefix); }

TEST(Router, TheFirstThatClaimsARequestGetsIt) {
  io::SimLoop loop;
  Echo a("a"), b("b");
  Router router;
  router.mount([](const auto& request) { return under(request, "/a"); }, a);
  router.mount([](const auto& request) { return under(request, "/"); }, b);
  EXPECT_EQ(loop.wait(router.handle(loop, get("/a/1"))).body, "a /a/1");
  EXPECT_EQ(loop.wait(router.handle(loop, get("/b"))).body, "b /b");
  EXPECT_EQ(router.counts()[0].requests, 1u);
  EXPECT_EQ(router.counts()[1].dialect, "b");
}

TEST(Router, AFaultIsA500InJsonAndTheDetailsStayInTheLog) {
  io::SimLoop loop;
  Broken broken;
  std::vector<std::string> log;
  Router router([&](const std::string& what) { log.push_back(what); });
  router.mount([](const auto&) { return true; }, broken);
  for (const char* method : {"GET", "PUT"}) {
    const auto response = loop.wait(router.handle(loop, get("/x", method)));
    EXPECT_EQ(response.status, 500);
    EXPECT_EQ(string_or(*parse_json(response.body), "Code"), "InternalError");
    EXPECT_FALSE(response.body.contains("secret"));
  }
  ASSERT_EQ(log.size(), 2u);
  EXPECT_TRUE(log[0].starts_with("GET /x (broken): ") && log[0].contains("/secret/path")) << log[0];
  EXPECT_EQ(log[1], "PUT /x (broken): an exception of unknown type");
  EXPECT_EQ(router.counts()[0].faults, 2u);
}

TEST(Router, WhatNobodyClaimsIsA404ThatSaysWhatIsSpoken) {
  io::SimLoop loop;
  Router router;
  const auto response = loop.wait(router.handle(loop, get("/nothing")));
  EXPECT_EQ(response.status, 404);
  EXPECT_TRUE(response.body.contains("GET /nothing") && response.body.contains("/2016-08-15/"));
  EXPECT_EQ(router.counts().back().requests, 1u);
}

}  // namespace
}  // namespace mayfly::gateway
