#pragma once
// For tests of the FC dialect: a dialect on a simulated loop and a store in memory, whose functions answer what the test says and whose
// callers are who the test says.

#include <gtest/gtest.h>

#include <deque>
#include <filesystem>

#include "base/encoding.h"
#include "dialects/aliyun/fc_dialect.h"
#include "functions/fake_code.h"
#include "io/sim_loop.h"
#include "store/memory_engine.h"
#include "sys/file.h"

namespace mayfly::dialects::aliyun {

struct FcFakeInvoker final : dispatch::Dispatcher {
  io::Task<dispatch::FunctionStatus> status(io::Loop&, std::string, std::string) override {
    dispatch::FunctionStatus status;
    status.suspended = suspended;
    status.instances.push_back({.id = "i1", .qualifier = "LATEST", .version = {}});
    co_return status;
  }
  io::Task<dispatch::Totals> totals(io::Loop&) override { co_return dispatch::Totals{}; }
  io::Task<void> stop(io::Loop&, io::Deadline) override { co_return; }
  io::Task<Expected<dispatch::Outcome, dispatch::InvokeError>> invoke(io::Loop&, dispatch::Invocation invocation, io::Deadline) override {
    calls.push_back(std::move(invocation));
    if (answers.empty()) co_return dispatch::Outcome{.body = calls.back().payload};
    auto answer = std::move(answers.front());
    answers.pop_front();
    co_return answer;
  }
  std::optional<Failure<dispatch::InvokeError>> crowded(const dispatch::Target& target) const override {
    if (target.function == full) return Failure<dispatch::InvokeError>{dispatch::InvokeError::throttled, "1024 calls wait", "", 7};
    return std::nullopt;
  }
  std::vector<dispatch::Suspension> suspended;
  std::string full;  // the function whose line is full
  std::vector<dispatch::Invocation> calls;
  std::deque<Expected<dispatch::Outcome, dispatch::InvokeError>> answers;
};

// Root may everything; a role only "fc:GetService".
struct FcFakeAuthorizer final : auth::Authorizer {
  bool allows(const auth::Identity& identity, const auth::Access& access) const override {
    asked.push_back(access.action + " " + access.resource);
    return identity.kind == auth::Identity::Kind::root || access.action == "fc:GetService";
  }
  mutable std::vector<std::string> asked;
};

struct FcFakeObjects final : ObjectFetcher {
  io::Task<Expected<std::unique_ptr<http::Body>, FetchError>> fetch(io::Loop&, std::string bucket, std::string key, uint64_t) override {
    if (bucket + "/" + key != "code/f.zip" && !is_reserved(bucket)) co_return fail(FetchError::not_found, "no such object");
    co_return http::make_body("zip from a bucket");
  }
  io::Task<Place> upload_place(io::Loop&, std::string key) override {
    asked.push_back(key);
    co_return Place{"reserved", {"STS.1", "secret", "token", 0}};
  }
  io::Task<void> taken(io::Loop&, std::string bucket, std::string key) override {
    consumed.push_back(bucket + "/" + key);
    co_return;
  }
  bool is_reserved(const std::string& bucket) const override { return bucket == "reserved"; }
  std::vector<std::string> asked, consumed;
};

class FcFixture : public ::testing::Test {
 protected:
  FcFixture() {
    loop_.wait(catalogue_->load(loop_));
    loop_.wait(settings_.load(loop_));
    async_ = dispatch::make_async_invoker({&loop_}, *store_, invoker_, *catalogue_, settings_, rng_, {});
    loop_.wait(async_->start(loop_));
    identity_ = auth::Identity{.kind = auth::Identity::Kind::root};
    dialect_ = std::make_unique<FcDialect>(FcContext{.catalogue = *catalogue_, .settings = settings_, .code = code_, .layers = layers_, .invoker = invoker_, .async = *async_,
                                                     .keyring = keyring_, .authorizer = authorizer_, .objects = objects_, .clock = loop_.clock(), .rng = rng_,
                                                     .region = "local", .verify = [this](const http::Request&) { return identity_; }});
  }
  ~FcFixture() override {
    loop_.wait(async_->stop(loop_));
    sys::remove_tree(folder_);
  }
  static std::string make_folder() {
    std::string pattern = std::filesystem::temp_directory_path().string() + "/mayfly-fc-XXXXXX";
    return ::mkdtemp(pattern.data());
  }

  http::Request request(std::string method, std::string target, std::string body = {}, std::vector<std::pair<std::string, std::string>> headers = {}) {
    http::Request request;
    request.method = std::move(method);
    size_t question = target.find('?');
    request.raw_path = target.substr(0, question);
    if (question != target.npos) request.raw_query = target.substr(question + 1);
    request.host = host_;
    request.scheme = "http";
    request.peer = "10.0.0.9:5000";
    for (auto& [name, value] : headers) request.headers.add(name, value);
    request.body = http::make_body(std::move(body));
    return request;
  }
  http::Response send(std::string method, std::string path, std::string body = {}, std::vector<std::pair<std::string, std::string>> headers = {}) {
    http::Response response = loop_.wait(dialect_->handle(loop_, request(std::move(method), "/2016-08-15/" + path, std::move(body), std::move(headers))));
    EXPECT_EQ(response.headers.get("x-fc-request-id").size(), 36u);
    return response;
  }
  static json::value parsed(const http::Response& response) {
    auto value = parse_json(response.body);
    EXPECT_TRUE(value) << response.body;
    return value ? *value : json::value();
  }
  // The ErrorCode of an answer that must be an error.
  static std::string code_of(const http::Response& response) {
    EXPECT_GE(response.status, 400) << response.body;
    EXPECT_FALSE(string_or(parsed(response), "ErrorMessage").empty());
    return string_or(parsed(response), "ErrorCode");
  }
  static std::string zip_code(const std::string& content) { return R"({"zipFile":")" + base64_encode(content) + R"("})"; }
  void make_function(const std::string& extra = "") {
    EXPECT_EQ(send("POST", "services", R"({"serviceName":"s"})").status, 200);
    http::Response made = send("POST", "services/s/functions",
                               R"({"functionName":"f","runtime":"python3","handler":"index.handler","code":)" + zip_code("zip") + extra + "}");
    EXPECT_EQ(made.status, 200) << made.body;
  }

  io::SimLoop loop_;
  SeededRng rng_{11};
  std::string folder_ = make_folder();
  auth::Keyring keyring_ = auth::Keyring::open(folder_, rng_);
  std::unique_ptr<store::Engine> engine_ = store::make_memory_engine();
  std::unique_ptr<store::Store> store_ = store::make_inline_store(*engine_);
  functions::FakeCodeStore code_;
  std::unique_ptr<functions::Catalogue> catalogue_ = functions::make_catalogue(*store_, code_, loop_.clock(), rng_);
  functions::Layers layers_{*store_, loop_.clock()};
  functions::Settings settings_{*store_, loop_.clock()};
  FcFakeInvoker invoker_;
  FcFakeAuthorizer authorizer_;
  FcFakeObjects objects_;
  std::unique_ptr<dispatch::AsyncInvoker> async_;
  auth::Result<auth::Identity> identity_;
  std::unique_ptr<FcDialect> dialect_;
  std::string host_ = "127.0.0.1";
};

}  // namespace mayfly::dialects::aliyun
