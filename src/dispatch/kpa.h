#pragma once
// Kpa: Knative's autoscaler (knative-serving.md section 4) as a pure class: told of every change of concurrency, asked how many
// instances there should be. It decides the moment load rises (S4.28) and not at the next tick; what depends on time passing (windows
// running empty, panic ending, the gate to zero) is decided when it is asked again, which its owner does every kTickUs while there are
// instances. Time comes in as microseconds of a monotonic clock.
//
// Measuring: the area under concurrency, second by second (S4.27). The second that is not over yet counts as the larger of its mean so
// far and what is in flight now; when it ends the true mean takes its place, as the reference takes back its first report.

#include <cstdint>
#include <deque>
#include <optional>

#include "dispatch/kpa_settings.h"
#include "dispatch/window.h"

namespace mayfly::dispatch {

constexpr int64_t kKpaTickUs = 2 * kMicrosPerSecond;  // S4.24

// The step of S4.31: one decision from two averages. Holds what panic mode and the delay of scaling down remember.
class KpaStep {
 public:
  // `ready` at the start: more than one means that history was lost, so it begins in panic (S4.37).
  KpaStep(const KpaSettings& settings, std::optional<int64_t> ready, int64_t now_us);

  struct Decision {
    int64_t want = 0;
    int64_t excess_burst = 0;
  };
  Decision step(int64_t ready, double stable, double panic, int64_t now_us);

  void set_reachable(bool reachable) { reachable_ = reachable; }
  bool in_panic() const { return panic_since_us_ != kCalm; }
  int64_t panic_since_us() const { return panic_since_us_; }
  int64_t max_panic() const { return max_panic_; }

 private:
  static constexpr int64_t kCalm = INT64_MIN;
  int64_t delayed(int64_t want, int64_t now_us);

  const KpaSettings& settings_;
  bool reachable_ = true;
  int64_t panic_since_us_ = kCalm, max_panic_ = 0;
  std::deque<std::pair<int64_t, int64_t>> wants_;  // (tick, want), falling: the maximum of the delay's window is in front
};

class Kpa {
 public:
  Kpa(KpaSettings settings, size_t ready, int64_t now_us);
  Kpa(const Kpa&) = delete;  // the step refers to the settings

  void arrived(int64_t now_us);                            // a request, for the rps metric
  void in_flight_is(size_t in_flight, int64_t now_us);     // queued and running, at each change

  enum class Mode { serve, proxy };  // S4.36: reported, changes nothing on the path
  struct Decision {
    size_t want = 0;
    int64_t excess_burst = 0;
    Mode mode = Mode::proxy;
  };
  Decision decide(size_t ready, int64_t now_us);
  // What decide() said last.
  const Decision& last() const { return last_; }
  bool in_panic() const { return step_.in_panic(); }
  const KpaSettings& settings() const { return settings_; }
  // How many activators the reference would put before so many ready instances (S4.36): reported, there is one here.
  int64_t activators(size_t ready) const;

 private:
  enum class Life { activating, active, inactive };

  void advance(int64_t now_us);
  void report(int64_t now_us, double value);
  void estimate(int64_t now_us);
  int64_t bounded(int64_t want, size_t ready, int64_t now_us);
  int64_t gate(int64_t want, size_t ready, int64_t now_us);
  void live(Life life, int64_t now_us);

  const KpaSettings settings_;
  KpaStep step_;
  Window stable_, panic_;
  size_t in_flight_ = 0;
  int64_t measured_us_;    // up to where the area is counted
  double area_ = 0;        // of the second that measured_us_ is in: concurrency times seconds
  double reported_ = 0;    // what the windows hold for that second
  bool reporting_ = false; // there are instances or requests: seconds without load are reported as 0
  Life life_ = Life::activating;
  int64_t life_since_us_, began_us_, proxy_since_us_;
  bool attained_initial_ = false;
  Decision last_;
};

}  // namespace mayfly::dispatch
