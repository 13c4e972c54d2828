#include "dispatch/limits.h"

#include <algorithm>
#include <cmath>

namespace mayfly::dispatch {
namespace {

constexpr std::string_view kServices = "services/", kFunctions = "/functions/";

size_t count_or_zero(const json::value& body, std::string_view key) { return static_cast<size_t>(std::max<int64_t>(0, int_or(body, key))); }

// How much of what an alias gets is the version's that this runnable is.
double share_of(const functions::Catalogue& catalogue, const functions::Runnable& runnable) {
  if (runnable.version.empty() || runnable.version == runnable.qualifier) return 1;
  auto alias = catalogue.alias(runnable.service.name, runnable.qualifier);
  if (!alias) return 1;
  double others = 0;
  for (const auto& [version, weight] : alias->additional_weights) {
    if (version == runnable.version) return weight;
    others += weight;
  }
  return std::max(0.0, 1 - others);
}

size_t part_of(size_t count, double share) { return static_cast<size_t>(std::llround(std::ceil(static_cast<double>(count) * share - 1e-9))); }
size_t part_of_maximum(size_t count, double share) { return count == 0 ? 0 : std::max<size_t>(1, part_of(count, share)); }  // 0 would be no limit

std::vector<functions::Document> all(const functions::Settings& settings, const char* kind) {
  return settings.list(kind, {.prefix = {}, .start = {}, .limit = functions::kMaxDocuments}).items;
}

double number_or(const json::value& value, std::string_view key, double fallback) {
  const json::value* found = find(value, key);
  return found && found->is_number() ? found->to_number<double>() : fallback;
}

}  // namespace

std::string limits_name(const std::string& service, const std::string& qualifier, const std::string& function) {
  return fmt::format("services/{}.{}/functions/{}", service, qualifier.empty() ? functions::kLatest : std::string_view(qualifier), function);
}

std::optional<Target> target_of_limits(const std::string& name) {
  size_t functions = name.find(kFunctions), dot = name.find('.');
  if (!name.starts_with(kServices) || functions == name.npos || dot > functions) return std::nullopt;
  Target target{name.substr(kServices.size(), dot - kServices.size()), name.substr(functions + kFunctions.size()), name.substr(dot + 1, functions - dot - 1)};
  if (target.qualifier == functions::kLatest) target.qualifier.clear();
  return target;
}

Expected<Tracking, KpaSettingsError> tracking_policy(const json::value& policy, size_t concurrency) {
  Tracking out;
  std::string metric = string_or(policy, "metricType", "ProvisionedConcurrencyUtilization");
  if (metric != "ProvisionedConcurrencyUtilization")
    return fail(KpaSettingsError::invalid, fmt::format("metricType must be ProvisionedConcurrencyUtilization, not '{}'", metric));
  double utilization = number_or(policy, "metricTarget", 0);
  if (!(utilization > 0 && utilization <= 1)) return fail(KpaSettingsError::invalid, "metricTarget must be more than 0 and at most 1");
  int64_t low = int_or(policy, "minCapacity"), high = int_or(policy, "maxCapacity");
  if (low < 0 || high < std::max<int64_t>(1, low)) return fail(KpaSettingsError::invalid, "minCapacity must be at least 0, maxCapacity at least 1 and not below it");
  for (auto [key, at] : {std::pair{"startTime", &out.from_us}, {"endTime", &out.until_us}}) {
    std::string text = string_or(policy, key);
    auto time = parse_iso8601(text);
    if (!text.empty() && !time) return fail(KpaSettingsError::invalid, fmt::format("{} must be a time such as 2026-11-20T10:00:00Z, not '{}'", key, text));
    if (time) *at = *time;
  }
  out.settings.total = static_cast<double>(concurrency);
  out.settings.target = std::max(kLeastTarget, utilization * out.settings.total);
  out.settings.burst = 0;
  out.settings.grace_us = 0;
  out.settings.initial_scale = 0;
  out.settings.min_scale = low;
  out.settings.max_scale = high;
  return out;
}

Limits limits_of(const functions::Settings& settings, const functions::Catalogue& catalogue, const functions::Runnable& runnable, size_t concurrency) {
  Limits limits;
  std::string name = limits_name(runnable.service.name, runnable.qualifier, runnable.function.name);
  if (auto document = settings.get(kOnDemandConfig, name)) limits.maximum = part_of_maximum(count_or_zero(document->body, "maximumInstanceCount"), share_of(catalogue, runnable));
  if (auto document = settings.get(kProvisionConfig, name)) {
    limits.minimum = part_of(count_or_zero(document->body, "target"), share_of(catalogue, runnable));
    if (const json::value* policies = document->body.if_contains("targetTrackingPolicies"); policies && policies->is_array())
      for (const json::value& each : policies->get_array())
        if (auto policy = tracking_policy(each, concurrency)) limits.tracking.push_back(*policy);
  }
  if (auto document = settings.get(kScalingConfig, name)) {
    const json::value* annotations = document->body.if_contains("annotations");
    if (annotations && annotations->is_object() && asks_for_kpa(annotations->get_object())) {
      auto kpa = kpa_settings(annotations->get_object(), static_cast<int64_t>(concurrency));
      if (kpa) limits.kpa = *kpa;
    }
  }
  return limits;
}

std::vector<Target> started_ahead(const functions::Settings& settings) {
  std::vector<Target> targets;
  for (const char* kind : {kProvisionConfig, kScalingConfig})
    for (const functions::Document& document : all(settings, kind))
      if (auto target = target_of_limits(document.name)) targets.push_back(std::move(*target));
  return targets;
}

std::vector<Reservation> reservations(const functions::Settings& settings) {
  std::vector<Reservation> out;
  for (const functions::Document& document : all(settings, kReservedConfig)) {
    size_t slash = document.name.find('/');
    if (slash == document.name.npos) continue;
    out.push_back({document.name.substr(0, slash), document.name.substr(slash + 1), std::max<int64_t>(0, int_or(document.body, "instances"))});
  }
  return out;
}

}  // namespace mayfly::dispatch
