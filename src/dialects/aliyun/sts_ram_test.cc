#include "dialects/aliyun/sts_ram_dialect.h"

#include <gtest/gtest.h>

#include "auth/sign_rpc.h"
#include "base/encoding.h"
#include "io/sim_loop.h"
#include "store/memory_engine.h"

namespace mayfly::dialects::aliyun {
namespace {

constexpr const char* kFcTrust = R"({"Version":"1","Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":["fc.aliyuncs.com"]}}]})";
constexpr const char* kAccountTrust = R"({"Version":"1","Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"RAM":["acs:ram::1234:root"]}}]})";
constexpr const char* kDocument = R"({"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:GetObject"],"Resource":["*"]}]})";

// A server of two products, called the way clients call it: signed, through the front.
class StsRam : public testing::Test {
 protected:
  StsRam() {
    loop_.wait(roles_.load(loop_));
    front_.mount("2015-04-01", "sts", sts_);
    front_.mount("2015-05-01", "ram", ram_);
  }

  struct Reply {
    int status;
    json::value body;
    std::string code() const { return string_or(body, "Code"); }
    // The text at a path of members and indexes: at("/Role/Arn").
    std::string at(const char* pointer) const {
      boost::system::error_code error;
      const json::value* found = body.find_pointer(pointer, error);
      return found == nullptr ? "(absent)" : found->is_string() ? std::string(view(found->get_string())) : to_text(*found);
    }
  };
  Reply call(const char* version, const char* action, http::Query parameters = {}) {
    parameters.insert(parameters.begin(), {{"Action", action}, {"Version", version}});
    http::Request request;
    request.method = "GET";
    request.raw_path = "/";
    request.host = "127.0.0.1:9000";
    for (const auto& [name, value] : auth::sign_rpc("GET", std::move(parameters), caller_, "n" + std::to_string(++nonces_), loop_.clock().wall_us()))
      request.raw_query += (request.raw_query.empty() ? "" : "&") + percent_encode(name) + "=" + percent_encode(value);
    request.body = http::make_body("");
    auto response = loop_.wait(front_.handle(loop_, std::move(request)));
    return {response.status, *parse_json(response.body)};
  }
  Reply ram(const char* action, http::Query parameters = {}) { return call("2015-05-01", action, std::move(parameters)); }
  Reply sts(const char* action, http::Query parameters = {}) { return call("2015-04-01", action, std::move(parameters)); }
  void become(const Reply& assumed) {
    caller_ = {.access_key_id = assumed.at("/Credentials/AccessKeyId"), .access_key_secret = assumed.at("/Credentials/AccessKeySecret"),
               .security_token = assumed.at("/Credentials/SecurityToken")};
  }

  io::SimLoop loop_;
  SeededRng rng_{6};
  std::unique_ptr<store::Engine> engine_ = store::make_memory_engine();
  std::unique_ptr<store::Store> store_ = store::make_inline_store(*engine_);
  auth::Keyring keyring_ = auth::Keyring::make("1234", "AK", "SK", std::string(32, 'm'));
  auth::Roles roles_{*store_, loop_.clock(), "1234"};
  auth::Credentials caller_{.access_key_id = "AK", .access_key_secret = "SK"};
  StsProduct sts_{keyring_, roles_, loop_.clock(), rng_};
  RamProduct ram_{roles_};
  RpcFront front_{keyring_, loop_.clock(), rng_};
  int nonces_ = 0;
};

