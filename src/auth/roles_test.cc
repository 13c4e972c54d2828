#include "auth/roles.h"

#include <gtest/gtest.h>

#include <thread>

#include "io/group.h"
#include "io/sim_loop.h"
#include "store/memory_engine.h"

namespace mayfly::auth {
namespace {

constexpr const char* kTrust = R"({"Version":"1","Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":["fc.aliyuncs.com"]}}]})";

std::string allow(const std::string& action, const std::string& resource = "*") {
  return R"({"Version":"1","Statement":[{"Effect":"Allow","Action":")" + action + R"(","Resource":")" + resource + R"("}]})";
}

class RolesTest : public testing::Test {
 protected:
  RolesTest() { loop_.wait(roles_.load(loop_)); }

  template <class T>
  RoleError refusal(io::Task<Expected<T, RoleError>> task) {
    auto result = loop_.wait(std::move(task));
    EXPECT_FALSE(result.has_value());
    return result ? RoleError::busy : result.error().code;
  }
  template <class T>
  bool done(io::Task<Expected<T, RoleError>> task) { return loop_.wait(std::move(task)).has_value(); }
  bool may(const std::string& role, const std::string& action, const std::string& resource = "acs:oss:*:1234:bkt/k") {
    return roles_.allows({Identity::Kind::role, "1234", role, ""}, {action, resource});
  }

