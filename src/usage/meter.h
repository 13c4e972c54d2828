#pragma once
// Meter: the dispatcher's observer. Turns finished invocations into per-function totals, a short list of recent records, and the log
// lines that frame a run ("FC Invoke Start RequestId: ...", "FC Invoke End ..." and a line that says where the time went), and writes
// them as Prometheus text. Thread-safe; a finished invocation takes one uncontended lock on its home shard.

#include <array>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "dispatch/invoker.h"
#include "usage/log_store.h"

namespace mayfly::usage {

struct Record {
  int64_t started_us = 0;  // wall clock
  std::string request_id, source, instance_id, version, error;
  dispatch::Outcome::Kind kind = dispatch::Outcome::Kind::ok;
  dispatch::Phases phases;
  int64_t memory_bytes = 0;
  bool cold = false;
};

struct FunctionTotals {
  static constexpr std::array<double, 12> kSecondsBounds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30};
  uint64_t invocations = 0, errors = 0, timeouts = 0, cold_starts = 0;
  double seconds = 0;
  dispatch::Phases spent;  // added up
  std::array<uint64_t, kSecondsBounds.size() + 1> buckets{};
  std::string last_error;
  int64_t last_error_us = 0, last_us = 0;
  std::deque<Record> recent;  // newest last
};

// Appends "REPORT RequestId: r, Duration: 12.31 ms, Queued: 0.02 ms, Max Memory Used: 31 MB", and for a cold call
// ", Cold Start: 55.10 ms (sandbox 1.20, runtime 3.00, import 50.10, init 0.80)".
void append_report(std::string& out, const std::string& request_id, const dispatch::Outcome& outcome);

class Meter final : public dispatch::InvocationObserver {
 public:
  static constexpr size_t kRecentPerFunction = 50;
  static constexpr size_t kMaxFunctions = 10'000;  // beyond it totals go to the name "other"

  Meter(LogStore& logs, const Clock& clock) : logs_(logs), clock_(clock) {}

  void started(const dispatch::Invocation& invocation, const std::string& instance_id) override;
  void finished(const dispatch::Invocation& invocation, const dispatch::Outcome& outcome, int64_t started_wall_us) override;
  void printed(const dispatch::Target& target, const std::string& request_id, const std::string& instance_id, std::string text) override;

  FunctionTotals totals(const std::string& service, const std::string& function) const;
  uint64_t invocations() const;

  // A gauge or counter of another room, added to the same page.
  struct Sample {
    std::string name, help;
    enum class Type { counter, gauge } type = Type::gauge;
    double value = 0;
  };
  std::string prometheus_text(const std::vector<Sample>& others) const;

 private:
  // A function's name where it need not be copied.
  struct Named {
    std::string_view service, function;
  };
  struct ByName {
    using is_transparent = void;
    using Name = std::pair<std::string, std::string>;
    size_t operator()(Named name) const { return std::hash<std::string_view>()(name.service) * 31 + std::hash<std::string_view>()(name.function); }
    size_t operator()(const Name& name) const { return operator()(Named{name.first, name.second}); }
    bool operator()(const Name& a, const Name& b) const { return a == b; }
    bool operator()(Named a, const Name& b) const { return a.service == b.first && a.function == b.second; }
    bool operator()(const Name& a, Named b) const { return operator()(b, a); }
  };
  FunctionTotals& totals_of(Named name);

  LogStore& logs_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::unordered_map<ByName::Name, FunctionTotals, ByName, ByName> functions_;
};

}  // namespace mayfly::usage
