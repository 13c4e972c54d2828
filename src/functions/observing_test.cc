#include "functions/observing.h"

#include <gtest/gtest.h>

namespace mayfly::functions {
namespace {

TEST(Observing, ReadsWhereLogsAndTracesGo) {
  Service service;
  service.vendor["logConfig"] = json::object{{"project", "shop"}, {"logstore", "calls"}};
  service.vendor["tracingConfig"] = json::object{{"type", "Jaeger"}, {"params", {{"endpoint", "http://traces.example/api"}}}};
  EXPECT_EQ(log_target(service).project, "shop");
  EXPECT_EQ(log_target(service).store, "calls");
  EXPECT_EQ(tracing_endpoint(service), "http://traces.example/api");
}

TEST(Observing, NothingIsSaidWhereNothingWasSentOrItWasTakenBack) {
  Service service;
  EXPECT_EQ(log_target(service).project, "");
  EXPECT_EQ(tracing_endpoint(service), "");
  service.vendor["tracingConfig"] = json::object{{"type", nullptr}, {"params", nullptr}};
  service.vendor["logConfig"] = nullptr;
  EXPECT_EQ(log_target(service).store, "");
  EXPECT_EQ(tracing_endpoint(service), "");
}

}  // namespace
}  // namespace mayfly::functions