// aliyun-fc.md section 3, step 2.
TEST_F(StsRam, AnswersWhatFunDeploySendsBeforeAService) {
  const http::Query role{{"RoleName", "aliyunfcgeneratedrole-cn-hangzhou-svc"}};
  const http::Query policy{{"PolicyName", "AliyunFcGeneratedServicePolicy-cn-hangzhou-svc1"}, {"PolicyType", "Custom"}};
  auto both = role;
  both.insert(both.end(), policy.begin(), policy.end());

  const auto absent = ram("GetRole", role);
  EXPECT_EQ(absent.status, 404);
  EXPECT_EQ(absent.code(), "EntityNotExist.Role");
  const auto created = ram("CreateRole", {role[0], {"AssumeRolePolicyDocument", kFcTrust}, {"Description", "made by fun"}});
  EXPECT_EQ(created.status, 200);
  EXPECT_EQ(created.at("/Role/Arn"), "acs:ram::1234:role/aliyunfcgeneratedrole-cn-hangzhou-svc");
  EXPECT_EQ(created.at("/Role/RoleName"), role[0].second);
  EXPECT_EQ(created.code(), "");
  EXPECT_EQ(ram("GetPolicy", policy).code(), "EntityNotExist.Policy");
  EXPECT_EQ(ram("CreatePolicy", {policy[0], {"PolicyDocument", kDocument}}).status, 200);
  EXPECT_EQ(ram("ListPoliciesForRole", role).at("/Policies/Policy"), "[]");
  EXPECT_EQ(ram("AttachPolicyToRole", both).status, 200);
  EXPECT_EQ(ram("ListPoliciesForRole", role).at("/Policies/Policy/0/PolicyName"), policy[0].second);

  // The second deployment.
  EXPECT_EQ(ram("GetRole", role).at("/Role/AssumeRolePolicyDocument"), kFcTrust);
  EXPECT_EQ(ram("GetPolicy", policy).at("/DefaultPolicyVersion/PolicyDocument"), kDocument);
  EXPECT_EQ(ram("CreatePolicyVersion", {policy[0], {"PolicyDocument", kDocument}, {"SetAsDefault", "true"}}).at("/PolicyVersion/VersionId"), "v2");
  EXPECT_EQ(ram("ListPolicyVersions", policy).at("/PolicyVersions/PolicyVersion/1/IsDefaultVersion"), "true");
  EXPECT_EQ(ram("DeletePolicyVersion", {policy[0], {"VersionId", "v1"}}).status, 200);
  EXPECT_EQ(ram("AttachPolicyToRole", both).code(), "EntityAlreadyExists.Role.Policy");
}

TEST_F(StsRam, SystemPoliciesAttachByName) {
  ram("CreateRole", {{"RoleName", "r"}, {"AssumeRolePolicyDocument", kFcTrust}});
  EXPECT_EQ(ram("AttachPolicyToRole", {{"RoleName", "r"}, {"PolicyName", "AliyunFCInvocationAccess"}, {"PolicyType", "System"}}).status, 200);
  EXPECT_EQ(ram("AttachPolicyToRole", {{"RoleName", "r"}, {"PolicyName", "NoSuchAccess"}, {"PolicyType", "System"}}).code(), "EntityNotExist.Policy");
  const auto entities = ram("ListEntitiesForPolicy", {{"PolicyName", "AliyunFCInvocationAccess"}, {"PolicyType", "System"}});
  EXPECT_EQ(entities.at("/Roles/Role/0/RoleName"), "r");
  EXPECT_EQ(ram("GetPolicy", {{"PolicyName", "AliyunFCInvocationAccess"}, {"PolicyType", "System"}}).at("/Policy/AttachmentCount"), "1");
  EXPECT_EQ(ram("DetachPolicyFromRole", {{"RoleName", "r"}, {"PolicyName", "AliyunFCInvocationAccess"}, {"PolicyType", "System"}}).status, 200);
  EXPECT_EQ(ram("ListPolicies", {{"PolicyType", "System"}}).at("/Policies/Policy/0/PolicyType"), "System");
}

TEST_F(StsRam, ErrorsCarryTheVendorsCodes) {
  EXPECT_EQ(ram("CreateRole", {{"RoleName", "r"}}).code(), "MissingParameter");
  EXPECT_EQ(ram("CreateRole", {{"RoleName", "r"}, {"AssumeRolePolicyDocument", "{"}}).code(), "MalformedPolicyDocument");
  EXPECT_EQ(ram("CreateRole", {{"RoleName", "r/x"}, {"AssumeRolePolicyDocument", kFcTrust}}).code(), "InvalidParameter.RoleName");
  ram("CreateRole", {{"RoleName", "r"}, {"AssumeRolePolicyDocument", kFcTrust}});
  const auto again = ram("CreateRole", {{"RoleName", "r"}, {"AssumeRolePolicyDocument", kFcTrust}});
  EXPECT_EQ(again.status, 409);
  EXPECT_EQ(again.code(), "EntityAlreadyExists.Role");
  ram("CreatePolicy", {{"PolicyName", "p"}, {"PolicyDocument", kDocument}});
  EXPECT_EQ(ram("CreatePolicy", {{"PolicyName", "p"}, {"PolicyDocument", kDocument}}).code(), "EntityAlreadyExists.Policy");
  ram("AttachPolicyToRole", {{"RoleName", "r"}, {"PolicyName", "p"}, {"PolicyType", "Custom"}});
  EXPECT_EQ(ram("DeleteRole", {{"RoleName", "r"}}).code(), "DeleteConflict.Role.Policy");
  EXPECT_EQ(ram("DeletePolicy", {{"PolicyName", "p"}}).code(), "DeleteConflict.Policy");
  EXPECT_EQ(ram("DeletePolicyVersion", {{"PolicyName", "p"}, {"VersionId", "v1"}}).code(), "DeleteConflict.PolicyVersion.Default");
  EXPECT_EQ(ram("GetPolicyVersion", {{"PolicyName", "p"}, {"VersionId", "v7"}}).code(), "EntityNotExist.Policy.Version");
  EXPECT_EQ(ram("CreateUser", {{"UserName", "u"}}).code(), "InvalidAction.NotFound");
  EXPECT_EQ(sts("DecodeAuthorizationMessage").code(), "InvalidAction.NotFound");
}

