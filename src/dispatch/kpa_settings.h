#pragma once
// KpaSettings: what a person sets of Knative's autoscaler for one function (knative-serving.md S4.22 to S4.26), read from annotations
// with the reference's names, defaults and ranges.

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/json.h"
#include "base/result.h"
#include "dispatch/window.h"

namespace mayfly::dispatch {

struct KpaSettings {
  enum class Metric { concurrency, rps };

  Metric metric = Metric::concurrency;
  Window::Kind aggregation = Window::Kind::linear;
  double target = 70;  // of one instance, utilization counted in (S4.26); never below kLeastTarget
  double total = 100;  // what one instance could take
  double burst = 211;  // target-burst-capacity: 0 never through the activator, -1 always
  double max_up = 1'000, max_down = 2;
  double panic_threshold = 2;
  int64_t stable_s = 60, panic_s = 6;
  int64_t down_delay_us = 0;
  int64_t min_scale = 0, max_scale = 0;  // 0: no limit
  int64_t initial_scale = 1, activation_scale = 1;
  bool to_zero = true;
  int64_t grace_us = 30 * kMicrosPerSecond, retention_us = 0;
  int64_t progress_us = 600 * kMicrosPerSecond;  // a start that takes longer has failed
  double activator_capacity = 100;

  bool operator==(const KpaSettings&) const = default;
};

constexpr double kLeastTarget = 0.01;  // S4.23

enum class KpaSettingsError { invalid };

// `annotations` by the names of S4.25, with or without the prefix "autoscaling.knative.dev/", also in the older camelCase; values as text
// or numbers. `container_concurrency` is what one instance takes at once; 0: any number. Members that are not the autoscaler's are ignored.
Expected<KpaSettings, KpaSettingsError> kpa_settings(const json::object& annotations, int64_t container_concurrency);

// The first annotation with the prefix that is none of the autoscaler's: a typing mistake where a person writes them; "" if there is none.
std::string unknown_kpa_name(const json::object& annotations);

// "kpa" and "kpa.autoscaling.knative.dev" ask for this autoscaler; absent does not.
bool asks_for_kpa(const json::object& annotations);

// "1h30m", "45s", "500ms" as microseconds; nullopt if it is none.
std::optional<int64_t> parse_duration_us(std::string_view text);

}  // namespace mayfly::dispatch
