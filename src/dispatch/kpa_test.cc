// Knative's autoscaler against the golden vectors of knative-serving.md section 4.4, one row each, and its driving by notifications.

#include "dispatch/kpa.h"

#include <gtest/gtest.h>

namespace mayfly::dispatch {
namespace {

constexpr int64_t kStartUs = 1'000'000 * kMicrosPerSecond;
constexpr int64_t s(double seconds) { return kStartUs + static_cast<int64_t>(seconds * kMicrosPerSecond); }

// Common settings of the vectors: total = target / 0.75.
KpaSettings vector_settings(double target, double burst) {
  KpaSettings settings;
  settings.target = target;
  settings.total = target / 0.75;
  settings.burst = burst;
  settings.max_up = settings.max_down = 10;
  return settings;
}

struct OneStep {
  const char* name;
  double target, burst;
  int64_t ready;
  double stable, panic;
  int64_t want, excess;
  void (*change)(KpaSettings&) = nullptr;
  bool reachable = true;
  int64_t panicking_for_s = 0, max_panic = 0;
  bool panics = false;
};

void down_slowly(KpaSettings& settings) { settings.max_down = 1.1; }
void up_slowly(KpaSettings& settings) { settings.max_up = 1.1; }
void by_requests(KpaSettings& settings) { settings.metric = KpaSettings::Metric::rps; }
void activate_two(KpaSettings& settings) { settings.activation_scale = 2; }

const OneStep kSteps[] = {
    {"no load", 10, 100, 1, 0, 0, 0, -87},
    {"panic from one", 10, 100, 1, 50, 50, 5, -137, nullptr, true, 0, 0, true},
    {"steady at five", 10, 100, 5, 50, 50, 5, -84},
    {"one to six", 1, 101, 1, 6, 6, 6, -106},
    {"six to thirty-six", 1, 101, 6, 36, 36, 36, -129},
    {"thirty-six to two hundred and sixteen", 1, 101, 36, 216, 216, 216, -269},
    {"one to ten", 10, 100, 1, 100, 100, 10, -187},
    {"the panic average wins", 10, 84, 1, 50, 100, 10, -171},
    {"the rate limit is ten times", 10, 61, 1, 1000, 1001, 10, -1049},
    {"ten times again", 10, 61, 10, 1000, 1001, 100, -929},
    {"down by ten", 10, 61, 100, 1, 1, 10, 1271},
    {"down by ten again", 10, 61, 10, 1, 1, 1, 71},
    {"down rate 1.1", 10, 1982, 100, 1, 1, 90, -650, down_slowly},
    {"down rate 1.1, unreachable", 10, 1982, 100, 1, 1, 1, -650, down_slowly, false},
    {"up rate 1.1", 1, 1982, 2, 3, 3.1, 3, -1983, up_slowly},
    {"in panic the stable average may win", 1, 100, 5, 50, 30, 50, -124, nullptr, true, 5, 5},
    {"in panic the panic average may win", 1, 100, 5, 20, 30, 30, -124, nullptr, true, 5, 5},
    {"burst -1", 181, -1, 1, 21, 26, 1, -1},
    {"burst 0", 10, 0, 1, 50, 49, 5, 0},
    {"nothing ready: rates use 1, the burst uses 0", 10, 81, 0, 1000, 888, 10, -969},
    {"requests per second", 10, 100, 1, 100, 99, 10, -186, by_requests},
    {"activation scale without load", 10, 75, 1, 0, 0, 0, -62, activate_two},
    {"activation scale", 10, 75, 1, 1, 0, 2, -62, activate_two},
};

TEST(KpaVectors, OneStep) {
  for (const OneStep& row : kSteps) {
    SCOPED_TRACE(row.name);
    KpaSettings settings = vector_settings(row.target, row.burst);
    if (row.change) row.change(settings);
    KpaStep step(settings, row.panicking_for_s > 0 ? row.max_panic : 0, s(-static_cast<double>(row.panicking_for_s)));
    step.set_reachable(row.reachable);
    KpaStep::Decision decision = step.step(row.ready, row.stable, row.panic, s(0));
    EXPECT_EQ(decision.want, row.want);
    EXPECT_NEAR(static_cast<double>(decision.excess_burst), static_cast<double>(row.excess), 1);
    if (row.panics) EXPECT_TRUE(step.in_panic());
  }
}

struct Then {
  double at_s;
  int64_t ready;
  double stable, panic;
  int64_t want;
  std::optional<int64_t> excess{};
  std::optional<bool> panics{};
  bool reachable = true;
};

struct Story {
  const char* name;
  double target, burst;
  std::vector<Then> steps;
  int64_t delay_s = 0;
  double panic_threshold = 2;
};

const Story kStories[] = {
    {"track", 1, 101, {{0, 1, 6, 6, 6}, {2, 6, 36, 36, 36}, {4, 36, 216, 216, 216}, {6, 216, 1296, 1296, 1296}, {8, 1296, 1296, 1296, 1296, {}, true}}},
    {"stable increase", 10, 101, {{0, 1, 50, 10, 5, -98, false}, {2, 1, 100, 10, 10, -98}}},
    {"decrease", 10, 98, {{0, 8, 100, 100, 10, -92}, {2, 8, 50, 50, 5, -42}}},
    {"to zero", 10, 75, {{0, 1, 1, 0, 1, -62}, {2, 1, 0, 0, 0}}},
    {"panic, then calm", 10, 93, {{0, 1, 100, 100, 10}, {0, 10, 100, 1000, 100}, {30, 10, 1, 1, 100, {}, true}, {61, 10, 1, 1, 1, {}, false}}},
    {"slow increase", 1, 98, {{0, 10, 11, 25, 25, -110, true}, {30, 40, 30, 41, 41, -86, true}, {62, 55, 50, 56, 50, -81, false}}},
    {"extended panic", 1, 98, {{0, 10, 11, 25, 25, -110, true}, {30, 40, 30, 80, 80, -125, true}, {62, 55, 50, 56, 80, {}, true}}},
    {"scale-down-delay 300 s", 10, 75, {{2, 1, 40, 40, 4}, {300, 1, 0, 0, 4}, {302, 1, 0, 0, 0}}, 300, 100},
    {"gradual delay", 10, 75, {{540, 1, 40, 40, 4}, {600, 1, 30, 30, 4}, {660, 1, 0, 0, 4}, {840, 1, 0, 0, 3}, {900, 1, 0, 0, 0}}, 300, 100},
    {"delay, unreachable", 10, 75, {{0, 1, 40, 40, 4}, {60, 1, 0, 0, 4}, {60, 1, 0, 0, 0, {}, {}, false}}, 300, 100},
    {"no delay", 10, 75, {{0, 1, 40, 40, 4}, {0.5, 1, 20, 20, 2}}, 0, 100},
};

TEST(KpaVectors, SeveralSteps) {
  for (const Story& story : kStories) {
    KpaSettings settings = vector_settings(story.target, story.burst);
    settings.down_delay_us = story.delay_s * kMicrosPerSecond;
    settings.panic_threshold = story.panic_threshold;
    KpaStep step(settings, 1, s(0));
    for (const Then& then : story.steps) {
      SCOPED_TRACE(fmt::format("{} at {} s", story.name, then.at_s));
      step.set_reachable(then.reachable);
      KpaStep::Decision decision = step.step(then.ready, then.stable, then.panic, s(then.at_s));
      EXPECT_EQ(decision.want, then.want);
      if (then.excess) EXPECT_NEAR(static_cast<double>(decision.excess_burst), static_cast<double>(*then.excess), 1);
      if (then.panics) EXPECT_EQ(step.in_panic(), *then.panics);
    }
  }
}

TEST(KpaVectors, PanicTimeIsMovedOnlyAboveTheThreshold) {
  KpaSettings settings = vector_settings(1, 98);
  KpaStep slow(settings, 1, s(0)), extended(settings, 1, s(0));
  for (KpaStep* step : {&slow, &extended}) step->step(10, 11, 25, s(0));
  slow.step(40, 30, 41, s(30));
  extended.step(40, 30, 80, s(30));
  EXPECT_EQ(slow.panic_since_us(), s(0));
  EXPECT_EQ(extended.panic_since_us(), s(30));
}

TEST(KpaVectors, Start) {
  struct {
    const char* name;
    std::optional<int64_t> ready;
    bool panics;
    int64_t max_panic;
  } rows[] = {{"ready 0", 0, false, 0}, {"ready 1", 1, false, 1}, {"ready 2", 2, true, 2}, {"ready unknown", std::nullopt, false, 0}};
  KpaSettings settings;
  for (const auto& row : rows) {
    KpaStep step(settings, row.ready, s(0));
    EXPECT_EQ(step.in_panic(), row.panics) << row.name;
    EXPECT_EQ(step.max_panic(), row.max_panic) << row.name;
  }
}

// S4.26, on its own.
TEST(KpaSettings, TargetFollowsTheAnnotations) {
  struct {
    const char* name;
    json::object annotations;
    int64_t concurrency;
    double total, target;
  } rows[] = {
      {"default", {}, 0, 100, 70},
      {"container concurrency", {}, 10, 10, 7},
      {"target", {{"autoscaling.knative.dev/target", "50"}}, 0, 50, 35},
      {"target above the container's", {{"autoscaling.knative.dev/target", "50"}}, 10, 10, 7},
      {"utilization", {{"target-utilization-percentage", 80}}, 10, 10, 8},
      {"utilization as a fraction", {{"targetUtilizationPercentage", "0.5"}}, 10, 10, 5},
      {"rps", {{"metric", "rps"}}, 10, 200, 140},
      {"rps with a target", {{"metric", "rps"}, {"target", 150}, {"target-utilization-percentage", 100}}, 10, 150, 150},
      {"the least target", {{"target", 0.01}}, 0, 0.01, 0.01},
  };
  for (const auto& row : rows) {
    auto settings = kpa_settings(row.annotations, row.concurrency);
    ASSERT_TRUE(settings) << row.name;
    EXPECT_DOUBLE_EQ(settings->total, row.total) << row.name;
    EXPECT_DOUBLE_EQ(settings->target, row.target) << row.name;
  }
}

TEST(KpaSettings, ReadEveryAnnotationAndItsRange) {
  auto settings = kpa_settings({{"autoscaling.knative.dev/class", "kpa.autoscaling.knative.dev"}, {"autoscaling.knative.dev/window", "2m"},
                                {"autoscaling.knative.dev/panic-window-percentage", "20"}, {"autoscaling.knative.dev/panic-threshold-percentage", "150"},
                                {"autoscaling.knative.dev/minScale", "2"}, {"autoscaling.knative.dev/max-scale", "9"}, {"autoscaling.knative.dev/initial-scale", "3"},
                                {"autoscaling.knative.dev/activation-scale", "4"}, {"autoscaling.knative.dev/scale-down-delay", "1m30s"},
                                {"autoscaling.knative.dev/target-burst-capacity", "-1"}, {"autoscaling.knative.dev/scale-to-zero-pod-retention-period", "45s"},
                                {"autoscaling.knative.dev/metric-aggregation-algorithm", "weighted-exponential"}},
                               0);
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_EQ(settings->stable_s, 120);
  EXPECT_EQ(settings->panic_s, 24);
  EXPECT_EQ(settings->panic_threshold, 1.5);
  EXPECT_EQ(settings->min_scale, 2);
  EXPECT_EQ(settings->max_scale, 9);
  EXPECT_EQ(settings->initial_scale, 3);
  EXPECT_EQ(settings->activation_scale, 4);
  EXPECT_EQ(settings->down_delay_us, 90 * kMicrosPerSecond);
  EXPECT_EQ(settings->burst, -1);
  EXPECT_EQ(settings->retention_us, 45 * kMicrosPerSecond);
  EXPECT_EQ(settings->aggregation, Window::Kind::weighted);
  for (auto [key, value] : {std::pair("window", "5s"), {"window", "2h"}, {"panic-window-percentage", "0"}, {"panic-threshold-percentage", "109"}, {"target", "0"},
                            {"target-burst-capacity", "-0.5"}, {"min-scale", "-1"}, {"max-scale", "1.5"}, {"metric", "cpu"}, {"class", "mine"},
                            {"metric-aggregation-algorithm", "mean"}, {"scale-down-delay", "soon"}})
    EXPECT_FALSE(kpa_settings({{key, value}}, 0)) << key;
  EXPECT_FALSE(kpa_settings({{"min-scale", 3}, {"max-scale", 2}}, 0));
}

TEST(KpaSettings, NamesTheAnnotationThatIsNoneOfTheAutoscalers) {
  const std::string prefix = "autoscaling.knative.dev/";
  EXPECT_EQ(unknown_kpa_name({{prefix + "class", "kpa"}, {prefix + "maxScale", "3"}, {prefix + "target-burst-capacity", "0"}, {"team", "shop"}}), "");
  EXPECT_EQ(unknown_kpa_name({{prefix + "target", "3"}, {prefix + "tarjet", "3"}}), prefix + "tarjet");
}

TEST(Kpa, TheFirstRequestIsDecidedAtOnce) {
  Kpa kpa({}, 0, s(0));
  kpa.in_flight_is(1, s(0.3));
  EXPECT_EQ(kpa.decide(0, s(0.3)).want, 1u);
}

TEST(Kpa, ABurstAfterSilenceIsDecidedAtOnceAndMeasuredTrulyLater) {
  KpaSettings settings;
  settings.target = settings.total = 1;
  Kpa kpa(settings, 0, s(0));
  for (size_t n = 1; n <= 8; ++n) kpa.in_flight_is(n, s(0.5));
  EXPECT_EQ(kpa.decide(0, s(0.5)).want, 8u);
  kpa.in_flight_is(0, s(0.75));  // eight for a quarter of the second: 2 on average
  EXPECT_EQ(kpa.decide(8, s(0.75)).want, 8u) << "panic holds";
  int64_t calm = 0;
  for (double at = 2; at < 200 && calm == 0; at += 2)
    if (kpa.decide(8, s(at)).want <= 4) calm = static_cast<int64_t>(at);
  EXPECT_GE(calm, 60);
  EXPECT_LE(calm, 64) << "the stable window after the panic";
}

TEST(Kpa, GoesToZeroOnceTheWindowIsEmptyAndComesBackAtOnce) {
  Kpa kpa({}, 0, s(0));
  kpa.in_flight_is(1, s(0));
  kpa.decide(0, s(0));
  kpa.in_flight_is(0, s(1));
  int64_t zero = 0;
  for (int64_t at = 2; at < 300 && zero == 0; at += 2)
    if (kpa.decide(1, s(static_cast<double>(at))).want == 0) zero = at;
  EXPECT_GE(zero, 60);
  EXPECT_LE(zero, 64) << "its route was through the activator all the time: no further grace";
  kpa.in_flight_is(1, s(400));
  EXPECT_EQ(kpa.decide(0, s(400)).want, 1u);
}

// S4.35, one row per way to zero or not.
TEST(Kpa, TheGateToZero) {
  struct {
    const char* name;
    void (*change)(KpaSettings&);
    int64_t zero_from_s, zero_until_s;  // 0: never within ten minutes
  } rows[] = {
      {"scale to zero off", [](KpaSettings& set) { set.to_zero = false; }, 0, 0},
      {"min-scale", [](KpaSettings& set) { set.min_scale = 1; }, 0, 0},
      {"through the activator", [](KpaSettings&) {}, 60, 64},
      {"served directly: a grace of 30 s", [](KpaSettings& set) { set.burst = 0; }, 90, 96},
      {"burst -1 needs no grace", [](KpaSettings& set) { set.burst = -1; }, 60, 64},
      {"retention", [](KpaSettings& set) { set.retention_us = 100 * kMicrosPerSecond; }, 160, 166},
  };
  for (const auto& row : rows) {
    KpaSettings settings;
    row.change(settings);
    Kpa kpa(settings, 0, s(0));
    kpa.in_flight_is(1, s(0));
    kpa.decide(0, s(0));
    kpa.in_flight_is(0, s(1));
    int64_t zero = 0;
    for (int64_t at = 2; at < 600 && zero == 0; at += 2)
      if (kpa.decide(1, s(static_cast<double>(at))).want == 0) zero = at;
    EXPECT_GE(zero, row.zero_from_s) << row.name;
    EXPECT_LE(zero, row.zero_until_s) << row.name;
  }
}

TEST(Kpa, AnActivationThatNeverSucceedsIsGivenUp) {
  KpaSettings settings;
  settings.progress_us = 10 * kMicrosPerSecond;
  Kpa kpa(settings, 0, s(0));
  kpa.in_flight_is(1, s(0));
  EXPECT_EQ(kpa.decide(0, s(0)).want, 1u);
  kpa.in_flight_is(0, s(1));
  EXPECT_EQ(kpa.decide(0, s(2)).want, 1u);
  size_t want = 1;
  double at = 4;
  for (; at < 400 && want > 0; at += 2) want = kpa.decide(0, s(at)).want;
  EXPECT_EQ(want, 0u);
}

TEST(Kpa, InitialScaleHoldsUntilItIsAttained) {
  KpaSettings settings;
  settings.initial_scale = 3;
  Kpa kpa(settings, 0, s(0));
  kpa.in_flight_is(1, s(0));
  EXPECT_EQ(kpa.decide(0, s(0)).want, 3u);
  EXPECT_EQ(kpa.decide(3, s(2)).want, 1u);
}

TEST(Kpa, SaysItsModeAndHowManyActivatorsTheReferenceWouldHave) {
  Kpa kpa({}, 0, s(0));
  kpa.in_flight_is(1, s(0));
  EXPECT_EQ(kpa.decide(1, s(0)).mode, Kpa::Mode::proxy) << "100 - 211 - 1 < 0";
  EXPECT_EQ(kpa.decide(3, s(1)).mode, Kpa::Mode::serve) << "300 - 211 - 1 >= 0";
  EXPECT_EQ(kpa.activators(1), 4);
  EXPECT_EQ(kpa.activators(0), 3);
  KpaSettings small;
  small.burst = 0;
  EXPECT_EQ(Kpa(small, 0, s(0)).activators(1), 2);
}

TEST(Kpa, RequestsPerSecondAreCountedInTheirSeconds) {
  auto settings = kpa_settings({{"metric", "rps"}, {"target", 10}, {"target-utilization-percentage", 100}}, 0);
  Kpa kpa(*settings, 0, s(0));
  for (int i = 0; i < 40; ++i) {
    kpa.arrived(s(0.02 * i));
    kpa.in_flight_is(1, s(0.02 * i));
  }
  EXPECT_EQ(kpa.decide(1, s(0.9)).want, 4u);
}

}  // namespace
}  // namespace mayfly::dispatch
