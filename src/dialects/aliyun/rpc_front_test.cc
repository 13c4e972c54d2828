#include "dialects/aliyun/rpc_front.h"

#include <gtest/gtest.h>

#include "auth/sign_rpc.h"
#include "base/encoding.h"
#include "io/sim_loop.h"

namespace mayfly::dialects::aliyun {
namespace {

class Says final : public RpcProduct {
 public:
  io::Task<http::Response> call(io::Loop& loop, RpcCall call) override {
    json::object body{{"Action", call.action}, {"Name", call.get("Name", "none")}, {"Role", call.identity.role}};
    co_return rpc_ok(call, std::move(body));
  }
};

class Whole final : public gateway::Dialect {
 public:
  std::string_view name() const override { return "whole"; }
  io::Task<http::Response> handle(io::Loop& loop, http::Request request) override {
    http::Response response;
    response.body = request.raw_query + "|" + (co_await request.body->read_all(1000)).value_or("unreadable");
    co_return response;
  }
};

class Front : public testing::Test {
 protected:
  Front() {
    front_.mount("2015-04-01", "sts", says_);
    front_.mount("2019-03-15", "fnf", whole_);
  }

  http::Response send(std::string method, std::string query, std::string body, std::string host = "127.0.0.1:9000") {
    http::Request request;
    request.method = std::move(method);
    request.raw_path = "/";
    request.raw_query = std::move(query);
    request.host = std::move(host);
    if (!body.empty()) request.headers.add("Content-Type", "application/x-www-form-urlencoded;charset=UTF-8");
    request.body = http::make_body(std::move(body));
    return loop_.wait(front_.handle(loop_, std::move(request)));
  }
  static std::string encode(const http::Query& query) {
    std::string out;
    for (const auto& [name, value] : query) out += (out.empty() ? "" : "&") + percent_encode(name) + "=" + percent_encode(value);
    return out;
  }
  http::Query sign(std::string method, http::Query own) {
    return auth::sign_rpc(method, std::move(own), credentials_, "nonce" + std::to_string(++nonces_), loop_.clock().wall_us());
  }
  static std::string member(const http::Response& response, std::string_view key) { return string_or(*parse_json(response.body), key); }

