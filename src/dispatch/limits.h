#pragma once
// Limits: how many instances of a function a person asked for. Four kinds of settings documents say it; whoever shows or changes them
// (a dialect, the command line) writes the document, and the dispatcher follows.
//
//   kind                name                              body
//   on-demand-config    services/<s>.<q>/functions/<f>    maximumInstanceCount: at most so many; 0: the general limit
//   provision-config    the same                          target: at least so many, started ahead of calls; scheduledActions (whoever
//                                                         keeps the time changes the target); targetTrackingPolicies
//   scaling             the same                          annotations: {"autoscaling.knative.dev/...": ...}: with class kpa that
//                                                         autoscaler rules the number (kpa_settings.h)
//   reserved-instances  <s>/<f>                           instances: memory for so many is set aside and given to nobody else

#include <optional>
#include <vector>

#include "dispatch/invoker.h"
#include "dispatch/kpa_settings.h"
#include "functions/catalogue.h"
#include "functions/settings.h"

namespace mayfly::dispatch {

constexpr const char* kOnDemandConfig = "on-demand-config";
constexpr const char* kProvisionConfig = "provision-config";
constexpr const char* kScalingConfig = "scaling";
constexpr const char* kReservedConfig = "reserved-instances";

std::string limits_name(const std::string& service, const std::string& qualifier, const std::string& function);
std::optional<Target> target_of_limits(const std::string& name);  // the inverse

// targetTrackingPolicies: the minimum follows the load, so that provisioned instances are used as far as asked.
struct Tracking {
  KpaSettings settings;
  int64_t from_us = INT64_MIN, until_us = INT64_MAX;  // wall clock
  bool operator==(const Tracking&) const = default;
};

struct Limits {
  size_t minimum = 0;
  size_t maximum = 0;  // 0: the general limit
  std::optional<KpaSettings> kpa;
  std::vector<Tracking> tracking;
  bool operator==(const Limits&) const = default;
  bool starts_ahead() const { return minimum > 0 || kpa || !tracking.empty(); }
};

// Of one runnable whose instances take `concurrency` calls at once. An alias's minimum and maximum are shared out by the weights of
// its versions, rounded up.
Limits limits_of(const functions::Settings& settings, const functions::Catalogue& catalogue, const functions::Runnable& runnable, size_t concurrency);

// Whatever has, or may come to have, instances without being called.
std::vector<Target> started_ahead(const functions::Settings& settings);

struct Reservation {
  std::string service, function;
  int64_t instances = 0;
};
std::vector<Reservation> reservations(const functions::Settings& settings);

// A provision-config's policy as settings of the scaler; refuses what is no policy.
Expected<Tracking, KpaSettingsError> tracking_policy(const json::value& policy, size_t concurrency);

}  // namespace mayfly::dispatch
