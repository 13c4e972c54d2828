#include "cli/client.h"

#include <gtest/gtest.h>

#include "auth/sign_fc.h"
#include "base/encoding.h"

namespace mayfly::cli {
namespace {

// Answers with what the test queued and keeps what was sent.
class ScriptedTransport final : public Transport {
 public:
  Result<Reply> send(Outgoing request) override {
    sent.push_back(std::move(request));
    Reply reply = std::move(replies.front());
    replies.pop_front();
    return reply;
  }
  std::string endpoint() const override { return "http://test"; }
  std::vector<Outgoing> sent;
  std::deque<Reply> replies;
};

struct ClientTest : testing::Test {
  ScriptedTransport transport;
  ManualClock clock;
  SeededRng rng{7};
  ApiClient client{transport, {{"AK", "SK", "", 0}, "1234"}, "cn-hangzhou", clock, rng};
};

TEST_F(ClientTest, EncodesThePathOnTheWireAndSignsItDecoded) {
  transport.replies.push_back({200, {}, "{}"});
  ASSERT_TRUE(client.fc("GET", "/services/a b"));
  const Outgoing& sent = transport.sent.at(0);
  EXPECT_EQ(sent.target, "/2016-08-15/services/a%20b");
  std::string text = auth::fc_string_to_sign("GET", sent.target, "", sent.headers, sent.headers.get("Date"));
  EXPECT_EQ(sent.headers.get("authorization"), "FC AK:" + auth::fc_signature(text, "SK"));
  EXPECT_NE(text.find("/2016-08-15/services/a b"), std::string::npos);
}

TEST_F(ClientTest, SaysWhatTheServerRefusedAndWhichRequestItWas) {
  http::Headers headers;
  headers.add("X-Fc-Request-Id", "r-1");
  transport.replies.push_back({404, headers, R"({"ErrorCode":"ServiceNotFound","ErrorMessage":"no service x"})"});
  auto result = client.fc_json("GET", "/services/x");
  ASSERT_FALSE(result);
  EXPECT_TRUE(is_missing(result.error()));
  EXPECT_EQ(result.error().code.code, "ServiceNotFound");
  EXPECT_EQ(result.error().message, "ServiceNotFound: no service x (request r-1)");
}

TEST_F(ClientTest, ReadsTheObjectStoresErrorsFromXml) {
  transport.replies.push_back({404, {}, "<Error><Code>NoSuchBucket</Code><Message>gone</Message><RequestId>q</RequestId></Error>"});
  auto result = client.object({.bucket = "b"});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code.code, "NoSuchBucket");
  EXPECT_EQ(result.error().message, "NoSuchBucket: gone (request q)");
}

TEST_F(ClientTest, CollectsEveryPageOfAList) {
  transport.replies.push_back({200, {}, R"({"services":[{"serviceName":"a"}],"nextToken":"t"})"});
  transport.replies.push_back({200, {}, R"({"services":[{"serviceName":"b"}],"nextToken":""})"});
  auto list = client.fc_list("/services", "services");
  ASSERT_TRUE(list);
  EXPECT_EQ(list->size(), 2u);
  EXPECT_EQ(transport.sent.at(1).target, "/2016-08-15/services?limit=100&nextToken=t");
}

TEST_F(ClientTest, LeavesEmptyRpcParametersOutAndSignsTheRest) {
  transport.replies.push_back({200, {}, R"({"Name":"f"})"});
  ASSERT_TRUE(client.rpc(Product::flows, "StartExecution", {{"FlowName", "f"}, {"ExecutionName", ""}, {"Input", "{\"a\": 1}"}}));
  const std::string& form = transport.sent.at(0).body;
  EXPECT_EQ(form.find("ExecutionName"), std::string::npos);
  EXPECT_NE(form.find("Input=%7B%22a%22%3A%201%7D"), std::string::npos);
  EXPECT_NE(form.find("&Signature="), std::string::npos);
  EXPECT_NE(form.find("Timestamp=2026-01-01T00%3A00%3A00Z"), std::string::npos);
}

TEST_F(ClientTest, KeepsSlashesOfAKeyAndEncodesTheRest) {
  transport.replies.push_back({200, {}, ""});
  ASSERT_TRUE(client.object({.method = "PUT", .bucket = "bkt", .key = "a dir/ü.jpg"}));
  EXPECT_EQ(transport.sent.at(0).target, "/bkt/a%20dir/%C3%BC.jpg");
}

TEST(TransportTest, RefusesAnEndpointItCannotRead) {
  for (const char* endpoint : {"http://", "http://host:0", "http://host:99999", "http://host:x", "https://host"})
    EXPECT_FALSE(make_transport(endpoint)) << endpoint;
}

}  // namespace
}  // namespace mayfly::cli