  io::SimLoop loop_;
  SeededRng rng_{5};
  auth::Keyring keyring_ = auth::Keyring::make("1234", "AK", "SK", std::string(32, 'm'));
  auth::Credentials credentials_{.access_key_id = "AK", .access_key_secret = "SK"};
  Says says_;
  Whole whole_;
  RpcFront front_{keyring_, loop_.clock(), rng_};
  int nonces_ = 0;
};

TEST_F(Front, AcceptsParametersInTheQueryTheFormOrBoth) {
  for (size_t in_query : {0, 4, 100}) {
    const auto all = sign("POST", {{"Action", "GetIt"}, {"Version", "2015-04-01"}, {"Name", "a b+"}, {"Empty", ""}});
    const auto middle = all.begin() + static_cast<ptrdiff_t>(std::min(in_query, all.size()));
    const auto response = send("POST", encode({all.begin(), middle}), encode({middle, all.end()}));
    EXPECT_EQ(response.status, 200) << response.body;
    EXPECT_EQ(member(response, "Action"), "GetIt");
    EXPECT_EQ(member(response, "Name"), "a b+");
    EXPECT_EQ(member(response, "RequestId"), response.headers.get("x-acs-request-id"));
    EXPECT_EQ(member(response, "Code"), "");
  }
}

TEST_F(Front, ASignedRequestIsTakenOnce) {
  const auto query = encode(sign("GET", {{"Action", "GetIt"}, {"Version", "2015-04-01"}}));
  EXPECT_EQ(send("GET", query, "").status, 200);
  const auto again = send("GET", query, "");
  EXPECT_EQ(again.status, 400);
  EXPECT_EQ(member(again, "Code"), "SignatureNonceUsed");
  loop_.manual_clock().advance_us(auth::kMaxSkewUs - kMicrosPerSecond);
  EXPECT_EQ(member(send("GET", query, ""), "Code"), "SignatureNonceUsed");
  EXPECT_EQ(send("GET", encode(sign("GET", {{"Action", "GetIt"}, {"Version", "2015-04-01"}})), "").status, 200);
}

TEST_F(Front, ARequestThatWasRefusedUsesUpNoNonce) {
  auto right = sign("GET", {{"Action", "GetIt"}, {"Version", "2015-04-01"}});
  auto wrong = right;
  for (auto& [name, value] : wrong)
    if (name == "Signature") value = "bm9uc2Vuc2U=";
  EXPECT_EQ(member(send("GET", encode(wrong), ""), "Code"), "SignatureDoesNotMatch");
  EXPECT_EQ(send("GET", encode(right), "").status, 200);
}

TEST_F(Front, PassesARequestOnWholeToADialect) {
  EXPECT_EQ(send("POST", "Version=2019-03-15", "Action=StartExecution&Input=1").body, "Version=2019-03-15|Action=StartExecution&Input=1");
  EXPECT_EQ(send("POST", "", "Action=ListFlows&Version=2019-03-15").body, "|Action=ListFlows&Version=2019-03-15");
}

TEST_F(Front, WithoutAVersionTheHostDecides) {
  EXPECT_EQ(send("GET", "Action=ListFlows", "", "cn-hangzhou.fnf.aliyuncs.com").body, "Action=ListFlows|");
  EXPECT_EQ(member(send("GET", "Action=ListFlows", ""), "Code"), "InvalidVersion");
}

TEST_F(Front, AnUnknownVersionIsAnError) {
  const auto response = send("GET", "Action=DescribeInstances&Version=2014-05-26", "");
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(member(response, "Code"), "InvalidVersion");
  EXPECT_EQ(member(response, "HostId"), "127.0.0.1:9000");
}

TEST_F(Front, AWrongSecretIsToldTheServersStringToSignAfterTheFirstColon) {
  credentials_.access_key_secret = "wrong";
  const auto parameters = sign("GET", {{"Action", "GetIt"}, {"Version", "2015-04-01"}});
  const auto response = send("GET", encode(parameters), "");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(member(response, "Code"), "SignatureDoesNotMatch");
  const std::string message = member(response, "Message");
  EXPECT_EQ(message.substr(message.find(':') + 1), auth::rpc_string_to_sign("GET", parameters));
}

TEST_F(Front, RefusesUnknownKeysOldDatesAndMissingCredentials) {
  EXPECT_EQ(member(send("GET", "Version=2015-04-01&Action=GetIt", ""), "Code"), "MissingAccessKeyId");
  const auto old = encode(sign("GET", {{"Action", "GetIt"}, {"Version", "2015-04-01"}}));
  loop_.manual_clock().advance_us(auth::kMaxSkewUs);
  EXPECT_EQ(member(send("GET", old, ""), "Code"), "InvalidTimeStamp.Expired");
  credentials_.access_key_id = "nobody";
  EXPECT_EQ(member(send("GET", encode(sign("GET", {{"Action", "GetIt"}, {"Version", "2015-04-01"}})), ""), "Code"), "InvalidAccessKeyId.NotFound");
}

TEST_F(Front, ATemporaryTripleSpeaksForItsRoleUntilItExpires) {
  credentials_ = keyring_.issue("worker", "s", 60, loop_.clock(), rng_);
  auto query = [this] { return encode(sign("GET", {{"Action", "GetIt"}, {"Version", "2015-04-01"}})); };
  EXPECT_EQ(member(send("GET", query(), ""), "Role"), "worker");
  loop_.manual_clock().advance_us(61 * kMicrosPerSecond);
  EXPECT_EQ(member(send("GET", query(), ""), "Code"), "InvalidSecurityToken.Expired");
}

TEST_F(Front, ABodyBeyondTheLimitIsRefused) {
  EXPECT_EQ(send("POST", "Version=2019-03-15", std::string(kMaxRpcBytes + 1, 'x')).status, 413);
}

}  // namespace
}  // namespace mayfly::dialects::aliyun