TEST_F(StsRam, ListsComeInPages) {
  for (const char* name : {"c", "A", "b"}) ram("CreateRole", {{"RoleName", name}, {"AssumeRolePolicyDocument", kFcTrust}});
  const auto first = ram("ListRoles", {{"MaxItems", "2"}});
  EXPECT_EQ(first.at("/Roles/Role/0/RoleName"), "A");
  EXPECT_EQ(first.at("/Roles/Role/1/RoleName"), "b");
  EXPECT_EQ(first.at("/IsTruncated"), "true");
  const auto second = ram("ListRoles", {{"MaxItems", "2"}, {"Marker", first.at("/Marker")}});
  EXPECT_EQ(second.at("/Roles/Role/0/RoleName"), "c");
  EXPECT_EQ(second.at("/IsTruncated"), "false");
  EXPECT_EQ(second.at("/Marker"), "(absent)");
}

TEST_F(StsRam, AFullPolicyMakesRoomWhenAskedTo) {
  ram("CreatePolicy", {{"PolicyName", "p"}, {"PolicyDocument", kDocument}});
  for (int i = 0; i < 4; ++i) ram("CreatePolicyVersion", {{"PolicyName", "p"}, {"PolicyDocument", kDocument}});
  EXPECT_EQ(ram("CreatePolicyVersion", {{"PolicyName", "p"}, {"PolicyDocument", kDocument}}).code(), "LimitExceeded");
  const auto made =
      ram("CreatePolicyVersion", {{"PolicyName", "p"}, {"PolicyDocument", kDocument}, {"RotateStrategy", "DeleteOldestNonDefaultVersionWhenLimitExceeded"}});
  EXPECT_EQ(made.at("/PolicyVersion/VersionId"), "v6");
  EXPECT_EQ(ram("GetPolicyVersion", {{"PolicyName", "p"}, {"VersionId", "v2"}}).code(), "EntityNotExist.Policy.Version");
}

TEST_F(StsRam, AnAssumedRoleIsWhoItSaysAndMayOnlyWhatItsPoliciesSay) {
  ram("CreateRole", {{"RoleName", "Worker"}, {"AssumeRolePolicyDocument", kFcTrust}});
  const auto assumed = sts("AssumeRole", {{"RoleArn", "acs:ram::1234:role/worker"}, {"RoleSessionName", "me-1"}, {"DurationSeconds", "900"}});
  ASSERT_EQ(assumed.status, 200) << to_text(assumed.body);
  EXPECT_EQ(assumed.at("/AssumedRoleUser/Arn"), "acs:ram::1234:role/worker/me-1");
  EXPECT_EQ(assumed.at("/Credentials/Expiration"), iso8601_s(loop_.clock().wall_us() + 900 * kMicrosPerSecond));
  become(assumed);
  EXPECT_EQ(sts("GetCallerIdentity").at("/Arn"), "acs:sts::1234:assumed-role/worker/me-1");
  EXPECT_EQ(sts("GetCallerIdentity").at("/IdentityType"), "AssumedRoleUser");
  EXPECT_EQ(ram("ListRoles").code(), "NoPermission");
  ASSERT_TRUE(loop_.wait(roles_.attach(loop_, "worker", "AliyunRAMReadOnlyAccess", auth::PolicyKind::system)));
  EXPECT_EQ(ram("ListRoles").status, 200);
  EXPECT_EQ(ram("DeleteRole", {{"RoleName", "worker"}}).status, 403);
  loop_.manual_clock().advance_us(900 * kMicrosPerSecond);
  EXPECT_EQ(ram("ListRoles").code(), "InvalidSecurityToken.Expired");
}

TEST_F(StsRam, RootIsTheAccount) {
  const auto who = sts("GetCallerIdentity");
  EXPECT_EQ(who.at("/Arn"), "acs:ram::1234:root");
  EXPECT_EQ(who.at("/AccountId"), "1234");
  EXPECT_EQ(who.at("/IdentityType"), "Account");
}

