// PHP functions in real sandboxes. The contract with a handler is tested in tests/runtime_php.py.
#include "base/json.h"
#include "runtime/runtimes.h"
#include "runtime/sandbox_fixture.h"

namespace mayfly::runtime {
namespace {

class PhpInstance : public InSandbox {
 protected:
  std::shared_ptr<functions::Runnable> php_function(const std::string& code) {
    auto runnable = function("");
    runnable->function.runtime = "php7.2";
    sys::write_file(runnable->code_path + "/index.php", "<?php\n" + code);
    return runnable;
  }
};

TEST_F(PhpInstance, TakesOnAFunctionAndKeepsItsState) {
  auto runnable = php_function("$n = 1;\nfunction init($context) { global $n; $n++; }\nfunction handler($event, $context) { global $n; return [$event, $n++, __FILE__, extension_loaded('ctype')]; }");
  runnable->function.initializer = "index.init";
  auto instance = started(runnable);
  EXPECT_EQ(call(*instance, "x").body, R"(["x",2,"/code/index.php",true])");
  EXPECT_EQ(call(*instance, "x").body, R"(["x",3,"/code/index.php",true])");
  stop(std::move(instance));
}

TEST_F(PhpInstance, TakesOneCallAtATimeWhateverTheFunctionAsksFor) {
  auto runnable = php_function("function handler($event, $context) { return 1; }");
  runnable->function.instance_concurrency = 10;
  EXPECT_EQ(concurrency_of(runnable->function), 1u);
}

TEST_F(PhpInstance, AnErrorHasTheVendorsShape) {
  auto instance = started(php_function("function handler($event, $context) { throw new DomainException('oops'); }"));
  Reply reply = call(*instance, "");
  EXPECT_EQ(reply.kind, Reply::Kind::handled_error);
  EXPECT_EQ(reply.body, R"({"errorMessage":"oops","errorType":"DomainException","stackTrace":{"file":"/code/index.php","line":2,"traceString":""}})");
  stop(std::move(instance));
}

TEST_F(PhpInstance, AnHttpFunctionAnswersWithAResponse) {
  auto instance = started(php_function("function handler($request, $context) { return new RingCentral\\Psr7\\Response(202, ['A' => 'b'], $request->getBody()); }"));
  Reply reply = call(*instance, "posted", 20 * kMicrosPerSecond, R"({"method":"POST","path":"/","requestURI":"/","clientIP":"","host":"","headers":{},"queries":{}})");
  EXPECT_EQ(reply.body, "posted");
  EXPECT_EQ(reply.http, R"({"status":202,"headers":{"A":["b"]}})");
  stop(std::move(instance));
}

}  // namespace
}  // namespace mayfly::runtime
