#include "dispatch/kpa_settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>

#include "base/encoding.h"

namespace mayfly::dispatch {
namespace {

constexpr std::string_view kPrefix = "autoscaling.knative.dev/";
constexpr double kDefaultConcurrency = 100, kDefaultRps = 200, kDefaultUtilization = 0.7;
constexpr double kMaxNumber = 1e9;  // of a scale, target or rate: beyond it a typing mistake

// "target-burst-capacity" as "targetBurstCapacity".
std::string camel(std::string_view name) {
  std::string out;
  bool raise = false;
  for (char c : name) {
    if (c == '-') raise = true;
    else out += std::exchange(raise, false) ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return out;
}

// Reads annotations; the first that is wrong is kept.
class Reader {
 public:
  explicit Reader(const json::object& annotations) : annotations_(annotations) {}

  std::optional<std::string> text(std::string_view name, std::string_view older = {}) const {
    for (const std::string& key : {std::string(name), camel(name), std::string(older)}) {
      if (key.empty()) continue;
      asked_.insert(std::string(kPrefix) + key);
      for (const std::string& full : {std::string(kPrefix) + key, key}) {
        auto found = annotations_.find(full);
        if (found == annotations_.end() || found->value().is_null()) continue;
        return found->value().is_string() ? std::string(view(found->value().get_string())) : to_text(found->value());
      }
    }
    return std::nullopt;
  }
  std::optional<double> number(std::string_view name, double low, double high, std::string_view older = {}) {
    auto sent = text(name, older);
    if (!sent) return std::nullopt;
    double value = 0;
    auto [end, error] = std::from_chars(sent->data(), sent->data() + sent->size(), value);
    bool good = error == std::errc() && end == sent->data() + sent->size() && value >= low && value <= high;
    if (!good) wrong(name, *sent, fmt::format("a number from {} to {}", low, high));
    return good ? std::optional(value) : std::nullopt;
  }
  std::optional<int64_t> whole(std::string_view name, int64_t low, int64_t high) {
    auto value = number(name, static_cast<double>(low), static_cast<double>(high));
    if (value && *value != std::floor(*value)) wrong(name, *text(name), "a whole number");
    return value ? std::optional(static_cast<int64_t>(*value)) : std::nullopt;
  }
  std::optional<int64_t> duration_us(std::string_view name, int64_t low_us, int64_t high_us) {
    auto sent = text(name);
    if (!sent) return std::nullopt;
    auto value = parse_duration_us(*sent);
    if (value && *value >= low_us && *value <= high_us) return value;
    wrong(name, *sent, fmt::format("a duration from {}s to {}s", low_us / kMicrosPerSecond, high_us / kMicrosPerSecond));
    return std::nullopt;
  }
  bool among(std::string_view name, const std::string& sent, std::initializer_list<std::string_view> values) {
    if (std::find(values.begin(), values.end(), sent) != values.end()) return true;
    wrong(name, sent, fmt::format("one of {}", fmt::join(values, ", ")));
    return false;
  }
  void wrong(std::string_view name, std::string_view sent, std::string expected) {
    if (problem_.empty()) problem_ = fmt::format("{}{} must be {}, not '{}'", kPrefix, name, expected, sent);
  }
  const std::string& problem() const { return problem_; }
  // The first annotation of the autoscaler's that was not asked for.
  std::string unknown() const {
    for (const auto& each : annotations_) {
      std::string name(each.key());
      if (name.starts_with(kPrefix) && !asked_.contains(name)) return name;
    }
    return {};
  }

 private:
  const json::object& annotations_;
  mutable std::set<std::string> asked_;
  std::string problem_;
};

void read_target(Reader& in, KpaSettings& out, int64_t container_concurrency) {
  if (auto metric = in.text("metric"); metric && in.among("metric", *metric, {"concurrency", "rps"}) && *metric == "rps") out.metric = KpaSettings::Metric::rps;
  auto target = in.number("target", kLeastTarget, kMaxNumber);
  auto limit = static_cast<double>(container_concurrency);
  if (out.metric == KpaSettings::Metric::rps) {
    out.total = target.value_or(kDefaultRps);
  } else {
    out.total = limit > 0 ? limit : kDefaultConcurrency;
    if (target) out.total = limit > 0 ? std::min(*target, limit) : *target;
  }
  double utilization = kDefaultUtilization;
  if (auto asked = in.number("target-utilization-percentage", 0.01, 100, "targetUtilization")) utilization = *asked > 1 ? *asked / 100 : *asked;
  out.target = std::max(kLeastTarget, out.total * utilization);
}

void read_windows(Reader& in, KpaSettings& out) {
  if (auto window = in.duration_us("window", 6 * kMicrosPerSecond, 3'600 * kMicrosPerSecond)) out.stable_s = *window / kMicrosPerSecond;
  double share = in.number("panic-window-percentage", 1, 100).value_or(10) / 100;
  out.panic_s = std::max<int64_t>(1, std::lround(static_cast<double>(out.stable_s) * share));
  out.panic_threshold = in.number("panic-threshold-percentage", 110, 1'000).value_or(200) / 100;
  if (auto kind = in.text("metric-aggregation-algorithm"))
    if (in.among("metric-aggregation-algorithm", *kind, {"linear", "weighted-exponential"}) && *kind != "linear") out.aggregation = Window::Kind::weighted;
}

void read_scale(Reader& in, KpaSettings& out) {
  constexpr int64_t kMost = 100'000, kHourUs = 3'600 * kMicrosPerSecond;
  out.min_scale = in.whole("min-scale", 0, kMost).value_or(0);
  out.max_scale = in.whole("max-scale", 0, kMost).value_or(0);
  if (out.max_scale > 0 && out.min_scale > out.max_scale) in.wrong("min-scale", std::to_string(out.min_scale), "at most max-scale");
  out.initial_scale = in.whole("initial-scale", 0, kMost).value_or(1);
  out.activation_scale = in.whole("activation-scale", 1, kMost).value_or(1);
  out.down_delay_us = in.duration_us("scale-down-delay", 0, kHourUs).value_or(0);
  out.retention_us = in.duration_us("scale-to-zero-pod-retention-period", 0, kHourUs).value_or(0);
  out.grace_us = in.duration_us("scale-to-zero-grace-period", 0, kHourUs).value_or(out.grace_us);
  if (auto zero = in.text("enable-scale-to-zero")) out.to_zero = !(in.among("enable-scale-to-zero", *zero, {"true", "false"}) && *zero == "false");
  if (auto burst = in.number("target-burst-capacity", -1, kMaxNumber)) {
    if (*burst < 0 && *burst != -1) in.wrong("target-burst-capacity", fmt::format("{}", *burst), "-1, 0 or more");
    out.burst = *burst;
  }
  out.max_up = in.number("max-scale-up-rate", 1.01, kMaxNumber).value_or(out.max_up);
  out.max_down = in.number("max-scale-down-rate", 1.01, kMaxNumber).value_or(out.max_down);
}

}  // namespace

bool asks_for_kpa(const json::object& annotations) {
  auto asked = Reader(annotations).text("class");
  return asked && (*asked == "kpa" || *asked == "kpa.autoscaling.knative.dev");
}

namespace {

KpaSettings read_all(Reader& in, int64_t container_concurrency) {
  KpaSettings out;
  if (auto kind = in.text("class")) in.among("class", *kind, {"kpa", "kpa.autoscaling.knative.dev", "hpa.autoscaling.knative.dev"});
  read_target(in, out, container_concurrency);
  read_windows(in, out);
  read_scale(in, out);
  return out;
}

}  // namespace

std::string unknown_kpa_name(const json::object& annotations) {
  Reader in(annotations);
  (void)read_all(in, 0);
  return in.unknown();
}

Expected<KpaSettings, KpaSettingsError> kpa_settings(const json::object& annotations, int64_t container_concurrency) {
  Reader in(annotations);
  KpaSettings out = read_all(in, container_concurrency);
  if (!in.problem().empty()) return fail(KpaSettingsError::invalid, in.problem());
  return out;
}

std::optional<int64_t> parse_duration_us(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, double>, 5> kUnits{{{"ms", 1e3}, {"us", 1}, {"h", 3.6e9}, {"m", 6e7}, {"s", 1e6}}};
  if (text == "0") return 0;
  double total = 0;
  bool any = false;
  while (!text.empty()) {
    double value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || value < 0) return std::nullopt;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    auto unit = std::find_if(kUnits.begin(), kUnits.end(), [text](const auto& each) { return text.starts_with(each.first); });
    if (unit == kUnits.end()) return std::nullopt;
    text.remove_prefix(unit->first.size());
    total += value * unit->second;
    any = true;
  }
  if (!any || total > 1e15) return std::nullopt;
  return std::llround(total);
}

}  // namespace mayfly::dispatch