TEST_F(StsRam, ARoleAssumesAnotherOnlyIfBothSidesAgree) {
  ram("CreateRole", {{"RoleName", "caller"}, {"AssumeRolePolicyDocument", kFcTrust}});
  ram("CreateRole", {{"RoleName", "open"}, {"AssumeRolePolicyDocument", kAccountTrust}});
  ram("CreateRole", {{"RoleName", "closed"}, {"AssumeRolePolicyDocument", kFcTrust}});
  become(sts("AssumeRole", {{"RoleArn", "acs:ram::1234:role/caller"}, {"RoleSessionName", "me"}}));
  auto tries = [&](const char* arn) { return sts("AssumeRole", {{"RoleArn", arn}, {"RoleSessionName", "me"}}).status; };
  EXPECT_EQ(tries("acs:ram::1234:role/open"), 403) << "no permission yet";
  ASSERT_TRUE(loop_.wait(roles_.attach(loop_, "caller", "AliyunSTSAssumeRoleAccess", auth::PolicyKind::system)));
  EXPECT_EQ(tries("acs:ram::1234:role/open"), 200);
  EXPECT_EQ(tries("acs:ram::1234:role/closed"), 403);
}

TEST_F(StsRam, ASessionPolicyNarrowsTheTriple) {
  ram("CreateRole", {{"RoleName", "r"}, {"AssumeRolePolicyDocument", kFcTrust}});
  ASSERT_TRUE(loop_.wait(roles_.attach(loop_, "r", "AliyunRAMFullAccess", auth::PolicyKind::system)));
  const char* narrowed = R"({"Version":"1","Statement":[{"Effect":"Allow","Action":"ram:GetRole","Resource":"*"}]})";
  become(sts("AssumeRole", {{"RoleArn", "acs:ram::1234:role/r"}, {"RoleSessionName", "me"}, {"Policy", narrowed}}));
  EXPECT_EQ(ram("GetRole", {{"RoleName", "r"}}).status, 200);
  EXPECT_EQ(ram("ListRoles").code(), "NoPermission");
}

TEST_F(StsRam, ADenialHoldsHoweverTheNameIsWritten) {
  ram("CreateRole", {{"RoleName", "Admin"}, {"AssumeRolePolicyDocument", kFcTrust}});
  ram("CreateRole", {{"RoleName", "caller"}, {"AssumeRolePolicyDocument", kFcTrust}});
  ram("CreatePolicy", {{"PolicyName", "Most"},
                       {"PolicyDocument", R"({"Version":"1","Statement":[{"Effect":"Allow","Action":"ram:*","Resource":"*"},
                         {"Effect":"Deny","Action":"ram:*","Resource":["acs:ram:*:*:role/Admin","acs:ram:*:*:policy/Most"]}]})"}});
  ram("AttachPolicyToRole", {{"PolicyName", "Most"}, {"PolicyType", "Custom"}, {"RoleName", "caller"}});
  become(sts("AssumeRole", {{"RoleArn", "acs:ram::1234:role/caller"}, {"RoleSessionName", "me"}}));
  EXPECT_EQ(ram("GetRole", {{"RoleName", "caller"}}).status, 200);
  for (const char* name : {"Admin", "admin", "ADMIN"}) {
    EXPECT_EQ(ram("AttachPolicyToRole", {{"PolicyName", "AdministratorAccess"}, {"PolicyType", "System"}, {"RoleName", name}}).code(), "NoPermission") << name;
  }
  EXPECT_EQ(ram("CreatePolicyVersion", {{"PolicyName", "mOST"}, {"PolicyDocument", kDocument}, {"SetAsDefault", "true"}}).code(), "NoPermission");
}

TEST_F(StsRam, AssumeRoleSaysWhichParameterIsWrong) {
  ram("CreateRole", {{"RoleName", "r"}, {"AssumeRolePolicyDocument", kFcTrust}});
  auto code = [&](http::Query parameters) { return sts("AssumeRole", std::move(parameters)).code(); };
  const std::pair<std::string, std::string> arn{"RoleArn", "acs:ram::1234:role/r"}, session{"RoleSessionName", "me"};
  EXPECT_EQ(code({session}), "InvalidParameter.RoleArn");
  EXPECT_EQ(code({arn, {"RoleSessionName", "!"}}), "InvalidParameter.RoleSessionName");
  EXPECT_EQ(code({{"RoleArn", "acs:ram::1234:role/nobody"}, session}), "EntityNotExist.Role");
  EXPECT_EQ(code({{"RoleArn", "acs:ram::999:role/r"}, session}), "EntityNotExist.Role");
  for (const char* seconds : {"899", "3601", "soon", "-1"})
    EXPECT_EQ(code({arn, session, {"DurationSeconds", seconds}}), "InvalidParameter.DurationSeconds") << seconds;
  EXPECT_EQ(code({arn, session, {"Policy", "{}"}}), "InvalidParameter.PolicyGrammar");
}

}  // namespace
}  // namespace mayfly::dialects::aliyun
