#include "caller.h"

#include <numeric>

#include "far_end_test.h"

namespace mayfly::detail {
namespace {

constexpr const char* kHead =
    R"({"method":"PUT","path":"/a%20b%","requestURI":"/a%20b?q=1&q=2","clientIP":"10.0.0.1","host":"h:80","queries":{"q":["1","2"]},"headers":{"X-One":["v","w"],"Accept":"all"}})";

TEST(SdkCaller, HttpHandlersSeeTheRequest) {
  FarEnd far({http("page", [](const Request& request) {
    std::string headers;
    for (auto [name, value] : request.headers()) headers.append(name).append("=").append(value).append(";");
    return Json{{"method", request.method()}, {"path", request.path()}, {"uri", request.uri()}, {"host", request.host()}, {"ip", request.client_ip()}, {"q", request.query("q")},
                {"none", request.query("r", "-")}, {"one", request.header("x-ONE")}, {"accept", request.header("accept")}, {"headers", headers}, {"body", request.body()}};
  })});
  far.start();
  Received reply = far.call("body", kHead);
  EXPECT_EQ(reply.payload, R"({"method":"PUT","path":"/a b%","uri":"/a%20b?q=1&q=2","host":"h:80","ip":"10.0.0.1","q":"1","none":"-","one":"v","accept":"all",)"
                           R"("headers":"X-One=v;X-One=w;Accept=all;","body":"body"})");
  EXPECT_EQ(reply.meta, R"({"status":200,"headers":{"Content-Type":["application/json"]}})");
}

TEST(SdkCaller, HttpRepliesCarryStatusAndHeaders) {
  FarEnd far({http("page", [](const Request&, Context&) { return Reply("gone\n").status(410).header("X-A", "1").header("Set-Cookie", "a=\"b\"").header("X-A", "2"); })});
  far.start();
  Received reply = far.call("", kHead);
  EXPECT_EQ(reply.payload, "gone\n");
  EXPECT_EQ(reply.meta, R"({"status":410,"headers":{"Content-Type":["text/plain; charset=utf-8"],"X-A":["1","2"],"Set-Cookie":["a=\"b\""]}})");
}

TEST(SdkCaller, AnHttpHandlerCalledWithAnEventSeesAPost) {
  FarEnd far({http("page", [](const Request& request) { return std::string(request.method()) + " " + std::string(request.path()) + " " + std::string(request.body()); })});
  far.start();
  Received reply = far.call("event");
  EXPECT_EQ(reply.payload, "POST / event");
  EXPECT_EQ(reply.meta, "");
}

TEST(SdkCaller, AHandlerThatReturnsNothingAnswersNothing) {
  FarEnd far({function("quiet", [](Event) {})});
  far.start();
  Received reply = far.call("x");
  EXPECT_EQ(reply.header.status, FrameStatus::ok);
  EXPECT_EQ(reply.payload, "");
}

TEST(SdkCaller, LargeBodiesGoBothWays) {
  FarEnd far({echo()});
  far.start();
  for (size_t size : {size_t{16 << 10}, size_t{64 << 10}, size_t{(64 << 10) + 1}, size_t{1 << 20}, size_t{32 << 20}}) {
    std::string body(size, '\0');
    std::iota(body.begin(), body.end(), '\1');
    std::thread sender([&] { far.send_raw(FarEnd::call_bytes(1, body) + FarEnd::call_bytes(2, "after")); });
    EXPECT_EQ(far.receive().payload, body);
    EXPECT_EQ(far.receive().payload, "after");
    sender.join();
  }
}

TEST(SdkCaller, AReplyBeyondTheLimitIsAnErrorThatSaysSo) {
  FarEnd far({function("huge", [](Event) { return std::string(kMaxPayloadBytes + 1, 'x'); })});
  far.start();
  Received reply = far.call("");
  EXPECT_EQ(reply.header.status, FrameStatus::handled_error);
  EXPECT_EQ(reply.json()["errorType"].text(), "ReplyTooLarge");
}

TEST(SdkCaller, AStreamIsAHeadItsPiecesAndAnEmptyReply) {
  FarEnd far({http("rows", [](const Request& request) {
    return Reply::stream([body = request.body()](Writer& out) {
      out.write("one ");
      out.write("");
      out.write(body);
    }).type("text/csv").status(206);
  })});
  far.start();
  far.send_raw(FarEnd::call_bytes(5, "two", kHead));
  Received head = far.receive();
  EXPECT_EQ(head.header.kind, FrameKind::head);
  EXPECT_EQ(head.header.call, 5u);
  EXPECT_EQ(head.meta, R"({"status":206,"headers":{"Content-Type":["text/csv"]}})");
  Received first = far.receive(), second = far.receive(), end = far.receive();
  EXPECT_EQ(first.header.kind, FrameKind::chunk);
  EXPECT_EQ(first.payload, "one ");
  EXPECT_EQ(second.payload, "two") << "an empty piece is no piece";
  EXPECT_EQ(end.header.kind, FrameKind::reply);
  EXPECT_EQ(end.header.status, FrameStatus::ok);
  EXPECT_EQ(end.payload, "");
}

