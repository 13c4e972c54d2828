// HTTP triggers whose bodies and answers stream, and the paths that custom domains make of requests.
#include "dialects/aliyun/fc_fixture.h"
#include "http/body_pipe.h"

namespace mayfly::dialects::aliyun {
namespace {

using dispatch::InvokeError;
using dispatch::Outcome;

// A function that begins its answer with `head` and streams what it was sent, or answers whole when there is no head.
struct StreamingInvoker final : dispatch::Invoker {
  explicit StreamingInvoker(io::Loop& on) : loop(on) {}
  io::Task<Expected<Outcome, InvokeError>> invoke(io::Loop&, dispatch::Invocation invocation, io::Deadline) override {
    calls.push_back(invocation);
    streamed_in = invocation.streams->body != nullptr;
    if (head.empty()) co_return Outcome{.kind = kind, .body = body, .http = http, .phases = {.run_us = 1'000}};
    auto pipe = http::BodyPipe::make(loop);
    std::unique_ptr<io::Stream> tunnel;
    if (tunnels) tunnel = std::make_unique<Nothing>();
    std::exchange(invocation.streams->opened, nullptr)({.http = head, .body = tunnels ? nullptr : pipe->reader(), .tunnel = std::move(tunnel)});
    if (invocation.streams->body)
      while (auto piece = co_await invocation.streams->body->next()) {
        if (!*piece) break;
        pipe->push(std::move(**piece));
      }
    pipe->end();
    co_return Outcome{};
  }
  struct Nothing final : io::Stream {
    io::Task<std::expected<size_t, io::StreamError>> read_some(std::span<char>, io::Deadline) override { co_return size_t{0}; }
    io::Task<std::expected<void, io::StreamError>> write_all(std::string_view, io::Deadline) override { co_return std::expected<void, io::StreamError>{}; }
    void shutdown_write() override {}
    void close() override {}
    std::string peer() const override { return "nothing"; }
  };

  io::Loop& loop;
  std::string head, body, http;
  Outcome::Kind kind = Outcome::Kind::ok;
  bool streamed_in = false, tunnels = false;
  std::vector<dispatch::Invocation> calls;
};

class FcProxy : public FcFixture {
 protected:
  FcProxy() {
    dialect_ = std::make_unique<FcDialect>(FcContext{.catalogue = *catalogue_, .settings = settings_, .code = code_, .layers = layers_, .invoker = invoker_, .async = *async_,
                                                     .keyring = keyring_, .authorizer = authorizer_, .objects = objects_, .clock = loop_.clock(), .rng = rng_,
                                                     .region = "local", .verify = [this](const http::Request&) { return identity_; }, .streams = &streams_});
    make_function(R"(,"caPort":9000)");
    EXPECT_EQ(send("PUT", "services/s/functions/f", R"({"runtime":"custom"})").status, 200);
    EXPECT_EQ(send("POST", "services/s/functions/f/triggers", R"({"triggerName":"h","triggerType":"http","triggerConfig":{"authType":"anonymous","methods":["GET","POST","HEAD"]}})").status, 200);
  }
  std::string read(http::Response& response) {
    auto all = loop_.wait(response.stream->read_all(64 << 20));
    return all ? *all : "broken";
  }
  json::value seen() const { return *parse_json(function_.calls.back().http); }

  StreamingInvoker function_{loop_};
  dispatch::StreamedCalls streams_{{&loop_}, function_};
};

TEST_F(FcProxy, AnAnswerIsPassedOnAsItBegins) {
  function_.head = R"({"status":206,"headers":{"Content-Type":["text/event-stream"],"Connection":["close"],"X-Own":["1"]}})";
  http::Response response = send("GET", "proxy/s/f/events");
  EXPECT_EQ(response.status, 206);
  EXPECT_EQ(response.headers.get("content-type"), "text/event-stream");
  EXPECT_EQ(response.headers.get("x-own"), "1");
  EXPECT_FALSE(response.headers.has("connection"));
  EXPECT_FALSE(response.headers.has("content-disposition"));
  EXPECT_EQ(read(response), "");
}

TEST_F(FcProxy, LargeBodiesStreamInAndSmallOnesComeWhole) {
  function_.head = R"({"status":200,"headers":{}})";
  std::string large(40 << 20, 'x');  // beyond what a payload may be
  http::Response response = send("POST", "proxy/s/f/", large);
  EXPECT_TRUE(function_.streamed_in);
  EXPECT_EQ(function_.calls.back().payload, "");
  EXPECT_EQ(read(response).size(), large.size());
  response = send("POST", "proxy/s/f/", "small");
  EXPECT_FALSE(function_.streamed_in);
  EXPECT_EQ(function_.calls.back().payload, "small");
  response = send("POST", "proxy/s/f/", "small", {{"Transfer-Encoding", "chunked"}});
  EXPECT_TRUE(function_.streamed_in) << "nobody knows how small it is";
  EXPECT_EQ(read(response), "small");
}

TEST_F(FcProxy, AnUpgradeIsPassedOnToFunctionsThatServeAPort) {
  function_.head = R"({"status":101,"headers":{"Upgrade":["websocket"],"Connection":["Upgrade"]}})";
  function_.tunnels = true;
  http::Response response = send("GET", "proxy/s/f/ws", "", {{"Connection", "keep-alive, Upgrade"}, {"Upgrade", "websocket"}});
  EXPECT_EQ(response.status, 101);
  EXPECT_TRUE(response.tunnel != nullptr);
  EXPECT_EQ(response.headers.get("upgrade"), "websocket");
  EXPECT_EQ(to_text(*find(*find(seen(), "headers"), "Upgrade")), R"(["websocket"])");
  function_.head.clear();
  send("GET", "proxy/s/f/ws", "", {{"Upgrade", "websocket"}});
  EXPECT_EQ(find(*find(seen(), "headers"), "Upgrade"), nullptr) << "not asked for by Connection";
  EXPECT_EQ(send("PUT", "services/s/functions/f", R"({"runtime":"python3"})").status, 200);
  send("GET", "proxy/s/f/ws", "", {{"Connection", "Upgrade"}, {"Upgrade", "websocket"}});
  EXPECT_EQ(find(*find(seen(), "headers"), "Upgrade"), nullptr);
}

TEST_F(FcProxy, NothingButAWebSocketWithoutABodyIsAnUpgrade) {
  for (auto [protocol, body] : {std::pair{"h2c", ""}, {"TLS/1.0, HTTP/1.1", ""}, {"websocket", "a body"}}) {
    send("POST", "proxy/s/f/ws", body, {{"Connection", "Upgrade, HTTP2-Settings"}, {"Upgrade", protocol}});
    EXPECT_EQ(find(*find(seen(), "headers"), "Upgrade"), nullptr) << protocol;
    EXPECT_EQ(function_.calls.back().payload, body);
  }
  function_.head = R"({"status":200,"headers":{"Upgrade":["h2c"]}})";
  std::string large(100 << 10, 'x');
  http::Response response = send("POST", "proxy/s/f/", large, {{"Connection", "Upgrade"}, {"Upgrade", "websocket"}});
  EXPECT_EQ(read(response).size(), large.size()) << "nothing of the body is lost";
  EXPECT_FALSE(response.headers.has("Upgrade"));
}

TEST_F(FcProxy, BytesThatAreNoUtf8ComeAndGoAsTheyAre) {
  function_.http = "{\"status\":302,\"headers\":{\"Location\":[\"/caf\xE9\"]}}";
  http::Response response = send("GET", "proxy/s/f/?q=%E9", "", {{"X-Name", "caf\xE9"}});
  EXPECT_EQ(response.status, 302);
  EXPECT_EQ(response.headers.get("Location"), "/caf\xE9");
  auto described = parse_json_of_bytes(function_.calls.back().http);
  ASSERT_TRUE(described);
  EXPECT_EQ(view(find(*find(*described, "headers"), "X-Name")->as_array().at(0).as_string()), "caf\xE9");
  EXPECT_EQ(send("PUT", "services/s/functions/f", R"({"runtime":"python3"})").status, 200);
  send("GET", "proxy/s/f/?q=%E9", "", {{"X-Name", "caf\xE9"}});
  EXPECT_EQ(to_text(*find(seen(), "queries")), "{\"q\":[\"\xEF\xBF\xBD\"]}") << "what reads it inside takes UTF-8 only";
}

TEST_F(FcProxy, AFunctionsOwnListOfExposedHeadersStands) {
  function_.http = R"({"status":200,"headers":{"Access-Control-Expose-Headers":["X-Total"]}})";
  EXPECT_EQ(send("GET", "proxy/s/f/").headers.get("Access-Control-Expose-Headers"), "X-Total");
}

TEST_F(FcProxy, AFailureBeforeTheAnswerBeganIsABadGateway) {
  function_.kind = Outcome::Kind::unhandled_error;
  function_.body = R"({"errorMessage":"Process exited unexpectedly"})";
  http::Response response = send("GET", "proxy/s/f/");
  EXPECT_EQ(response.status, 502);
  EXPECT_EQ(response.headers.get("x-fc-error-type"), "UnhandledInvocationError");
  EXPECT_EQ(response.body, function_.body);
  function_.kind = Outcome::Kind::timed_out;
  EXPECT_EQ(send("GET", "proxy/s/f/").status, 504);
  function_.kind = Outcome::Kind::handled_error;
  function_.http = R"({"status":404,"headers":{}})";
  response = send("GET", "proxy/s/f/");
  EXPECT_EQ(response.status, 404) << "the function's own answer, told as an error";
  EXPECT_EQ(response.headers.get("x-fc-error-type"), "HandledInvocationError");
}

TEST_F(FcProxy, AnAnswerToHeadKeepsItsLength) {
  function_.http = R"({"status":200,"headers":{"Content-Length":["1234"]}})";
  http::Response response = send("HEAD", "proxy/s/f/");
  EXPECT_EQ(response.head_length, 1234u);
}

TEST_F(FcProxy, TheFunctionIsToldWhereItIsMounted) {
  send("GET", "proxy/s/f/a/b?q");
  EXPECT_EQ(string_or(seen(), "basePath"), "/2016-08-15/proxy/s/f");
  EXPECT_EQ(string_or(seen(), "path"), "/a/b");
  EXPECT_EQ(string_or(seen(), "scheme"), "http");
  send("GET", "proxy/s/f");
  EXPECT_EQ(string_or(seen(), "basePath"), "/2016-08-15/proxy/s/f");
  EXPECT_EQ(string_or(seen(), "path"), "/");
}

TEST_F(FcProxy, ADomainsRouteRewritesThePath) {
  std::string rules = R"({"equalRules":[{"match":"/exact","replacement":"/found"}],"wildcardRules":[{"match":"/api/*/x/*","replacement":"/$2/of/$1"}],)"
                      R"("regexRules":[{"match":"^/old/([a-z]+)/([0-9]+)$","replacement":"/$1?id=$2"},{"match":"(","replacement":"/never"}]})";
  std::string domain = R"({"domainName":"faces.example.com","routeConfig":{"routes":[{"path":"/*","serviceName":"s","functionName":"f","rewriteConfig":)" + rules + "}]}}";
  EXPECT_EQ(send("POST", "custom-domains", domain).status, 200);
  host_ = "faces.example.com";
  for (auto [asked, expected] : {std::pair{"/exact", "/found"}, std::pair{"/api/v1/x/faces/2", "/faces/2/of/v1"}, std::pair{"/old/cat/7", "/cat?id=7"},
                                 std::pair{"/old/cat/x", "/old/cat/x"},
                                 std::pair{"/", "/"}}) {
    loop_.wait(dialect_->handle(loop_, request("GET", asked)));
    EXPECT_EQ(string_or(seen(), "path"), expected);
    EXPECT_EQ(string_or(seen(), "basePath", "absent"), "");
  }
}

}  // namespace
}  // namespace mayfly::dialects::aliyun
