// The golden vectors of knative-serving.md S4.29 and S4.30, one row each.

#include "dispatch/window.h"

#include <gtest/gtest.h>

#include "base/clock.h"

namespace mayfly::dispatch {
namespace {

constexpr int64_t at(int64_t second) { return (1'000 + second) * kMicrosPerSecond; }

struct Row {
  const char* step;
  std::vector<std::pair<int64_t, double>> writes;  // second, value
  int64_t ask;
  double average;
};

// In this order on one window of 5 s; T is 40.
const Row kLinear[] = {
    {"write 1 at t0", {{0, 1}}, 0, 1},
    {"write 2, 3, 4, 5 at t1..t4", {{1, 2}, {2, 3}, {3, 4}, {4, 5}}, 4, 3},
    {"ask at t6, nothing written since t4", {}, 6, 4},
    {"ask at t10", {}, 10, 0},
    {"write 91 at t6", {{6, 91}}, 6, 20.6},
    {"after a lapse, write 1984 at T", {{40, 1984}}, 40, 1984},
    {"late write 4 at T-3", {{37, 4}}, 40, 497},
    {"write 5 at T+1", {{41, 5}}, 41, 398.6},
    {"late write 10 at T-2", {{38, 10}}, 41, 400.6},
    {"writes at T-5 or older are ignored", {{35, 7}, {36, 7}, {20, 7}}, 41, 400.6},
    {"silence of exactly one window, then write 10", {{46, 10}}, 46, 10},
};

TEST(WindowVectors, Linear) {
  Window window(5, Window::Kind::linear);
  // t4 + 2 s: the write of 91 comes after asking at t10 only in the specification's order, which asks without writing.
  for (const Row& row : kLinear) {
    SCOPED_TRACE(row.step);
    for (auto [second, value] : row.writes) window.record(at(second), value);
    EXPECT_DOUBLE_EQ(window.average(at(row.ask)), row.average);
  }
}

TEST(WindowVectors, WeightedCoefficients) {
  struct {
    int64_t buckets;
    double share;
  } rows[] = {{60, 0.2}, {42, 0.2}, {40, 0.20567}, {6, 0.78456}};
  for (auto row : rows) EXPECT_NEAR(Window::smoothing(row.buckets), row.share, 1e-5) << row.buckets;
}

TEST(Window, WeightedCountsNewSecondsMore) {
  Window window(6, Window::Kind::weighted);
  double share = Window::smoothing(6);
  for (int second = 0; second < 3; ++second) window.record(at(second), 10);
  double sum = 10 * share * (1 + (1 - share) + (1 - share) * (1 - share));
  EXPECT_NEAR(window.average(at(2)), sum, 1e-6);
  EXPECT_NEAR(window.average(at(4)), sum * (1 - share) * (1 - share), 1e-6) << "two silent seconds";
  EXPECT_EQ(window.average(at(8)), 0);
}

TEST(Window, SaysWhenItHasNoData) {
  Window window(5, Window::Kind::linear);
  EXPECT_TRUE(window.empty(at(0)));
  window.record(at(0), 0);
  EXPECT_FALSE(window.empty(at(5)));
  EXPECT_TRUE(window.empty(at(6)));
}

}  // namespace
}  // namespace mayfly::dispatch
