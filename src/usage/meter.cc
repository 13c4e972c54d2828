#include "usage/meter.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <limits>

#include "base/encoding.h"
#include "base/json.h"

namespace mayfly::usage {
namespace {

using Kind = dispatch::Outcome::Kind;
namespace prom = prometheus;

std::string error_of(const dispatch::Outcome& outcome) {
  if (outcome.kind == Kind::ok) return {};
  auto body = parse_json(outcome.body);
  return body ? string_or(*body, "errorMessage", "function failed") : "function failed";
}

// Microseconds as milliseconds with two digits; printing a double costs as much as parsing a request.
void append_ms(std::string& out, std::string_view before, int64_t us) {
  uint64_t hundredths = static_cast<uint64_t>(std::max<int64_t>(us, 0)) / 10;
  out += before;
  append_number(out, hundredths / 100);
  out += {'.', static_cast<char>('0' + hundredths / 10 % 10), static_cast<char>('0' + hundredths % 10)};
}

struct Phase {
  const char* name;
  int64_t dispatch::Phases::* us;
};
constexpr Phase kPhases[] = {{"queued", &dispatch::Phases::queued_us}, {"sandbox", &dispatch::Phases::sandbox_us}, {"runtime", &dispatch::Phases::runtime_us},
                             {"import", &dispatch::Phases::import_us}, {"init", &dispatch::Phases::init_us},       {"run", &dispatch::Phases::run_us},
                             {"reply", &dispatch::Phases::reply_us}};

prom::MetricFamily family(std::string name, std::string help, prom::MetricType type) {
  prom::MetricFamily out;
  out.name = std::move(name);
  out.help = std::move(help);
  out.type = type;
  return out;
}

prom::ClientMetric labelled(const std::pair<std::string, std::string>& function) {
  prom::ClientMetric metric;
  metric.label = {{"service", function.first}, {"function", function.second}};
  return metric;
}

}  // namespace

void append_report(std::string& line, const std::string& request_id, const dispatch::Outcome& outcome) {
  constexpr int64_t kBytesPerMb = 1 << 20;
  const dispatch::Phases& phases = outcome.phases;
  line += "REPORT RequestId: ";
  line += request_id;
  append_ms(line, ", Duration: ", phases.run_us + phases.reply_us);
  append_ms(line, " ms, Queued: ", phases.queued_us);
  line += " ms, Max Memory Used: ";
  append_number(line, static_cast<uint64_t>((outcome.memory_bytes + kBytesPerMb - 1) / kBytesPerMb));
  line += " MB";
  if (phases.reply_us > 0) append_ms(line, ", Streaming: ", phases.reply_us), line += " ms";
  if (!outcome.cold) return;
  append_ms(line, ", Cold Start: ", phases.start_us());
  append_ms(line, " ms (sandbox ", phases.sandbox_us);
  append_ms(line, ", runtime ", phases.runtime_us);
  append_ms(line, ", import ", phases.import_us);
  append_ms(line, ", init ", phases.init_us);
  line += ')';
}

void Meter::started(const dispatch::Invocation& invocation, const std::string& instance_id) {
  logs_.append(invocation.target.service, invocation.target.function, invocation.request_id, instance_id, "FC Invoke Start RequestId: " + invocation.request_id);
}

void Meter::finished(const dispatch::Invocation& invocation, const dispatch::Outcome& outcome, int64_t started_wall_us) {
  std::string error = error_of(outcome);
  const dispatch::Target& target = invocation.target;
  std::string end = "FC Invoke End RequestId: ";
  constexpr size_t kUsualBytes = 256;
  end.reserve(kUsualBytes);
  end += invocation.request_id;
  if (!error.empty()) end += ", Error: " + error;
  end += '\n';
  append_report(end, invocation.request_id, outcome);
  logs_.append(target.service, target.function, invocation.request_id, outcome.instance_id, end);

  const dispatch::Phases& phases = outcome.phases;
  double seconds = static_cast<double>(phases.total_us()) / kMicrosPerSecond;
  size_t bucket = 0;
  while (bucket < FunctionTotals::kSecondsBounds.size() && seconds > FunctionTotals::kSecondsBounds[bucket]) ++bucket;

  std::lock_guard lock(mutex_);
  FunctionTotals& totals = totals_of({target.service, target.function});
  ++totals.invocations;
  totals.errors += outcome.kind != Kind::ok;
  totals.timeouts += outcome.kind == Kind::timed_out;
  totals.cold_starts += outcome.cold;
  totals.seconds += seconds;
  for (const Phase& phase : kPhases) totals.spent.*phase.us += phases.*phase.us;
  ++totals.buckets[bucket];
  totals.last_us = clock_.wall_us();
  if (!error.empty()) {
    totals.last_error = error;
    totals.last_error_us = totals.last_us;
  }
  Record record;
  if (totals.recent.size() == kRecentPerFunction) {  // the oldest one's memory serves the newest
    record = std::move(totals.recent.front());
    totals.recent.pop_front();
  }
  record.started_us = started_wall_us;
  record.request_id = invocation.request_id;
  record.source = invocation.source;
  record.instance_id = outcome.instance_id;
  record.version = outcome.version;
  record.error = std::move(error);
  record.kind = outcome.kind;
  record.phases = phases;
  record.memory_bytes = outcome.memory_bytes;
  record.cold = outcome.cold;
  totals.recent.push_back(std::move(record));
}

FunctionTotals& Meter::totals_of(Named name) {
  if (auto found = functions_.find(name); found != functions_.end()) return found->second;
  if (functions_.size() >= kMaxFunctions) return functions_[{"other", "other"}];
  return functions_[{std::string(name.service), std::string(name.function)}];
}

void Meter::printed(const dispatch::Target& target, const std::string& request_id, const std::string& instance_id, std::string text) {
  logs_.append(target.service, target.function, request_id, instance_id, text);
}

FunctionTotals Meter::totals(const std::string& service, const std::string& function) const {
  std::lock_guard lock(mutex_);
  auto found = functions_.find(Named{service, function});
  return found == functions_.end() ? FunctionTotals{} : found->second;
}

uint64_t Meter::invocations() const {
  std::lock_guard lock(mutex_);
  uint64_t sum = 0;
  for (const auto& [name, totals] : functions_) sum += totals.invocations;
  return sum;
}

std::string Meter::prometheus_text(const std::vector<Sample>& others) const {
  auto calls = family("mayfly_invocations_total", "Finished invocations.", prom::MetricType::Counter);
  auto errors = family("mayfly_invocation_errors_total", "Invocations that did not end well, timeouts included.", prom::MetricType::Counter);
  auto cold = family("mayfly_cold_starts_total", "Invocations that had to wait for a new instance.", prom::MetricType::Counter);
  auto spent = family("mayfly_phase_seconds_total", "Where the time of invocations went; sandbox, runtime, import and init are cold starts.", prom::MetricType::Counter);
  auto seconds = family("mayfly_invocation_seconds", "Time of an invocation from arrival to reply.", prom::MetricType::Histogram);
  {
    std::lock_guard lock(mutex_);
    std::vector<const decltype(functions_)::value_type*> sorted;
    for (const auto& each : functions_) sorted.push_back(&each);
    std::ranges::sort(sorted, {}, [](const auto* each) -> const ByName::Name& { return each->first; });
    for (const auto* each : sorted) {
      const auto& [name, totals] = *each;
      auto count = [&](prom::MetricFamily& into, uint64_t value) {
        into.metric.push_back(labelled(name));
        into.metric.back().counter.value = static_cast<double>(value);
      };
      count(calls, totals.invocations);
      count(errors, totals.errors);
      count(cold, totals.cold_starts);
      for (const Phase& phase : kPhases) {
        if (totals.spent.*phase.us == 0) continue;
        spent.metric.push_back(labelled(name));
        spent.metric.back().label.push_back({"phase", phase.name});
        spent.metric.back().counter.value = static_cast<double>(totals.spent.*phase.us) / kMicrosPerSecond;
      }
      prom::ClientMetric metric = labelled(name);
      metric.histogram.sample_count = totals.invocations;
      metric.histogram.sample_sum = totals.seconds;
      uint64_t cumulative = 0;
      for (size_t i = 0; i < totals.buckets.size(); ++i) {
        cumulative += totals.buckets[i];
        double bound = i < FunctionTotals::kSecondsBounds.size() ? FunctionTotals::kSecondsBounds[i] : std::numeric_limits<double>::infinity();
        metric.histogram.bucket.push_back({cumulative, bound});
      }
      seconds.metric.push_back(std::move(metric));
    }
  }
  std::vector<prom::MetricFamily> families{std::move(calls), std::move(errors), std::move(cold), std::move(spent), std::move(seconds)};
  for (const Sample& sample : others) {
    bool counter = sample.type == Sample::Type::counter;
    families.push_back(family(sample.name, sample.help, counter ? prom::MetricType::Counter : prom::MetricType::Gauge));
    prom::ClientMetric metric;
    (counter ? metric.counter.value : metric.gauge.value) = sample.value;
    families.back().metric.push_back(metric);
  }
  return prom::TextSerializer().Serialize(families);
}

}  // namespace mayfly::usage