  io::SimLoop loop_;
  std::unique_ptr<store::Engine> engine_ = store::make_memory_engine();
  std::unique_ptr<store::Store> store_ = store::make_inline_store(*engine_);
  Roles roles_{*store_, loop_.clock(), "1234"};
};

TEST_F(RolesTest, RootMayEverythingAnonymousNothingAndARoleWhatItsPoliciesSay) {
  EXPECT_TRUE(roles_.allows({Identity::Kind::root, "1234", "", ""}, {"oss:DeleteBucket", "x"}));
  EXPECT_FALSE(roles_.allows({}, {"oss:GetObject", "x"}));
  EXPECT_FALSE(may("worker", "oss:GetObject")) << "no such role";
  ASSERT_TRUE(done(roles_.create_role(loop_, "worker", kTrust, "", 3600)));
  EXPECT_FALSE(may("worker", "oss:GetObject"));
  ASSERT_TRUE(done(roles_.attach(loop_, "worker", "AliyunOSSReadOnlyAccess", PolicyKind::system)));
  EXPECT_TRUE(may("worker", "oss:GetObject"));
  EXPECT_FALSE(may("worker", "oss:PutObject"));
  ASSERT_TRUE(done(roles_.detach(loop_, "worker", "AliyunOSSReadOnlyAccess", PolicyKind::system)));
  EXPECT_FALSE(may("worker", "oss:GetObject"));
}

TEST_F(RolesTest, ACustomPolicyGrantsWhatItsDefaultVersionSays) {
  ASSERT_TRUE(done(roles_.create_role(loop_, "worker", kTrust, "", 3600)));
  ASSERT_TRUE(done(roles_.create_policy(loop_, "p", allow("oss:GetObject"), "")));
  ASSERT_TRUE(done(roles_.attach(loop_, "worker", "p", PolicyKind::custom)));
  EXPECT_TRUE(may("worker", "oss:GetObject"));
  EXPECT_EQ(loop_.wait(roles_.create_policy_version(loop_, "p", allow("oss:PutObject"), false))->id, "v2");
  EXPECT_FALSE(may("worker", "oss:PutObject"));
  ASSERT_TRUE(done(roles_.set_default_version(loop_, "p", "v2")));
  EXPECT_TRUE(may("worker", "oss:PutObject"));
  EXPECT_FALSE(may("worker", "oss:GetObject"));
}

TEST_F(RolesTest, DenyInOnePolicyBeatsAllowInAnother) {
  ASSERT_TRUE(done(roles_.put_inline(loop_, "worker", kTrust, {{"deny", R"({"Version":"1","Statement":[{"Effect":"Deny","Action":"oss:Delete*","Resource":"*"}]})"}},
                                     {{PolicyKind::system, "AliyunOSSFullAccess", 0}})));
  EXPECT_TRUE(may("worker", "oss:PutObject"));
  EXPECT_FALSE(may("worker", "oss:DeleteObject"));
}

TEST_F(RolesTest, ASessionPolicyNarrowsAndNeverWidens) {
  ASSERT_TRUE(done(roles_.put_inline(loop_, "worker", kTrust, {}, {{PolicyKind::system, "AliyunOSSFullAccess", 0}})));
  auto may_with = [&](const std::string& session_policy, const char* action) {
    return roles_.allows({Identity::Kind::role, "1234", "worker", "", session_policy}, {action, "acs:oss:*:1234:bkt/k"});
  };
  EXPECT_TRUE(may_with(allow("oss:GetObject"), "oss:GetObject"));
  EXPECT_FALSE(may_with(allow("oss:GetObject"), "oss:PutObject"));
  EXPECT_FALSE(may_with(allow("*"), "fc:InvokeFunction"));
  EXPECT_FALSE(may_with("garbage", "oss:GetObject"));
}

TEST_F(RolesTest, NamesCompareWithoutCaseAndKeepIt) {
  ASSERT_TRUE(done(roles_.create_role(loop_, "MyRole", kTrust, "", 3600)));
  EXPECT_EQ(roles_.role("myrole")->name, "MyRole");
  EXPECT_EQ(refusal(roles_.create_role(loop_, "MYROLE", kTrust, "", 3600)), RoleError::role_exists);
  EXPECT_EQ(roles_.role_arn("MyRole"), "acs:ram::1234:role/myrole");
  EXPECT_EQ(Roles::role_name("acs:ram::1234:role/myrole"), "myrole");
  EXPECT_EQ(Roles::role_name("myrole"), "myrole");
}

TEST_F(RolesTest, TrustIsWhatTheTrustDocumentNames) {
  ASSERT_TRUE(done(roles_.create_role(loop_, "worker", kTrust, "", 3600)));
  EXPECT_TRUE(roles_.trusts("worker", "fc.aliyuncs.com"));
  EXPECT_FALSE(roles_.trusts("worker", "fnf.aliyuncs.com"));
  EXPECT_FALSE(roles_.trusts("nobody", "fc.aliyuncs.com"));
}

TEST_F(RolesTest, EverythingSurvivesARestart) {
  ASSERT_TRUE(done(roles_.create_policy(loop_, "p", allow("oss:*", "acs:oss:*:*:bkt/*"), "mine")));
  ASSERT_TRUE(done(roles_.create_role(loop_, "worker", kTrust, "does work", 1800)));
  ASSERT_TRUE(done(roles_.attach(loop_, "worker", "p", PolicyKind::custom)));
  ASSERT_TRUE(done(roles_.put_inline(loop_, "inlined", kTrust, {{"a", allow("fc:InvokeFunction")}}, {})));
  Roles again(*store_, loop_.clock(), "1234");
  loop_.wait(again.load(loop_));
  const auto role = again.role("worker");
  ASSERT_TRUE(role);
  EXPECT_EQ(role->description, "does work");
  EXPECT_EQ(role->max_session_s, 1800);
  EXPECT_EQ(role->trust_document, kTrust);
  EXPECT_EQ(role->id, roles_.role("worker")->id);
  EXPECT_EQ(again.policy("p", PolicyKind::custom)->attachments, 1u);
  EXPECT_TRUE(again.allows({Identity::Kind::role, "1234", "worker", ""}, {"oss:PutObject", "acs:oss:*:1234:bkt/k"}));
  EXPECT_TRUE(again.allows({Identity::Kind::role, "1234", "inlined", ""}, {"fc:InvokeFunction", "acs:fc:*:1234:x"}));
  ASSERT_TRUE(loop_.wait(again.delete_role(loop_, "inlined"))) << "and can be changed further";
}

TEST_F(RolesTest, SaysPreciselyWhyItRefuses) {
  ASSERT_TRUE(done(roles_.create_role(loop_, "r", kTrust, "", 3600)));
  ASSERT_TRUE(done(roles_.create_policy(loop_, "p", allow("oss:*"), "")));
  EXPECT_EQ(refusal(roles_.create_role(loop_, "", kTrust, "", 3600)), RoleError::bad_name);
  EXPECT_EQ(refusal(roles_.create_role(loop_, "a b", kTrust, "", 3600)), RoleError::bad_name);
  EXPECT_EQ(refusal(roles_.create_role(loop_, "x", "{}", "", 3600)), RoleError::malformed);
  EXPECT_EQ(refusal(roles_.update_role(loop_, "x", {})), RoleError::role_missing);
  EXPECT_EQ(refusal(roles_.delete_role(loop_, "x")), RoleError::role_missing);
  EXPECT_EQ(refusal(roles_.create_policy(loop_, "p", allow("oss:*"), "")), RoleError::policy_exists);
  EXPECT_EQ(refusal(roles_.create_policy(loop_, "AliyunOSSFullAccess", allow("oss:*"), "")), RoleError::policy_exists);
  EXPECT_EQ(refusal(roles_.create_policy(loop_, "q", "not json", "")), RoleError::malformed);
  EXPECT_EQ(refusal(roles_.attach(loop_, "r", "q", PolicyKind::custom)), RoleError::policy_missing);
  EXPECT_EQ(refusal(roles_.attach(loop_, "r", "NoSuch", PolicyKind::system)), RoleError::policy_missing);
  EXPECT_EQ(refusal(roles_.detach(loop_, "r", "p", PolicyKind::custom)), RoleError::not_attached);
  ASSERT_TRUE(done(roles_.attach(loop_, "r", "p", PolicyKind::custom)));
  EXPECT_EQ(refusal(roles_.attach(loop_, "r", "P", PolicyKind::custom)), RoleError::attached_already);
  EXPECT_EQ(refusal(roles_.delete_role(loop_, "r")), RoleError::in_use);
  EXPECT_EQ(refusal(roles_.delete_policy(loop_, "p")), RoleError::in_use);
  EXPECT_EQ(refusal(roles_.delete_policy_version(loop_, "p", "v1")), RoleError::in_use);
  EXPECT_EQ(refusal(roles_.delete_policy_version(loop_, "p", "v9")), RoleError::version_missing);
  EXPECT_EQ(refusal(roles_.set_default_version(loop_, "p", "v9")), RoleError::version_missing);
}

TEST_F(RolesTest, APolicyKeepsFiveVersionsAndNeverReusesANumber) {
  ASSERT_TRUE(done(roles_.create_policy(loop_, "p", allow("oss:*"), "")));
  for (int i = 2; i <= 5; ++i) ASSERT_TRUE(done(roles_.create_policy_version(loop_, "p", allow("oss:*"), true)));
  EXPECT_EQ(refusal(roles_.create_policy_version(loop_, "p", allow("oss:*"), true)), RoleError::limit);
  ASSERT_TRUE(done(roles_.delete_policy_version(loop_, "p", "v1")));
  EXPECT_EQ(loop_.wait(roles_.create_policy_version(loop_, "p", allow("oss:*"), true))->id, "v6");
  EXPECT_EQ(refusal(roles_.delete_policy(loop_, "p")), RoleError::in_use);
}

io::Task<void> create_and_count(Roles& roles, io::Loop& loop, std::string name, int& made) {
  if (co_await roles.create_role(loop, std::move(name), kTrust, "", 3600)) ++made;
}

TEST_F(RolesTest, WritersAtTheSameMomentAllGetThroughAndANameIsWonOnce) {
  int made = 0, won = 0;
  io::TaskGroup group(loop_);
  for (int i = 0; i < 8; ++i) group.spawn(create_and_count(roles_, loop_, "role-" + std::to_string(i), made));
  for (int i = 0; i < 4; ++i) group.spawn(create_and_count(roles_, loop_, "same", won));
  loop_.run();
  EXPECT_EQ(made, 8);
  EXPECT_EQ(won, 1);
  EXPECT_EQ(roles_.list_roles().size(), 9u);
}

TEST_F(RolesTest, AnotherProcessOnTheSameStoreIsNoticed) {
  Roles other(*store_, loop_.clock(), "1234");
  loop_.wait(other.load(loop_));
  ASSERT_TRUE(done(roles_.create_role(loop_, "r", kTrust, "", 3600)));
  EXPECT_EQ(loop_.wait(other.create_role(loop_, "r", kTrust, "", 3600)).error().code, RoleError::role_exists);
  EXPECT_TRUE(other.role("r"));
}

TEST_F(RolesTest, ReadersOnOtherThreadsSeeOneSnapshotOrTheNext) {
  ASSERT_TRUE(done(roles_.put_inline(loop_, "r", kTrust, {{"a", allow("oss:GetObject")}}, {})));
  std::atomic<bool> stop = false;
  std::atomic<int> wrong = 0;
  std::thread reader([&] {
    const Identity identity{Identity::Kind::role, "1234", "r", ""};
    while (!stop) {
      const auto role = roles_.role("r");
      if (!role || role->inline_documents.size() != 1) ++wrong;
      if (roles_.allows(identity, {"oss:DeleteBucket", "x"})) ++wrong;
    }
  });
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(done(roles_.put_inline(loop_, "r", kTrust, {{"a", allow(i % 2 == 0 ? "oss:PutObject" : "oss:GetObject")}}, {})));
  stop = true;
  reader.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace mayfly::auth
