// Whole commands, parsed from their arguments, against a server in memory; what they print and their exit codes.

#include "cli/commands.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/hash.h"
#include "cli/deploy/fake_server.h"
#include "sys/file.h"

namespace mayfly::cli {
namespace {

// Adds to FakeServer what is not FC control plane: scripted answers by method and path, kept objects.
class ScriptedServer final : public Transport {
 public:
  std::string endpoint() const override { return "http://test"; }
  Result<Reply> send(Outgoing request) override {
    std::string path = request.target.substr(0, request.target.find('?'));
    asked.push_back(request.method + " " + path);
    last_body = request.body;
    last_target = request.target;
    last_headers = request.headers;
    auto scripted = replies.find(request.method + " " + path);
    if (scripted == replies.end() || scripted->second.empty()) return control.send(std::move(request));
    Reply reply = scripted->second.front();
    if (scripted->second.size() > 1) scripted->second.pop_front();
    if (request.sink && reply.status < 300) {
      request.sink(reply.body);
      reply.body.clear();
    }
    return reply;
  }
  void answer(const std::string& call, int status, std::string body, http::Headers headers = {}) { replies[call].push_back({status, std::move(headers), std::move(body)}); }

  FakeServer control;
  std::map<std::string, std::deque<Reply>> replies;
  std::vector<std::string> asked;
  std::string last_body, last_target;
  http::Headers last_headers;
};

struct CommandsTest : testing::Test {
  // Runs `mayfly <arguments>`; out and err are what it printed.
  int run(std::vector<std::string> arguments) {
    CliContext context(server);
    CLI::App app("test", "mayfly");
    add_commands(app, context);
    std::vector<const char*> argv{"mayfly"};
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    int exit_code = run_command(app, context, static_cast<int>(argv.size()), argv.data());
    std::fflush(stdout);
    std::fflush(stderr);
    out = testing::internal::GetCapturedStdout();
    err = testing::internal::GetCapturedStderr();
    return exit_code;
  }
  static http::Headers headers(std::initializer_list<std::pair<const char*, std::string>> fields) {
    http::Headers all;
    for (const auto& [name, value] : fields) all.add(name, value);
    return all;
  }
  ScriptedServer server;
  std::string out, err;
};

const std::string kInvocation = "POST /2016-08-15/services/s/functions/f/invocations";

TEST_F(CommandsTest, InvokePrintsTheResultOnStdoutAndTheLogOnStderr) {
  server.answer(kInvocation, 200, "{\"n\":1}", headers({{"X-Fc-Request-Id", "r1"}, {"X-Fc-Log-Result", base64_encode("hello\n")}, {"X-Fc-Invocation-Duration", "12"}}));
  EXPECT_EQ(run({"invoke", "s/f", "{\"x\":1}"}), 0);
  EXPECT_EQ(out, "{\"n\":1}");
  EXPECT_EQ(err, "hello\n[12 ms, ? MB, request r1]\n");
  EXPECT_EQ(server.last_body, "{\"x\":1}");
}

TEST_F(CommandsTest, InvokeEndsWithOneWhenTheFunctionFailed) {
  server.answer(kInvocation, 200, "{\"errorMessage\":\"no\"}", headers({{"X-Fc-Error-Type", "UnhandledInvocationError"}}));
  EXPECT_EQ(run({"invoke", "s/f", "x", "--json"}), 1);
  EXPECT_EQ(string_or(*parse_json(out), "errorType"), "UnhandledInvocationError");
}

TEST_F(CommandsTest, InvokeSendsASampleAndQueuesAsynchronousCalls) {
  server.answer(kInvocation, 202, "", headers({{"X-Fc-Request-Id", "r2"}}));
  EXPECT_EQ(run({"invoke", "s/f", "--async", "--sample", "oss", "--bucket", "b", "--key", "k"}), 0);
  EXPECT_EQ(out, "queued, request r2\n");
  EXPECT_EQ(server.last_headers.get("x-fc-invocation-type"), "Async");
  EXPECT_NE(server.last_body.find("\"name\":\"b\""), std::string::npos);
}

TEST_F(CommandsTest, AnAsynchronousCallMayBeATaskAndHaveAKey) {
  server.answer(kInvocation, 202, "", headers({{"X-Fc-Request-Id", "r2"}, {"X-Fc-Stateful-Async-Invocation-Id", "film-7"}, {"Idempotency-Replayed", "true"}}));
  EXPECT_EQ(run({"invoke", "s/f", "x", "--async", "--id", "film-7", "--idempotency-key", "k"}), 0);
  EXPECT_EQ(out, "queued before, request r2, task film-7\n");
  EXPECT_EQ(server.last_headers.get("x-fc-stateful-async-invocation-id"), "film-7");
  EXPECT_EQ(server.last_headers.get("idempotency-key"), "k");
}

TEST_F(CommandsTest, ALocalFaultEndsWithFiveAndIsToldInJson) {
  EXPECT_EQ(run({"invoke", "s/f", "-f", testing::TempDir()}), 5);
  EXPECT_TRUE(err.starts_with("mayfly: ")) << err;
  EXPECT_EQ(run({"--json", "invoke", "s/f", "-f", testing::TempDir()}), 5);
  auto told = parse_json(out);
  ASSERT_TRUE(told) << out;
  EXPECT_NE(string_or(told->at("error"), "message").find(testing::TempDir()), std::string::npos) << out;
  EXPECT_TRUE(server.asked.empty());
}

const std::string kTasks = "/2016-08-15/services/s/functions/f/stateful-async-invocations";

TEST_F(CommandsTest, TasksAreListedPageByPageAndDescribed) {
  server.answer("GET " + kTasks, 200, R"({"invocations":[{"invocationId":"a","status":"Running","startedTime":1000}],"nextToken":"t"})");
  server.answer("GET " + kTasks, 200, R"({"invocations":[{"invocationId":"b","status":"Failed","startedTime":2000,"endTime":3000,"invocationErrorMessage":"no"}],"nextToken":""})");
  EXPECT_EQ(run({"tasks", "list", "s/f", "--status", "Running", "-n", "5"}), 0);
  EXPECT_NE(server.last_target.find("limit=4&sortOrderByTimeAsc=false&status=Running&nextToken=t"), std::string::npos) << server.last_target;
  EXPECT_NE(out.find("a     Running  1970-01-01T00:00:01.000Z"), std::string::npos) << out;
  EXPECT_NE(out.find("no"), std::string::npos);
  server.answer("GET " + kTasks + "/a", 200,
                R"({"invocationId":"a","status":"Stopped","returnPayload":"out","events":[{"eventId":1,"status":"Enqueued","timestamp":1000,"eventDetail":""}]})");
  EXPECT_EQ(run({"tasks", "describe", "s/f", "a"}), 0);
  EXPECT_NE(out.find("result       out\n"), std::string::npos) << out;
  EXPECT_NE(out.find("Enqueued"), std::string::npos);
}

TEST_F(CommandsTest, StopEndsATaskOrACallByItsRequestId) {
  server.answer("PUT " + kTasks + "/a", 200, "{}");
  server.answer("GET " + kTasks + "/a", 200, R"({"invocationId":"a","status":"Stopping"})");
  server.answer("GET " + kTasks + "/a", 200, R"({"invocationId":"a","status":"Stopped"})");
  EXPECT_EQ(run({"tasks", "stop", "s/f", "a"}), 0);
  EXPECT_EQ(out, "a is Stopping\n") << "its run is still being ended";
  EXPECT_EQ(run({"tasks", "stop", "s/f", "a", "--json"}), 0);
  EXPECT_EQ(out, "{\"id\":\"a\",\"status\":\"Stopped\"}\n");
  server.answer("PUT " + kTasks + "/r-1", 404, R"({"ErrorCode":"StatefulAsyncInvocationNotFound","ErrorMessage":"no"})");
  server.answer("POST /mayfly/v1/async/s/f/r-1/cancel", 200, "{}");
  EXPECT_EQ(run({"tasks", "stop", "s/f", "r-1"}), 0);
  EXPECT_EQ(server.asked.back(), "POST /mayfly/v1/async/s/f/r-1/cancel");
  server.answer("PUT " + kTasks + "/done", 412, R"({"ErrorCode":"StatefulAsyncInvocationAlreadyCompleted","ErrorMessage":"ended"})");
  EXPECT_EQ(run({"tasks", "stop", "s/f", "done"}), 4);
}

TEST_F(CommandsTest, StopSaysWhyACallWasNotCancelled) {
  const std::string cancel = "POST /mayfly/v1/async/s/f/r-1/cancel";
  server.answer("PUT " + kTasks + "/r-1", 404, R"({"ErrorCode":"StatefulAsyncInvocationNotFound","ErrorMessage":"no"})");
  server.answer(cancel, 403, R"({"ErrorCode":"AccessDenied","ErrorMessage":"root only"})");
  server.answer(cancel, 503, R"({"ErrorCode":"ResourceExhausted","ErrorMessage":"busy"})");
  server.answer(cancel, 404, R"({"ErrorCode":"CallNotFound","ErrorMessage":"none"})");
  for (const char* message : {"mayfly: AccessDenied: root only\n", "mayfly: ResourceExhausted: busy\n",
                              "mayfly: \"r-1\" is neither a task of s/f nor an asynchronous call that waits or runs\n"}) {
    EXPECT_EQ(run({"tasks", "stop", "s/f", "r-1"}), 4);
    EXPECT_EQ(err, message);
  }
}

TEST_F(CommandsTest, DeadLettersAreEndedOnlyWhenSomethingNamesThem) {
  server.answer("POST /mayfly/v1/dead-letters/redrive", 200, R"({"redriven":2})");
  server.answer("POST /mayfly/v1/dead-letters/purge", 200, R"({"purged":0})");
  EXPECT_EQ(run({"dead-letters", "redrive"}), 2);
  EXPECT_TRUE(server.asked.empty());
  EXPECT_EQ(run({"dead-letters", "redrive", "--function", "s/f", "--older-than", "2h", "--limit", "10"}), 0);
  EXPECT_EQ(out, "2 redriven\n");
  EXPECT_NE(server.last_target.find("service=s&function=f&older_than_s=7200&limit=10"), std::string::npos) << server.last_target;
  EXPECT_EQ(run({"dead-letters", "purge", "--all"}), 0);
  EXPECT_NE(server.last_target.find("all=true"), std::string::npos);
  EXPECT_EQ(run({"dead-letters", "drop", "00"}), 4);
  EXPECT_EQ(run({"dead-letters", "purge", "--older-than", "soon"}), 2);
}

TEST_F(CommandsTest, AnEmptyVariableNamesNoDeadLetters) {
  for (const char* verb : {"redrive", "purge", "list"}) {
    for (const char* target : {"/", "shop/", "/pay", "a/b/c", ""}) EXPECT_EQ(run({"dead-letters", verb, "--function", target, "--older-than", "2h"}), 2) << verb << " " << target;
    EXPECT_EQ(run({"dead-letters", verb, "--function", "shop", "--older-than", ""}), 2) << verb;
  }
  for (const char* verb : {"redrive", "drop", "show"}) EXPECT_EQ(run({"dead-letters", verb, ""}), 2) << verb;
  EXPECT_EQ(run({"dead-letters", "redrive", "", "--all"}), 2);
  EXPECT_TRUE(server.asked.empty());
  server.answer("POST /mayfly/v1/dead-letters/purge", 200, R"({"purged":1})");
  EXPECT_EQ(run({"dead-letters", "purge", "--function", "shop"}), 0) << "a service is enough";
  EXPECT_NE(server.last_target.find("?service=shop"), std::string::npos) << server.last_target;
  EXPECT_EQ(server.last_target.find("function"), std::string::npos) << server.last_target;
}

std::string page_of_letters(size_t count, std::string_view last) {
  json::array letters;
  for (size_t i = 0; i < count; ++i) letters.push_back(json::object{{"id", i + 1 < count ? std::string("x") : std::string(last)}});
  return to_text(json::object{{"deadLetters", std::move(letters)}});
}

TEST_F(CommandsTest, DeadLettersAreListedPageByPageUpToTheLimit) {
  server.answer("GET /mayfly/v1/dead-letters", 200, page_of_letters(100, "a"));
  server.answer("GET /mayfly/v1/dead-letters", 200, page_of_letters(60, "b"));
  EXPECT_EQ(run({"dead-letters", "list", "--limit", "5000", "--json"}), 0);
  EXPECT_NE(server.last_target.find("limit=100&after=a"), std::string::npos) << server.last_target;
  auto all = parse_json(out);
  ASSERT_TRUE(all) << out;
  EXPECT_EQ(all->at("deadLetters").as_array().size(), 160u);
  EXPECT_FALSE(bool_or(*all, "more"));
  server.replies.clear();
  server.answer("GET /mayfly/v1/dead-letters", 200, page_of_letters(3, "c"));
  EXPECT_EQ(run({"dead-letters", "list", "--limit", "2"}), 0);
  EXPECT_NE(server.last_target.find("limit=3"), std::string::npos) << server.last_target;
  EXPECT_NE(err.find("the oldest 2, there are more"), std::string::npos) << err;
  EXPECT_EQ(out.find("\nc "), std::string::npos) << out;
}

TEST_F(CommandsTest, AFailureNamesTheServersCodeAndEndsWithFour) {
  server.answer(kInvocation, 404, R"({"ErrorCode":"FunctionNotFound","ErrorMessage":"no f"})");
  EXPECT_EQ(run({"invoke", "s/f", "x"}), 4);
  EXPECT_EQ(err, "mayfly: FunctionNotFound: no f\n");
  EXPECT_EQ(run({"invoke", "s", "x"}), 2);
}

TEST_F(CommandsTest, LogsShowTheLastEntriesAndGoOnWhereTheyEnded) {
  server.answer("GET /mayfly/v1/logs", 200,
                R"({"entries":[{"time":"t1","service":"s","function":"f","text":"one\n"},{"time":"t2","service":"s","function":"f","text":"two"}],"next":"2"})");
  EXPECT_EQ(run({"logs", "s/f", "-n", "1"}), 0);
  EXPECT_EQ(out, "t2  s/f  two\n");
}

TEST_F(CommandsTest, LogsOfAFunctionThatIsNotThereSaySo) {
  server.answer("GET /mayfly/v1/logs", 200, R"({"entries":[],"next":"0"})");
  server.answer("GET /mayfly/v1/functions/s/typo", 404, R"({"ErrorCode":"FunctionNotFound","ErrorMessage":"no typo"})");
  server.answer("GET /mayfly/v1/functions/s/silent", 200, "{}");
  EXPECT_EQ(run({"logs", "s/typo"}), 4);
  EXPECT_EQ(err, "mayfly: FunctionNotFound: no typo\n");
  EXPECT_EQ(run({"logs", "s", "--function", "typo"}), 4);
  EXPECT_EQ(run({"logs", "s/silent"}), 0);
  EXPECT_EQ(run({"logs", "s"}), 0);
  EXPECT_EQ(run({"logs", "s/"}), 2);
}

TEST_F(CommandsTest, DependenciesThatNothingNamesStopNoDeployment) {
  std::string folder = testing::TempDir() + "commands-no-deps", zip = testing::TempDir() + "commands-no-deps.zip";
  sys::make_folders(folder + "/code");
  sys::write_file(folder + "/code/index.js", "x");
  sys::write_file(folder + "/code/package.json", R"({"type":"module"})");
  sys::write_file(folder + "/template.yml",
                  "ROSTemplateFormatVersion: '2015-09-01'\nTransform: 'Aliyun::Serverless-2018-04-03'\nResources:\n  s:\n    Type: Aliyun::Serverless::Service\n"
                  "    f:\n      Type: Aliyun::Serverless::Function\n      Properties: {Handler: index.h, Runtime: nodejs12, CodeUri: code}\n");
  EXPECT_EQ(run({"deploy", folder, "-y", "--deps"}), 0) << err;
  EXPECT_EQ(out.find("+ layer"), std::string::npos) << out;
  EXPECT_EQ(run({"deps", folder + "/code", "--output", zip}), 2);
  EXPECT_NE(err.find("nothing to install"), std::string::npos) << err;
  EXPECT_EQ(run({"deps", folder + "/code", "--output", folder}), 2);
  EXPECT_EQ(run({"--json", "deps", folder + "/code", "--output", "/nonexistent/x.zip"}), 5);
  EXPECT_TRUE(parse_json(out)) << out;
  sys::remove_tree(folder);
}

TEST_F(CommandsTest, DeployDryRunShowsThePlanAndChangesNothing) {
  std::string folder = testing::TempDir() + "commands-deploy";
  sys::make_folders(folder + "/code");
  sys::write_file(folder + "/code/index.py", "x");
  sys::write_file(folder + "/template.yml",
                  "ROSTemplateFormatVersion: '2015-09-01'\nTransform: 'Aliyun::Serverless-2018-04-03'\nResources:\n  s:\n    Type: Aliyun::Serverless::Service\n"
                  "    f:\n      Type: Aliyun::Serverless::Function\n      Properties: {Handler: index.h, Runtime: python3, CodeUri: code}\n");
  EXPECT_EQ(run({"deploy", folder, "--dry-run"}), 0);
  EXPECT_NE(out.find("  + service s\n  + function s/f\n"), std::string::npos) << out;
  EXPECT_TRUE(server.control.writes.empty());
  EXPECT_EQ(run({"deploy", folder, "-y"}), 0);
  EXPECT_NE(out.find("created function s/f\n"), std::string::npos) << out;
  EXPECT_EQ(run({"deploy", folder, "-y"}), 0);
  EXPECT_NE(out.find("Nothing to do"), std::string::npos) << out;
  EXPECT_EQ(run({"deploy", folder, "-p", "A=1"}), 2);
  sys::remove_tree(folder);
}

TEST_F(CommandsTest, FlowStartWaitsAndEndsWithOneUnlessItSucceeded) {
  server.answer("POST /", 200, R"({"FlowName":"f","Name":"e","Status":"Running"})");
  server.answer("POST /", 200, R"({"FlowName":"f","Name":"e","Status":"Running"})");
  server.answer("POST /", 200, R"({"Events":[{"EventId":1,"Type":"ExecutionStarted","Time":"t"}],"NextToken":""})");
  server.answer("POST /", 200, R"({"FlowName":"f","Name":"e","Status":"Failed","Output":""})");
  server.answer("POST /", 200, R"({"Events":[{"EventId":1,"Type":"ExecutionStarted","Time":"t"},{"EventId":2,"Type":"ExecutionFailed","Time":"t","EventDetail":"why"}]})");
  EXPECT_EQ(run({"flow", "start", "f", "{}", "--wait"}), 1);
  EXPECT_EQ(out, "f/e  Failed\n\n");
  EXPECT_NE(err.find("ExecutionFailed"), std::string::npos);
  EXPECT_EQ(err.find("ExecutionStarted"), err.rfind("ExecutionStarted")) << "an event is shown once";
}

TEST_F(CommandsTest, ObjectDownloadIsCheckedAndRenamedIntoPlace) {
  std::string file = testing::TempDir() + "commands-download.txt";
  server.answer("GET /b/k.txt", 200, "hello", headers({{"x-oss-hash-crc64ecma", fmt::to_string(crc64("hello"))}}));
  EXPECT_EQ(run({"object", "cp", "mayfly://b/k.txt", file}), 0) << err;
  EXPECT_EQ(sys::read_file(file), "hello");
  unlink(file.c_str());
  server.replies.clear();
  server.answer("GET /b/k.txt", 200, "hellO", headers({{"x-oss-hash-crc64ecma", fmt::to_string(crc64("hello"))}}));
  EXPECT_EQ(run({"object", "cp", "mayfly://b/k.txt", file}), 5);
  EXPECT_FALSE(sys::exists(file));
  EXPECT_FALSE(sys::exists(file + ".part"));
}

TEST_F(CommandsTest, ObjectDownloadRefusesKeysThatLeadOutOfTheFolder) {
  server.answer("GET /b/", 200, "<ListBucketResult><Contents><Key>../evil</Key><Size>1</Size></Contents><IsTruncated>false</IsTruncated></ListBucketResult>");
  EXPECT_EQ(run({"object", "cp", "-r", "mayfly://b/", testing::TempDir() + "commands-evil"}), 5);
  EXPECT_NE(err.find("outside"), std::string::npos);
}

TEST_F(CommandsTest, ObjectListFollowsPagesAndDecodesKeys) {
  server.answer("GET /b/", 200,
                "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>a%20b</Key><Size>2048</Size><LastModified>t</LastModified></Contents>"
                "<IsTruncated>true</IsTruncated><NextMarker>a%20b</NextMarker></ListBucketResult>");
  server.answer("GET /b/", 200,
                "<ListBucketResult><EncodingType>url</EncodingType><CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes><IsTruncated>false</IsTruncated></ListBucketResult>");
  EXPECT_EQ(run({"object", "ls", "mayfly://b/"}), 0);
  EXPECT_EQ(out, "KEY  SIZE     MODIFIED\na b  2.0 KiB  t\nc/   -\n");
  EXPECT_EQ(run({"object", "ls", "mayfly://b/", "--json"}), 0);  // the second page again
  EXPECT_EQ(out, "{\"objects\":[{\"key\":\"c/\",\"size\":0,\"modified\":\"\",\"prefix\":true}]}\n");
}

TEST_F(CommandsTest, ListNamesWhatIsThere) {
  server.answer("GET /2016-08-15/services", 200, R"({"services":[{"serviceName":"s"}],"nextToken":""})");
  server.answer("GET /2016-08-15/services/s/functions", 200,
                R"({"functions":[{"functionName":"f","runtime":"python3","handler":"i.h","memorySize":128,"timeout":3,"codeSize":1536}]})");
  EXPECT_EQ(run({"ls", "functions"}), 0);
  EXPECT_EQ(out, "FUNCTION  RUNTIME  HANDLER  MEMORY  TIMEOUT  CODE\ns/f       python3  i.h      128 MB  3 s      1.5 KiB\n");
}

TEST_F(CommandsTest, DescribeSaysWhyAFunctionCannotBeCalled) {
  server.answer("GET /mayfly/v1/functions/s/f", 200, R"({"service":"s","function":"f","can_invoke":false,"why_not":"its code is gone","instances":[]})");
  EXPECT_EQ(run({"describe", "s/f"}), 0);
  EXPECT_NE(out.find("s/f  CANNOT be called now\n  why          its code is gone\n"), std::string::npos) << out;
}

}  // namespace
}  // namespace mayfly::cli
