// What the FC dialect lets a caller do: roles hand on only roles that their policies allow, and a signed digest is held against the body.

#include <gtest/gtest.h>

#include "auth/sign_acs3.h"
#include "base/hash.h"
#include "dialects/aliyun/fc_fixture.h"

namespace mayfly::dialects::aliyun {
namespace {

constexpr const char* kAdmin = "acs:ram::1:role/admin";
constexpr const char* kWeak = "acs:ram::1:role/weak";

// A role that may do everything of FC but with the function "secret", and hand on kWeak.
struct FcOnly final : auth::Authorizer {
  bool allows(const auth::Identity& identity, const auth::Access& access) const override {
    if (access.resource.find("/functions/secret") != std::string::npos) return identity.kind == auth::Identity::Kind::root;
    return identity.kind == auth::Identity::Kind::root || access.action.starts_with("fc:") || (access.action == "ram:PassRole" && access.resource == kWeak);
  }
};

class FcAccessTest : public FcFixture {
 protected:
  FcAccessTest() {
    identity_ = auth::Identity{.kind = auth::Identity::Kind::role, .role = "r"};
    dialect_ = std::make_unique<FcDialect>(FcContext{.catalogue = *catalogue_, .settings = settings_, .code = code_, .layers = layers_, .invoker = invoker_, .async = *async_,
                                                     .keyring = keyring_, .authorizer = fc_only_, .objects = objects_, .clock = loop_.clock(), .rng = rng_,
                                                     .region = "local", .verify = [this](const http::Request&) { return identity_; }});
  }
  static std::string service(const char* role) { return fmt::format(R"({{"serviceName":"s","role":"{}"}})", role); }

  FcOnly fc_only_;
};

TEST_F(FcAccessTest, AServiceGetsOnlyARoleThatItsMakerMayHandOn) {
  EXPECT_EQ(code_of(send("POST", "services", service(kAdmin))), "AccessDenied");
  EXPECT_EQ(send("POST", "services", service(kWeak)).status, 200);
  EXPECT_EQ(code_of(send("PUT", "services/s", service(kAdmin))), "AccessDenied");
  EXPECT_EQ(send("PUT", "services/s", R"({"description":"d"})").status, 200);
  identity_ = auth::Identity{.kind = auth::Identity::Kind::root};
  EXPECT_EQ(send("PUT", "services/s", service(kAdmin)).status, 200);
  identity_ = auth::Identity{.kind = auth::Identity::Kind::role, .role = "r"};
  EXPECT_EQ(send("PUT", "services/s", R"({"description":"e"})").status, 200) << "the role stays as it is";
}

TEST_F(FcAccessTest, ADestinationIsAFunctionThatItsSetterMayCall) {
  make_function();
  auto config = [](const char* function) {
    return fmt::format(R"({{"destinationConfig":{{"OnFailure":{{"Destination":"acs:fc:local:1:services/s.prod/functions/{}"}}}}}})", function);
  };
  EXPECT_EQ(code_of(send("PUT", "services/s/functions/f/async-invoke-config", config("secret"))), "AccessDenied");
  EXPECT_EQ(send("PUT", "services/s/functions/f/async-invoke-config", config("f")).status, 200);
  identity_ = auth::Identity{.kind = auth::Identity::Kind::root};
  EXPECT_EQ(send("PUT", "services/s/functions/f/async-invoke-config", config("secret")).status, 200);
}

TEST_F(FcAccessTest, ABodyIsReadOnlyForWhoIsLetIn) {
  make_function();
  std::string large((32 << 20) + 1, 'x');
  EXPECT_EQ(code_of(send("POST", "proxy/s/f/x", large)), "TriggerNotFound");
  EXPECT_EQ(send("POST", "services/s/functions/f/triggers", R"({"triggerName":"t","triggerType":"http","triggerConfig":{"authType":"function","methods":["POST"]}})").status, 200);
  EXPECT_EQ(code_of(send("POST", "proxy/s/f/x", large)), "EntityTooLarge");
  identity_ = fail(auth::AuthError::missing, "no signature");
  EXPECT_EQ(code_of(send("POST", "proxy/s/f/x", large)), "MissingRequiredHeader");
}

TEST_F(FcAccessTest, PoliciesAreAskedAboutWhatTheVendorNames) {
  struct Asked final : auth::Authorizer {
    mutable std::string last;
    bool allows(const auth::Identity&, const auth::Access& access) const override { return last = access.action + " " + access.resource, false; }
  } asked;
  dialect_ = std::make_unique<FcDialect>(FcContext{.catalogue = *catalogue_, .settings = settings_, .code = code_, .layers = layers_, .invoker = invoker_, .async = *async_,
                                                   .keyring = keyring_, .authorizer = asked, .objects = objects_, .clock = loop_.clock(), .rng = rng_,
                                                   .region = "local", .verify = [this](const http::Request&) { return identity_; }});
  auto resource = [&](std::string method, std::string path) {
    EXPECT_EQ(send(method, path, "{}").status, 403) << path;
    return asked.last.substr(asked.last.rfind(':') + 1);
  };
  EXPECT_EQ(resource("GET", "services"), "services/*");
  EXPECT_EQ(resource("POST", "services"), "services/*");
  EXPECT_EQ(resource("PUT", "services/s"), "services/s");
  EXPECT_EQ(resource("POST", "services/s.LATEST/functions/f/invocations"), "services/s/functions/f");
  EXPECT_EQ(resource("GET", "custom-domains"), "custom-domains/*");
  EXPECT_EQ(resource("DELETE", "custom-domains/a.b"), "custom-domains/a.b");
  EXPECT_EQ(resource("POST", "tag"), "*");
}

TEST_F(FcAccessTest, ACustomDomainCannotTakeTheServersOwnNames) {
  host_ = "mayfly.lan:9000";
  for (const char* name : {"127.0.0.1", "localhost", "LocalHost", "oss-cn-hangzhou.aliyuncs.com", "1234.cn-hangzhou.fc.aliyuncs.com", "MAYFLY.lan"}) {
    EXPECT_EQ(code_of(send("POST", "custom-domains", fmt::format(R"({{"domainName":"{}"}})", name))), "InvalidArgument") << name;
  }
  EXPECT_EQ(send("POST", "custom-domains", R"({"domainName":"www.example.com"})").status, 200);
}

TEST_F(FcAccessTest, ABodyThatIsNotTheOneSignedIsRefused) {
  const std::string body = R"({"serviceName":"s"})";
  auto headers = [](const std::string& signed_body) {
    return std::vector<std::pair<std::string, std::string>>{{"Authorization", "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=host,Signature=b"},
                                                            {"x-acs-content-sha256", hex_encode(sha256(signed_body))}};
  };
  EXPECT_EQ(code_of(send("POST", "services", body, headers("{}"))), "InvalidArgument");
  EXPECT_EQ(send("POST", "services", body, headers(body)).status, 200);
}

}  // namespace
}  // namespace mayfly::dialects::aliyun
