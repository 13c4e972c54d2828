// Java functions in real sandboxes: handlers as the vendor's documentation shapes them (aliyun-fc.md 5.4), compiled here.
#include "base/json.h"
#include "runtime/sandbox_fixture.h"

namespace mayfly::runtime {
namespace {

class Java : public InSandbox {
 protected:
  void SetUp() override {
    InSandbox::SetUp();
    if (!sys::exists(options_.built_folder + "/java/function.jar")) GTEST_SKIP() << "this build has no Java runtime (see cmake's output)";
  }
  // A function whose package has the class example.App with this body.
  std::shared_ptr<functions::Runnable> app(const std::string& implements, const std::string& body) {
    auto runnable = function("");
    runnable->function.runtime = "java11";
    runnable->function.handler = "example.App::handleRequest";
    runnable->function.memory_mb = 256;
    runnable->function.initialization_timeout_s = 20;
    runnable->function.timeout_s = 20;
    std::string source = runnable->code_path + "/App.java";
    sys::write_file(source, "package example;\nimport com.aliyun.fc.runtime.*;\nimport java.io.*;\nimport java.util.*;\nimport javax.servlet.http.*;\npublic class App implements " +
                                implements + " {\n" + body + "\n}\n");
    std::string command = fmt::format("javac -cp {}/java/contract.jar:/usr/share/java/servlet-api.jar -d {} {}", options_.built_folder, runnable->code_path, source);
    if (std::system(command.c_str()) != 0) throw std::runtime_error("javac failed");
    return runnable;
  }
  std::string run(std::shared_ptr<functions::Runnable> runnable, std::string payload, std::string http = {}) {
    auto instance = started(std::move(runnable));
    Reply reply = call(*instance, std::move(payload), 20 * kMicrosPerSecond, std::move(http));
    http_ = reply.http;
    kind_ = reply.kind;
    stop(std::move(instance));
    return reply.body;
  }
  std::string http_;
  Reply::Kind kind_{};
};

TEST_F(Java, StreamHandlersReadBytesAndWriteBytes) {
  auto runnable = app("StreamRequestHandler",
                      "public void handleRequest(InputStream in, OutputStream out, Context context) throws IOException {\n"
                      "  context.getLogger().info(\"serving \" + context.getFunctionParam().getFunctionName());\n"
                      "  byte[] event = in.readAllBytes();\n  out.write(event);\n  out.write(context.getExecutionCredentials().getSecurityToken().getBytes());\n}");
  EXPECT_EQ(run(runnable, std::string("\x89PNG\0", 5)), std::string("\x89PNG\0", 5) + "token");
  EXPECT_NE(printed().find("request-1 [INFO] serving detect-1\n"), std::string::npos) << printed();
}

TEST_F(Java, PojoHandlersSeeJsonAsObjects) {
  auto runnable = app("PojoRequestHandler<App.Photo, App.Found>",
                      "public static class Photo { public String name; public List<Integer> sizes; }\npublic static class Found { public String in; public int faces; }\n"
                      "public Found handleRequest(Photo photo, Context context) {\n  Found found = new Found();\n  found.in = photo.name;\n  found.faces = photo.sizes.get(1);\n  return found;\n}");
  EXPECT_EQ(run(runnable, R"({"name":"a.jpg","sizes":[3,7]})"), R"({"in":"a.jpg","faces":7})");
}

TEST_F(Java, HttpHandlersGetAServletRequest) {
  auto runnable = app("HttpRequestHandler",
                      "public void handleRequest(HttpServletRequest request, HttpServletResponse response, Context context) throws IOException {\n"
                      "  response.setStatus(201);\n  response.setHeader(\"X-Seen\", request.getHeader(\"x-own\") + request.getParameter(\"a\"));\n"
                      "  response.getOutputStream().write((request.getMethod() + \" \" + request.getPathInfo() + \" \" + new String(request.getInputStream().readAllBytes())).getBytes());\n}");
  EXPECT_EQ(run(runnable, "body", R"({"method":"PUT","path":"/a b","requestURI":"/2016-08-15/proxy/s/f/a%20b?a=1","host":"h:80","clientIP":"::1","queries":{"a":["1"]},"headers":{"X-Own":["v"]}})"),
            "PUT /a b body");
  EXPECT_EQ(http_, R"({"status":201,"headers":{"X-Seen":["v1"]}})");
}

TEST_F(Java, InitializerStateAndHooksAreOfOneObject) {
  auto runnable = app("StreamRequestHandler, FunctionInitializer, PreStopHandler",
                      "private int count = 0;\npublic void initialize(Context context) { count = 1; }\n"
                      "public void handleRequest(InputStream in, OutputStream out, Context context) throws IOException { out.write(String.valueOf(++count).getBytes()); }\n"
                      "public void preStop(Context context) { System.out.println(\"bye after \" + count); }");
  runnable->function.initializer = "example.App::initialize";
  runnable->function.vendor["InstanceLifecycleConfig"] = json::object{{"PreStop", {{"Handler", "example.App::preStop"}, {"Timeout", 5}}}};
  auto instance = started(runnable);
  EXPECT_EQ(call(*instance, "").body, "2");
  EXPECT_EQ(call(*instance, "").body, "3");
  stop(std::move(instance));
  EXPECT_NE(printed().find("bye after 3\n"), std::string::npos) << printed();
}

TEST_F(Java, AnExceptionIsToldWithItsStackAndWithoutOurs) {
  auto runnable = app("StreamRequestHandler",
                      "public void handleRequest(InputStream in, OutputStream out, Context context) { throw new IllegalStateException(\"no photo\", new RuntimeException(\"why\")); }");
  json::value error = *parse_json(run(runnable, ""));
  EXPECT_EQ(kind_, Reply::Kind::handled_error);
  EXPECT_EQ(string_or(error, "errorMessage"), "no photo");
  EXPECT_EQ(string_or(error, "errorType"), "java.lang.IllegalStateException");
  EXPECT_EQ(to_text(*find(error, "stackTrace")), R"x(["example.App.handleRequest(App.java:7)"])x");
  EXPECT_EQ(string_or(*find(error, "cause"), "errorMessage"), "why");
}

TEST_F(Java, RunningOutOfItsHeapEndsItAndIsTold) {
  auto runnable = app("StreamRequestHandler",
                      "public void handleRequest(InputStream in, OutputStream out, Context context) { List<byte[]> kept = new ArrayList<>(); while (true) kept.add(new byte[8 << 20]); }");
  auto instance = started(runnable);
  Reply reply = call(*instance, "", 20 * kMicrosPerSecond);
  EXPECT_EQ(reply.kind, Reply::Kind::died);
  auto words = parse_json(reply.last_words);
  ASSERT_TRUE(words) << reply.last_words;
  EXPECT_EQ(string_or(*words, "errorType"), "java.lang.OutOfMemoryError");
  EXPECT_TRUE(string_or(*words, "errorMessage").ends_with(" MB of the function's 256 MB: raise its memorySize)")) << reply.last_words;
  stop(std::move(instance));
}

TEST_F(Java, AClassThatIsNotThereIsAClearFailure) {
  auto runnable = app("StreamRequestHandler", "public void handleRequest(InputStream in, OutputStream out, Context context) {}");
  runnable->function.handler = "example.None::handleRequest";
  auto failure = start(runnable);
  ASSERT_FALSE(failure);
  EXPECT_NE(failure.error().message.find("the package has no class example.None"), std::string::npos) << failure.error().message;
}

TEST_F(Java, RunsSeveralCallsAtOnceWhenTheFunctionAllows) {
  auto runnable = app("StreamRequestHandler",
                      "private final java.util.concurrent.CountDownLatch all = new java.util.concurrent.CountDownLatch(2);\n"
                      "public void handleRequest(InputStream in, OutputStream out, Context context) throws IOException {\n  all.countDown();\n"
                      "  try { all.await(); } catch (InterruptedException e) { throw new IOException(e); }\n  out.write(\"both\".getBytes());\n}");
  runnable->function.instance_concurrency = 2;
  auto instance = started(runnable);
  auto other = begin(*instance, "");
  EXPECT_EQ(call(*instance, "").body, "both");
  EXPECT_EQ(other.get().body, "both");
  stop(std::move(instance));
}

TEST_F(Java, SeesItsEnvironmentAndNothingOfTheRuntime) {
  auto runnable = app("StreamRequestHandler",
                      "public void handleRequest(InputStream in, OutputStream out, Context context) throws IOException {\n  String gson;\n"
                      "  try { Class.forName(\"com.google.gson.Gson\"); gson = \"seen\"; } catch (ClassNotFoundException e) { gson = \"none\"; }\n"
                      "  out.write((System.getenv(\"OWN\") + System.getenv(\"FC_FUNCTION_NAME\") + gson).getBytes());\n}");
  runnable->function.environment["OWN"] = "mine ";
  EXPECT_EQ(run(runnable, ""), "mine detect-1none");
}

}  // namespace
}  // namespace mayfly::runtime
