#include "functions/lifecycle.h"

#include <gtest/gtest.h>

#include "functions/validate.h"

namespace mayfly::functions {
namespace {

Function with(std::string_view vendor) {
  Function function{.service = "s", .name = "f", .runtime = "custom", .handler = "index.handler"};
  function.code.digest = "d";
  function.vendor = parse_json(vendor)->as_object();
  return function;
}

std::string refusal(std::string_view vendor) {
  auto result = validate(with(vendor));
  return result ? std::string() : result.error().message;
}

TEST(Lifecycle, WithoutConfigurationTheBootstrapListensOn9000) {
  Function plain = with("{}");
  CustomRuntime runtime = custom_runtime(plain);
  EXPECT_TRUE(runtime.command.empty());
  EXPECT_EQ(runtime.port, 9000);
  EXPECT_FALSE(runtime.health_check);
  EXPECT_FALSE(custom_container(plain));
  EXPECT_FALSE(pre_stop(plain));
  EXPECT_FALSE(pre_freeze(plain));
  EXPECT_FALSE(initializer(plain));
}

TEST(Lifecycle, CustomRuntimesSayHowTheyStartAndWhereTheyListen) {
  CustomRuntime runtime = custom_runtime(with(
      R"({"caPort":8080,"CustomRuntimeConfig":{"Command":["java"],"args":["-jar","a.jar"],"healthCheckConfig":{"httpGetUrl":"/ready","periodSeconds":5}}})"));
  EXPECT_EQ(runtime.command, (std::vector<std::string>{"java", "-jar", "a.jar"}));
  EXPECT_EQ(runtime.port, 8080);
  EXPECT_EQ(runtime.health_check, (HealthCheck{.path = "/ready", .period_s = 5}));
  EXPECT_EQ(custom_runtime(with(R"({"caPort":8080,"customRuntimeConfig":{"port":9001}})")).port, 9001);
  EXPECT_EQ(custom_runtime(with(R"({"customRuntimeConfig":{"args":["-v"]}})")).command, (std::vector<std::string>{"./bootstrap", "-v"}));
  EXPECT_EQ(custom_runtime(with(R"({"customHealthCheckConfig":{"httpGetUrl":"/up"}})")).health_check->path, "/up");
}

TEST(Lifecycle, ContainersAreReadInBothSpellings) {
  auto early = custom_container(with(R"({"customContainerConfig":{"Image":"i:1","Command":"[\"/bin/serve\"]","args":"[\"--quiet\"]"}})"));
  ASSERT_TRUE(early);
  EXPECT_EQ(early->command, std::vector<std::string>{"/bin/serve"});
  EXPECT_EQ(early->args, std::vector<std::string>{"--quiet"});
  EXPECT_TRUE(early->serves_http);
  auto later = custom_container(with(R"({"customContainerConfig":{"image":"i:1","entrypoint":["/bin/serve"],"command":["--quiet"],"port":80,"webServerMode":false}})"));
  ASSERT_TRUE(later);
  EXPECT_EQ(later->command, early->command);
  EXPECT_EQ(later->args, early->args);
  EXPECT_EQ(later->port, 80);
  EXPECT_FALSE(later->serves_http);
}

TEST(Lifecycle, HooksAreReadInBothSpellingsAndAnEmptyHandlerIsNone) {
  Function early = with(R"({"InstanceLifecycleConfig":{"PreStop":{"Handler":"index.bye","Timeout":7},"PreFreeze":{"Handler":"","Timeout":0}}})");
  EXPECT_EQ(pre_stop(early), (Hook{.handler = "index.bye", .timeout_s = 7}));
  EXPECT_FALSE(pre_freeze(early));
  EXPECT_TRUE(validate(early));
  Function later = with(R"({"instanceLifecycleConfig":{"initializer":{"handler":"index.init","timeout":120},"preStop":{"handler":"index.bye"}}})");
  EXPECT_EQ(initializer(later), (Hook{.handler = "index.init", .timeout_s = 120}));
  EXPECT_EQ(pre_stop(later), (Hook{.handler = "index.bye", .timeout_s = 3}));
  later.initializer = "index.older";
  EXPECT_EQ(initializer(later)->handler, "index.init");
  Function plain = with("{}");
  plain.initializer = "index.init";
  plain.initialization_timeout_s = 30;
  EXPECT_EQ(initializer(plain), (Hook{.handler = "index.init", .timeout_s = 30}));
}

TEST(Lifecycle, WhatCannotBeReadIsRefusedByName) {
  EXPECT_EQ(refusal(R"({"caPort":70000})"), "caPort must be between 1 and 65535, not 70000");
  EXPECT_EQ(refusal(R"({"caPort":"80"})"), "caPort must be a whole number");
  EXPECT_EQ(refusal(R"({"customRuntimeConfig":[]})"), "customRuntimeConfig must be an object");
  EXPECT_EQ(refusal(R"({"customRuntimeConfig":{"command":[1]}})"), "customRuntimeConfig.command must be a list of strings");
  EXPECT_EQ(refusal(R"({"customRuntimeConfig":{"healthCheckConfig":{"httpGetUrl":"ready"}}})"), "healthCheckConfig.httpGetUrl must be a path that begins with /");
  Function container = with(R"({"customContainerConfig":{"args":"[]"}})");
  EXPECT_TRUE(validate(container));
  container.runtime = "custom-container";
  EXPECT_EQ(validate(container).error().message, "customContainerConfig.image must be sent");
  EXPECT_EQ(refusal(R"({"instanceLifecycleConfig":{"preStop":{"handler":"a.b","timeout":91}}})"),
            "instanceLifecycleConfig.preStop.timeout must be between 1 and 90, not 91");
  EXPECT_EQ(refusal(R"({"instanceLifecycleConfig":{"preFreeze":"a.b"}})"), "preFreeze must be an object");
  EXPECT_EQ(refusal(R"({"caPort":null,"customRuntimeConfig":null,"customContainerConfig":null,"instanceLifecycleConfig":null})"), "");
}

TEST(Lifecycle, NonsenseInAnOldRowReadsAsNothing) {
  Function old = with(R"({"caPort":"x","customContainerConfig":3,"instanceLifecycleConfig":[1]})");
  EXPECT_EQ(custom_runtime(old).port, 9000);
  EXPECT_FALSE(custom_container(old));
  EXPECT_FALSE(pre_stop(old));
}

}  // namespace
}  // namespace mayfly::functions