TEST(SdkCaller, ALargePieceIsSentInParts) {
  constexpr size_t kSize = (2 << 20) + 5;
  FarEnd far({function("large", [](Event) { return Reply::stream([](Writer& out) { out.write(std::string(kSize, 'x')); }); })});
  far.start();
  far.send_raw(FarEnd::call_bytes(1, ""));
  EXPECT_EQ(far.receive().header.kind, FrameKind::head);
  size_t total = 0;
  for (Received piece = far.receive(); piece.header.kind == FrameKind::chunk; piece = far.receive()) total += piece.payload.size();
  EXPECT_EQ(total, kSize);
}

TEST(SdkCaller, AStreamWithoutAPieceStillHasItsHead) {
  FarEnd far({function("empty", [](Event) { return Reply::stream([](Writer&) {}); })});
  far.start();
  EXPECT_EQ(far.call("").header.kind, FrameKind::head);
  EXPECT_EQ(far.receive().header.kind, FrameKind::reply);
}

TEST(SdkCaller, AStreamThatFailsBeforeItsFirstPieceIsAnOrdinaryError) {
  FarEnd far({function("fails", [](Event) { return Reply::stream([](Writer&) { throw std::runtime_error("early"); }); })});
  far.start();
  Received reply = far.call("");
  EXPECT_EQ(reply.header.kind, FrameKind::reply);
  EXPECT_EQ(reply.header.status, FrameStatus::handled_error);
  EXPECT_EQ(reply.json()["errorMessage"].text(), "early");
}

TEST(SdkCaller, AStreamThatFailsLaterEndsWithTheError) {
  FarEnd far({function("fails", [](Event) {
    return Reply::stream([](Writer& out) {
      out.write("piece");
      throw std::runtime_error("late");
    });
  })});
  far.start();
  EXPECT_EQ(far.call("").header.kind, FrameKind::head);
  EXPECT_EQ(far.receive().payload, "piece");
  Received end = far.receive();
  EXPECT_EQ(end.header.kind, FrameKind::reply);
  EXPECT_EQ(end.header.status, FrameStatus::handled_error);
  EXPECT_EQ(end.json()["errorMessage"].text(), "late");
}

TEST(SdkCaller, StreamsOfSeveralCallsMixByWholeFrames) {
  FarEnd far({function("rows", [](Event event) {
    return Reply::stream([body = std::string(event.body)](Writer& out) {
      for (int i = 0; i < 50; ++i) out.write(body);
    });
  })});
  far.start(FarEnd::start_json("program", 4));
  for (uint32_t i = 0; i < 4; ++i) far.send_raw(FarEnd::call_bytes(i, std::string(1000 + i, static_cast<char>('a' + i))));
  size_t ended = 0, pieces = 0;
  while (ended < 4) {
    Received frame = far.receive();
    if (frame.header.kind == FrameKind::reply) ++ended;
    if (frame.header.kind != FrameKind::chunk) continue;
    ++pieces;
    ASSERT_EQ(frame.payload, std::string(1000 + frame.header.call, static_cast<char>('a' + frame.header.call)));
  }
  EXPECT_EQ(pieces, 200u);
}

[[gnu::noinline]] int fails_deep_inside(std::string_view text) {
  if (!text.empty()) throw std::invalid_argument("no good");
  return 1;
}

TEST(SdkCaller, AnErrorNamesTheFunctionsOnItsWay) {
  FarEnd far({function("deep", [](Event event) { return std::to_string(fails_deep_inside(event)); })});
  far.start();
  Json stack = far.call("x").json()["stackTrace"];
  ASSERT_GE(stack.size(), 1u);  // and the handler itself, where the compiler has not inlined it
  EXPECT_NE(stack[0].text().find("fails_deep_inside"), std::string_view::npos) << stack.dump();
  for (const Json& line : stack.items()) {
    EXPECT_NE(line.text().find("+0x"), std::string_view::npos) << "an address for addr2line";
    for (const char* own : {"detail::Instance", "detail::answer", "std::__invoke", "_Function_handler"})
      EXPECT_EQ(line.text().find(own), std::string_view::npos) << "the SDK's own frames say nothing";
  }
}

TEST(SdkCaller, TheTraceIsOfTheErrorThatArrivesNotOfOneThatWasCaught) {
  FarEnd far({function("deep", [](Event event) {
    struct Cleaner {
      ~Cleaner() {
        try {
          throw std::runtime_error("while cleaning up");
        } catch (const std::exception&) {
        }
      }
    } cleaner;
    return std::to_string(fails_deep_inside(event));
  })});
  far.start();
  Json stack = far.call("x").json()["stackTrace"];
  ASSERT_GE(stack.size(), 1u);
  EXPECT_NE(stack[0].text().find("fails_deep_inside"), std::string_view::npos) << stack.dump();
}

}  // namespace
}  // namespace mayfly::detail
