#include <gtest/gtest.h>

#include "runtime/sandbox_fixture.h"

namespace mayfly::runtime {
namespace {

TEST_F(InSandbox, RunsAHandlerAndAnswersWithItsResult) {
  Reply reply = run_once("def handler(event, context):\n    return b'hello ' + event\n", "world");
  EXPECT_EQ(reply.kind, Reply::Kind::ok) << reply.body;
  EXPECT_EQ(reply.body, "hello world");
}

}  // namespace
}  // namespace mayfly::runtime
